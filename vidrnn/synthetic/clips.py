"""Synthetic labelled clips: an articulated person acting in a simple room.

The classes come in pairs that are each other's time reversal. A clip of the second class has the
frames of the first one's clip of the same seeds, in reverse order. So only the order of the frames
tells the two apart: speed, holds, camera, noise and position are the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import cos, radians, sin
from pathlib import Path, PurePosixPath

import numpy as np

from vidrnn.names import quoted
from vidrnn.synthetic import figures as fig
from vidrnn.synthetic.figures import Actor, Pose, Room, Stage, shade
from vidrnn.synthetic.shooting import Pair, encode_clip, sample_progress, sample_scene, shoot

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
    progress = sample_progress(rng, fps)
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
