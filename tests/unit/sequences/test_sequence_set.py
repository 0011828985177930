"""`vidrnn.sequences.sequence_set`: stored features to batches."""

import gc
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.worlds import CPU, LABELS, Array, annotate, fill_store, rgb, tiny_model, tiny_spec, video_features
from vidrnn.errors import AnnotationError, StoreError
from vidrnn.sequences import stream_table
from vidrnn.sequences.host_rows import HostRows
from vidrnn.sequences.inputs import mean_features
from vidrnn.sequences.loading import load_sequences
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.steps import choose_steps, shuffle_steps
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.mapping import DATA_START
from vidrnn.store.pack_update import pack
from vidrnn.store.verification import verify
from vidrnn.store.video_features import VideoMetadata

LENGTHS = {"a b.mp4": 5, "c.mp4": 1, "deep/d.avi": 30, "e.mp4": 12}
ANNOTATIONS = annotate(*((path, f"class{number % 2}") for number, path in enumerate(LENGTHS)))


def make_features() -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {path: rng.normal(size=(length, 3)).astype(np.float16) for path, length in LENGTHS.items()}


def load(folder: Path) -> SequenceSet:
    return load_sequences(ANNOTATIONS, fill_store(folder, make_features(), dim=3), LABELS, device=CPU)


@pytest.mark.parametrize("steps", [1, 4, 12, 40])
@pytest.mark.parametrize("jitter", [False, True])
def test_a_batch_is_what_slicing_each_video_gives(tmp_path: Path, steps: int, jitter: bool) -> None:
    sequences = load(tmp_path)
    positions = torch.tensor([2, 0, 3, 1])
    generator = torch.Generator().manual_seed(0)
    choice = choose_steps(sequences.totals[positions], steps, generator=generator if jitter else None)
    shuffled = shuffle_steps(choice, generator=generator)
    batch = sequences.batch(positions, shuffled, tiny_model())
    arrays = list(make_features().values())
    for row, position in enumerate(positions.tolist()):
        length = min(steps, len(arrays[position]))
        expected = arrays[position][shuffled.indices[row, :length].numpy()].astype(np.float32)
        np.testing.assert_array_equal(batch.features[row, :length].numpy(), expected)
        assert not batch.features[row, length:].any()
    assert batch.features.dtype == torch.float32
    assert batch.targets.tolist() == [0, 0, 1, 1]


def test_steps_come_in_the_chosen_order_and_padding_is_zero(tmp_path: Path) -> None:
    sequences = load(tmp_path)
    batch = sequences.batch(torch.tensor([0, 1]), choose_steps(sequences.totals[:2], 8), tiny_model())
    arrays = list(make_features().values())
    assert batch.features.shape == (2, 5, 3)
    assert batch.lengths.tolist() == [5, 1]
    np.testing.assert_array_equal(batch.features[0].numpy(), arrays[0].astype(np.float32))
    np.testing.assert_array_equal(batch.features[1, :1].numpy(), arrays[1].astype(np.float32))
    assert not batch.features[1, 1:].any()


def test_a_batch_does_not_touch_the_resident_features(tmp_path: Path) -> None:
    sequences = load(tmp_path)
    before = rgb(sequences).features.clone()
    sequences.batch(torch.arange(4), choose_steps(sequences.totals, 8), tiny_model()).features.zero_()
    assert torch.equal(rgb(sequences).features, before)


def test_features_stay_in_half_precision(tmp_path: Path) -> None:
    """A bug of the field: features that become float64 take four times the memory."""
    sequences = load(tmp_path)
    assert rgb(sequences).features.dtype == torch.float16
    assert rgb(sequences).features.shape == (sum(LENGTHS.values()), 3)
    assert (len(sequences), rgb(sequences).dim, sequences.missing) == (4, 3, ())


def test_a_subset_shares_the_features(tmp_path: Path) -> None:
    sequences = load(tmp_path)
    part = sequences.subset([3, 1])
    assert rgb(part).features.data_ptr() == rgb(sequences).features.data_ptr()
    assert [annotation.path for annotation in part.annotations] == ["e.mp4", "c.mp4"]
    assert part.targets.values.tolist() == [1, 1]
    assert part.totals.tolist() == [12, 1]
    np.testing.assert_array_equal(part.metadata, sequences.metadata[[3, 1]])
    positions = torch.tensor([0, 1])
    batch = part.batch(positions, choose_steps(part.totals, 8), tiny_model())
    whole = sequences.batch(torch.tensor([3, 1]), choose_steps(sequences.totals[[3, 1]], 8), tiny_model())
    assert torch.equal(batch.features, whole.features)


def test_the_folds_of_a_set_share_the_means_of_its_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all cached steps of long videos they take time: once is enough for all folds, and for folds of folds."""
    whole = load(tmp_path).streams["rgb"]
    expected = [whole.features[o : o + n].float().mean(0) for o, n in zip(whole.offsets, whole.totals, strict=True)]
    calls: list[int] = []

    def counted(features: torch.Tensor, offsets: torch.Tensor, totals: torch.Tensor) -> torch.Tensor:
        calls.append(len(offsets))
        return mean_features(features, offsets, totals)

    monkeypatch.setattr(stream_table, "mean_features", counted)
    some = whole.subset(torch.tensor([2, 0]))
    torch.testing.assert_close(some.means, torch.stack([expected[2], expected[0]]))
    torch.testing.assert_close(some.subset(torch.tensor([1])).means, expected[0][None])
    torch.testing.assert_close(whole.subset(torch.tensor([1])).means, expected[1][None])
    assert calls == [len(expected)]


def test_metadata_is_that_of_the_source_videos(tmp_path: Path) -> None:
    folder = FeatureStore(tmp_path).create(tiny_spec(dim=2))
    folder.write("a.mp4", video_features(np.zeros((3, 2)), metadata=VideoMetadata(320, 240, 75, 3.0)))
    sequences = load_sequences(annotate(("a.mp4", "class0")), folder, LABELS, device=CPU)
    np.testing.assert_array_equal(sequences.metadata, [[320.0, 240.0, 75.0, 3.0]])


def test_videos_without_features_are_listed(tmp_path: Path) -> None:
    folder = fill_store(tmp_path, make_features(), dim=3)
    annotations = [*annotate(("gone.mp4", "class0")), *ANNOTATIONS]
    sequences = load_sequences(annotations, folder, LABELS, device=CPU)
    assert sequences.missing == ("gone.mp4",)
    assert sequences.annotations == tuple(ANNOTATIONS)


def test_no_features_at_all_is_an_error(tmp_path: Path) -> None:
    folder = fill_store(tmp_path, {}, dim=3)
    with pytest.raises(StoreError) as caught:
        load_sequences(ANNOTATIONS, folder, LABELS, device=CPU)
    assert str(caught.value) == (
        f"none of the 4 annotated videos has features in {folder.path}; run `vidrnn extract` with this config"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_no_numbers_are_an_error(tmp_path: Path, value: float) -> None:
    features = make_features()
    features["e.mp4"][7, 1] = value
    with pytest.raises(StoreError) as caught:
        load_sequences(ANNOTATIONS, fill_store(tmp_path, features, dim=3), LABELS, device=CPU)
    assert str(caught.value) == "features of 'e.mp4' hold nan or inf; extract again with another precision"


def test_a_video_without_steps_is_an_error(tmp_path: Path) -> None:
    features = make_features() | {"e.mp4": np.zeros((0, 3))}
    with pytest.raises(StoreError) as caught:
        load_sequences(ANNOTATIONS, fill_store(tmp_path, features, dim=3), LABELS, device=CPU)
    assert str(caught.value) == "features of 'e.mp4' have no step; delete its feature file and extract again"


def test_a_damaged_feature_file_is_an_error(tmp_path: Path) -> None:
    folder = fill_store(tmp_path, make_features(), dim=3)
    path = folder.file_of("e.mp4")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(StoreError, match="is damaged"):
        load_sequences(ANNOTATIONS, folder, LABELS, device=CPU)


def test_a_label_that_the_map_does_not_know_is_an_error(tmp_path: Path) -> None:
    folder = fill_store(tmp_path, {"a.mp4": np.zeros((2, 3))}, dim=3)
    with pytest.raises(AnnotationError, match="label 'swim' is unknown; known: class0, class1"):
        load_sequences(annotate(("a.mp4", "swim")), folder, LABELS, device=CPU)


def as_lists(sequences: SequenceSet) -> list[object]:
    """All that a model or a baseline can see, video by video and as batches."""
    seen: list[object] = [
        sequences.missing,
        [annotation.path for annotation in sequences.annotations],
        rgb(sequences).dim,
    ]
    seen += [sequences.targets.values.tolist(), sequences.totals.tolist(), sequences.metadata.tolist()]
    for number in range(len(sequences)):
        rows = rgb(sequences).features.narrow(0, int(rgb(sequences).offsets[number]), int(sequences.totals[number]))
        seen.append(rows.contiguous().numpy().tobytes())
    generator = torch.Generator().manual_seed(0)
    positions = torch.randperm(len(sequences), generator=generator)
    for inputs in (["features"], ["centred", "change"]):
        choice = choose_steps(sequences.totals[positions], 4, generator=generator)
        batch = sequences.batch(positions, choice, tiny_model(inputs=inputs))
        seen += [batch.features.numpy().tobytes(), batch.targets.tolist(), batch.lengths.tolist()]
    return seen


MANY = {f"class{number % 2}/{number}.mp4": 1 + number * 7 % 40 for number in range(30)}
MANY_ANNOTATIONS = annotate(
    *((path, path[:6]) for path in sorted(MANY, key=lambda path: path[::-1])), ("gone.mp4", "class1")
)


def many_features() -> dict[str, Array]:
    rng = np.random.default_rng(1)
    return {path: rng.normal(size=(length, 3)).astype(np.float16) for path, length in MANY.items()}


@pytest.mark.parametrize("shard_bytes", [1 << 30, DATA_START + 2000], ids=["one shard", "many shards"])
@pytest.mark.parametrize("case", ["packed", "files removed", "half packed", "extracted again", "pack is cut off"])
def test_a_pack_changes_nothing_that_is_seen(tmp_path: Path, case: str, shard_bytes: int) -> None:
    features = many_features()
    folder = fill_store(tmp_path / "packed", {}, dim=3)
    late = list(features)[::2] if case == "half packed" else []
    for path in features:
        if path not in late:
            folder.write(path, video_features(features[path]))
    pack(folder, remove_files=case in {"files removed", "half packed"}, shard_bytes=shard_bytes)
    for path in late:
        folder.write(path, video_features(features[path]))
    if case == "extracted again":
        changed = list(features)[3]
        features[changed] = np.ones((MANY[changed], 3), dtype=np.float16)  # as long as it was
        folder.write(changed, video_features(features[changed]))
    if case == "pack is cut off":
        shard = next((folder.path / "_pack").glob("*.shard"))
        os.truncate(shard, 5000)
    fresh = FeatureStore(folder.path.parent).folders()[0]
    plain = fill_store(tmp_path / "plain", features, dim=3)
    got = load_sequences(MANY_ANNOTATIONS, fresh, LABELS, device=CPU)
    expected = load_sequences(MANY_ANNOTATIONS, plain, LABELS, device=CPU)
    assert as_lists(got) == as_lists(expected)
    some = [3, 29, 0, 17]
    assert as_lists(got.subset(some)) == as_lists(expected.subset(some))


def test_a_pack_is_mapped_and_not_read(tmp_path: Path) -> None:
    """The rows of every set are those of the pack, at the same place in memory; nothing is copied."""
    folder = fill_store(tmp_path, many_features(), dim=3)
    pack(folder, remove_files=True, shard_bytes=DATA_START + 2000)
    opened = folder.pack()
    assert opened is not None
    assert len(opened.shards) > 2
    for annotations in (MANY_ANNOTATIONS, MANY_ANNOTATIONS[:1]):
        sequences = load_sequences(annotations, folder, LABELS, device=CPU)
        assert isinstance(rgb(sequences).features, torch.Tensor)
        assert rgb(sequences).features.data_ptr() == opened.table.ctypes.data


def test_mapped_memory_is_given_back(tmp_path: Path) -> None:
    folder = fill_store(tmp_path, many_features(), dim=3)
    pack(folder, remove_files=True)
    name = next((folder.path / "_pack").glob("*.shard")).name
    sequences = load_sequences(MANY_ANNOTATIONS, FeatureStore(tmp_path).folders()[0], LABELS, device=CPU)
    rows = rgb(sequences).features
    del sequences
    gc.collect()
    assert name in Path("/proc/self/maps").read_text(), "as long as the rows are in use"
    del rows, folder
    gc.collect()
    assert name not in Path("/proc/self/maps").read_text()


def test_mapped_features_cannot_be_changed_on_disk(tmp_path: Path) -> None:
    folder = fill_store(tmp_path, many_features(), dim=3)
    pack(folder)
    rgb(load_sequences(MANY_ANNOTATIONS, folder, LABELS, device=CPU)).features.zero_()  # type: ignore[union-attr]
    assert {finding.health for finding in verify(folder)} == {"ok"}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_packed_features_that_are_no_numbers_are_an_error(tmp_path: Path, value: float) -> None:
    features = make_features()
    features["e.mp4"][7, 1] = value
    folder = fill_store(tmp_path, features, dim=3)
    pack(folder, remove_files=True)
    with pytest.raises(StoreError) as caught:
        load_sequences(ANNOTATIONS, folder, LABELS, device=CPU)
    assert str(caught.value) == "features of 'e.mp4' hold nan or inf; extract again with another precision"


def test_a_packed_video_without_steps_is_an_error(tmp_path: Path) -> None:
    folder = fill_store(tmp_path, make_features() | {"e.mp4": np.zeros((0, 3))}, dim=3)
    pack(folder, remove_files=True)
    with pytest.raises(StoreError) as caught:
        load_sequences(ANNOTATIONS, folder, LABELS, device=CPU)
    assert str(caught.value) == "features of 'e.mp4' have no step; delete its feature file and extract again"


def test_a_video_that_only_a_damaged_shard_holds_is_an_error(tmp_path: Path) -> None:
    folder = fill_store(tmp_path, make_features(), dim=3)
    pack(folder, remove_files=True)
    os.truncate(next((folder.path / "_pack").glob("*.shard")), 5000)
    fresh = FeatureStore(tmp_path).folders()[0]
    with pytest.raises(StoreError, match=r"shard is gone or cut off; run `vidrnn store gc --delete`"):
        load_sequences(ANNOTATIONS, fresh, LABELS, device=CPU)


@pytest.mark.parametrize("free", [10**6, 100], ids=["fits", "does not fit"])
def test_on_a_device_a_pack_is_copied_when_it_fits(tmp_path: Path, monkeypatch, free: int) -> None:
    """The meta device stands in for CUDA: it holds shapes but no values."""
    folder = fill_store(tmp_path, many_features(), dim=3)
    pack(folder, shard_bytes=DATA_START + 2000)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (free, free))
    device = torch.device("meta")
    sequences = load_sequences(MANY_ANNOTATIONS[:20], folder, LABELS, device=device)
    totals = [MANY[annotation.path] for annotation in MANY_ANNOTATIONS[:20]]
    assert rgb(sequences).features.device == device
    if free > 100:
        assert isinstance(rgb(sequences).features, torch.Tensor)
        assert rgb(sequences).features.shape == (sum(totals), 3), "only the rows of the split"
        assert rgb(sequences).offsets.tolist() == [sum(totals[:number]) for number in range(20)]
    else:
        assert isinstance(rgb(sequences).features, HostRows)
        assert rgb(sequences).features.index_select(0, torch.tensor([3, 1])).device == device
