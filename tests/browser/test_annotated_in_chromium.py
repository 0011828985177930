"""What `vidrnn annotate` writes plays in a browser: a headless Chromium loads it, tells its size and length, and plays.

`make browser` runs this; where no Chromium is installed it skips.
"""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest

from tests.media import pictures, turn_mp4, write_clip
from tests.sounds import tone, write_sound
from vidrnn.inference.annotate import annotate_video
from vidrnn.inference.prediction import Prediction
from vidrnn.video.probe import probe

PATIENCE_S = 90
PAGE = """<!doctype html><video muted src="a.mp4"></video><script>
const video = document.querySelector("video");
const tell = found => fetch("/found", {method: "POST", body: JSON.stringify(found)});
video.onerror = () => tell({error: video.error.message});
video.ontimeupdate = () => video.currentTime > 0.5 && tell({
  time: video.currentTime, duration: video.duration, width: video.videoWidth, height: video.videoHeight,
  audio: video.webkitAudioDecodedByteCount, frames: video.getVideoPlaybackQuality().totalVideoFrames,
});
video.play();
</script>"""
PREDICTION = Prediction("a", "ok", ({"label": "wave", "score": 0.9, "top_k": [("wave", 0.9), ("sit", 0.1)]},))
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt install chromium)")


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, "Queue[dict[str, Any]]"]]:
    """The address of a folder on this machine, and what pages in it tell."""
    told: Queue[dict[str, Any]] = Queue()

    class Handler(SimpleHTTPRequestHandler):
        def do_POST(self) -> None:
            told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Nothing: requests are no news."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/page.html", told
    finally:
        server.shutdown()
        server.server_close()


def played(folder: Path) -> dict[str, Any]:
    """What a video element says of ``a.mp4`` after half a second of playing."""
    (folder / "page.html").write_text(PAGE)
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required")
    with served(folder) as (address, told):
        assert CHROMIUM is not None
        command = [CHROMIUM, *options, f"--user-data-dir={folder / 'profile'}", "--remote-debugging-port=0", address]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return told.get(timeout=PATIENCE_S)
        except Empty:
            pytest.fail(f"the browser said nothing within {PATIENCE_S} s")
        finally:
            browser.kill()
            browser.wait()


def test_a_turned_clip_plays(tmp_path: Path) -> None:
    source = turn_mp4(write_clip(tmp_path / "source.mp4", pictures(50, width=320, height=180)), clockwise=90)
    made = annotate_video(source, PREDICTION, output=tmp_path / "a.mp4").written
    found = played(tmp_path)
    assert "error" not in found, found
    assert (found["width"], found["height"]) == (made.width, made.height)
    assert found["duration"] == pytest.approx(probe(source).duration_s, abs=0.05)
    assert found["time"] > 0.5 and found["frames"] > 5


def test_a_clip_with_sound_plays_with_its_sound(tmp_path: Path) -> None:
    source = write_sound(tmp_path / "source.avi", tone(440, 2.0), images=50)
    annotate_video(source, PREDICTION, output=tmp_path / "a.mp4")
    found = played(tmp_path)
    assert "error" not in found, found
    assert found["audio"] > 0
    assert found["duration"] == pytest.approx(2.0, abs=0.1)
