"""Panels and timelines: sizes that an encoder takes, colours where time says, and words that follow it."""

import math

import numpy as np
import pytest

from vidrnn.display.lettering import Lettering
from vidrnn.display.palette import colours_of_classes
from vidrnn.display.sheets import SheetMaker, scale_for
from vidrnn.display.story import NOTHING, Curve, Row, Span, Steps, Story, Words
from vidrnn.display.timeline import TimelineStyle, clock

CLASSES = ("background", "cut", "stir")
PREDICTED = Row("predicted", (Span(0, 4, "cut", 0.9), Span(4, math.inf, "background")))
TRUE = Row("true", (Span(0, 2, "background"), Span(2, 6, "cut"), Span(6, math.inf, "stir")))
STORY = Story(CLASSES, 10.0, PREDICTED, truth=TRUE)


@pytest.mark.parametrize(("width", "height"), [(64, 48), (540, 432), (1920, 1080), (720, 1280), (300, 2000)])
def test_every_size_is_even_and_fits_the_picture(width: int, height: int) -> None:
    sheets = SheetMaker(STORY, Lettering())(width, height)
    for time_s in (0.0, 5.0, 9.99, 12.0):
        sheet = sheets.at(time_s)
        assert sheet.strip.shape[1:] == (width, 3) and sheet.strip.shape[0] % 2 == 0
        rows, columns, depth = sheet.panel.shape
        assert rows <= height and columns <= width and depth == 4
        assert rows % 2 == columns % 2 == 0
        left, right, top, bottom = sheet.playhead
        assert 0 <= left < right <= width and 0 <= top < bottom <= sheet.strip.shape[0]
        assert left % 2 == right % 2 == top % 2 == bottom % 2 == 0


def test_a_panel_is_drawn_when_words_change_and_not_before() -> None:
    sheets = SheetMaker(STORY, Lettering())(640, 480)
    first, second, third = sheets.at(0.1), sheets.at(0.2), sheets.at(2.1)
    assert first.panel is second.panel
    assert third.panel is not first.panel
    assert first.strip is third.strip
    assert first.playhead < third.playhead


def test_the_timeline_has_the_colour_of_what_holds() -> None:
    colours = colours_of_classes(CLASSES, "background")
    strip = TimelineStyle(14, 640, Lettering(), colours).draw((PREDICTED, TRUE), 10.0)
    assert (strip.column_of(0), strip.column_of(10)) == (strip.left, strip.right)
    tall = (strip.bottom - strip.top) // 2
    for time_s, row, label in [(3.5, 0, "cut"), (8.0, 0, "background"), (5.5, 1, "cut"), (9.5, 1, "stir")]:
        pixel = strip.pixels[strip.top + row * tall + tall // 4, round(strip.column_of(time_s))]
        assert tuple(pixel) == colours[label], (time_s, row)


def test_spans_that_overlap_get_a_lane_each() -> None:
    rows = (Row("predicted", (Span(0, 8, "cut"), Span(2, 6, "stir"))),)
    colours = colours_of_classes(CLASSES, "background")
    strip = TimelineStyle(14, 640, Lettering(), colours).draw(rows, 10.0)
    column = strip.pixels[strip.top : strip.bottom, round(strip.column_of(5))]
    assert {tuple(pixel) for pixel in column} >= {colours["cut"], colours["stir"]}


def test_a_curve_rises_where_the_number_does() -> None:
    starts = np.arange(0.0, 10.0)
    row = Row("predicted", curve=Curve(starts, starts + 1, starts))
    strip = TimelineStyle(14, 640, Lettering(), {}).draw((row,), 10.0)
    bright = strip.pixels[..., 0] > 200
    heights = [bright[strip.top : strip.bottom, round(strip.column_of(time))].argmax() for time in (0.5, 5.5, 9.5)]
    assert heights[0] > heights[1] > heights[2]


def test_colours_of_many_classes_differ() -> None:
    names = [f"class {number}" for number in range(40)]
    assert len(set(colours_of_classes(names, "background").values())) == 40


def test_words_follow_steps_segments_and_truth() -> None:
    steps = Steps(np.array([0.0, 1.0, 2.0]), np.array([[0.1, 0.7, 0.2], [0.2, 0.2, 0.6]]), CLASSES)
    story = Story(CLASSES, 2.0, Row("predicted"), steps=steps, truth=Row("true", (Span(0, 9, "cut"),)))
    assert story.words_at(0.5) == Words("cut", 0.7, (("cut", 0.7), ("stir", 0.2), ("background", 0.1)), "cut", True)
    assert story.words_at(1.0).title == "stir" and story.words_at(1.0).is_right is False
    assert story.words_at(5.0).title == "stir", "after the last step its answer holds"
    assert STORY.words_at(3.0) == Words("cut", 0.9, truth="cut", is_right=True)
    assert Story(CLASSES, 2.0, Row("predicted", (Span(1, 2, "cut"),))).words_at(0.5) == Words(NOTHING)
    whole = Story(CLASSES, 2.0, PREDICTED, throughout=Words("stir", 0.5))
    assert whole.words_at(0.0) == whole.words_at(9.0) == Words("stir", 0.5)


def test_numbers_are_shown_and_not_called_wrong() -> None:
    curve = Curve(np.array([0.0, 2.0]), np.array([1.0, 3.0]), np.array([0.5, 12.25]))
    story = Story((), 3.0, Row("predicted", curve=curve), truth=Row("true", curve=curve))
    assert story.words_at(2.5) == Words("12.25", truth="12.25", is_right=None)
    assert story.words_at(1.5).title == NOTHING


def test_small_pictures_are_enlarged_by_a_whole_number() -> None:
    assert [scale_for(*size) for size in [(1920, 1080), (320, 240), (180, 144), (64, 48)]] == [1, 2, 3, 8]


def test_times_are_written_as_players_do() -> None:
    assert [clock(2.08), clock(65), clock(3723)] == ["0:02.1", "1:05", "1:02:03"]
