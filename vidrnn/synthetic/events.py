"""Longer synthetic clips in which one short event happens at a known time: truth for what a model should look at."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import pi, sin
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidrnn.names import quoted
from vidrnn.synthetic import figures as fig
from vidrnn.synthetic.clips import LIE, LIFT, SIT, pose_of
from vidrnn.synthetic.figures import Actor, Room, Stage
from vidrnn.synthetic.shooting import Pair, encode_clip, sample_scene, shoot

_KEYS = {"squat": SIT, "lie_down": LIE, "bend": LIFT[:2]}
EVENTS: tuple[str, ...] = tuple(_KEYS)
_EVENT_S = (1.0, 1.8)
_EDGE_S = 0.3


@dataclass(frozen=True)
class EventClip:
    """When the event of a written clip happens, in seconds, and how long the clip is."""

    start_s: float
    end_s: float
    duration_s: float


def render_event(
    path: Path,
    *,
    event: str,
    group_seed: int,
    clip_seed: int,
    duration_s: float = 8.0,
    width: int = 256,
    height: int = 192,
    fps: int = 10,
) -> EventClip:
    """Write a clip in which somebody stands, does one thing, and stands again as before (H.264 in MP4).

    Nothing but the event tells the classes apart. Room, actor, place and the pose before and behind it are the same for
    all of them, and no furniture belongs to one class. The hands move a little all the time.

    Args:
        path: File to write; its folder is made when missing.
        event: Class of the clip, one of `EVENTS`.
        group_seed: Chooses the actor and the room.
        clip_seed: Chooses when the event happens, how fast, and the camera.
        duration_s: Length of the clip, at least 3 s.
        width: Picture width in pixels, even.
        height: Picture height in pixels, even.
        fps: Frames per second.

    Raises:
        ValueError: If `event` is unknown, or the clip too short for it.
    """
    if event not in _KEYS:
        raise ValueError(f"unknown event {quoted(event)}; allowed are: {', '.join(EVENTS)}")
    if duration_s < 3.0:
        raise ValueError(f"duration_s {duration_s} is too short for an event; give 3 or more")
    actor, room = sample_scene(np.random.default_rng([group_seed, 1]))
    rng = np.random.default_rng([group_seed, 3, clip_seed])
    length_s = float(rng.uniform(*_EVENT_S))
    start_s = float(rng.uniform(_EDGE_S, duration_s - _EDGE_S - length_s))
    times = np.arange(round(duration_s * fps)) / fps
    share = np.clip((times - start_s) / length_s, 0.0, 1.0)
    swing = rng.uniform(0.5, 1.1, 2)

    pair = Pair((event, event), _drawing(event, share, times, swing=float(swing[0])), -0.25)
    frames = shoot(pair, actor, room, rng, size=(width, height), progress=list(range(len(times))))
    path.parent.mkdir(parents=True, exist_ok=True)
    encode_clip(path, frames, size=(width, height), fps=fps)
    return EventClip(start_s, start_s + length_s, len(times) / fps)


def _drawing(
    event: str, share: npt.NDArray[np.float64], times: npt.NDArray[np.float64], *, swing: float
) -> Callable[[Stage, Actor, Room, float], None]:
    """What draws frame ``place`` of a clip.

    Args:
        event: what happens.
        share: (T,) how much of it is over at each frame, 0 to 1.
        times: (T,) seconds.
        swing: how often a second the hands move.
    """
    keys = _KEYS[event]

    def draw(stage: Stage, actor: Actor, _room: Room, place: float) -> None:
        number = round(place)
        done = sin(pi * share[number]) ** 2  # there, and back again
        pose = pose_of(actor, keys, done * keys[-1][0])
        angle = 5.0 + 4.0 * sin(2.0 * pi * swing * times[number])
        still = 1.0 - done
        hand = (still * angle + (1.0 - still) * pose.near_hand[0], pose.near_hand[1])
        stage.shadow(min(pose.hip[0], pose.along(0.5)[0]) - 0.1, 0.14)
        fig.draw_side(stage, actor, replace(pose, near_hand=hand))

    return draw
