"""The page of `vidrnn app` does what people want of it: a headless Chromium is driven by keys and mouse, at two widths.

`make browser` runs this; where no Chromium is installed it skips.
"""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_annotated_in_chromium import CHROMIUM, PATIENCE_S
from tests.media import pictures, write_clip
from tests.unit.reporting.report_worlds import write_run, write_videos

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt install chromium)")
sync_api = pytest.importorskip("playwright.sync_api")
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
# The lowest contrast of a text with what is behind it, by WCAG 2.
CONTRAST = """() => {
  const parts = (colour) => (colour.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const luminance = (colour) => {
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = parts(colour).slice(0, 3).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (part) => {
    for (; part; part = part.parentElement) {
      const colour = getComputedStyle(part).backgroundColor;
      if ((parts(colour)[3] ?? 1) > 0.9) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const all = [...document.querySelectorAll("h1, p, span, b, button, label, kbd, dt, dd, li")].filter(
    (part) => part.textContent.trim() && part.offsetParent && !part.disabled && !part.closest("#screen"));
  return Math.min(...all.map((part) => {
    const [dark, light] = [luminance(getComputedStyle(part).color), luminance(behind(part))].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  }));
}"""

# The height of the lowest thing that is pressed, in pixels.
SMALLEST = """() => Math.min(...[...document.querySelectorAll("button, select, input")]
  .filter((part) => part.offsetParent).map((part) => part.getBoundingClientRect().height))"""


@contextmanager
def served(*arguments: object) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The address of a `vidrnn app`, and its process."""
    command = [sys.executable, "-m", "vidrnn", "app", *map(str, arguments), "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
        yield address, process
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield found
        found.close()


@contextmanager
def opened(browser: Any, address: str, *, size: dict[str, int] = DESKTOP, dark: bool = False) -> Iterator[Any]:
    """A page on which nothing goes wrong and that asks nobody else."""
    context = browser.new_context(viewport=size, color_scheme="dark" if dark else "light")
    context.set_default_timeout(1000 * PATIENCE_S)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: request.url.startswith((address, "blob:", "data:")) or wrong.append(request.url))
    page.goto(address)
    page.wait_for_selector("#rows li")
    yield page
    assert wrong == []
    context.close()


def plays(page: Any) -> None:
    page.wait_for_function("() => document.querySelector('video').readyState >= 2")


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
    with served(videos, "--run", run) as (address, _):
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
    with served(videos, "--run", run) as (address, process), opened(browser, address) as page:
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
        assert page.locator("#name").inner_text() == names[1]
        page.keyboard.press("ArrowUp")
        page.wait_for_function("(name) => document.querySelector('#name').textContent === name", arg=names[0])
        assert page.locator("#classes [aria-pressed=true]").get_attribute("data-name") == "wave"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with served(videos, "--run", run) as (address, _), opened(browser, address) as page:
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
    with served(tmp_path) as (address, _), opened(browser, address, size=size) as page:
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
    with served(tmp_path) as (address, _), opened(browser, address) as page:
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


def test_a_server_that_is_gone_is_named(browser: Any, videos: Path, tmp_path: Path) -> None:
    with served(videos, "--labels", tmp_path / "labels.jsonl") as (address, process), opened(browser, address) as page:
        process.terminate()
        process.wait()
        page.keyboard.press("ArrowDown")
        page.wait_for_selector("#message:not([hidden])")
        assert page.locator("#message").inner_text() == "The server does not answer. Is vidrnn app still running?"
