"""Colours of classes and of everything around them."""

import colorsys
from collections.abc import Sequence

from vidrnn.display.lettering import Colour

WHITE, GREY, DARK, BLACK = (245, 245, 245), (150, 150, 150), (52, 52, 56), (22, 22, 24)
RIGHT, WRONG = (110, 215, 120), (255, 120, 105)
_GOLDEN = 0.618034  # of the circle of hues: any number of steps of this length stay apart
_BRIGHT = 140.0


def colours_of_classes(names: Sequence[str], background: str) -> dict[str, Colour]:
    """A colour for each class, by its place; the background is dark."""
    colours: dict[str, Colour] = {}
    hue, number = 0.58, 0
    for name in names:
        if name == background:
            colours[name] = DARK
            continue
        saturation, value = ((0.62, 0.9), (0.75, 0.7), (0.42, 0.97))[number // 6 % 3]
        red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
        colours[name] = round(255 * red), round(255 * green), round(255 * blue)
        hue, number = hue + _GOLDEN, number + 1
    return colours


def text_on(colour: Colour) -> Colour:
    """Black or white, whichever can be read on it (brightness by ITU-R BT.601)."""
    red, green, blue = colour
    return BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > _BRIGHT else WHITE
