"""How a drawn scene becomes a clip: actor and room, camera and noise, H.264."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from vidrnn.synthetic import figures as fig
from vidrnn.synthetic.figures import Actor, Image, Room, Stage, shade

_MARGIN = 14  # pixels drawn around the picture, so that shake and zoom never show an edge


@dataclass(frozen=True)
class Pair:
    """Two classes that reverse each other, drawn by one function of the progress 0..1."""

    names: tuple[str, str]
    draw: Callable[[Stage, Actor, Room, float], None]
    centre: float  # x in the middle of the picture, body units
    bare: tuple[float, float] = (0.0, 0.0)  # stretch of the wall without decoration, body units


def sample_scene(rng: np.random.Generator) -> tuple[Actor, Room]:
    """Draw an actor and a room."""

    def pick(palette: str) -> fig.Colour:
        code = int(str(rng.choice(palette.split())), 16)
        return shade((code >> 16, code >> 8 & 255, code & 255), float(rng.uniform(0.88, 1.12)))

    leg, head = float(rng.uniform(0.455, 0.495)), float(rng.uniform(0.074, 0.084))
    actor = Actor(
        stature=float(rng.uniform(0.88, 1.2)),
        leg=leg,
        arm=float(rng.uniform(0.31, 0.345)),
        torso=0.93 - leg - 2.0 * head,
        head=head,
        girth=float(rng.uniform(0.85, 1.2)),
        skin=pick("f0c8aa deac87 ac7855 78503a"),
        hair=pick("2d201c 5f3c23 cda55a 964b28 828287"),
        shirt=pick("cd3732 325fbe f0b428 3c965a ebebeb 8c46a0"),
        trousers=pick("2d3c69 3c3c41 7d5f41 5f6e55"),
        shoes=pick("282323 e6e6e6 96322d"),
    )
    wall = pick("ded6c4 bacdd7 c6d4b8 e2c6bc cdc8d7")
    left, right, *_ = rng.permutation(["window", "picture", "lamp", "plant"])
    room = Room(
        wall=wall,
        stripe=shade(wall, float(rng.choice([0.95, 1.0, 1.05]))),
        floor=pick("b08458 8c6446 c4a47c 968c82"),
        wood=pick("805230 a07042 62422e 964632"),
        accent=pick("3c6ea0 aa3c46 468c6e 785096"),
        stripe_step=int(rng.integers(14, 30)),
        plank=int(rng.integers(26, 50)),
        decor=(str(left), str(right)),
    )
    return actor, room


def sample_progress(rng: np.random.Generator, fps: int) -> list[float]:
    """Return the progress 0..1 of each frame: a hold, an eased motion, a hold."""
    # An odd count lets equally spaced frames of a clip and of its twin fall on the same pictures.
    frames = 2 * int(rng.integers(int(0.8 * fps), int(1.2 * fps), endpoint=True)) + 1
    start, end = rng.uniform(0.06, 0.2, 2)
    moved = np.clip((np.linspace(0.0, 1.0, frames) - start) / (1.0 - start - end), 0.0, 1.0)
    moved **= float(rng.uniform(0.8, 1.25))
    return [float(share) for share in moved**2 * (3.0 - 2.0 * moved)]


def shoot(
    pair: Pair, actor: Actor, room: Room, rng: np.random.Generator, *, size: tuple[int, int], progress: Sequence[float]
) -> Iterator[Image]:
    """Yield the frames of one clip of the pair's first class, one for each progress, as RGB (height, width, 3)."""
    width, height = size
    times = np.linspace(-0.5, 0.5, len(progress))
    phase, pace, sway = rng.uniform(0.0, 6.28, 2), rng.uniform(6.0, 18.0, 2), rng.uniform(0.0, 1.5, 2)
    zooms = rng.uniform(1.0, 1.04) + rng.uniform(-0.01, 0.01) * times
    mirror, gain = rng.choice([-1.0, 1.0]), float(rng.uniform(0.92, 1.08))
    unit = 0.68 * height * actor.stature
    middle = _MARGIN + (0.5 + float(rng.uniform(-0.07, 0.07))) * width
    empty = np.zeros((height + 2 * _MARGIN, width + 2 * _MARGIN, 3), np.uint8)
    stage = Stage(empty, (middle - pair.centre * unit, _MARGIN + 0.93 * height), unit)
    fig.draw_room(stage, room, bare=pair.bare)
    # Frames cut their noise from one sheet: drawing fresh noise would take most of the time.
    grain = rng.normal(0.0, 2.0, (height + 32, width + 32, 3)).astype(np.int16)
    corners = rng.integers(0, 32, (len(progress), 2))
    for time, zoom, moved, (row, column) in zip(times, zooms, progress, corners, strict=True):
        picture = replace(stage, image=empty.copy())
        pair.draw(picture, actor, room, moved)
        camera = np.array([[mirror * zoom, 0.0, 0.0], [0.0, zoom, 0.0]])
        camera[:, 2] = np.array(size) / 2 - camera[:, :2] @ (np.array(size) / 2 + _MARGIN)
        camera[:, 2] += sway * np.sin(phase + pace * time)
        frame = cv2.warpAffine(picture.image, camera, size, flags=cv2.INTER_LINEAR)
        noise = grain[row : row + height, column : column + width]
        frame = cv2.add(cv2.convertScaleAbs(frame, alpha=gain), noise, dtype=cv2.CV_8U)
        yield np.asarray(frame, np.uint8)


def encode_clip(path: Path, frames: Iterable[Image], *, size: tuple[int, int], fps: int) -> None:
    """Write pictures (height, width, 3) as H.264."""
    # Constant quality and key frames only: coding does not depend on the order of the frames either.
    options = {"preset": "veryfast", "qp": "24", "g": "1"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = *size, "yuv420p", 1
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
