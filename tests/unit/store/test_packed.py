"""Packs: the same values as the feature files, opened at once, and never half of one."""

import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from tests.worlds import fill_store, tiny_spec, video_features
from vidrnn.errors import MissingPathError, StoreError
from vidrnn.store import pack_reader
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.mapping import DATA_START
from vidrnn.store.pack_update import locked, pack
from vidrnn.store.source import Source
from vidrnn.store.verification import verify
from vidrnn.store.video_features import VideoFeatures, VideoMetadata

SHARD_BYTES = DATA_START + 4000  # a few videos each
NAMES = [f"class {number % 3}/clip_{number}.mp4" for number in range(24)] + ["/elsewhere/ü.avi", "x" * 250 + ".mp4"]


def sequence(name: str, *, seed: int = 0) -> VideoFeatures:
    rng = np.random.default_rng([seed, *name.encode()])
    length = 1 + int(rng.integers(60))
    return VideoFeatures(
        rng.normal(size=(length, 5)).astype(np.float16),
        np.arange(length) / 7.0,
        VideoMetadata(320, 240, length * 3, length / 7.0),
        Source(int(rng.integers(1 << 40)), int(rng.integers(1 << 60)), rng.bytes(32).hex()),
        ("a nöte",) if length % 2 else (),
    )


@pytest.fixture
def folder(tmp_path: Path) -> FeatureFolder:
    folder = FeatureStore(tmp_path / "store").create(tiny_spec(dim=5))
    for name in NAMES:
        folder.write(name, sequence(name))
    return folder


def assert_holds(folder: FeatureFolder, names: list[str] = NAMES, **changed: int) -> None:
    """A fresh reader sees exactly these videos; ``changed`` maps a name's suffix-free end to another seed."""
    fresh = FeatureFolder(folder.path, folder.spec)
    assert list(fresh.videos()) == sorted(names)
    for name in names:
        got, expected = fresh.read(name, check=True), sequence(name, seed=changed.get(Path(name).stem, 0))
        assert got.features.tobytes() == expected.features.tobytes()
        assert got.timestamps_s.tobytes() == expected.timestamps_s.tobytes()
        assert (got.metadata, got.source, got.notes) == (expected.metadata, expected.source, expected.notes)


def state_of(path: Path) -> dict[str, tuple[int, int]]:
    return {str(file): (file.stat().st_ino, file.stat().st_mtime_ns) for file in path.rglob("*") if file.is_file()}


def feature_files(folder: FeatureFolder) -> list[str]:
    return sorted(video for video, _ in folder.files())


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_the_pack_alone_gives_what_the_files_gave(folder: FeatureFolder) -> None:
    report = pack(folder, remove_files=True, shard_bytes=SHARD_BYTES)
    assert (report.videos, report.added, report.removed_files, report.failures) == (26, 26, 26, ())
    assert feature_files(folder) == []
    assert_holds(folder)
    assert {finding.health for finding in verify(folder)} == {"ok"}
    with pytest.raises(MissingPathError, match=r"no features of 'gone\.mp4'"):
        folder.read("gone.mp4")


def test_mapped_values_are_those_of_the_files(folder: FeatureFolder) -> None:
    pack(folder, shard_bytes=SHARD_BYTES)
    assert feature_files(folder) == sorted(NAMES), "feature files stay unless it is asked otherwise"
    opened = folder.pack()
    assert opened is not None
    assert opened.paths() == sorted(NAMES, key=os.fsencode)
    for name in NAMES:
        number = opened.number_of(name)
        assert number is not None
        np.testing.assert_array_equal(opened.features(number), sequence(name).features)
        np.testing.assert_array_equal(opened.timestamps_s(number), sequence(name).timestamps_s)
        facts = sequence(name).metadata
        expected = [facts.width, facts.height, facts.num_frames, facts.duration_s]
        np.testing.assert_array_equal(opened.columns["metadata"][number], expected)
    assert [opened.number_of(name) for name in ("", "class 0", "zzz", "class 0/clip_0.mp", "ü")] == [None] * 5


def test_anybody_can_read_a_shard_without_vidrnn(folder: FeatureFolder) -> None:
    pack(folder)
    (shard,) = (folder.path / "_pack").glob("*.shard")
    with safe_open(shard, framework="numpy") as file:
        features, times = file.get_tensor("features"), file.get_tensor("timestamps_s")
        headers = file.get_tensor("headers").tobytes().decode().split()
    ordered = [sequence(name) for name in sorted(NAMES)]
    np.testing.assert_array_equal(features, np.concatenate([video.features for video in ordered]))
    np.testing.assert_array_equal(times, np.concatenate([video.timestamps_s for video in ordered]))
    assert headers[0].startswith('{"format_version":')


def test_times_are_aligned_for_every_amount_of_features(tmp_path: Path) -> None:
    """float64 behind an odd number of float16 values must start at a multiple of 8."""
    for length in range(1, 9):
        folder = FeatureStore(tmp_path / str(length)).create(tiny_spec(dim=1))
        folder.write("a.mp4", video_features(np.zeros((length, 1))))
        pack(folder)
        opened = folder.pack()
        assert opened is not None
        assert opened.timestamps_s(0).flags.aligned


def test_a_shard_is_closed_at_its_size(folder: FeatureFolder) -> None:
    report = pack(folder, shard_bytes=SHARD_BYTES)
    sizes = sorted(shard.stat().st_size for shard in (folder.path / "_pack").glob("*.shard"))
    assert report.shards == len(sizes) > 3
    assert sizes[1] >= SHARD_BYTES, "only the last one may be smaller"
    assert sizes[-1] < SHARD_BYTES + 2500, "one video more than the limit at most"


def test_packing_again_writes_nothing_when_nothing_has_changed(folder: FeatureFolder) -> None:
    pack(folder, shard_bytes=SHARD_BYTES)
    before = state_of(folder.path)
    copied: list[int] = []
    report = pack(folder, shard_bytes=SHARD_BYTES, on_video=lambda: copied.append(1))
    assert (report.added, report.videos, copied) == (0, 26, [])
    assert state_of(folder.path) == before


@pytest.mark.parametrize("remove_files", [False, True])
def test_packing_again_adds_new_videos_and_replaces_changed_ones(folder: FeatureFolder, remove_files: bool) -> None:
    pack(folder, remove_files=remove_files, shard_bytes=SHARD_BYTES)
    folder.write("new.mp4", sequence("new.mp4"))
    folder.write(NAMES[3], sequence(NAMES[3], seed=1))
    names = [*NAMES, "new.mp4"]
    assert_holds(folder, names, clip_3=1)
    report = pack(folder, remove_files=True, shard_bytes=SHARD_BYTES)
    assert (report.added, report.videos) == (2, 27)
    assert feature_files(folder) == []
    assert_holds(folder, names, clip_3=1)


def test_shards_that_are_hardly_used_are_written_again_together(folder: FeatureFolder) -> None:
    for number in range(20):
        folder.write(f"late {number}.mp4", sequence(f"late {number}.mp4"))
        report = pack(folder, remove_files=True, shard_bytes=10**6)
    assert (report.videos, report.shards) == (46, 1)
    assert_holds(folder, [*NAMES, *(f"late {number}.mp4" for number in range(20))])


def test_a_changed_file_is_noticed_also_when_the_clock_stands(folder: FeatureFolder) -> None:
    """Same size, written at once after packing: without a pause the times could be equal."""
    for seed in range(1, 6):
        folder.write(NAMES[3], sequence(NAMES[3]))
        pack(folder, shard_bytes=SHARD_BYTES)
        other = replace(sequence(NAMES[3]), features=sequence(NAMES[3]).features + np.float16(seed))
        folder.write(NAMES[3], other)
        assert NAMES[3] not in folder.packed()[1]


def test_damaged_feature_files_are_named_and_the_others_packed(folder: FeatureFolder) -> None:
    flip(folder.file_of(NAMES[5]), -9)
    folder.write("wrong.mp4", video_features(np.zeros((3, 4))))
    report = pack(folder, remove_files=True, shard_bytes=SHARD_BYTES)
    causes = dict(report.failures)
    assert set(causes) == {NAMES[5], "wrong.mp4"}
    assert "is damaged (checksum differs); delete it and run `vidrnn extract` again" in causes[NAMES[5]]
    assert causes["wrong.mp4"] == "features of 'wrong.mp4' have 4 values per step, the spec says 5"
    assert feature_files(folder) == [NAMES[5], "wrong.mp4"]
    assert_holds(replace_folder(folder, without=[NAMES[5], "wrong.mp4"]), [name for name in NAMES if name != NAMES[5]])


def replace_folder(folder: FeatureFolder, *, without: list[str]) -> FeatureFolder:
    for name in without:
        folder.file_of(name).unlink()
    return folder


def test_files_are_removed_only_when_their_packed_copy_is_intact(folder: FeatureFolder) -> None:
    pack(folder)
    (shard,) = (folder.path / "_pack").glob("*.shard")
    flip(shard, DATA_START)
    with pytest.raises(StoreError, match=r"shard is damaged \(checksum differs\)"):
        pack(folder, remove_files=True)
    first = min(NAMES)
    assert folder.file_of(first).exists()
    np.testing.assert_array_equal(folder.read(first, check=True).features, sequence(first).features)


def test_extraction_reuses_what_only_the_pack_holds(folder: FeatureFolder, tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    source.write_bytes(b"video")
    folder.write("a.mp4", replace(sequence("a.mp4"), source=Source.of(source)))
    pack(folder, remove_files=True)
    assert folder.current("a.mp4", source)
    source.write_bytes(b"other")
    assert not folder.current("a.mp4", source)


def test_a_reader_keeps_its_pack_when_a_newer_one_comes(folder: FeatureFolder) -> None:
    pack(folder, shard_bytes=SHARD_BYTES)
    old = folder.pack()
    assert old is not None
    for name in NAMES:
        folder.write(name, sequence(name, seed=1))
    pack(folder, shard_bytes=SHARD_BYTES)
    for shard in old.shards:
        (folder.path / "_pack" / shard.name).unlink()  # as gc does
    number = old.number_of(NAMES[0])
    assert number is not None
    np.testing.assert_array_equal(old.features(number), sequence(NAMES[0]).features)
    new = folder.pack()
    assert new is not None
    np.testing.assert_array_equal(new.features(number), sequence(NAMES[0], seed=1).features)


def test_a_pack_that_is_replaced_while_it_is_opened_is_opened_again(folder: FeatureFolder, monkeypatch) -> None:
    pack(folder, shard_bytes=SHARD_BYTES)
    old = folder.pack()
    assert old is not None
    honest = pack_reader.map_tensors

    def slow(path: Path):
        content = honest(path)
        if path.name == pack_reader.INDEX:  # its shards go before they are opened
            monkeypatch.setattr(pack_reader, "map_tensors", honest)
            other = FeatureFolder(folder.path, folder.spec)
            for name in NAMES:
                other.write(name, sequence(name, seed=1))
            pack(other, remove_files=True, shard_bytes=SHARD_BYTES)
            for shard in old.shards:
                (folder.path / "_pack" / shard.name).unlink()
        return content

    monkeypatch.setattr(pack_reader, "map_tensors", slow)
    late = FeatureFolder(folder.path, folder.spec).read_packed
    opened = FeatureFolder(folder.path, folder.spec).pack()
    assert opened is not None
    assert opened.complete.all()
    np.testing.assert_array_equal(late(opened, 0).features, sequence(opened.paths()[0], seed=1).features)


def test_two_packs_at_the_same_time_are_refused(folder: FeatureFolder) -> None:
    with locked(folder), pytest.raises(StoreError) as caught:
        pack(FeatureFolder(folder.path, folder.spec))
    assert str(caught.value) == (
        f"another `vidrnn store pack` or `gc --delete` works on {folder.path}; run again when it is done"
    )
    assert pack(folder).added == 26, "the lock ends with its holder"


KILLED = """
import os, signal, sys
from pathlib import Path
from vidrnn.store.pack_update import pack
from vidrnn.store.feature_store import FeatureStore
left = int(sys.argv[2])
def counted(function):
    def call(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call
os.fsync, Path.replace, Path.unlink = counted(os.fsync), counted(Path.replace), counted(Path.unlink)
(folder,) = FeatureStore(Path(sys.argv[1])).folders()
pack(folder, remove_files=True, shard_bytes=67_000)
"""


def test_a_kill_at_any_point_leaves_a_readable_store(tmp_path: Path) -> None:
    names = NAMES[:6]
    for calls in range(40):
        root = tmp_path / str(calls)
        folder = FeatureStore(root).create(tiny_spec(dim=5))
        for name in names[:3]:
            folder.write(name, sequence(name))
        pack(folder, remove_files=True)
        for name in names[3:]:
            folder.write(name, sequence(name))
        done = subprocess.run([sys.executable, "-c", KILLED, str(root), str(calls)], check=False, capture_output=True)
        assert_holds(folder, names)
        assert {finding.health for finding in verify(folder)} == {"ok"}
        pack(folder, remove_files=True)
        assert_holds(folder, names)
        if done.returncode != -signal.SIGKILL:
            break
    assert done.returncode == 0, done.stderr
    assert calls > 5, "killed at several points before it was done"


FULL = """
import resource, signal, sys
from pathlib import Path
from vidrnn.store.pack_update import pack
from vidrnn.store.feature_store import FeatureStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
(folder,) = FeatureStore(Path(sys.argv[1])).folders()
try:
    pack(folder, remove_files=True, shard_bytes=69_536)
except OSError as error:
    sys.exit(7)
"""


@pytest.mark.parametrize("limit", [0, 4096, DATA_START + 100, DATA_START + 4100, DATA_START + 9500])
def test_a_disk_that_is_full_leaves_the_store_as_it_was(folder: FeatureFolder, limit: int) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    pack(folder, shard_bytes=SHARD_BYTES)
    folder.write("new.mp4", sequence("new.mp4"))
    folder.write("x/long.mp4", VideoFeatures(np.ones((900, 5), np.float16), np.arange(900.0), VideoMetadata(1, 1, 1, 1.0), Source(1, 1, "")))  # noqa: E501  # fmt: skip
    before = state_of(folder.path)
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(folder.path.parent), str(limit)], check=False, capture_output=True
    )
    assert done.returncode == 7, done.stderr
    assert state_of(folder.path) == before, "no half shard, no part, the old index"
    assert pack(folder, shard_bytes=SHARD_BYTES).added == 2


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.999])
def test_a_cut_off_index_is_named(folder: FeatureFolder, share: float) -> None:
    pack(folder, remove_files=True)
    index = folder.path / "_pack" / "index"
    data = index.read_bytes()
    index.write_bytes(data[: int(len(data) * share)])
    fresh = FeatureFolder(folder.path, folder.spec)
    with pytest.raises(StoreError) as caught:
        fresh.read(NAMES[0])
    assert str(caught.value).startswith(f"{index} is damaged (")
    assert str(caught.value).endswith(pack_reader.ADVICE)
    assert [finding.health for finding in verify(fresh)] == ["damaged"]
    assert not fresh.current(NAMES[0], Path(__file__))


def test_a_flipped_bit_anywhere_in_the_index_is_noticed(folder: FeatureFolder) -> None:
    pack(folder)
    index = folder.path / "_pack" / "index"
    data = index.read_bytes()
    start = data.index(b"format_version")
    for position in range(start, len(data), 97):
        flip(index, position)
        with pytest.raises(StoreError, match="is damaged"):
            FeatureFolder(folder.path, folder.spec).pack()
        index.write_bytes(data)


def test_an_index_from_another_spec_is_refused(folder: FeatureFolder, tmp_path: Path) -> None:
    pack(folder)
    other = fill_store(tmp_path / "other", {}, dim=4)
    (other.path / "_pack").mkdir()
    (other.path / "_pack" / "index").write_bytes((folder.path / "_pack" / "index").read_bytes())
    with pytest.raises(StoreError, match="belongs to another spec or version"):
        other.pack()


@pytest.mark.parametrize("position", [0, 20, DATA_START - 1, -1])
def test_a_flipped_bit_anywhere_in_a_shard_is_found(folder: FeatureFolder, position: int) -> None:
    pack(folder)
    shard = next((folder.path / "_pack").glob("*.shard"))
    flip(shard, position)
    assert [finding.name for finding in verify(folder) if finding.health != "ok"] == [shard.name]


@pytest.mark.parametrize("damage", ["cut", "gone", "flipped"])
def test_a_damaged_shard_is_found_and_its_videos_named(folder: FeatureFolder, damage: str) -> None:
    pack(folder, remove_files=True, shard_bytes=SHARD_BYTES)
    whole = folder.pack()
    assert whole is not None
    shard = folder.path / "_pack" / whole.shards[1].name
    inside = [path for number, path in enumerate(whole.paths()) if whole.columns["shard"][number] == 1]
    if damage == "cut":
        os.truncate(shard, shard.stat().st_size - 10)
    elif damage == "gone":
        shard.unlink()
    else:
        flip(shard, DATA_START + 3)
    fresh = FeatureFolder(folder.path, folder.spec)
    found = {finding.name: finding for finding in verify(fresh) if finding.health != "ok"}
    assert {finding.health for finding in found.values()} == {"damaged"}
    assert all(str(shard) in finding.reason and pack_reader.ADVICE in finding.reason for finding in found.values())
    if damage == "flipped":
        assert len(found) == 2, "the shard, and the one video whose values changed"
        assert set(found) < {shard.name, *inside}
    else:
        assert set(found) == {shard.name, *inside}
    names = [name for name in NAMES if name not in found]
    for name in names:
        np.testing.assert_array_equal(fresh.read(name, check=True).features, sequence(name).features)


def test_a_cut_shard_is_repaired_from_the_feature_files(folder: FeatureFolder) -> None:
    pack(folder, shard_bytes=SHARD_BYTES)
    shard = next((folder.path / "_pack").glob("*.shard"))
    os.truncate(shard, DATA_START + 100)
    fresh = FeatureFolder(folder.path, folder.spec)
    assert pack(fresh, shard_bytes=SHARD_BYTES).added > 0
    assert {finding.health for finding in verify(fresh)} == {"ok"}
    pack(fresh, remove_files=True, shard_bytes=SHARD_BYTES)
    assert_holds(fresh)
