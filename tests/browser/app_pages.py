"""Pages of `vidrnn app` in a headless Chromium: served, opened, and looked at."""

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from tests.browser.test_annotated_in_chromium import PATIENCE_S
from tests.unit.app.app_worlds import TOKEN
from vidrnn.app.asking import Asker, Model
from vidrnn.app.server import make_app
from vidrnn.app.serving import Asked, session_of

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
def served(
    *folders: Path, run: Path | None = None, model: Model | None = None, measuring: Any = None, **more: Any
) -> Iterator[str]:
    """The address of a page whose server is a thread of this process."""
    with session_of(Asked(folders, run, **more)) as session, socket.create_server(("127.0.0.1", 0)) as listening:
        session.asker = None if model is None else Asker(model)
        session.measuring = measuring
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
