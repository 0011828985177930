"""A user's own arrays join only when shape, values and times are right; each mistake is named."""

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors.numpy import save_file

from tests.media import pictures, write_clip
from vidrnn.errors import AbsentStreamError, VideoError
from vidrnn.streams import external
from vidrnn.streams.external import ReadArray, read_array


@pytest.fixture
def root(tmp_path):
    (tmp_path / "arrays" / "a").mkdir(parents=True)
    write_clip(tmp_path / "a" / "b.mp4", pictures(50))
    return tmp_path


def read(root, *, suffix=".npy", rate=None, dim=3, layout="TxD"):
    reader = ReadArray(root, root / "arrays", suffix, rate, dim, layout)
    (video,) = reader(root / "a" / "b.mp4", lambda: None)
    return video


def give(root, array, name="a/b.npy"):
    np.save(root / "arrays" / name, np.asarray(array), allow_pickle=True)
    return root


STEPS = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.mark.parametrize("name", ["a/b.npy", "a/b.mp4.npy"])
def test_an_array_without_times_is_spread_over_the_video(root, name):
    video = read(give(root, STEPS, name))
    np.testing.assert_array_equal(video.features, STEPS)
    np.testing.assert_allclose(video.timestamps_s, [0.25, 0.75, 1.25, 1.75])
    assert video.metadata.duration_s == pytest.approx(2.0)
    assert video.source.is_still((root / "arrays" / name, root / "a" / "b.mp4"))


def test_a_rate_or_a_single_step_needs_no_video(root):
    (root / "a" / "b.mp4").unlink()
    np.testing.assert_allclose(read(give(root, STEPS), rate=2.0).timestamps_s, [0, 0.5, 1, 1.5])
    for single in (STEPS[0], STEPS[:1], STEPS[0].astype(np.int64)):
        video = read(give(root, single))
        assert (video.features.shape, video.timestamps_s.tolist()) == ((1, 3), [0.0])
    with pytest.raises(VideoError, match=r"^its array has 4 steps without times, and the video tells none \(does not"):
        read(give(root, STEPS))


def test_times_of_a_safetensors_file_count(root):
    file = root / "arrays" / "a" / "b.safetensors"
    times = np.array([0.0, 0.5, 0.75, 9.0])
    save_file({"features": STEPS, "timestamps_s": times}, file)
    video = read(root, suffix=".safetensors")
    np.testing.assert_array_equal(video.timestamps_s, times)
    save_file({"features": STEPS}, file)
    assert read(root, suffix=".safetensors", rate=4.0).timestamps_s.tolist() == [0, 0.25, 0.5, 0.75]
    save_file({"numbers": STEPS}, file)
    with pytest.raises(VideoError, match=r"holds \['numbers'\]; an array called 'features' is needed$"):
        read(root, suffix=".safetensors")


@pytest.mark.parametrize(
    ("times", "cause"),
    [
        ([0.0, 1.0, 2.0], r"has timestamps_s of shape \(3,\) for 4 steps; one per step is needed$"),
        ([0.0, 2.0, 1.0, 3.0], "has timestamps_s that do not increase from 0 s on"),
        ([-1.0, 0.0, 1.0, 2.0], "has timestamps_s that do not increase from 0 s on"),
        ([0.0, 1.0, 2.0, np.nan], "has timestamps_s that do not increase from 0 s on"),
    ],
)
def test_times_that_are_none_are_refused(root, times, cause):
    save_file({"features": STEPS, "timestamps_s": np.asarray(times)}, root / "arrays" / "a" / "b.safetensors")
    with pytest.raises(VideoError, match=cause):
        read(root, suffix=".safetensors")


@pytest.mark.parametrize(
    ("array", "cause"),
    [
        (np.zeros((4, 2)), r"has 2 values per step where the others have 3; make all arrays alike"),
        (np.zeros((4, 3, 1)), r"has shape \(4, 3, 1\) of float64; numbers of shape \(T, D\) or \(D,\) are needed$"),
        (np.zeros((0, 3)), r"has shape \(0, 3\)"),
        (np.zeros((4, 3), complex), "of complex128; numbers"),
        (np.where(STEPS == 7, np.nan, STEPS), r"holds nan in step 2 \(value 1\); features are kept in float16"),
        (np.where(STEPS == 3, -np.inf, STEPS), r"holds -inf in step 1 \(value 0\)"),
        (np.where(STEPS == 3, 65505.0, STEPS), r"finite numbers within 65504 are needed$"),
        (np.array([{"a": 1}], dtype=object), "cannot be read as an array: Object arrays cannot be loaded"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(root, array, cause):
    with pytest.raises(VideoError, match=cause):
        read(give(root, array))


def test_files_that_are_no_arrays_are_refused(root):
    file = root / "arrays" / "a" / "b.npy"
    for content in (b"", b"not an array", b"\x93NUMPY\x01\x00"):
        file.write_bytes(content)
        with pytest.raises(VideoError, match=r"b\.npy cannot be read as an array"):
            read(root)
    with file.open("wb") as target:
        np.savez(target, STEPS)
    with pytest.raises(VideoError, match=r"is no \.npy file of one array$"):
        read_array(file)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn])
def test_types_that_numpy_lacks_are_refused_by_name(root, dtype):
    file = root / "a.safetensors"
    safetensors.torch.save_file({"features": torch.zeros(3, 4, dtype=dtype)}, file)
    with pytest.raises(VideoError, match=r"cannot be read as an array: its features is of type (BF16|F8_E4M3); save"):
        read_array(file)


def test_an_error_that_a_library_should_not_make_costs_one_file(root, monkeypatch):
    def broken(*_arguments: object, **_options: object) -> None:
        raise AttributeError("module has no attribute")

    monkeypatch.setattr(external, "safe_open", broken)
    (root / "a.safetensors").touch()
    with pytest.raises(VideoError, match=r"a\.safetensors cannot be read as an array: module has no attribute"):
        read_array(root / "a.safetensors")


def test_none_is_absent_and_two_are_one_too_many(root):
    with pytest.raises(AbsentStreamError, match=r"^has no array at .*arrays/a/b\.npy$"):
        read(root)
    give(root, STEPS)
    give(root, STEPS, "a/b.mp4.npy")
    with pytest.raises(VideoError, match=r"^has two files, .*arrays/a/b\.npy and b\.mp4\.npy; keep one$"):
        read(root)


def test_time_may_be_the_last_axis(root):
    """MS-TCN's features are D x T; with as many steps as values nothing but the setting tells."""
    video = read(give(root, STEPS.T), rate=2.0, layout="DxT")
    np.testing.assert_array_equal(video.features, STEPS)
    assert video.timestamps_s.tolist() == [0, 0.5, 1, 1.5]
    square = np.arange(9, dtype=np.float32).reshape(3, 3)
    np.testing.assert_array_equal(read(give(root, square), rate=1.0, layout="DxT").features, square.T)
    np.testing.assert_array_equal(read(give(root, STEPS[0]), layout="DxT").features, STEPS[:1])
    with pytest.raises(VideoError, match=r"has 4 values per step where the others have 3"):
        read(give(root, STEPS), rate=2.0, layout="DxT")
    with pytest.raises(VideoError, match=r"has shape \(1, 4, 3\) of float32; numbers of shape \(D, T\) or \(D,\)"):
        read(give(root, STEPS[None]), rate=2.0, layout="DxT")


@pytest.mark.parametrize("layout", ["TxD", "DxT"])
def test_an_array_that_lies_by_columns_in_its_file_is_stored_by_steps(root, tmp_path, layout):
    """Its bytes are what a feature file holds."""
    given = STEPS if layout == "TxD" else STEPS.T
    np.save(root / "arrays" / "a" / "b.npy", np.asfortranarray(given))
    features = read(root, rate=1.0, layout=layout).features
    assert features.flags.c_contiguous
    np.testing.assert_array_equal(np.frombuffer(features.tobytes(), np.float16).reshape(4, 3), STEPS)
