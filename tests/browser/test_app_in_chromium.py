"""The page of `vidrnn app` does what people want of it: a headless Chromium is driven by keys and mouse, at two widths.

`make browser` runs this; where no Chromium is installed it skips.
"""

import csv
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.browser.test_annotated_in_chromium import CHROMIUM, PATIENCE_S
from tests.media import pictures, write_clip
from tests.unit.app.app_worlds import TOKEN, SaysItsSuffix
from tests.unit.reporting.report_worlds import write_run, write_videos
from vidrnn.app.asking import Asker, Model
from vidrnn.app.server import make_app
from vidrnn.app.serving import Asked, session_of

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
def started(*arguments: object) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
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


@contextmanager
def served(*folders: Path, run: Path | None = None, model: Model | None = None, **more: Any) -> Iterator[str]:
    """The address of a page whose server is a thread of this process."""
    with session_of(Asked(folders, run, **more)) as session, socket.create_server(("127.0.0.1", 0)) as listening:
        session.asker = None if model is None else Asker(model)
        port = listening.getsockname()[1]
        app = make_app(session, token=TOKEN, port=port)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}/{TOKEN}/"
        finally:
            server.should_exit = True
            thread.join(PATIENCE_S)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
    options += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield found
        found.close()


@contextmanager
def opened(browser: Any, address: str, *, size: dict[str, int] = DESKTOP, dark: bool = False) -> Iterator[Any]:
    """A page on which nothing goes wrong and that asks nobody else."""
    context = browser.new_context(permissions=["camera"], viewport=size, color_scheme="dark" if dark else "light")
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
        assert page.locator("#name").inner_text() == names[1]
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


def test_segments_are_shown_over_time(browser: Any, videos: Path, tmp_path: Path) -> None:
    said = tmp_path / "segments.csv"
    rows = ["clips/1.mp4,ok,0.0,0.48,sit,0.9,", "clips/1.mp4,ok,0.48,0.96,wave,0.8,"]
    said.write_text("\n".join(["path,status,start,end,label,score,error", *rows]) + "\n")
    with served(videos, run=said) as address, opened(browser, address) as page:
        plays(page)
        page.wait_for_selector(".lane")
        assert page.locator(".lane > span").all_inner_texts() == ["sit", "wave"]
        page.click(".track button[aria-label^=wave]")
        page.wait_for_function("() => Math.abs(document.querySelector('video').currentTime - 0.48) < 0.3")
        bars = page.locator(".track button").evaluate_all(
            "(all) => all.map((one) => one.getBoundingClientRect().width)"
        )
        assert bars[0] == pytest.approx(bars[1], rel=0.02)


def test_a_server_that_is_gone_is_named(browser: Any, videos: Path, tmp_path: Path) -> None:
    with started(videos, "--labels", tmp_path / "labels.jsonl") as (address, process), opened(browser, address) as page:
        process.terminate()
        process.wait()
        page.keyboard.press("ArrowDown")
        page.wait_for_selector("#message:not([hidden])")
        assert page.locator("#message").inner_text() == "The server does not answer. Is vidrnn app still running?"
