"""Both views of a set: loading them, batches that mix them, and training that sees both."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.worlds import (
    CPU,
    LABELS,
    Array,
    annotate,
    fill_store,
    make_run,
    order_task,
    rgb,
    tiny_model,
    tiny_spec,
    tiny_training,
    video_features,
)
from vidrnn.annotations import Annotation, LabelMap, Segment
from vidrnn.errors import StoreError, TrainingError
from vidrnn.experiments.train import train
from vidrnn.sequences.loading import load_sequences
from vidrnn.sequences.sequence_set import Batch, SequenceSet
from vidrnn.sequences.steps import StepChoice, choose_steps
from vidrnn.settings.run import RunSettings
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.pack_update import pack
from vidrnn.training.fit import fit

LENGTHS = {"a.mp4": 5, "b/ö.mp4": 1, "c.avi": 30, "d.mp4": 12}
ANNOTATIONS = annotate(*((path, f"class{number % 2}") for number, path in enumerate(LENGTHS)))
ADVICE = "run `vidrnn extract` with features.mirrored: true"


def make_features(seed: int, *, lengths: Mapping[str, int] = LENGTHS) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {path: rng.normal(size=(length, 3)).astype(np.float16) for path, length in lengths.items()}


def fill_mirrored(root: Path, sequences: Mapping[str, Array], *, dim: int = 3) -> FeatureFolder:
    folder = FeatureStore(root).create(tiny_spec(dim=dim).mirrored())
    for path, sequence in sequences.items():
        folder.write(path, video_features(sequence))
    return folder


def both_folders(root: Path) -> tuple[FeatureFolder, FeatureFolder]:
    return fill_store(root, make_features(0), dim=3), fill_mirrored(root, make_features(1))


def refusal(root: Path, mirrored: Mapping[str, Array]) -> str:
    plain = fill_store(root, make_features(0), dim=3)
    with pytest.raises(StoreError) as caught:
        load_sequences(ANNOTATIONS, plain, LABELS, device=CPU, mirrored=fill_mirrored(root, mirrored))
    return str(caught.value)


# Loading


def test_a_video_without_mirrored_features_is_an_error(tmp_path: Path) -> None:
    others = {path: features for path, features in make_features(1).items() if path not in {"b/ö.mp4", "d.mp4"}}
    message = refusal(tmp_path, others)
    folder = tmp_path / tiny_spec(dim=3).mirrored().digest
    assert message == f"2 videos have features but no mirrored ones in {folder}, the first is 'b/ö.mp4'; {ADVICE}"


def test_a_mirrored_view_of_another_length_is_an_error(tmp_path: Path) -> None:
    message = refusal(tmp_path, make_features(1, lengths=LENGTHS | {"c.avi": 29}))
    assert message == f"the mirrored view of 'c.avi' has 29 steps, the plain one 30; {ADVICE}"


def test_mirrored_features_that_are_no_numbers_are_an_error(tmp_path: Path) -> None:
    features = make_features(1)
    features["d.mp4"][3, 0] = np.nan
    assert refusal(tmp_path, features) == "features of 'd.mp4' hold nan or inf; extract again with another precision"


def test_a_video_without_plain_features_needs_no_mirrored_ones(tmp_path: Path) -> None:
    plain, mirrored = both_folders(tmp_path)
    annotations = [*annotate(("gone.mp4", "class0")), *ANNOTATIONS]
    sequences = load_sequences(annotations, plain, LABELS, device=CPU, mirrored=mirrored)
    assert sequences.missing == ("gone.mp4",)
    assert [annotation.path for annotation in sequences.annotations] == list(LENGTHS)
    assert rgb(sequences).mirrored is not None
    assert rgb(sequences).mirrored.totals.tolist() == list(LENGTHS.values())


def test_annotations_of_every_kind_have_a_mirrored_view(tmp_path: Path) -> None:
    """Its loading must not stumble over what the head answers."""
    plain, mirrored = both_folders(tmp_path)
    kinds = [
        ("label", ANNOTATIONS),
        ("multilabel", [Annotation(path, "", None, path, labels=("class1", "class0")) for path in LENGTHS]),
        ("regression", [Annotation(path, "", None, path, target=2.5) for path in LENGTHS]),
        ("step_labels", [Annotation(path, "", None, path, segments=(Segment(0, 1, "class1"),)) for path in LENGTHS]),
    ]
    for head, annotations in kinds:
        labels = LABELS if head in {"label", "multilabel"} else LabelMap(("background", "class1"))
        sequences = load_sequences(annotations, plain, labels, device=CPU, head=head, mirrored=mirrored)
        assert rgb(sequences).mirrored is not None


# Batches


def expected_rows(view: Array, chosen: torch.Tensor) -> Array:
    rows: Array = view[chosen.numpy()].astype(np.float32)
    return rows


@pytest.mark.parametrize("packed", ["none", "plain", "mirrored", "both"])
def test_a_batch_shows_each_video_in_the_view_that_was_asked(tmp_path: Path, packed: str) -> None:
    """Whether the features lie in files or in packs."""
    folders = both_folders(tmp_path)
    for name, folder in zip(("plain", "mirrored"), folders, strict=True):
        if packed in {name, "both"}:
            pack(folder, remove_files=True)
    plain, mirrored = (FeatureFolder(folder.path, folder.spec) for folder in folders)
    sequences = load_sequences(ANNOTATIONS, plain, LABELS, device=CPU, mirrored=mirrored)
    views = [list(make_features(seed).values()) for seed in (0, 1)]
    positions, asked = torch.tensor([2, 0, 3, 1]), torch.tensor([True, False, False, True])
    choice = choose_steps(sequences.totals[positions], 6)
    batch = sequences.batch(positions, choice, tiny_model(), mirrored=asked)
    for row, position in enumerate(positions.tolist()):
        length = int(choice.lengths[row])
        expected = expected_rows(views[int(asked[row])][position], choice.indices[row, :length])
        np.testing.assert_array_equal(batch.features[row, :length].numpy(), expected)
        assert not batch.features[row, length:].any()
    assert batch.targets.tolist() == [0, 0, 1, 1]


def test_the_mean_that_is_taken_away_is_that_of_the_same_view(tmp_path: Path) -> None:
    plain, mirrored = both_folders(tmp_path)
    sequences = load_sequences(ANNOTATIONS, plain, LABELS, device=CPU, mirrored=mirrored).subset([3, 2])
    view = make_features(1)["c.avi"].astype(np.float64)
    choice = choose_steps(sequences.totals, 6)
    batch = sequences.batch(
        torch.arange(2), choice, tiny_model(inputs=["centred"]), mirrored=torch.tensor([False, True])
    )
    expected = view[choice.indices[1].numpy()] - view.mean(axis=0)
    np.testing.assert_allclose(batch.features[1].numpy(), expected, atol=1e-5)


# Training


def test_training_sees_both_views_about_equally_often_and_always_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequences, labels = order_task(16)
    named = {f"{number}.mp4": sequence for number, sequence in enumerate(sequences)}
    annotations = annotate(*((f"{number}.mp4", f"class{label}") for number, label in enumerate(labels)))
    loaded = load_sequences(
        annotations, fill_store(tmp_path, named, dim=6), LABELS, device=CPU,
        mirrored=fill_mirrored(tmp_path, {path: -sequence for path, sequence in named.items()}, dim=6),
    )  # fmt: skip
    seen: list[torch.Tensor] = []
    batch = SequenceSet.batch

    def spy(
        self: SequenceSet, positions: torch.Tensor, choice: StepChoice, model: object, *, mirrored: torch.Tensor
    ) -> Batch:
        seen.append(mirrored)
        return batch(self, positions, choice, model, mirrored=mirrored)  # type: ignore[arg-type]

    monkeypatch.setattr(SequenceSet, "batch", spy)

    def run() -> torch.Tensor:
        seen.clear()
        fit(loaded, None, num_classes=2, model_settings=tiny_model(), settings=tiny_training(epochs=40))
        return torch.cat(seen)

    first = run()
    assert len(first) == 40 * 16
    assert 0.4 < float(first.float().mean()) < 0.6
    assert torch.equal(first, run())


def mirrored_run(folder: Path) -> RunSettings:
    settings = make_run(folder, splits=True)
    store = FeatureStore(settings.extraction.store)
    plain = store.find(settings.features)
    mirrored = store.create(plain.spec.mirrored())
    for path in plain.videos():
        mirrored.write(path, plain.read(path))
    return settings


def test_a_fit_is_not_resumed_with_other_views(tmp_path: Path) -> None:
    """Half of what it would learn from is something else."""
    settings = mirrored_run(tmp_path)
    both = settings.model_copy(update={"features": settings.features.model_copy(update={"mirrored": True})})
    for before, after, name in ((settings, both, "first"), (both, settings, "second")):
        train(before, output=tmp_path / name)
        with pytest.raises(TrainingError, match="belongs to another configuration or other features"):
            train(after, output=tmp_path / name, resume=True)
        train(before, output=tmp_path / name, resume=True)
