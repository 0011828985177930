"""A store under two writers at once, on a full disk and on a read-only one: nothing half is ever read."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from tests.worlds import tiny_spec, video_features
from vidrnn.store.feature_file import walk
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.pack_update import pack
from vidrnn.store.verification import verify
from vidrnn.store.video_features import VideoFeatures


@pytest.fixture
def folder(tmp_path) -> FeatureFolder:
    return FeatureStore(tmp_path / "store").create(tiny_spec(dim=3))


def features(seed: int) -> VideoFeatures:
    return video_features(np.random.default_rng(seed).normal(size=(5, 3)))


def files(path: Path) -> list[str]:
    return sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())


def assert_same(got: VideoFeatures, expected: VideoFeatures) -> None:
    np.testing.assert_array_equal(got.features, expected.features)
    np.testing.assert_array_equal(got.timestamps_s, expected.timestamps_s)
    assert (got.metadata, got.source) == (expected.metadata, expected.source)


WRITER = """
import sys
from pathlib import Path
import numpy as np
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.source import Source
from vidrnn.store.video_features import VideoFeatures, VideoMetadata
(folder,) = FeatureStore(Path(sys.argv[1])).folders()
FACTS = VideoMetadata(1, 1, 1, 1.0)
value = int(sys.argv[2])
video = VideoFeatures(np.full((4000, 3), value, np.float16), np.arange(4000.0), FACTS, Source(1, value, ""))
print("ready", flush=True)
for _ in range(60):
    folder.write("a.avi", video)
"""


def test_two_processes_that_write_the_same_video_leave_one_of_the_two(folder):
    """A reader meanwhile sees the whole of one or the whole of the other."""
    command = [sys.executable, "-c", WRITER, str(folder.path.parent)]
    writers = [subprocess.Popen([*command, value], stdout=subprocess.PIPE) for value in "12"]
    for writer in writers:
        writer.stdout.readline()
    reads = 0
    while any(writer.poll() is None for writer in writers):
        if folder.file_of("a.avi").exists():
            video = folder.read("a.avi", check=True)
            assert np.unique(video.features).tolist() == [video.source.mtime_ns]
            reads += 1
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0]
    assert reads > 0
    assert files(folder.path) == ["a.avi.safetensors", "spec.json"]


@pytest.fixture
def read_only():
    """A store that this process may not write to; root gives up its rights for as long."""
    parent = Path(tempfile.mkdtemp())
    parent.chmod(0o755)
    folder = FeatureStore(parent / "store").create(tiny_spec(dim=3))
    folder.write("a.avi", features(0))
    folder.write("b.avi", features(1))
    pack(folder)
    folder.file_of("b.avi").unlink()
    for path in [parent, *parent.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(user)
    for path in [parent, *parent.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.rmtree(parent)


def test_a_read_only_store_is_read_and_stays_as_it_is(read_only):
    before = files(read_only.path)
    assert_same(read_only.read("a.avi", check=True), features(0))
    assert_same(read_only.read("b.avi", check=True), features(1))
    assert {finding.health for finding in verify(read_only)} == {"ok"}
    for name in ("a.avi", "new/c.avi"):
        with pytest.raises(PermissionError):
            read_only.write(name, features(2))
    assert pack(read_only).added == 0, "nothing to do, so nothing to write"
    with pytest.raises(PermissionError):
        pack(read_only, remove_files=True)
    assert files(read_only.path) == before


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.source import Source
from vidrnn.store.video_features import VideoFeatures, VideoMetadata
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
(folder,) = FeatureStore(Path(sys.argv[1])).folders()
FACTS = VideoMetadata(1, 1, 1, 1.0)
video = VideoFeatures(np.ones((4000, 3), np.float16), np.arange(4000.0), FACTS, Source(1, 1, ""))
try:
    folder.write("a.avi", video)
except OSError:
    sys.exit(7)
"""


@pytest.mark.parametrize("limit", [0, 100, 30_000])
def test_a_disk_that_is_full_leaves_the_old_file_and_no_part(folder, limit):
    """The system itself refuses to write on: the file may have so many bytes and no more."""
    old = features(0)
    folder.write("a.avi", old)
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(folder.path.parent), str(limit)], check=False, capture_output=True
    )
    assert done.returncode == 7, done.stderr
    assert_same(folder.read("a.avi", check=True), old)
    assert files(folder.path) == ["a.avi.safetensors", "spec.json"]


def test_a_link_to_itself_in_a_store_is_no_file_and_hides_none(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").touch()
    (tmp_path / "a" / "me").symlink_to("me")
    assert [entry.name for entry in walk(str(tmp_path))] == ["b"]
