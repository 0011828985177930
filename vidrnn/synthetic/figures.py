"""Drawing for the synthetic clips: a stage, an articulated person and a furnished room.

Figures are drawn in body units: one unit is the actor's height, x grows to where the actor
faces, y grows upwards and (0, 0) lies on the floor. Angles are in degrees.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import atan2, cos, degrees, hypot, radians, sin

import cv2
import numpy as np
import numpy.typing as npt

Point = tuple[float, float]
Colour = tuple[int, int, int]
Image = npt.NDArray[np.uint8]

_SHIFT = 4  # fractional bits of the coordinates handed to OpenCV, for motion finer than a pixel
WALL_LINE = 0.10  # height at which the wall meets the floor, body units
_ANKLE = 0.045  # height of the ankle over the floor, body units
_SHOULDER = 0.035  # how far the shoulder joints lie below the top of the trunk, body units
LEG = 0.48  # hip to ankle of the reference actor that the key poses are written for


def shade(colour: Colour, factor: float) -> Colour:
    """Return the colour with its brightness multiplied by `factor` and cut to 0..255."""
    red, green, blue = (min(255, max(0, round(value * factor))) for value in colour)
    return red, green, blue


def keyed(keys: Sequence[Sequence[float]], progress: float) -> list[float]:
    """Return the values at `progress` between rows of (progress, value, value, ...)."""
    places, *columns = zip(*keys, strict=True)
    return [float(np.interp(progress, places, column)) for column in columns]


@dataclass(frozen=True)
class Stage:
    """An RGB picture (height, width, 3), drawn on in place, with the place of the body units in it.

    `origin` is the pixel (x, y) of the body units' (0, 0), `unit` the pixels per body height.
    """

    image: Image
    origin: Point
    unit: float

    def pixel(self, point: Point) -> Point:
        """Return the pixel (x, y) of a point in body units."""
        return self.origin[0] + point[0] * self.unit, self.origin[1] - point[1] * self.unit

    def polygon(self, points: Sequence[Point], colour: Colour, *, outline: bool = True) -> None:
        """Fill the convex polygon, with a darker rim when `outline` is set."""
        corners = _fixed([self.pixel(point) for point in points])
        cv2.fillConvexPoly(self.image, corners, colour, cv2.LINE_AA, _SHIFT)
        if outline:
            cv2.polylines(self.image, [corners], True, shade(colour, 0.55), 1, cv2.LINE_AA, _SHIFT)

    def box(self, low: Point, high: Point, colour: Colour, *, outline: bool = True) -> None:
        """Fill the upright rectangle between two opposite corners."""
        corners = [low, (high[0], low[1]), high, (low[0], high[1])]
        self.polygon(corners, colour, outline=outline)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """Fill a disc; the radius is in body units."""
        self._disc(self.pixel(centre), radius * self.unit, colour)

    def chain(self, points: Sequence[Point], radii: Sequence[float], colour: Colour) -> None:
        """Draw a limb: rounded, tapered segments through the points, with one common rim."""
        pixels = [self.pixel(point) for point in points]
        for grow, paint in ((1.1, shade(colour, 0.55)), (0.0, colour)):
            sizes = [radius * self.unit + grow for radius in radii]
            for centre, size in zip(pixels, sizes, strict=True):
                self._disc(centre, size, paint)
            for index in range(len(pixels) - 1):
                self._taper(pixels[index : index + 2], sizes[index : index + 2], paint)

    def shadow(self, left: float, right: float) -> None:
        """Darken the floor softly between two x positions."""
        start, end = self.pixel((left, 0.0)), self.pixel((right, 0.0))
        rows, columns = self.image.shape[:2]
        depth = 0.05 * self.unit
        top = max(0, int(start[1] - 3 * depth))
        area = self.image[top : min(rows, int(start[1] + 3 * depth))]
        mask = np.zeros((area.shape[0], columns), np.float32)
        centre = (round((start[0] + end[0]) / 2), round(start[1] - top))
        cv2.ellipse(mask, centre, (round((end[0] - start[0]) / 2), round(depth)), 0, 0, 360, 0.38, -1)
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.6 * depth), np.float32)
        area[:] = (area * (1.0 - mask[..., None])).astype(np.uint8)

    def _disc(self, centre: Point, radius: float, colour: Colour) -> None:
        x, y = (round(value * 2**_SHIFT) for value in centre)
        cv2.circle(self.image, (x, y), round(radius * 2**_SHIFT), colour, -1, cv2.LINE_AA, _SHIFT)

    def _taper(self, ends: Sequence[Point], radii: Sequence[float], colour: Colour) -> None:
        (x0, y0), (x1, y1) = ends
        length = max(hypot(x1 - x0, y1 - y0), 1e-6)
        side_x, side_y = (y0 - y1) / length, (x1 - x0) / length
        corners = [
            (x0 + side_x * radii[0], y0 + side_y * radii[0]),
            (x1 + side_x * radii[1], y1 + side_y * radii[1]),
            (x1 - side_x * radii[1], y1 - side_y * radii[1]),
            (x0 - side_x * radii[0], y0 - side_y * radii[0]),
        ]
        cv2.fillConvexPoly(self.image, _fixed(corners), colour, cv2.LINE_AA, _SHIFT)


@dataclass(frozen=True)
class Actor:
    """One person's looks: stature (1 is usual), proportions in body units and RGB colours."""

    stature: float
    leg: float
    arm: float
    torso: float
    head: float
    girth: float
    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour


@dataclass(frozen=True)
class Room:
    """A room's looks: RGB colours, widths of stripes and planks in pixels, decoration left and right."""

    wall: Colour
    stripe: Colour
    floor: Colour
    wood: Colour
    accent: Colour
    stripe_step: int
    plank: int
    decor: tuple[str, str]


@dataclass(frozen=True)
class Pose:
    """A person seen from the side, facing +x; `near` is the viewer's side.

    `torso` is the lean of the trunk, 0 upright, positive forwards. A hand is (angle, reach) from the
    shoulder, where 0 is along the trunk to the hip and 90 forwards. `feet` are the x of the near and
    of the far ankle.
    """

    hip: Point
    torso: float
    near_hand: Point
    far_hand: Point
    feet: Point

    def along(self, distance: float, *, front: float = 0.0) -> Point:
        """Return the point `distance` up the trunk from the hip and `front` before it."""
        x, y = sin(radians(self.torso)), cos(radians(self.torso))
        return self.hip[0] + distance * x + front * y, self.hip[1] + distance * y - front * x


def reach_for(actor: Actor, pose: Pose, *, target: Point, share: float) -> Pose:
    """Return the pose with both hands `share` (0..1) of the way from the hips to the target."""
    x, y = pose.along(actor.torso - _SHOULDER)
    angle = degrees(atan2(target[0] - x, y - target[1])) + pose.torso
    reach = hypot(target[0] - x, target[1] - y)
    hand = (5.0 + share * (angle - 5.0), 0.32 + share * (reach - 0.32))
    return replace(pose, near_hand=hand, far_hand=hand)


def draw_side(stage: Stage, actor: Actor, pose: Pose, *, draw_held: Callable[[], None] | None = None) -> None:
    """Draw a person from the side; `draw_held` draws what lies between the body and the near arm."""
    _arm(stage, actor, pose, pose.far_hand, 0.78)
    _leg(stage, actor, pose, pose.feet[1], 0.78)
    girth = actor.girth
    stage.chain([pose.along(actor.torso), pose.along(actor.torso + 0.05)], [0.03, 0.03], actor.skin)
    _leg(stage, actor, pose, pose.feet[0], 1.0)
    trunk = [pose.along(0.02), pose.along(actor.torso - 0.05)]
    stage.chain(trunk, [0.068 * girth, 0.078 * girth], actor.shirt)
    size = actor.head
    centre = actor.torso + 0.03 + size
    stage.chain([pose.along(centre + 0.012, front=-0.018)], [size * 1.06], actor.hair)
    stage.disc(pose.along(centre - 0.012, front=0.02), size * 0.92, actor.skin)
    stage.disc(pose.along(centre - 0.015, front=size * 1.1), 0.016, actor.skin)
    stage.disc(pose.along(centre + 0.012, front=size * 0.75), 0.011, (30, 25, 25))
    if draw_held is not None:
        draw_held()
    _arm(stage, actor, pose, pose.near_hand, 1.0)


def draw_front(stage: Stage, actor: Actor, *, angle: float) -> None:
    """Draw a person at x = 0 from the front; the arms go from 0 degrees, hanging, to 180, up."""
    hip = _ANKLE + actor.leg * 0.993
    top = hip + actor.torso
    girth = actor.girth
    for side in (-1.0, 1.0):
        joint, foot = (0.05 * side * girth, hip), (0.1 * side, _ANKLE)
        knee, ankle = _bend(joint, foot, actor.leg / 2, -side)
        stage.chain([ankle, (ankle[0] + 0.03 * side, 0.025)], [0.033, 0.028], actor.shoes)
        stage.chain([joint, knee, ankle], [0.06 * girth, 0.048, 0.036], actor.trousers)
    stage.chain([(0.0, top - 0.02), (0.0, top + 0.05)], [0.032, 0.032], actor.skin)
    width = 0.07 * girth
    stage.chain([(-width, top - 0.05), (width, top - 0.05)], [0.042, 0.042], actor.shirt)
    stage.chain([(0.0, hip + 0.03), (0.0, top - 0.1)], [0.08 * girth, 0.09 * girth], actor.shirt)
    reach = 0.985 * actor.arm
    for side in (-1.0, 1.0):
        joint = (side * 0.105 * girth, top - 0.045)
        hand = (joint[0] + side * sin(radians(angle)) * reach, joint[1] - cos(radians(angle)) * reach)
        _sleeve(stage, actor, [joint, *_bend(joint, hand, actor.arm / 2, -side)], 1.0)
    size = actor.head
    centre = top + 0.03 + size
    stage.chain([(0.0, centre + 0.012)], [size * 1.06], actor.hair)
    stage.disc((0.0, centre - 0.018), size * 0.9, actor.skin)
    for side in (-1.0, 1.0):
        stage.disc((side * 0.03, centre), 0.011, (30, 25, 25))
    stage.chain([(-0.018, centre - 0.045), (0.018, centre - 0.045)], [0.004, 0.004], (150, 60, 60))


def draw_room(stage: Stage, room: Room, *, bare: tuple[float, float]) -> None:
    """Fill the stage with the empty room, without decoration over the stretch `bare` of the wall."""
    image, unit = stage.image, stage.unit
    rows, columns = image.shape[:2]
    line = round(stage.pixel((0.0, WALL_LINE))[1])
    image[:line] = room.wall
    for x in range(0, columns, room.stripe_step):
        image[:line, x : x + room.stripe_step // 2] = room.stripe
    image[line:] = room.floor
    for x in range(-columns, 2 * columns, room.plank):
        foot = columns // 2 + round((x - columns // 2) * 1.5)
        cv2.line(image, (x, line), (foot, rows), shade(room.floor, 0.85), 1, cv2.LINE_AA)
    image[line - 5 : line] = shade(room.wall, 1.12)
    image[line] = shade(room.floor, 0.6)
    for kind, place in zip(room.decor, (0.16, 0.84), strict=True):
        x = (place * columns - stage.origin[0]) / unit
        if not bare[0] - 0.2 < x < bare[1] + 0.2:
            _draw_decor(stage, kind, x, room)


def _fixed(points: Sequence[Point]) -> npt.NDArray[np.int32]:
    return np.asarray(np.rint(np.asarray(points) * 2**_SHIFT), np.int32)


def _bend(start: Point, end: Point, bone: float, side: float) -> tuple[Point, Point]:
    """Return the middle and the end joint of a limb of two equal bones that reaches for `end`."""
    across_x, across_y = end[0] - start[0], end[1] - start[1]
    wanted = max(hypot(across_x, across_y), 1e-6)
    length = min(wanted, 1.998 * bone)
    across_x, across_y = across_x / wanted, across_y / wanted
    height = side * (bone**2 - (length / 2) ** 2) ** 0.5
    middle = (
        start[0] + across_x * length / 2 + across_y * height,
        start[1] + across_y * length / 2 - across_x * height,
    )
    return middle, (start[0] + across_x * length, start[1] + across_y * length)


def _arm(stage: Stage, actor: Actor, pose: Pose, hand: Point, light: float) -> None:
    joint = pose.along(actor.torso - _SHOULDER)
    angle = radians(hand[0] - pose.torso)
    target = (joint[0] + sin(angle) * hand[1], joint[1] - cos(angle) * hand[1])
    _sleeve(stage, actor, [joint, *_bend(joint, target, actor.arm / 2, 1.0)], light)


def _sleeve(stage: Stage, actor: Actor, joints: Sequence[Point], light: float) -> None:
    start, elbow, wrist = joints
    stage.chain([elbow, wrist], [0.034, 0.028], shade(actor.skin, light))
    stage.disc(wrist, 0.036, shade(actor.skin, light))
    cuff = (0.6 * elbow[0] + 0.4 * wrist[0], 0.6 * elbow[1] + 0.4 * wrist[1])
    stage.chain([start, elbow, cuff], [0.05, 0.042, 0.04], shade(actor.shirt, 0.92 * light))


def _leg(stage: Stage, actor: Actor, pose: Pose, foot: float, light: float) -> None:
    knee, ankle = _bend(pose.hip, (foot, _ANKLE), actor.leg / 2, -1.0)
    toe = (ankle[0] + 0.085, ankle[1] - 0.02)
    stage.chain([ankle, toe], [0.036, 0.026], shade(actor.shoes, light))
    radii = [0.068 * actor.girth, 0.05, 0.037]
    stage.chain([pose.hip, knee, ankle], radii, shade(actor.trousers, light))


def _draw_decor(stage: Stage, kind: str, x: float, room: Room) -> None:
    if kind == "window":
        stage.box((x - 0.18, 0.62), (x + 0.18, 1.12), (240, 240, 238))
        for side in (-0.085, 0.085):
            stage.box((x + side - 0.07, 0.65), (x + side + 0.07, 1.09), (170, 205, 235))
    elif kind == "picture":
        stage.box((x - 0.15, 0.74), (x + 0.15, 0.98), room.wood)
        stage.box((x - 0.12, 0.77), (x + 0.12, 0.95), (225, 220, 200))
        stage.polygon([(x - 0.12, 0.77), (x + 0.12, 0.77), (x + 0.03, 0.91)], (110, 140, 120), outline=False)
    elif kind == "lamp":
        stage.box((x - 0.012, 0.09), (x + 0.012, 0.85), (70, 65, 60), outline=False)
        stage.chain([(x - 0.08, 0.09), (x + 0.08, 0.09)], [0.015, 0.015], (70, 65, 60))
        stage.polygon([(x - 0.13, 0.84), (x + 0.13, 0.84), (x + 0.08, 1.03), (x - 0.08, 1.03)], (245, 225, 170))
    else:
        for angle in (-50, -25, 0, 25, 50):
            tip = (x + 0.3 * sin(radians(angle)), 0.3 + 0.34 * cos(radians(angle)))
            stage.chain([(x, 0.26), tip], [0.03, 0.008], (70, 130 + angle // 2, 70))
        stage.polygon([(x - 0.07, 0.08), (x + 0.07, 0.08), (x + 0.1, 0.28), (x - 0.1, 0.28)], (180, 100, 70))
