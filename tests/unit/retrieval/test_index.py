"""An index of moments: what it finds, how it follows the store, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest

from tests.worlds import fill_store, order_task
from vidrnn.errors import ConfigError, StoreError
from vidrnn.inference.search import Asked, Query, search
from vidrnn.retrieval.filling import up_to_date
from vidrnn.retrieval.index import MomentIndex, Origin, read_index
from vidrnn.retrieval.moments import moments_of

DIM = 6


def long_video(seed: int) -> np.ndarray:
    """30 s of noise at 10 steps per second, in which something rises from 10 s to 14 s and falls from 20 s to 24 s."""
    (rising, falling), _ = order_task(2, steps=40, dim=DIM, seed=seed)
    video = np.random.default_rng(seed).normal(scale=0.2, size=(300, DIM))
    video[100:140], video[200:240] = rising, falling
    return video


def fill(store: Path, count: int = 6) -> None:
    fill_store(store, {f"long {number}.mp4": long_video(number) for number in range(count)}, dim=DIM)


def test_windows_cover_a_long_video_and_short_ones_have_none() -> None:
    assert moments_of(np.arange(20) / 10, window_s=2.0) == [(0.0, pytest.approx(2.0))]
    (whole, *windows) = moments_of(np.arange(100) / 10 + 3, window_s=4.0)
    assert whole == pytest.approx((3.0, 13.0))
    assert windows == [pytest.approx(window) for window in [(3.0, 7.0), (5.0, 9.0), (7.0, 11.0), (9.0, 13.0)]]
    assert moments_of(np.array([1.0]), window_s=4.0) == [(1.0, 1.0)]


def test_a_moment_is_found_in_long_videos_and_its_reverse_is_another(tmp_path: Path) -> None:
    fill(tmp_path)
    for start, end in ((10, 14), (20, 24)):
        query = Query(Path("long 0.mp4"), start, end)
        found = search(query, [tmp_path], Asked(), count=5)
        assert {(moment.path, round(moment.start_s, 2), round(moment.end_s, 2)) for _, moment in found} == {
            (f"long {number}.mp4", start, end) for number in range(1, 6)
        }
        assert all(0.7 < moment.similarity <= 1.0 for _, moment in found)
        more = search(query, [tmp_path], Asked(), count=40, update=False)
        assert not any(moment.overlaps("long 0.mp4", start, end) for _, moment in more)
        for place, (_, one) in enumerate(more):  # of moments that overlap, one
            assert not any(one.overlaps(other.path, other.start_s, other.end_s) for _, other in more[place + 1 :])
        opposite = [moment for _, moment in more if abs(moment.start_s - (30 - start)) < 0.01]
        assert all(moment.similarity < 0.0 for moment in opposite)


def test_the_index_follows_the_store(tmp_path: Path) -> None:
    fill(tmp_path)
    query = Query(Path("long 0.mp4"), 10, 14)
    search(query, [tmp_path], Asked(), count=1)
    (place,) = (tmp_path / "_search").iterdir()
    before = {file.name: file.stat().st_mtime_ns for file in place.iterdir()}
    search(query, [tmp_path], Asked(), count=1)
    assert {file.name: file.stat().st_mtime_ns for file in place.iterdir()} == before  # nothing changed
    folder = fill_store(tmp_path, {"long 6.mp4": long_video(6), "long 1.mp4": long_video(1)[:60]}, dim=DIM)
    folder.file_of("long 2.mp4").unlink()
    found = {moment.path for _, moment in search(query, [tmp_path], Asked(), count=4)}
    assert found == {"long 3.mp4", "long 4.mp4", "long 5.mp4", "long 6.mp4"}
    assert len(list(place.iterdir())) == 2  # the old vectors are gone
    updated = read_index(place, _origin(tmp_path))
    anew = up_to_date(tmp_path / "anew", _origin(tmp_path), Asked().folders(tmp_path))
    assert updated is not None
    assert sorted(updated.paths) == anew.paths
    assert len(updated.moments) == len(anew.moments)
    for number, start_s, _ in updated.moments:
        assert any(anew.moments[:, 1] == start_s)
        assert updated.paths[int(number)] in anew.paths


def test_the_space_is_fitted_anew_when_there_is_twice_as_much(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    place, folders = tmp_path / "index", Asked().folders(tmp_path)
    assert up_to_date(place, _origin(tmp_path), folders).fitted == 2
    fill(tmp_path, 3)
    assert up_to_date(place, _origin(tmp_path), folders).fitted == 2
    fill(tmp_path, 4)
    assert up_to_date(place, _origin(tmp_path), folders).fitted == 4


def test_what_was_made_of_something_else_is_refused(tmp_path: Path) -> None:
    fill(tmp_path)
    query, index = Query(Path("long 0.mp4")), tmp_path / "index"
    search(query, [tmp_path], Asked(), count=1, index=index)
    with pytest.raises(StoreError, match=r"made of something else \(window_s 4.0, asked 2.0\); name another --index"):
        search(query, [tmp_path], Asked(window_s=2.0), count=1, index=index)
    (index / "index.safetensors").write_bytes(b"{}")
    with pytest.raises(StoreError, match=r"is damaged .*; delete it, and it is made anew"):
        search(query, [tmp_path], Asked(), count=1, index=index)
    fill_store(tmp_path, {"long 0.mp4": np.ones((9, 4))}, dim=4, stream="audio")
    fill_store(tmp_path / "other", {"long 0.mp4": np.ones((9, 4))}, dim=4)
    with pytest.raises(StoreError, match="hold features of different specs"):
        search(query, [tmp_path, tmp_path / "other"], Asked(), count=1)


def test_the_nearest_are_those_of_a_full_comparison() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = MomentIndex(Origin({"rgb": "0"}, "", 4.0), None, 0)
    moments = np.array([(number, 0.0, 1.0) for number in range(250)])
    index.add([f"{n}" for n in range(250)], np.zeros((250, 3), np.int64), moments, vectors[:250])
    index.add([f"{n}" for n in range(250, 500)], np.zeros((250, 3), np.int64), moments, vectors[250:])
    kept = rng.uniform(size=500) < 0.5
    index.keep(kept)
    expected = np.flatnonzero(kept)[np.argsort(-(vectors[kept] @ vectors[7]), kind="stable")[:10]]
    found = index.search(vectors[7], count=10)
    assert [moment.path for moment in found] == [str(number) for number in expected]
    assert index.search(vectors[7], count=999)[-1].similarity < 0


def test_a_stretch_is_read_from_the_name(tmp_path: Path) -> None:
    assert Query.of("a/clip.mp4@1.5-4") == Query(Path("a/clip.mp4"), 1.5, 4.0)
    assert Query.of("a/clip@home.mp4") == Query(Path("a/clip@home.mp4"))
    (tmp_path / "odd@1-2").touch()
    assert Query.of(str(tmp_path / "odd@1-2")) == Query(tmp_path / "odd@1-2")
    with pytest.raises(ConfigError, match=r"the start 4 must be before the end 1\.5"):
        Query.of("clip.mp4@4-1.5")


def _origin(store: Path) -> Origin:
    return Origin({stream: folder.spec.digest for stream, folder in Asked().folders(store).items()}, "", 4.0)
