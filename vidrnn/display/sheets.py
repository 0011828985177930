"""The drawing of one video: panels that change with what is said, and a timeline with a playhead."""

from dataclasses import dataclass

from vidrnn.annotations import BACKGROUND
from vidrnn.display.lettering import Lettering
from vidrnn.display.palette import colours_of_classes
from vidrnn.display.panel import PanelStyle
from vidrnn.display.story import Story, Words
from vidrnn.display.timeline import Strip, TimelineStyle
from vidrnn.video.overlay import Pixels, Sheet

_LETTERS = 27  # small letters, one below the other, that the height of a picture is worth
_LETTERS_ACROSS = 34  # and as many of its width
_SMALLEST = 12  # pixels of a letter that can still be read
_SMALL_PICTURE = 360  # rows; a smaller picture is enlarged


def scale_for(width: int, height: int) -> int:
    """How many times as large a picture is shown so that there is room for text: a whole number."""
    return max(1, -(-_SMALL_PICTURE // max(min(width, height), 1)))


@dataclass(frozen=True)
class SheetMaker:
    """Makes the sheets of a story once the size of the pictures is known. Can be sent to another process."""

    story: Story
    lettering: Lettering

    def __call__(self, width: int, height: int) -> "DrawnSheets":
        """For pictures of this size."""
        return DrawnSheets(self.story, self.lettering, width, height)


class DrawnSheets:
    """What `vidrnn.video.overlay` lays over the pictures."""

    def __init__(self, story: Story, lettering: Lettering, width: int, height: int) -> None:
        self._story = story
        letter = max(_SMALLEST, round(min(height / _LETTERS, width / _LETTERS_ACROSS)))
        colours = colours_of_classes(story.classes, BACKGROUND)
        self._style = PanelStyle(letter, width, lettering, colours)
        timeline = TimelineStyle(letter, width, lettering, colours)
        self._strip: Strip = timeline.draw(story.rows, story.duration_s)
        self._thickness = max(2, letter // 8 // 2 * 2)
        self._last: tuple[Words, Pixels] | None = None
        self._size = width, height

    def at(self, time_s: float) -> Sheet:
        """What is drawn on the picture that appears at this time."""
        words = self._story.words_at(time_s)
        if self._last is None or self._last[0] != words:
            width, height = self._size
            self._last = words, self._style.draw(words)[: height // 2 * 2, : width // 2 * 2]
        strip = self._strip
        left = round(strip.column_of(time_s)) // 2 * 2
        left = min(left, strip.pixels.shape[1] - self._thickness)
        return Sheet(self._last[1], strip.pixels, (left, left + self._thickness, strip.top, strip.bottom))
