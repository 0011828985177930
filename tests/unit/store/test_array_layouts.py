"""Arrays of any memory order, strides and byte order are stored as the values they are, by every writer and stream."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save

from tests.worlds import tiny_spec
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.streams import ExternalSettings, Stream
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.pack_update import pack
from vidrnn.store.source import Source
from vidrnn.store.video_features import VideoFeatures, VideoMetadata
from vidrnn.streams.external import ReadArray

FACTS = (VideoMetadata(8, 8, 9, 1.0), Source(1, 2, "3"))
SETTINGS = FeatureSettings(external=ExternalSettings(folder=Path("arrays")))
EACH_CASE = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NUMBERS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")


@st.composite
def laid_out(draw, plain):
    """The same values as ``plain``, laid out in memory in some other way."""
    values = plain.astype(plain.dtype.newbyteorder(draw(st.sampled_from("<>"))))
    axes = draw(st.permutations(range(values.ndim)))
    steps = draw(st.tuples(*[st.sampled_from((-3, -2, -1, 1, 2))] * values.ndim))
    room = np.zeros([abs(steps[axis]) * values.shape[axis] for axis in axes], values.dtype)
    view = room.transpose(np.argsort(axes))[tuple(slice(None, None, step) for step in steps)]
    view[:] = values
    return view


@st.composite
def cases(draw, *, dtypes=("f2",)):
    length, dim = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    plain = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 100, size=(length, dim))
    values = plain.astype(draw(st.sampled_from(dtypes)))
    return values, draw(laid_out(values)), draw(laid_out(np.arange(length) / 3))


def assert_holds(folder: FeatureFolder, name: str, expected: np.ndarray) -> None:
    got = FeatureFolder(folder.path, folder.spec).read(name, check=True)
    assert got.features.tolist() == expected.tolist()
    assert got.timestamps_s.tolist() == [step / 3 for step in range(len(expected))]


@pytest.mark.parametrize("stream", get_args(Stream))
@EACH_CASE
@given(case=cases(), packing=st.booleans())
def test_every_layout_is_stored_as_its_values(tmp_path_factory, stream, case, packing):
    plain, values, times = case
    root = tmp_path_factory.mktemp("store")
    folder = FeatureStore(root).create(tiny_spec(dim=plain.shape[1], settings=SETTINGS, stream=stream))
    folder.write("a.avi", VideoFeatures(values, times, *FACTS))
    assert_holds(folder, "a.avi", plain)
    np.testing.assert_array_equal(load_file(folder.file_of("a.avi"))["features"], plain)
    if packing:
        pack(folder, remove_files=True)
        assert_holds(folder, "a.avi", plain)


@EACH_CASE
@given(case=cases(dtypes=NUMBERS))
def test_every_array_of_a_user_is_stored_as_its_values(tmp_path_factory, case):
    plain, values, _ = case
    root = tmp_path_factory.mktemp("root")
    np.save(root / "a.npy", values)
    reader = ReadArray(root, root, ".npy", 3.0, plain.shape[1])
    (video,) = reader(root / "a.mp4", lambda: None)
    folder = FeatureStore(root / "store").create(tiny_spec(dim=plain.shape[1], settings=SETTINGS, stream="external"))
    folder.write("a.mp4", video)
    assert_holds(folder, "a.mp4", plain)


def test_a_transposed_array_is_not_scrambled(tmp_path):
    by_value = np.random.default_rng(0).normal(size=(3, 50)).astype(np.float32)  # D x T, as many tools write it
    np.save(tmp_path / "a.npy", by_value.T)
    assert np.load(tmp_path / "a.npy").flags.f_contiguous
    (video,) = ReadArray(tmp_path, tmp_path, ".npy", 3.0, 3)(tmp_path / "a.mp4", lambda: None)
    folder = FeatureStore(tmp_path / "store").create(tiny_spec(dim=3, settings=SETTINGS, stream="external"))
    folder.write("a.mp4", video)
    assert np.abs(folder.read("a.mp4").features - by_value.T.astype(np.float16)).max() == 0


@pytest.mark.parametrize("steps", [1, 3, 1000])
@pytest.mark.parametrize("name", ["a.mp4", 'ein "Bär"/\\u1f43b \U0001f43b.mp4', "caf\udce9.mp4"])
def test_a_feature_file_is_what_safetensors_itself_would_write(tmp_path, steps, name):
    """Its bytes are written from the memory of the values, so the format is written out here by hand."""
    folder = FeatureStore(tmp_path).create(tiny_spec(dim=5))
    rng = np.random.default_rng(0)
    features, times = rng.normal(size=(steps, 5)).astype(np.float16), np.arange(steps) / 3
    video = VideoFeatures(features, times, *FACTS, notes=("a\tb",))
    folder.write(name, video)
    expected = save({"features": features, "timestamps_s": times}, metadata={"vidrnn": folder.header(name, video)})
    assert folder.file_of(name).read_bytes() == expected
