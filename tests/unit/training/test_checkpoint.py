"""`vidrnn.training.checkpoint`: a fit that was stopped continues as if it had not been."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import safe_open, save_file

import vidrnn.training.fit as module
from tests.worlds import order_task, sequence_set, tiny_model, tiny_training
from vidrnn.errors import TrainingError
from vidrnn.training.fit import Checkpointing, FitResult, fit

SETTINGS = tiny_training(epochs=5, jitter=True, steps=5, batch_size=6)
MODEL = tiny_model(dropout=0.3, layers=2)


class StoppedError(Exception):
    """What a test raises in the middle of a fit."""


def run(checkpointing: Checkpointing | None, **changes: Any) -> FitResult:
    train, val = sequence_set(*order_task(16)), sequence_set(*order_task(8, seed=1))
    values = {"num_classes": 2, "model_settings": MODEL, "settings": SETTINGS} | changes
    return fit(train, val, checkpointing=checkpointing, **values)


def stop_after(epoch: int) -> Any:
    def on_epoch(row: dict[str, float]) -> None:
        if row["epoch"] == epoch:
            raise StoppedError

    return on_epoch


def at(folder: Path, *, resume: bool, fingerprint: str = "f") -> Checkpointing:
    return Checkpointing(folder / "checkpoint.safetensors", fingerprint, resume)


def without_time(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def assert_same(first: FitResult, second: FitResult) -> None:
    assert first.best is not None
    assert second.best is not None
    for mine, other in ((first.last, second.last), (first.best, second.best)):
        assert mine.keys() == other.keys()
        assert all(torch.equal(value, other[name]) for name, value in mine.items())
    assert without_time(first.history) == without_time(second.history)
    assert first.best_epoch == second.best_epoch


@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_a_resumed_fit_ends_in_exactly_the_same_place(tmp_path: Path, epoch: int) -> None:
    with pytest.raises(StoppedError):
        run(at(tmp_path, resume=False), on_epoch=stop_after(epoch))
    torch.rand(11)  # a new process has drawn other numbers
    seen: list[float] = []
    resumed = run(at(tmp_path, resume=True), on_epoch=lambda row: seen.append(row["epoch"]))
    assert seen == [float(number) for number in range(epoch + 1, 6)]
    assert_same(run(None), resumed)


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_resumed_fit_draws_and_averages_on_where_it_was(tmp_path: Path, epoch: int) -> None:
    """The running average of the weights and all random options: their state is in the checkpoint, bit by bit."""
    options = {
        "ema_decay": 0.9, "time_crop": 0.3, "time_warp": 0.4, "mixup": 0.3, "feature_noise": 0.1, "step_dropout": 0.1,
        "sampling": "balanced",
    }  # fmt: skip
    settings = SETTINGS.model_copy(update=options)
    with pytest.raises(StoppedError):
        run(at(tmp_path, resume=False), settings=settings, on_epoch=stop_after(epoch))
    torch.rand(11)
    whole, resumed = run(None, settings=settings), run(at(tmp_path, resume=True), settings=settings)
    assert_same(whole, resumed)
    after_the_end = run(at(tmp_path, resume=True), settings=settings)
    assert_same(whole, after_the_end)
    names = [name for name, _ in whole.model.named_parameters()]
    with safe_open(tmp_path / "checkpoint.safetensors", framework="pt") as file:
        for name in names:
            assert torch.equal(file.get_tensor(f"average.{name}"), whole.last[name])
            assert not torch.equal(file.get_tensor(f"model.{name}"), whole.last[name])


def test_resuming_twice_and_after_the_end_changes_nothing(tmp_path: Path) -> None:
    for epoch in (2, 4):
        with pytest.raises(StoppedError):
            run(at(tmp_path, resume=True), on_epoch=stop_after(epoch))
    resumed = run(at(tmp_path, resume=True))
    assert_same(run(None), resumed)
    assert_same(run(at(tmp_path, resume=True), on_epoch=stop_after(1)), resumed)


def test_patience_counts_across_a_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([0.5, 0.6, 0.7, 0.8, 0.1])
    monkeypatch.setattr(module, "validate", lambda *_, **__: {"val_loss": next(losses), "val_top1": 0.0})
    patient = SETTINGS.model_copy(update={"patience": 3})
    with pytest.raises(StoppedError):
        run(at(tmp_path, resume=False), settings=patient, on_epoch=stop_after(2))
    result = run(at(tmp_path, resume=True), settings=patient)
    assert len(result.history) == 4
    assert result.best_epoch == 1


def test_without_resume_a_checkpoint_is_written_over(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        run(at(tmp_path, resume=False, fingerprint="other"), on_epoch=stop_after(2))
    assert_same(run(None), run(at(tmp_path, resume=False)))


def test_resume_without_a_checkpoint_starts_at_the_beginning(tmp_path: Path) -> None:
    assert_same(run(None), run(at(tmp_path, resume=True)))


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        run(at(tmp_path, resume=False, fingerprint="one"), on_epoch=stop_after(1))
    with pytest.raises(TrainingError) as caught:
        run(at(tmp_path, resume=True, fingerprint="two"))
    assert str(caught.value) == (
        f"checkpoint {tmp_path / 'checkpoint.safetensors'} belongs to another configuration or other features; "
        "train without --resume or into another --output"
    )


@pytest.mark.parametrize("damage", ["truncated", "text", "empty", "other"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(StoppedError):
        run(at(tmp_path, resume=False), on_epoch=stop_after(1))
    if damage == "other":
        save_file({"weight": torch.zeros(2)}, path)
    else:
        content = path.read_bytes()
        path.write_bytes({"truncated": content[: len(content) // 2], "text": b"hello world", "empty": b""}[damage])
    with pytest.raises(TrainingError) as caught:
        run(at(tmp_path, resume=True))
    assert str(caught.value).startswith(f"checkpoint {path} cannot be read (")
    assert str(caught.value).endswith("); train without --resume")


def test_a_checkpoint_is_plain_safetensors_and_replaces_the_last_one(tmp_path: Path) -> None:
    """One file, no pickle, no left-over parts."""
    run(at(tmp_path, resume=False))
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    with safe_open(tmp_path / "checkpoint.safetensors", framework="pt") as file:
        header = json.loads(file.metadata()["vidrnn_checkpoint"])
        names = set(file.keys())
    assert (header["epoch"], len(header["history"]), header["fingerprint"]) == (5, 5, "f")
    assert {"model.output.weight", "best.output.weight", "random.torch", "random.steps"} <= names
