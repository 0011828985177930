"""Segments on the page of `vidrnn app`: shown over time, and made, moved, split and named, on the times of frames.

`make browser` runs this; where no Chromium is installed it skips.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.browser.app_pages import DESKTOP, PHONE, opened, plays, served
from tests.browser.test_annotated_in_chromium import CHROMIUM
from tests.media import pictures, write_clip
from tests.unit.reporting.report_worlds import write_videos
from vidrnn.annotations.csv_file import read_csv
from vidrnn.annotations.records import Segment

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt install chromium)")


def test_segments_are_shown_over_time(browser: Any, tmp_path: Path) -> None:
    write_videos(tmp_path, 2, frames=24)
    said = tmp_path / "segments.csv"
    rows = ["clips/1.mp4,ok,0.0,0.48,sit,0.9,", "clips/1.mp4,ok,0.48,0.96,wave,0.8,"]
    said.write_text("\n".join(["path,status,start,end,label,score,error", *rows]) + "\n")
    with served(tmp_path, run=said) as address, opened(browser, address) as page:
        plays(page)
        page.wait_for_selector(".lane")
        assert page.locator(".lane > span").all_inner_texts() == ["sit", "wave"]
        assert page.locator("#rows .label").inner_text() == "2 segments predicted"
        page.click(".track button[aria-label^=wave]")
        page.wait_for_function("() => Math.abs(document.querySelector('video').currentTime - 0.48) < 0.3")
        bars = page.locator(".track button").evaluate_all(
            "(all) => all.map((one) => one.getBoundingClientRect().width)"
        )
        assert bars[0] == pytest.approx(bars[1], rel=0.02)


def go_to(page: Any, times: list[float], frame: int) -> None:
    """Show a frame, by a time in the middle of it."""
    middle = (times[frame] + times[frame + 1]) / 2
    page.evaluate("(t) => { const v = document.querySelector('video'); v.pause(); v.currentTime = t; }", middle)
    reading = "(n) => document.querySelector('.reading').textContent.includes(`frame ${n} of`)"
    page.wait_for_function(reading, arg=frame)


def said(page: Any) -> list[list[Any]]:
    """What the server knows of the first clip."""
    return [row[:3] for row in page.evaluate("() => fetch('clips/0').then((found) => found.json())")["segments"]]


def wait_for(page: Any, count: int) -> None:
    page.wait_for_function(f"() => document.querySelectorAll('#rows b')[0]?.textContent === '{count} segments'")


def drag_the_end(page: Any, name: str, *, by: float) -> None:
    """By a share of the length of the segment, with the mouse."""
    box = page.locator(f".track button[aria-label^={name}]").bounding_box()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + (1 + by) * box["width"], box["y"] + 10, steps=4)
    page.mouse.up()
    page.wait_for_timeout(500)


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_segments_are_made_moved_split_and_named(browser: Any, tmp_path: Path, size: dict[str, int]) -> None:
    """Every edge lies on the time of a frame, whatever the rate; what was said is taken back step by step."""
    write_clip(tmp_path / "a.mp4", pictures(60, width=64, height=48), time_base=Fraction(1001, 30000), g="12")
    with served(tmp_path) as address, opened(browser, address, size=size) as page:
        plays(page)
        times = page.evaluate("() => fetch('clips/0/frames').then((answer) => answer.json())")["times"]
        for name in ("sit", "stand"):
            page.fill("#class-name", name)
            page.click("#new-class button[type=submit]")
            page.wait_for_selector(f"#classes [data-name={name}]")
        page.keyboard.press("s")
        page.wait_for_function("() => document.querySelector('.reading').textContent.includes('of 60')")

        def go_to(page, times, frame: int) -> None:
            middle = (times[frame] + times[frame + 1]) / 2
            page.evaluate("(t) => { const v = document.querySelector('video'); v.pause(); v.currentTime = t; }", middle)
            page.wait_for_function(
                "(n) => document.querySelector('.reading').textContent.includes(`frame ${n} of`)", arg=frame
            )

        def said(page) -> list[list[Any]]:
            return [
                row[:3] for row in page.evaluate("() => fetch('clips/0').then((found) => found.json())")["segments"]
            ]

        def wait_for(page, count: int) -> None:
            page.wait_for_function(f"() => document.querySelectorAll('#rows b')[0]?.textContent === '{count} segments'")

        go_to(page, times, 10)
        page.keyboard.press("1")
        wait_for(page, 1)
        assert said(page) == [[times[10], next(time for time in times if time >= times[10] + 1), "sit"]]
        go_to(page, times, 39)
        page.keyboard.press(".")
        go_to(page, times, 20)
        page.keyboard.press("-")
        wait_for(page, 2)
        page.keyboard.press("2")
        page.wait_for_function("() => document.querySelectorAll('.lane').length === 2")
        page.wait_for_function("() => document.querySelector('#progress').textContent.includes('1 said here')")
        page.wait_for_timeout(300)
        assert said(page) == [[times[10], times[20], "sit"], [times[20], times[40], "stand"]]

        drag_the_end(page, "stand", by=0.5)
        (_, (start, end, name)) = said(page)
        assert (start, name) == (times[20], "stand") and end in times[48:53]

        page.keyboard.press("Backspace")
        wait_for(page, 1)
        page.keyboard.press("u")
        wait_for(page, 2)
        assert said(page)[1] == [times[20], end, "stand"]
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        page.select_option("#format", "csv")
        with page.expect_download() as taken:
            page.click("#export button")
        taken.value.save_as(tmp_path / "labels.csv")
    (found,) = read_csv(tmp_path / "labels.csv")
    assert found.segments == (Segment(times[10], times[20], "sit"), Segment(times[20], end, "stand"))
