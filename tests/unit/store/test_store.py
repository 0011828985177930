"""Features on disk: written whole or not at all, checked when read, found by what a configuration asks for."""

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from vidrnn.atomic import write_atomically
from vidrnn.errors import MissingPathError, StoreError
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.settings.features import FeatureSettings
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.pack_update import pack
from vidrnn.store.source import Source
from vidrnn.store.spec import FeatureSpec, sampling_values
from vidrnn.store.verification import examine, verify
from vidrnn.store.video_features import VideoFeatures, VideoMetadata

SETTINGS = FeatureSettings(backbone="resnet18", weights="random", square="warp")
SQUARE = Preprocessing(32, 36, "warp", "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
SPEC = FeatureSpec(
    stream="rgb",
    backbone="resnet18",
    weights="random",
    weights_digest="0" * 64,
    node="layer4",
    dim=3,
    grid=1,
    preprocessing=SQUARE.as_dict(),
    sampling=sampling_values(SETTINGS),
    precision="float32",
)


@pytest.fixture
def root(tmp_path) -> Path:
    (tmp_path / "videos").mkdir()
    return tmp_path / "videos"


@pytest.fixture
def folder(tmp_path) -> FeatureFolder:
    return FeatureStore(tmp_path / "store").create(SPEC)


def features_of(source: Path, *, seed: int = 0) -> VideoFeatures:
    values = np.random.default_rng(seed).normal(size=(5, 3)).astype(np.float16)
    times = np.arange(5) / 10.0 + 1 / 3
    return VideoFeatures(values, times, VideoMetadata(64, 48, 12, 0.48), Source.of(source), ("a note",))


def stored(folder: FeatureFolder, root: Path, name: str = "a.avi", *, seed: int = 0) -> VideoFeatures:
    source = root / name
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_bytes(b"video " + name.encode())
    written = features_of(source, seed=seed)
    folder.write(name, written)
    return written


def files(path: Path) -> list[str]:
    return sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())


def health(folder: FeatureFolder, name: str, root: Path | None) -> tuple[str, str]:
    finding = examine(folder, name, roots=[root] if root else [])
    assert finding.name == name
    return finding.health, finding.reason


def assert_same(got: VideoFeatures, expected: VideoFeatures) -> None:
    np.testing.assert_array_equal(got.features, expected.features)
    np.testing.assert_array_equal(got.timestamps_s, expected.timestamps_s)
    assert (got.features.dtype, got.timestamps_s.dtype) == (np.float16, np.float64)
    assert (got.metadata, got.source, got.notes) == (expected.metadata, expected.source, expected.notes)


def test_what_is_written_is_read(folder, root):
    written = stored(folder, root, "run/a b'ü.avi")
    assert_same(folder.read("run/a b'ü.avi", check=True), written)
    assert files(folder.path) == ["run/a b'ü.avi.safetensors", "spec.json"]
    assert list(folder.videos()) == ["run/a b'ü.avi"]


def test_anybody_can_read_the_file_without_vidrnn(folder, root):
    written = stored(folder, root)
    tensors = load_file(folder.path / "a.avi.safetensors")
    assert set(tensors) == {"features", "timestamps_s"}
    np.testing.assert_array_equal(tensors["features"], written.features)


def test_the_same_stem_in_two_folders_or_with_two_suffixes_does_not_collide(folder, root):
    names = ["a.avi", "a.mp4", "run/a.avi", "walk/a.avi"]
    written = {name: stored(folder, root, name, seed=seed) for seed, name in enumerate(names)}
    assert list(folder.videos()) == names
    for name in names:
        assert_same(folder.read(name, check=True), written[name])


def test_an_absolute_path_is_mirrored_inside_the_folder(folder, root):
    absolute = str(root / "elsewhere.avi")
    Path(absolute).write_bytes(b"video")
    folder.write(absolute, features_of(Path(absolute)))
    assert files(folder.path) == [f"_absolute{absolute}.safetensors", "spec.json"]
    assert list(folder.videos()) == [absolute]
    assert folder.current(absolute, Path(absolute))
    assert health(folder, absolute, Path("/some/other/root")) == ("ok", "")


def test_features_that_were_never_extracted(folder):
    with pytest.raises(MissingPathError) as caught:
        folder.read("gone.avi")
    assert str(caught.value) == f"no features of 'gone.avi' in {folder.path}; run `vidrnn extract`"
    assert not folder.current("gone.avi", Path("gone.avi"))


@pytest.mark.parametrize(
    ("features", "times"),
    [
        (np.zeros((2, 3), np.float32), np.zeros(2)),
        (np.zeros(2, np.float16), np.zeros(2)),
        (np.zeros((2, 3), np.float16), np.zeros(3)),
        (np.zeros((2, 3), np.float16), np.zeros(2, np.float32)),
    ],
)
def test_shapes_and_types_are_a_contract(features, times):
    with pytest.raises(AssertionError):
        VideoFeatures(features, times, VideoMetadata(1, 1, 1, 1.0), Source(1, 1, ""))


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_crash_while_writing_leaves_the_old_file_and_no_part(folder, root, monkeypatch, step):
    old = stored(folder, root)

    def crash(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), crash)
        with pytest.raises(OSError, match="No space left on device"):
            folder.write("a.avi", features_of(root / "a.avi", seed=1))
    assert_same(folder.read("a.avi", check=True), old)
    assert files(folder.path) == ["a.avi.safetensors", "spec.json"]


def test_a_write_is_on_disk_before_it_takes_the_place(tmp_path, monkeypatch):
    order: list[str] = []
    fsync, replacing = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: (order.append("fsync"), fsync(number))[1])
    monkeypatch.setattr(Path, "replace", lambda path, to: (order.append("replace"), replacing(path, to))[1])
    write_atomically(tmp_path / "deep" / "er" / "file", b"content")
    assert order == ["fsync", "replace"]
    assert (tmp_path / "deep" / "er" / "file").read_bytes() == b"content"


def test_a_part_that_a_killed_process_left_is_no_video(folder, root):
    stored(folder, root)
    (folder.path / ".0123456789abcdef.part").write_bytes(b"half")
    assert list(folder.videos()) == ["a.avi"]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_cut_off_file_is_damaged_and_extracted_again(folder, root, share):
    stored(folder, root)
    file = folder.file_of("a.avi")
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(StoreError) as caught:
        folder.read("a.avi")
    message = str(caught.value)
    assert message.startswith(f"{file} is damaged (")
    assert message.endswith("); delete it and run `vidrnn extract` again")
    assert not folder.current("a.avi", root / "a.avi")
    assert health(folder, "a.avi", root) == ("damaged", message)


def test_a_flipped_bit_in_the_values_is_found_when_checked(folder, root):
    stored(folder, root)
    file = folder.file_of("a.avi")
    data = bytearray(file.read_bytes())
    data[-50] ^= 1
    file.write_bytes(data)
    folder.read("a.avi")
    with pytest.raises(StoreError) as caught:
        folder.read("a.avi", check=True)
    expected = f"{file} is damaged (checksum differs); delete it and run `vidrnn extract` again"
    assert str(caught.value) == expected
    assert not folder.current("a.avi", root / "a.avi")
    assert health(folder, "a.avi", None) == ("damaged", expected)


@pytest.mark.parametrize(
    "metadata",
    [None, {"other": "tool"}, {"vidrnn": "no json"}, {"vidrnn": "[]"}, {"vidrnn": "{}"}, {"vidrnn": '{"spec": "x"}'}],
    ids=str,
)
def test_a_foreign_file_in_the_place_of_features_is_damage(folder, metadata):
    tensors = {"features": np.zeros((1, 3), np.float16), "timestamps_s": np.zeros(1)}
    save_file(tensors, folder.path / "a.avi.safetensors", metadata=metadata)
    with pytest.raises(StoreError, match=r"a\.avi\.safetensors is damaged \(.+\); delete it and run `vidrnn extract`"):
        folder.read("a.avi")


def test_a_file_moved_here_from_another_spec_is_refused(tmp_path, folder, root):
    other = FeatureStore(tmp_path / "store").create(replace(SPEC, grid=2))
    stored(other, root)
    shutil.copy(other.file_of("a.avi"), folder.file_of("a.avi"))
    with pytest.raises(StoreError) as caught:
        folder.read("a.avi")
    assert str(caught.value) == (
        f"{folder.file_of('a.avi')} belongs to spec {other.spec.digest}, not {SPEC.digest}; it was moved here by hand"
    )


def test_a_file_moved_to_the_name_of_another_video_is_refused(folder, root):
    written = stored(folder, root)
    folder.file_of("a.avi").rename(folder.file_of("b.avi"))
    with pytest.raises(StoreError) as caught:
        folder.read("b.avi")
    assert str(caught.value) == (
        f"{folder.file_of('b.avi')} holds the features of 'a.avi'; it was moved here by hand; "
        "delete it and run `vidrnn extract` again"
    )
    assert health(folder, "b.avi", None)[0] == "damaged"
    folder.file_of("b.avi").rename(folder.file_of("a.avi"))
    assert_same(folder.read("a.avi"), written)


LONG = [
    "x" * 251 + ".mp4",
    "x" * 252 + "mp4",
    "x" * 240 + ".mp4",
    "ü" * 124 + ".avi",
    "deep/" + "y" * 244,
    "/abs/" + "y" * 244,
]


def test_names_that_are_too_long_with_their_suffix_are_shortened(folder, root):
    """A name may have 255 bytes; with .safetensors behind it that is too much from 244 on."""
    written = {name: features_of(Path(__file__), seed=seed) for seed, name in enumerate(LONG)}
    for name, video in written.items():
        folder.write(name, video)
        assert len(os.fsencode(folder.file_of(name).name)) <= 255
        assert folder.file_of(name).name.startswith(Path(name).name[:50])
        assert folder.file_of(name) == FeatureFolder(folder.path, SPEC).file_of(name), "the same in every process"
    assert list(folder.videos()) == sorted(LONG)
    assert len({folder.file_of(name) for name in LONG}) == len(LONG)
    for name, video in written.items():
        assert_same(folder.read(name, check=True), video)
        assert health(folder, name, None) == ("ok", "")


@pytest.mark.parametrize(("length", "shortened"), [(243, False), (244, True)])
def test_only_names_that_are_too_long_are_shortened(folder, length, shortened):
    name = "x" * length
    assert (folder.file_of(name).name == f"{name}.safetensors") == (not shortened)


def test_the_shortened_name_of_one_path_is_never_that_of_another(folder):
    """Names that agree in their start, and the same name in two folders, get digests of their own."""
    names = [f"{'x' * 245}{number}.mp4" for number in range(100)] + [f"{place}/{'x' * 250}" for place in "ab"]
    assert len({folder.file_of(name).name for name in names}) == len(names)
    assert (
        folder.file_of("x" * 250).name == "x" * 210 + "~" + hashlib.sha256(b"x" * 250).hexdigest()[:32] + ".safetensors"
    )


def test_a_damaged_file_with_a_shortened_name_is_found(folder):
    name = "x" * 250
    folder.write(name, features_of(Path(__file__)))
    file = folder.file_of(name)
    file.write_bytes(file.read_bytes()[:40])
    (found,) = verify(folder)
    assert (found.health, found.name) == ("damaged", file.name.removesuffix(".safetensors"))
    assert str(file) in found.reason


def test_a_video_that_is_named_like_a_shortened_one_is_itself(folder):
    name = "x" * 10 + "~" + "0" * 32
    folder.write(name, features_of(Path(__file__)))
    assert list(folder.videos()) == [name]
    folder.read(name, check=True)


def test_current_means_the_same_source_by_time_or_by_content(folder, root):
    stored(folder, root)
    source = root / "a.avi"
    assert folder.current("a.avi", source)
    os.utime(source, ns=(1, 1))
    assert folder.current("a.avi", source), "only the time differs, as after a copy"
    same_size = bytes(reversed(source.read_bytes()))
    source.write_bytes(same_size)
    assert not folder.current("a.avi", source), "the content differs"
    source.write_bytes(b"longer than it was before")
    assert not folder.current("a.avi", source)


def test_health_of_a_store_without_its_videos(folder, root):
    stored(folder, root)
    assert health(folder, "a.avi", root) == ("ok", "")
    (root / "a.avi").write_bytes(b"another video")
    expected = f"{root / 'a.avi'} has changed since it was extracted; run `vidrnn extract`"
    assert health(folder, "a.avi", root) == ("stale", expected)
    (root / "a.avi").unlink()
    assert health(folder, "a.avi", root) == ("orphaned", f"{root / 'a.avi'} is gone")
    assert health(folder, "a.avi", None) == ("ok", ""), "training reads features where the videos are absent"


def test_the_one_fitting_spec_is_found(tmp_path):
    store = FeatureStore(tmp_path / "store")
    for spec in (SPEC, replace(SPEC, grid=2), replace(SPEC, backbone="resnet34")):
        store.create(spec)
    assert store.find(SETTINGS).spec == FeatureSpec.from_json(SPEC.to_json())
    assert store.find(SETTINGS.model_copy(update={"nodes": {"last": 2}})).path.name == replace(SPEC, grid=2).digest


def test_no_fitting_spec_says_what_each_one_has(tmp_path):
    store = FeatureStore(tmp_path / "store")
    store.create(SPEC)
    with pytest.raises(StoreError) as caught:
        store.find(SETTINGS.model_copy(update={"nodes": {"last": 3}}))
    assert str(caught.value) == (
        f"no spec in {tmp_path / 'store'} fits the configuration ({SPEC.digest} has nodes: 'last/1', asked 'last/3'); "
        "run `vidrnn extract`"
    )


def test_an_empty_store_and_no_store(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError) as caught:
        FeatureStore(tmp_path / "empty").find(SETTINGS)
    assert str(caught.value) == (
        f"no spec in {tmp_path / 'empty'} fits the configuration (it is empty); run `vidrnn extract`"
    )
    with pytest.raises(MissingPathError) as missing:
        FeatureStore(tmp_path / "gone").find(SETTINGS)
    assert str(missing.value) == f"feature store {str(tmp_path / 'gone')!r} does not exist; run `vidrnn extract` first"


def test_several_fitting_specs_must_be_told_apart_by_digest(tmp_path):
    """Other weights under the same name: the configuration alone cannot tell."""
    store = FeatureStore(tmp_path / "store")
    digests = sorted(store.create(replace(SPEC, weights_digest=letter * 64)).spec.digest for letter in "ab")
    with pytest.raises(StoreError) as caught:
        store.find(SETTINGS)
    assert str(caught.value) == (
        f"several specs in {tmp_path / 'store'} fit the configuration; set features.spec_digest to one of "
        f"{', '.join(digests)}"
    )
    for named in (digests[1][:5], {"rgb": digests[1][:5]}):
        assert store.find(SETTINGS.model_copy(update={"spec_digest": named})).path.name == digests[1]


@pytest.mark.parametrize("asked", [False, True])
def test_the_plain_and_the_mirrored_spec_are_each_found(tmp_path, asked):
    store = FeatureStore(tmp_path / "store")
    settings = SETTINGS.model_copy(update={"mirrored": asked})
    for spec in (SPEC.mirrored(), SPEC, replace(SPEC, grid=2), replace(SPEC, grid=2).mirrored()):
        store.create(spec)
    assert store.find(settings).spec.digest == SPEC.digest
    assert store.find_mirrored(settings).spec.digest == SPEC.mirrored().digest
    named = settings.model_copy(update={"spec_digest": SPEC.digest})
    assert store.find_mirrored(named).spec.digest == SPEC.mirrored().digest


def test_the_mirrored_spec_is_of_the_weights_that_were_found(tmp_path):
    """Two releases of the weights under one name: the mirrored features of the other one do not count."""
    store = FeatureStore(tmp_path / "store")
    first, other = (replace(SPEC, weights_digest=letter * 64) for letter in "ab")
    for spec in (first, other, other.mirrored()):
        store.create(spec)
    assert (
        store.find_mirrored(SETTINGS.model_copy(update={"spec_digest": other.digest})).path.name
        == other.mirrored().digest
    )
    with pytest.raises(StoreError) as caught:
        store.find_mirrored(SETTINGS.model_copy(update={"spec_digest": first.digest}))
    assert str(caught.value) == (
        f"no mirrored features of spec {first.digest} in {tmp_path / 'store'}; "
        "run `vidrnn extract` with features.mirrored: true"
    )


def test_a_store_with_only_the_mirrored_spec_has_nothing_that_fits(tmp_path):
    store = FeatureStore(tmp_path / "store")
    store.create(SPEC.mirrored())
    for find in (store.find, store.find_mirrored):
        with pytest.raises(StoreError, match=r"fits the configuration \(\w{16} has mirrored: True, asked False\)"):
            find(SETTINGS)


def test_a_spec_changed_by_hand_is_refused(folder, tmp_path):
    path = folder.path / "spec.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "grid": 2}))
    with pytest.raises(StoreError) as caught:
        FeatureStore(tmp_path / "store").folders()
    digest = replace(SPEC, grid=2).digest
    assert str(caught.value) == f"{path} was changed by hand: its digest is {digest}; extract again"


@pytest.mark.parametrize("text", ["", "no json", "{}", "[]"])
def test_a_spec_that_is_none_is_refused(folder, tmp_path, text):
    (folder.path / "spec.json").write_text(text)
    with pytest.raises(StoreError, match=r"spec\.json is not a feature spec of this version: "):
        FeatureStore(tmp_path / "store").folders()


def test_the_checksum_of_stored_values_is_known_without_reading_them(folder: FeatureFolder, root: Path) -> None:
    """The same from a feature file and from a pack; another one as soon as a value differs."""
    video = stored(folder, root)
    expected = hashlib.sha256(video.features.tobytes() + video.timestamps_s.tobytes()).hexdigest()
    assert folder.checksum("a.avi") == expected
    pack(folder, remove_files=True)
    assert not folder.file_of("a.avi").exists()
    assert folder.checksum("a.avi") == expected
    stored(folder, root, seed=1)
    assert folder.checksum("a.avi") not in {expected, None}
    assert folder.checksum("never.avi") is None
    folder.file_of("a.avi").write_bytes(b"no feature file")
    with pytest.raises(StoreError, match="is damaged"):
        folder.checksum("a.avi")
