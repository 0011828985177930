"""Predicting hidden steps: what is hidden, what counts, what is learned, and how a training starts from it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.worlds import order_task, sequence_set, tiny_model, tiny_training
from vidrnn.errors import ConfigError, MissingPathError, ModelFileError, TrainingError
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.pretrained_file import encoder_weights, load_pretrained, save_pretrained, start_from
from vidrnn.sequences.sequence_set import Batch, SequenceSet
from vidrnn.settings.model import ModelSettings
from vidrnn.training.fit import Checkpointing, fit
from vidrnn.training.masking import MaskedSteps, Masking, draw_mask
from vidrnn.training.pretraining import PretrainResult, pretrain

DIM = 6


def unlabelled(number: int = 24, seed: int = 0, steps: int = 8) -> SequenceSet:
    sequences, _ = order_task(number, seed=seed, steps=steps)
    return sequence_set(sequences, [0] * number)


def make(model: ModelSettings | None = None) -> MaskedSteps:
    torch.manual_seed(0)
    classifier = SequenceClassifier(model or tiny_model(), dim=DIM, num_classes=1)
    return MaskedSteps(classifier, mean=torch.zeros(DIM), deviation=torch.ones(DIM)).eval()


def learn(**changes: object) -> PretrainResult:
    settings = tiny_training(**{"epochs": 3, **changes})
    return pretrain(unlabelled(), unlabelled(8, seed=5), model_settings=tiny_model(), settings=settings,
                    masking=Masking())  # fmt: skip


def test_a_mask_hides_some_of_every_sequence_and_never_all() -> None:
    lengths = torch.tensor([1, 2, 3, 20, 20] * 200)
    assert draw_mask(lengths[:2], 2, Masking(), generator=torch.Generator()).sum() == 1
    masked = draw_mask(lengths, 20, Masking(0.4, 4), generator=torch.Generator().manual_seed(0))
    counts = masked.sum(1)
    assert not masked[torch.arange(20) >= lengths.unsqueeze(1)].any()
    assert (counts[lengths == 1] == 0).all()
    assert ((counts >= 1) & (counts < lengths))[lengths > 1].all()
    long = masked[lengths == 20]
    assert 0.3 < float(long.float().mean()) < 0.45  # stretches are cut off at the ends
    runs = [len(run) for row in long.int().tolist() for run in "".join(map(str, row)).split("0") if run]
    assert np.mean(runs) > 3.5


@pytest.mark.parametrize("cell", ["gru", "lstm", "mingru", "transformer"])
def test_what_is_hidden_is_not_seen(cell: str) -> None:
    """Other values at hidden steps change no prediction; other values elsewhere do."""
    model = make(tiny_model(cell=cell))
    features, lengths = torch.randn(2, 8, DIM), torch.tensor([8, 6])
    masked = torch.zeros(2, 8, dtype=torch.bool)
    masked[:, 2:4] = True
    said = model(Batch(features, lengths, torch.zeros(2)), masked)
    other = features.clone()
    other[:, 2:4] = 100.0
    assert torch.equal(model(Batch(other, lengths, torch.zeros(2)), masked), said)
    other[:, 5] = -1.0
    assert not torch.allclose(model(Batch(other, lengths, torch.zeros(2)), masked)[:, 2], said[:, 2])


def test_errors_count_hidden_steps_alone_and_copies_come_from_the_nearest() -> None:
    model = make()
    features = torch.arange(6.0).reshape(1, 6, 1).expand(1, 6, DIM)
    batch, masked = Batch(features, torch.tensor([5]), torch.zeros(1)), torch.zeros(1, 6, dtype=torch.bool)
    masked[0, [2, 3, 5]] = True  # 5 is beyond the length
    with torch.inference_mode():
        total, count = model.errors(batch, masked)
    expected = (model(batch, masked)[0, 2:4] - features[0, 2:4]).detach().square().sum()
    assert float(total) == pytest.approx(float(expected), rel=1e-5)
    assert float(count) == 2 * DIM
    assert float(model.errors_of_copies(batch, masked)) == pytest.approx(2 * DIM)  # each is one off


def test_hidden_steps_are_learned_and_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    result = learn(epochs=40)
    assert result.figures["val_loss"] < min(0.8, result.figures["val_copy"])  # 1 is the mean
    short, again, other = learn(), learn(), learn(seed=1)
    assert all(torch.equal(value, again.weights[name]) for name, value in short.weights.items())
    assert not all(torch.equal(value, other.weights[name]) for name, value in short.weights.items())
    assert [row["epoch"] for row in short.history] == [1.0, 2.0, 3.0]


def test_an_interrupted_fit_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(row: dict[str, float]) -> None:
        if row["epoch"] == 2:
            raise StoppedError

    def run(**options: object) -> PretrainResult:
        return pretrain(unlabelled(), None, model_settings=tiny_model(), settings=tiny_training(epochs=3),
                        masking=Masking(), **options)  # type: ignore[arg-type]  # fmt: skip

    path, whole = tmp_path / "checkpoint.safetensors", run()
    with pytest.raises(StoppedError):
        run(checkpointing=Checkpointing(path, "a", resume=False), on_epoch=stop)
    resumed = run(checkpointing=Checkpointing(path, "a", resume=True))
    assert all(torch.equal(value, resumed.weights[name]) for name, value in whole.weights.items())
    assert resumed.figures == {}
    with pytest.raises(TrainingError, match="belongs to another configuration"):
        run(checkpointing=Checkpointing(path, "b", resume=True))


def test_long_sequences_are_cut_into_stretches() -> None:
    result = pretrain(unlabelled(4, steps=600), None, model_settings=tiny_model(), masking=Masking(),
                      settings=tiny_training(epochs=1, steps=None, batch_size=2))  # fmt: skip
    assert np.isfinite(result.history[0]["train_loss"])


def test_what_cannot_be_pretrained_is_refused() -> None:
    options = {"settings": tiny_training(epochs=1), "masking": Masking()}
    with pytest.raises(ConfigError, match="'none' has no layers over time"):
        pretrain(unlabelled(), None, model_settings=tiny_model(cell="none"), **options)  # type: ignore[arg-type]
    single = sequence_set([np.ones((1, DIM))] * 4, [0] * 4)
    with pytest.raises(TrainingError, match="no sequence has two steps"):
        pretrain(single, None, model_settings=tiny_model(), **options)  # type: ignore[arg-type]
    two = replace(unlabelled(), streams={"rgb": unlabelled().streams["rgb"], "flow": unlabelled().streams["rgb"]})
    with pytest.raises(ConfigError, match="'late' has layers of its own for each stream"):
        pretrain(two, None, model_settings=tiny_model(fusion="late"), **options)  # type: ignore[arg-type]


def written(folder: Path, model: ModelSettings | None = None) -> tuple[Path, PretrainResult]:
    result = learn()
    path = folder / "pretrained.safetensors"
    save_pretrained(path, result.weights, settings=model or tiny_model(), specs={"rgb": "0"}, facts={"n": 1})
    return path, result


def test_a_fit_starts_from_the_weights_and_frozen_ones_stay(tmp_path: Path) -> None:
    path, result = written(tmp_path)
    assert load_pretrained(path).facts == {"n": 1}
    sequences, targets = order_task(16, seed=3)
    train = sequence_set(sequences, targets)
    options = {"num_classes": 2, "model_settings": tiny_model(pooling="max", dropout=0.1)}
    frozen = fit(train, None, settings=tiny_training(init=str(path), frozen=True), **options)  # type: ignore[arg-type]
    assert all(torch.equal(value, frozen.last[name]) for name, value in result.weights.items())
    fresh = SequenceClassifier(tiny_model(), dim=DIM, num_classes=2)
    start_from(fresh, path, frozen=False)
    assert all(torch.equal(value, fresh.state_dict()[name]) for name, value in result.weights.items())
    assert all(parameter.requires_grad for parameter in fresh.parameters())
    tuned = fit(train, None, settings=tiny_training(init=str(path)), **options)  # type: ignore[arg-type]
    assert not all(torch.equal(value, tuned.last[name]) for name, value in result.weights.items())
    assert set(encoder_weights(fresh)) | {"output.weight", "output.bias"} == set(fresh.state_dict())


def test_weights_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    path, _ = written(tmp_path)
    lstm = SequenceClassifier(tiny_model(cell="lstm"), dim=DIM, num_classes=2)
    with pytest.raises(ModelFileError, match=r"other settings \(model.cell 'gru', here 'lstm'\); use the same, or"):
        start_from(lstm, path, frozen=False)
    with pytest.raises(ModelFileError, match="weights of other sizes: its features have another length"):
        start_from(SequenceClassifier(tiny_model(), dim=5, num_classes=2), path, frozen=False)
    with pytest.raises(MissingPathError, match="does not exist; `vidrnn pretrain` writes"):
        load_pretrained(tmp_path / "nothing")
    (tmp_path / "text").write_text("text")
    with pytest.raises(ModelFileError, match="holds no pretrained weights"):
        load_pretrained(tmp_path / "text")
    with pytest.raises(ConfigError, match="frozen true needs the weights of init"):
        tiny_training(frozen=True)
