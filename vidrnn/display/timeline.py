"""The strip below the picture: a row for what is said, one for the truth, both over the whole length of the video."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from vidrnn.display.lettering import Colour, Lettering, fitted, write
from vidrnn.display.palette import BLACK, DARK, GREY, WHITE, text_on
from vidrnn.display.story import Curve, Row, Span

Pixels = npt.NDArray[np.uint8]
_MOST_LANES = 4  # spans of one row that overlap, drawn one below the other
_LEGEND_LINES = 2


@dataclass(frozen=True)
class Strip:
    """A timeline that is drawn, and where time runs on it.

    Attributes:
        pixels: (H, W, 3) RGB, both sizes even.
        left, right: columns of the first and the last moment.
        top, bottom: rows between which the playhead goes, even.
        duration_s: between these columns.
    """

    pixels: Pixels
    left: int
    right: int
    top: int
    bottom: int
    duration_s: float

    def column_of(self, time_s: float) -> float:
        """Where a moment is."""
        share = min(max(time_s / self.duration_s, 0.0), 1.0) if self.duration_s > 0 else 0.0
        return self.left + share * (self.right - self.left)


@dataclass(frozen=True)
class TimelineStyle:
    """How the timeline of one video is drawn.

    Attributes:
        letter: height of small text in pixels.
        width: of the video, even.
        lettering: the font.
        colours: of the classes, in the order of the legend.
    """

    letter: int
    width: int
    lettering: Lettering
    colours: Mapping[str, Colour]

    def draw(self, rows: Sequence[Row], duration_s: float) -> Strip:
        """The strip for these rows."""
        letter, small = self.letter, self.lettering.font(self.letter)
        pad, line = round(0.5 * letter), round(1.6 * letter)
        names = round(max((small.getlength(row.name) for row in rows), default=0.0))
        names = names if names < self.width / 3 else 0
        left, right = 2 * pad + names, self.width - 2 * pad
        legend = self._legend(rows)
        lanes = [_lanes(row.spans) for row in rows]
        heights = [line * (2 if row.curve else len(lane)) for row, lane in zip(rows, lanes, strict=True)]
        bottom = pad + sum(heights) + pad * max(len(rows) - 1, 0)
        height = bottom + line + line * len(legend) + pad
        image = Image.new("RGB", (self.width, height + height % 2), BLACK)
        draw = ImageDraw.Draw(image)
        strip = Strip(np.zeros(0, np.uint8), left, right, pad // 2 * 2, bottom // 2 * 2, duration_s)
        top = pad
        for row, lane, tall in zip(rows, lanes, heights, strict=True):
            if names:
                write(draw, row.name, small, left=pad, middle=top + tall / 2, colour=GREY)
            draw.rectangle((left, top, right, top + tall - 1), fill=DARK)
            if row.curve is not None:
                self._curve(draw, row.curve, strip, top=top, bottom=top + tall - 1)
            for number, spans in enumerate(lane):
                self._spans(draw, spans, strip, top=top + number * line, bottom=top + (number + 1) * line - 1)
            top += tall + pad
        write(draw, "0:00", small, left=left, middle=bottom + line / 2, colour=GREY)
        write(draw, clock(duration_s), small, left=right, middle=bottom + line / 2, colour=GREY, anchor="rm")
        for number, entries in enumerate(legend):
            self._legend_line(draw, entries, middle=bottom + line * (number + 1.5))
        return Strip(np.array(image), left, right, strip.top, strip.bottom, duration_s)

    def _spans(self, draw: ImageDraw.ImageDraw, spans: Sequence[Span], strip: Strip, *, top: int, bottom: int) -> None:
        small = self.lettering.font(self.letter)
        for span in spans:
            begin = strip.column_of(span.start_s)
            end = max(strip.column_of(span.end_s) - 1, begin)
            colour = self.colours.get(span.label, GREY)
            draw.rectangle((begin, top, end, bottom), fill=colour)
            text = self.lettering.readable(span.label)
            room = end - begin - self.letter / 2
            if small.getlength(text) <= room:  # the legend names the others
                write(
                    draw, text, small, left=begin + self.letter / 4, middle=(top + bottom) / 2, colour=text_on(colour)
                )

    def _curve(self, draw: ImageDraw.ImageDraw, curve: Curve, strip: Strip, *, top: int, bottom: int) -> None:
        low, high = float(np.min(curve.values, initial=np.inf)), float(np.max(curve.values, initial=-np.inf))
        inset = max((bottom - top) // 8, 1)
        scale = (bottom - top - 2 * inset) / (high - low) if high > low else 0.0
        points = [
            (strip.column_of(time), bottom - inset - scale * (value - low))
            for start, end, value in zip(curve.starts_s, curve.ends_s, curve.values, strict=True)
            for time in (start, end)
        ]
        if points:
            draw.line(points, fill=WHITE, width=max(self.letter // 10, 1))

    def _legend(self, rows: Sequence[Row]) -> list[list[tuple[str, str]]]:
        """Classes that occur, with their names as they are written, in lines; what has no room is left out."""
        shown = {span.label for row in rows for span in row.spans}
        small, lines = self.lettering.font(self.letter), [list[tuple[str, str]]()]
        room = full = self.width - 2.0 * self.letter
        for name in (name for name in self.colours if name in shown):
            text = fitted(self.lettering.readable(name), small, full - 2 * self.letter)
            needed = small.getlength(text) + 2.2 * self.letter
            if needed > room and lines[-1]:
                if len(lines) == _LEGEND_LINES:
                    lines[-1].append(("", "…"))
                    break
                lines.append([])
                room = full
            lines[-1].append((name, text))
            room -= needed
        return [line for line in lines if line]

    def _legend_line(self, draw: ImageDraw.ImageDraw, entries: Sequence[tuple[str, str]], *, middle: float) -> None:
        letter, small = self.letter, self.lettering.font(self.letter)
        left = letter / 2
        for name, text in entries:
            if name:
                half = 0.4 * letter
                draw.rectangle((left, middle - half, left + 2 * half, middle + half), fill=self.colours[name])
                left += 1.2 * letter
            write(draw, text, small, left=left, middle=middle, colour=WHITE)
            left += small.getlength(text) + letter


def clock(seconds: float) -> str:
    """``1:02:03``, ``2:03``, or ``0:02.5`` of what is shorter than ten seconds."""
    if seconds < 10:
        return f"0:0{seconds:.1f}"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _lanes(spans: Sequence[Span]) -> list[list[Span]]:
    """Spans that overlap go into different lanes, the first that is free; what finds none is laid over the last."""
    lanes: list[list[Span]] = [[]]
    for span in sorted(spans, key=lambda span: span.start_s):
        free = next((lane for lane in lanes if not lane or lane[-1].end_s <= span.start_s), None)
        if free is None and len(lanes) < _MOST_LANES:
            lanes.append(free := [])
        (lanes[-1] if free is None else free).append(span)
    return lanes
