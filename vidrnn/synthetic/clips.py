"""Synthetic labelled clips: an articulated person acting in a simple room.

The classes come in pairs that are each other's time reversal. A clip of the second class has the
frames of the first one's clip of the same seeds, in reverse order. So only the order of the frames
tells the two apart: speed, holds, camera, noise and position are the same.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from math import cos, radians, sin
from pathlib import Path, PurePosixPath

import av
import cv2
import numpy as np

from vidrnn.names import quoted
from vidrnn.synthetic import figures as fig
from vidrnn.synthetic.figures import Actor, Image, Pose, Room, Stage, shade

_MARGIN = 14  # pixels drawn around the picture, so that shake and zoom never show an edge
_DOOR = (0.20, 0.68, 1.14)  # left, right (hinges) and top of the doorway, body units

# Key poses: progress, hip x, hip y, trunk lean, hand angle, hand reach.
SIT = (
    (0.0, 0.00, 0.520, 2.0, 5.0, 0.32),
    (0.5, -0.12, 0.410, 36.0, 62.0, 0.30),
    (1.0, -0.25, 0.315, -4.0, 48.0, 0.26),
)
LIE = (
    (0.0, 0.00, 0.520, 2.0, 5.0, 0.32),
    (0.4, -0.20, 0.200, 30.0, 60.0, 0.30),
    (0.6, -0.40, 0.100, -25.0, 5.0, 0.30),
    (1.0, -0.47, 0.085, -87.0, 12.0, 0.31),
)
LIFT = (
    (0.0, 0.00, 0.520, 2.0, 5.0, 0.32),
    (0.5, -0.15, 0.200, 52.0, 0.0, 0.0),
    (1.0, 0.00, 0.520, -6.0, 0.0, 0.0),
)
_LIFTED_BOX = ((0.0, 0.34, 0.14), (0.5, 0.34, 0.14), (0.75, 0.31, 0.36), (1.0, 0.26, 0.64))
_CARDBOARD = (196, 150, 96)


@dataclass(frozen=True)
class SyntheticClip:
    """One written clip: file path (posix, relative to the root), class, group and split name."""

    path: str
    label: str
    group: str
    split: str


@dataclass(frozen=True)
class Pair:
    """Two classes that reverse each other, drawn by one function of the progress 0..1."""

    names: tuple[str, str]
    draw: Callable[[Stage, Actor, Room, float], None]
    centre: float  # x in the middle of the picture, body units
    bare: tuple[float, float] = (0.0, 0.0)  # stretch of the wall without decoration, body units


def pose_of(actor: Actor, keys: tuple[tuple[float, ...], ...], progress: float) -> Pose:
    """Return the pose between key poses at a progress from 0 to 1."""
    x, y, lean, angle, reach = fig.keyed(keys, progress)
    hip = (x, y * actor.leg / fig.LEG)
    return Pose(hip, lean, (angle, reach), (angle + 4.0, reach), (0.0, 0.05))


def _draw_chair(stage: Stage, actor: Actor, room: Room, progress: float) -> None:
    stage.shadow(-0.48, 0.16)
    for x in (-0.44, -0.12):
        stage.box((x, 0.06), (x + 0.03, 0.24), shade(room.wood, 0.7))
        stage.box((x - 0.03, 0.0), (x, 0.24), room.wood)
    stage.box((-0.48, 0.24), (-0.43, 0.66), room.wood)
    stage.box((-0.48, 0.20), (-0.08, 0.25), room.accent)
    fig.draw_side(stage, actor, pose_of(actor, SIT, progress))


def _draw_mat(stage: Stage, actor: Actor, room: Room, progress: float) -> None:
    pose = pose_of(actor, LIE, progress)
    stage.polygon([(-1.06, -0.04), (0.16, -0.04), (0.12, 0.06), (-1.02, 0.06)], room.accent)
    stage.shadow(min(pose.hip[0], pose.along(0.5)[0]) - 0.08, 0.14)
    stage.chain([(-0.98, 0.035), (-0.84, 0.035)], [0.04, 0.04], (235, 232, 225))
    fig.draw_side(stage, actor, pose)


def _draw_box(stage: Stage, actor: Actor, _room: Room, progress: float) -> None:
    pose = pose_of(actor, LIFT, progress)
    x, y = fig.keyed(_LIFTED_BOX, progress)
    pose = fig.reach_for(actor, pose, target=(x - 0.06, y), share=min(1.0, progress / 0.5))

    def draw_held() -> None:
        stage.box((x - 0.18, y - 0.14), (x + 0.18, y + 0.14), _CARDBOARD)
        stage.box((x - 0.03, y - 0.14), (x + 0.03, y + 0.14), shade(_CARDBOARD, 1.25), outline=False)

    stage.shadow(-0.12, 0.14)
    stage.shadow(x - 0.17, x + 0.17)
    fig.draw_side(stage, actor, pose, draw_held=draw_held)


def _draw_door(stage: Stage, actor: Actor, room: Room, progress: float) -> None:
    left, hinge, top = _DOOR
    turn = radians(80.0) * progress
    free = hinge - (hinge - left) * cos(turn)
    far = 0.10 * sin(turn)
    stage.box((left - 0.035, fig.WALL_LINE), (hinge + 0.035, top + 0.035), shade(room.wood, 1.25))
    stage.box((left, fig.WALL_LINE), (hinge, top), (176, 216, 245), outline=False)
    stage.box((left, fig.WALL_LINE), (hinge, 0.42), (112, 170, 84), outline=False)
    corners = [(free, fig.WALL_LINE + far), (hinge, fig.WALL_LINE), (hinge, top), (free, top - far)]
    stage.polygon(corners, shade(room.wood, 1.0 - 0.25 * sin(turn)))
    for low, high in ((0.20, 0.52), (0.64, 1.04)):
        a, b = free + 0.18 * (hinge - free), free + 0.82 * (hinge - free)
        panel = [(a, low + 0.6 * far), (b, low), (b, high), (a, high - 0.6 * far)]
        stage.polygon(panel, shade(room.wood, 0.85 - 0.2 * sin(turn)))
    knob = (free + 0.1 * (hinge - free), 0.57)
    stage.disc(knob, 0.022, (225, 190, 80))
    pose = Pose((0.06 * progress, 0.515), 3.0 + 12.0 * progress, (0.0, 0.0), (0.0, 0.0), (-0.03, 0.07))
    pose = fig.reach_for(actor, pose, target=knob, share=min(1.0, progress / 0.25))
    stage.shadow(-0.14, 0.18)
    fig.draw_side(stage, actor, replace(pose, near_hand=(8.0, 0.31)))


def _draw_arms(stage: Stage, actor: Actor, _room: Room, progress: float) -> None:
    stage.shadow(-0.2, 0.2)
    fig.draw_front(stage, actor, angle=8.0 + 158.0 * progress)


_PAIRS = (
    Pair(("sit_down", "stand_up"), _draw_chair, -0.15),
    Pair(("lie_down", "get_up"), _draw_mat, -0.45),
    Pair(("pick_up", "put_down"), _draw_box, 0.10),
    Pair(("open_door", "close_door"), _draw_door, 0.25, (_DOOR[0] - 0.1, _DOOR[1] + 0.1)),
    Pair(("raise_arms", "lower_arms"), _draw_arms, 0.0),
)
ACTIONS: tuple[str, ...] = tuple(name for pair in _PAIRS for name in pair.names)


def render_clip(
    path: Path,
    *,
    action: str,
    group_seed: int,
    clip_seed: int,
    width: int = 256,
    height: int = 192,
    fps: int = 12,
) -> None:
    """Write one clip as H.264 in MP4 (yuv420p, 1.6 to 2.4 seconds long).

    Args:
        path: File to write; its folder is made when missing.
        action: Class of the clip, one of `ACTIONS`.
        group_seed: Chooses the actor and the room.
        clip_seed: Chooses what varies between the clips of a group: place, speed, holds, camera.
        width: Picture width in pixels, even.
        height: Picture height in pixels, even.
        fps: Frames per second.

    Raises:
        ValueError: If `action` is unknown.
    """
    if action not in ACTIONS:
        raise ValueError(f"unknown action {quoted(action)}; allowed are: {', '.join(ACTIONS)}")
    index = ACTIONS.index(action)
    actor, room = sample_scene(np.random.default_rng([group_seed, 1]))
    rng = np.random.default_rng([group_seed, 2, clip_seed, index // 2])
    progress = _sample_progress(rng, fps)
    frames = shoot(_PAIRS[index // 2], actor, room, rng, size=(width, height), progress=progress)
    path.parent.mkdir(parents=True, exist_ok=True)
    encode_clip(path, reversed(list(frames)) if index % 2 else frames, size=(width, height), fps=fps)


def render_clips(
    root: Path,
    *,
    groups: int,
    clips_per_group: int,
    seed: int = 0,
    splits: Mapping[str, int] | None = None,
    on_clip: Callable[[], None] | None = None,
) -> list[SyntheticClip]:
    """Write clips of every action in every group and return what was written, in order.

    Args:
        root: Folder to write to, made when missing. The files are
            `<split>/<action>/<group>_<n>.mp4`, without the split's folder when `splits` is None.
        groups: Number of groups (one actor in one room each).
        clips_per_group: Clips of each action in each group.
        seed: Chooses all actors, rooms and takes.
        splits: Number of groups of each split, summing to `groups`; no group is in two splits.
        on_clip: Called after each clip, for progress displays.

    Raises:
        ValueError: If a count is not positive or the splits do not sum to `groups`.
    """
    if groups < 1 or clips_per_group < 1:
        raise ValueError(f"groups and clips_per_group must be positive: {groups}, {clips_per_group}")
    if splits is not None and (sum(splits.values()) != groups or min(splits.values()) < 0):
        raise ValueError(f"splits {dict(splits)} must be counts that sum to groups={groups}")
    names = [name for name, count in (splits or {"": groups}).items() for _ in range(count)]
    clips = []
    for (index, split), action, number in product(enumerate(names), ACTIONS, range(clips_per_group)):
        group = f"g{index:02d}"
        clip = SyntheticClip(str(PurePosixPath(split, action, f"{group}_{number}.mp4")), action, group, split)
        # Both classes of a pair get the same clip seeds: each clip has a reversed twin.
        render_clip(root / clip.path, action=action, group_seed=seed * 100_003 + index, clip_seed=number)
        clips.append(clip)
        if on_clip is not None:
            on_clip()
    return clips


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


def _sample_progress(rng: np.random.Generator, fps: int) -> list[float]:
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
