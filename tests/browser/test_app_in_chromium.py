"""The page of `vidrnn app` does what people want of it: a headless Chromium is driven by keys and mouse, at two widths.

`make browser` runs this; where no Chromium is installed it skips.
"""

import csv
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.app_pages import CONTRAST, DESKTOP, PHONE, SMALLEST, opened, plays, served, started
from tests.browser.test_annotated_in_chromium import CHROMIUM
from tests.media import pictures, write_clip
from tests.unit.app.app_worlds import SaysItsSuffix
from tests.unit.reporting.report_worlds import write_run, write_videos
from vidrnn.annotations import Annotation

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt install chromium)")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("videos")
    write_videos(root, 8, frames=24)
    return root


@pytest.fixture(scope="module")
def corrected(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page about a run with long names."""
    labels = ["background", "jump", "run" * 30, "wave to somebody far away"]
    run = write_run(tmp_path_factory.mktemp("run"), "label", n=60, labels=labels)
    with served(videos, run=run) as address:
        yield address


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_page_fits_and_can_be_read(browser: Any, corrected: str, size: dict[str, int], dark: bool) -> None:
    with opened(browser, corrected, size=size, dark=dark) as page:
        plays(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        page.click("#help-button")
        assert page.evaluate(CONTRAST) >= 4.5
        shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (int(re.findall(r"\d+", shade)[0]) < 60) == dark
        assert page.evaluate(SMALLEST) >= 24


def test_a_run_is_corrected_by_keys_alone(browser: Any, videos: Path, tmp_path: Path) -> None:
    """Look at what is wrong, say what is right, undo, take it away; a kill in between loses nothing."""
    run = write_run(tmp_path / "run", "label", n=40)
    with started(videos, "--run", run) as (address, process), opened(browser, address) as page:
        page.select_option("#show", "wrong")
        page.wait_for_function("() => document.querySelectorAll('#rows li').length < 40")
        page.locator("#show").blur()
        names = page.locator("#rows .path").all_inner_texts()
        assert 0 < len(names) < 40
        page.keyboard.press("4")
        page.wait_for_function("(name) => document.querySelector('#name').textContent === name", arg=names[1])
        assert page.locator("#rows li:nth-child(2) [aria-current=true]").count() == 1
        page.keyboard.press("1")
        page.wait_for_function("() => document.querySelector('#progress').textContent.includes('2 said here')")
        page.keyboard.press("u")
        page.wait_for_function("() => document.querySelector('#progress').textContent.includes('1 said here')")
        page.wait_for_function("(name) => document.querySelector('#name').textContent === name", arg=names[1])
        page.keyboard.press("ArrowUp")
        page.wait_for_function("(name) => document.querySelector('#name').textContent === name", arg=names[0])
        assert page.locator("#classes [aria-pressed=true]").get_attribute("data-name") == "wave"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with served(videos, run=run) as address, opened(browser, address) as page:
        page.select_option("#show", "changed")
        page.wait_for_function("() => document.querySelectorAll('#rows li').length === 1")
        assert page.locator("#rows .path").all_inner_texts() == names[:1]
        with page.expect_download() as taken:
            page.click("#export button")
        taken.value.save_as(tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open(newline="") as file:
        labels = {row["path"]: row["label"] for row in csv.DictReader(file)}
    assert len(labels) == 40 and labels[names[0]] == "wave"


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_folder_is_labelled_from_nothing(browser: Any, tmp_path: Path, size: dict[str, int]) -> None:
    write_videos(tmp_path, 3, frames=24)
    write_clip(tmp_path / "clips/3.avi", pictures(24, width=64, height=48), codec="mpeg4")
    with served(tmp_path) as address, opened(browser, address, size=size) as page:
        for name in ("sit", "stand"):
            page.fill("#class-name", name)
            page.click("#new-class button[type=submit]")
            page.wait_for_selector(f"#classes [data-name={name}]")
        for place, name in enumerate(("sit", "stand", "sit")):
            page.wait_for_function(
                "(name) => document.querySelector('#name').textContent === name", arg=f"clips/{place}.mp4"
            )
            plays(page)
            page.click(f"#classes [data-name={name}]")
        page.wait_for_function("() => document.querySelector('#name').textContent === 'clips/3.avi'")
        plays(page)  # written anew, for no browser plays it
        page.click("#classes [data-name=stand]")
        page.wait_for_function("() => document.querySelector('#progress').textContent.includes('4 said here')")
        with page.expect_download() as taken:
            page.click("#export button")
        taken.value.save_as(tmp_path / "labels.csv")
    content = (tmp_path / "labels.csv").read_text()
    assert content == "path,label\nclips/0.mp4,sit\nclips/1.mp4,stand\nclips/2.mp4,sit\nclips/3.avi,stand\n"


def test_steps_go_from_frame_to_frame(browser: Any, tmp_path: Path) -> None:
    """Times that are not even: each step shows the next frame, and its time is that of the file."""
    numbers = [0, 1, 2, 5, 6, 12, 13, 20, 24]
    write_clip(tmp_path / "a.mp4", pictures(len(numbers), width=64, height=48), pts=numbers)
    shown = """() => new Promise((resolve) => document.querySelector('video').requestVideoFrameCallback(
        (_, { mediaTime }) => resolve(mediaTime)))"""
    with served(tmp_path) as address, opened(browser, address) as page:
        plays(page)
        times = page.evaluate("() => fetch('clips/0/frames').then((answer) => answer.json())")["times"]
        page.keyboard.press(" ")
        page.evaluate("() => { const video = document.querySelector('video'); video.pause(); video.currentTime = 0; }")
        time.sleep(0.3)
        seen = []
        for _ in range(4):
            waiting = page.evaluate_handle(f"({{ found: ({shown})() }})")
            page.keyboard.press("ArrowRight")
            seen.append(page.evaluate("(waiting) => waiting.found", waiting))
        assert seen == pytest.approx(times[1:5], abs=1e-3)


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_model_is_asked_about_a_clip_a_file_and_the_camera(
    browser: Any, videos: Path, tmp_path: Path, size: dict[str, int]
) -> None:
    """While it thinks, the page goes on; of the file and the recording nothing is left."""
    dropped = write_clip(tmp_path / "dropped.mp4", pictures(24, width=64, height=48))
    model = SaysItsSuffix()
    with (
        served(videos, model=model, labels=tmp_path / "l.jsonl") as address,
        opened(browser, address, size=size) as page,
    ):
        model.may_answer.clear()
        page.click("#ask")
        page.wait_for_function("() => document.querySelector('#said').textContent.includes('asked')")
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowDown")
        page.wait_for_function("() => document.querySelector('#name').textContent === 'clips/1.mp4'")
        model.may_answer.set()
        page.wait_for_function("() => document.querySelector('#rows .label').textContent === 'no label, predicted mp4'")
        page.keyboard.press("ArrowUp")
        page.wait_for_function("() => document.querySelector('#scores').textContent.startsWith('mp40.75')")

        page.set_input_files("#file", dropped)
        page.wait_for_function("() => document.querySelector('#said').textContent === 'predicted mp4'")
        assert page.locator("#name").inner_text() == "dropped.mp4 (not kept)"
        plays(page)
        page.keyboard.press("1")  # says nothing of a file that is not kept

        page.click("#record")
        page.wait_for_selector("#record[aria-pressed=true]")
        plays(page)
        page.wait_for_timeout(700)
        page.click("#record")
        page.wait_for_function("() => document.querySelector('#said').textContent === 'predicted webm'")
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert not any(path.exists() for path in model.seen[1:]) and len(model.seen) == 3
    assert not (tmp_path / "l.jsonl").exists()


class Measures:
    """In place of cross-validations: figures, after a while."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.asked = 0

    def start(self, annotations: list[Annotation], *, baselines: bool) -> None:
        assert baselines
        self.labels = [one.label for one in annotations]

    def state(self) -> dict[str, Any]:
        self.asked += 1
        if self.asked < 4:
            return {"running": True, "since_s": 2.0 * self.asked}
        before = {"top1": 0.75, "interval": [0.6, 0.9], "baselines": {"mean_pool": 0.5}}
        after = {"top1": 0.875, "interval": [0.7, 0.95], "baselines": {"mean_pool": 0.625}}
        figures = {"n": 40, "protocol": "p", "changed": 3, "before": before, "same_answers": 0.8, "after": after}
        return {"running": False, "figures": figures}


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_what_corrections_are_worth_is_shown(browser: Any, videos: Path, tmp_path: Path, size: dict[str, int]) -> None:
    """Keys are answered while it trains."""
    run, measuring = write_run(tmp_path / "run", "label", n=8), Measures()
    with served(videos, run=run, measuring=measuring) as address, opened(browser, address, size=size) as page:
        page.check("#baselines")
        page.click("#measure button")
        page.wait_for_function("() => document.querySelector('#measured').textContent.startsWith('It trains, since')")
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowDown")
        page.wait_for_function("() => document.querySelector('#name').textContent === 'clips/1.mp4'")
        page.wait_for_selector("#figures table")
        rows = page.locator("#figures tr").all_inner_texts()
        assert [row.replace("\t", ": ") for row in rows] == [
            "accuracy before: 0.750 (0.60 to 0.90)",
            "the same answers, after 3 labels changed: 0.800",
            "trained again: 0.875 (0.70 to 0.95)",
            "· mean pool: 0.625",
        ]
        assert page.locator("#measured").inner_text() == "40 clips, one seed. p"
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert len(measuring.labels) == 8


def test_a_server_that_is_gone_is_named(browser: Any, videos: Path, tmp_path: Path) -> None:
    with started(videos, "--labels", tmp_path / "labels.jsonl") as (address, process), opened(browser, address) as page:
        process.terminate()
        process.wait()
        page.keyboard.press("ArrowDown")
        page.wait_for_selector("#message:not([hidden])")
        assert page.locator("#message").inner_text() == "The server does not answer. Is vidrnn app still running?"
