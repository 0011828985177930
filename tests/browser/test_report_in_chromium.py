"""What `vidrnn report` writes works in a browser: opened from disk, at two widths, light and dark, by mouse and keys.

`make browser` runs this; where no Chromium is installed it skips.
"""

import json
import re
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_annotated_in_chromium import CHROMIUM, PATIENCE_S
from tests.unit.reporting.report_worlds import HEADS, write_run, write_videos
from vidrnn.reporting.report import write_report
from vidrnn.settings.model import Head

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt install chromium)")
# Runs behind the page's own script and leaves what it finds in an element; errors of the page are caught before it.
CATCH = "<script>window.wrong = []; addEventListener('error', (event) => wrong.push(event.message));</script>"
PROBE = """<script>
addEventListener("load", () => {
  const luminance = (colour) => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
    const [r, g, b] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const page = luminance(getComputedStyle(document.body).backgroundColor);
  const contrast = (selector) => [...document.querySelectorAll(selector)].map((part) => {
    const [dark, light] = [luminance(getComputedStyle(part).color), page].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  });
  const found = {
    wrong, page, width: innerWidth, wide: document.documentElement.scrollWidth,
    images: [...document.images].map((image) => image.naturalWidth),
    contrast: Math.min(...contrast("p, li, a, .small, .path, .key, .score, .matrix th, code, td")),
    requests: performance.getEntriesByType("resource").map(({ name }) => name).filter((name) => !/^data:/.test(name)),
  };
  const cells = [...document.querySelectorAll(".matrix button")];
  if (cells.length) {
    found.stops = cells.filter((cell) => cell.tabIndex === 0).length;
    cells[0].focus();
    cells[0].click();
    found.opened = document.querySelector("#cell h3").textContent;
    found.cards = document.querySelectorAll("#cell .clip").length;
    cells[0].dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
    found.below = document.activeElement.dataset.cell;
    document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp", bubbles: true }));
    found.back = document.activeElement.dataset.cell;
  }
  const raster = document.querySelector(".raster");
  if (raster) {
    raster.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
    found.reading = raster.querySelector(".reading").textContent;
  }
  parent.postMessage(JSON.stringify(found), "*");
});
</script>"""
# A frame is as narrow as a phone; the window of a headless browser is not.
FRAME = """<!doctype html><script>
addEventListener("message", (event) => {{
  const told = Object.assign(document.createElement("pre"), {{ id: "found", textContent: event.data }});
  document.body.append(told);
}});
</script><body style="margin:0"><iframe src="probed.html" width="{width}" height="900" style="border:0"></iframe>"""


def seen(page: Path, *, width: int, dark: bool) -> dict[str, Any]:
    """What a browser finds on a page that it opens from disk."""
    source, frame = page.read_text(encoding="utf-8"), page.with_name("frame.html")
    probed = source.replace("<style>", CATCH + "<style>", 1).replace("</body>", PROBE + "</body>")
    page.with_name("probed.html").write_text(probed, encoding="utf-8")
    frame.write_text(FRAME.format(width=width))
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=3000")
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    profile = f"--user-data-dir={page.with_name('profile')}"
    assert CHROMIUM is not None
    command = [CHROMIUM, *options, scheme, profile, "--window-size=1400,900", "--dump-dom", f"file://{frame}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    assert found is not None, done.stderr[-2000:]
    values: dict[str, Any] = json.loads(unescape(found[1]))
    return values


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("videos")
    write_videos(root, 4, frames=24)
    return root


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_report_at_two_widths_in_both_schemes(tmp_path: Path, videos: Path, width: int, dark: bool) -> None:
    """Nothing sticks out, every picture is there, text has the contrast of WCAG 2, mouse and keys open cells."""
    paths = [f"clips/{number % 4}.mp4" if number < 4 else f"gone/{'long ' * 20}{number}.mp4" for number in range(24)]
    labels = ["background", "jump", "run" * 30, "wave to somebody far away"]
    run = write_run(tmp_path / "run", "label", root=videos, paths=paths, labels=labels, baselines={"mean_pool": 0.5})
    found = seen(write_report(run).path, width=width, dark=dark)
    assert found["wrong"] == [] and found["requests"] == []
    assert found["wide"] <= found["width"] == width
    assert found["images"] and min(found["images"]) > 100
    assert found["contrast"] >= 4.5
    assert (found["page"] < 0.05) == dark
    assert found["stops"] == 1 and found["cards"] > 0
    assert found["opened"] == "background → background"
    assert found["below"] != "0-0" and found["back"] is not None


@pytest.mark.parametrize("head", HEADS)
def test_the_report_of_each_head_runs_without_an_error(tmp_path: Path, head: Head) -> None:
    found = seen(write_report(write_run(tmp_path / "run", head)).path, width=390, dark=False)
    assert found["wrong"] == [] and found["requests"] == []
    assert found["wide"] <= found["width"]
    if head in {"step_labels", "step_multilabel"}:
        assert re.match(r"step \d+: true .+, said .+", found["reading"])
