"""A browser gets each video as it is or as an MP4 with the same frames; what cannot be read says why."""

import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from tests.media import pictures, write_clip
from tests.unit.app.app_worlds import BASE, page
from vidrnn.app.playing import Playable, Player, frame_times
from vidrnn.app.scratch import scratch_folder
from vidrnn.video.playable import media_type
from vidrnn.video.probe import probe

PATIENCE_S = 60


def wait_for(player: Player, video: Path) -> Playable:
    until = time.monotonic() + PATIENCE_S
    while not isinstance(found := player.ask(video), Playable):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


@pytest.mark.parametrize(
    ("name", "codec", "expected"),
    [
        ("a.mp4", "libx264", "video/mp4"), ("a.mov", "libx264", "video/mp4"), ("a.webm", "libvpx-vp9", "video/webm"),
        ("a.mkv", "libx264", None), ("a.avi", "mpeg4", None), ("a.mp4", "mpeg4", None), ("a.mp4", "libx265", None),
    ],
)  # fmt: skip
def test_what_browsers_play(tmp_path: Path, name: str, codec: str, expected: str | None) -> None:
    write_clip(tmp_path / name, pictures(4, width=64, height=48), codec=codec)
    assert media_type(tmp_path / name) == expected


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "libx264"), ("a.avi", "mpeg4")])
def test_others_are_written_anew_with_the_same_frames(tmp_path: Path, name: str, codec: str) -> None:
    video = write_clip(tmp_path / name, pictures(10, width=64, height=48), codec=codec)
    (tmp_path / "cache").mkdir()
    found = wait_for(Player(tmp_path / "cache"), video)
    assert not found.is_original and media_type(found.path) == "video/mp4"
    before, after = probe(video).timestamps_s, probe(found.path).timestamps_s
    np.testing.assert_allclose(after + found.zero_s, before, atol=2e-3)
    np.testing.assert_allclose(frame_times(video)[:-1], before)


def test_room_is_made_and_what_went_is_written_again(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    player = Player(tmp_path / "cache", limit=1)
    videos = [write_clip(tmp_path / f"{n}.avi", pictures(4 + n, width=64, height=48), codec="mpeg4") for n in range(2)]
    first = wait_for(player, videos[0])
    second = wait_for(player, videos[1])
    until = time.monotonic() + PATIENCE_S
    while first.path.exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not first.path.exists() and second.path.exists()
    assert wait_for(player, videos[0]).path.exists()


def test_a_file_that_is_no_video_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video at all" * 50)
    with page(tmp_path) as (client, _):
        for what in ("play", "video", "strip", "frames"):
            answer = client.get(f"{BASE}clips/0/{what}")
            assert answer.status_code == 400 and answer.json()["error"]


def test_what_was_written_is_gone_with_the_session(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.avi", pictures(4, width=64, height=48), codec="mpeg4")
    with page(tmp_path) as (client, session):
        assert client.get(f"{BASE}clips/0/video").status_code == 409
        found = wait_for(session.player, tmp_path / "a.avi")
        assert client.get(f"{BASE}clips/0/play").json() == {"ready": True, "zero_s": found.zero_s, "is_original": False}
        assert client.get(f"{BASE}clips/0/video", headers={"range": "bytes=4-7"}).content == b"ftyp"
        strip = client.get(f"{BASE}clips/0/strip")
        assert strip.headers["content-type"] == "image/webp" and strip.content[8:12] == b"WEBP"
        assert session.scratch.exists()
    assert not session.scratch.exists()


def test_what_a_killed_page_left_is_removed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "vidrnn_app_left"
    left.mkdir()
    (left / ".lock").touch()
    (left / "a.mp4").touch()
    (tmp_path / "vidrnn_app_of_somebody_else").mkdir()
    with scratch_folder() as one, scratch_folder() as other:
        assert one != other and one.exists() and other.exists() and not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["vidrnn_app_of_somebody_else"]
