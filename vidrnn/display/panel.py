"""What is said at one time, on a dark half transparent ground: label and score, a bar per class, and the truth."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from vidrnn.display.lettering import Colour, Lettering, fitted, write
from vidrnn.display.palette import DARK, GREY, RIGHT, WHITE, WRONG
from vidrnn.display.story import Words

Pixels = npt.NDArray[np.uint8]
_GROUND = (12, 12, 14, 176)  # RGB and opacity, of 255
_WIDEST = 0.62  # share of the picture's width that the panel may take


@dataclass(frozen=True)
class PanelStyle:
    """How the panels of one video are drawn.

    Attributes:
        letter: height of small text in pixels.
        picture_width: of the video.
        lettering: the font.
        colours: of the classes.
    """

    letter: int
    picture_width: int
    lettering: Lettering
    colours: Mapping[str, Colour]

    def draw(self, words: Words) -> Pixels:
        """(h, w, 4) RGB and opacity; both sizes are even."""
        letter, lettering = self.letter, self.lettering
        large, small = lettering.font(round(1.35 * letter), bold=True), lettering.font(letter)
        pad, line = round(0.6 * letter), round(1.35 * letter)
        widest = round(_WIDEST * self.picture_width)
        width = min(widest, max(round(18 * letter), 2 * pad + round(large.getlength(words.title)) + 4 * letter))
        truth = None if words.truth is None else f"truth: {lettering.readable(words.truth)}"
        height = 2 * pad + round(1.5 * line) + line * (len(words.bars) + (truth is not None))
        image = Image.new("RGBA", (_even(width), _even(height)), _GROUND)
        draw = ImageDraw.Draw(image)
        middle = pad + 0.75 * line
        room = width - 2 * pad
        if words.score is not None:
            write(draw, _percent(words.score), large, left=width - pad, middle=middle, colour=WHITE, anchor="rm")
            room -= round(large.getlength(_percent(1.0))) + pad
        write(draw, fitted(lettering.readable(words.title), large, room), large, left=pad, middle=middle, colour=WHITE)
        top = pad + round(1.5 * line)
        for name, share in words.bars:
            self._bar(draw, name, share, top=top, left=pad, right=width - pad)
            top += line
        if truth is not None:
            colour = {None: WHITE, True: RIGHT, False: WRONG}[words.is_right]
            write(draw, fitted(truth, small, width - 2 * pad), small, left=pad, middle=top + line / 2, colour=colour)
        return np.array(image)

    def _bar(self, draw: ImageDraw.ImageDraw, name: str, share: float, *, top: int, left: int, right: int) -> None:
        """Name, bar and percent of one class, in three columns."""
        small, line = self.lettering.font(self.letter), round(1.35 * self.letter)
        percent = round(small.getlength("100%")) + self.letter // 3
        begin, end = left + round(0.45 * (right - left)), right - percent
        label = fitted(self.lettering.readable(name), small, begin - left - self.letter // 3)
        write(draw, label, small, left=left, middle=top + line / 2, colour=WHITE)
        inset = max(line // 6, 1)
        box = (begin, top + inset, end, top + line - inset)
        draw.rectangle(box, fill=(*DARK, 255))
        if (filled := round(share * (end - begin))) > 0:
            colour = self.colours.get(name, GREY)
            draw.rectangle((begin, box[1], begin + filled, box[3]), fill=(*(GREY if colour == DARK else colour), 255))
        write(draw, _percent(share), small, left=right, middle=top + line / 2, colour=WHITE, anchor="rm")


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _even(number: int) -> int:
    return number + number % 2
