"""One model or an ensemble of them: the fits that ``training.members`` asks for, and what they give together."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.ensemble import Ensemble, Model
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.model import ModelSettings
from vidrnn.settings.training import TrainingSettings
from vidrnn.training.checkpoint import History, State
from vidrnn.training.fit import Checkpointing, FitResult, fit

_SEED_STEP = 10_007  # far from the seeds that people list, so that no member of one seed is a member of another


@dataclass(frozen=True)
class Fitted:
    """A fitted model, or an ensemble of them.

    Attributes:
        model: holds the selected weights, in eval mode.
        best: holds the weights with the lowest validation loss, None without validation.
        last: holds the weights after the last epoch.
        history: one row per epoch; of an ensemble one per member and epoch.
        epochs: the selected epoch of each member, from 1.
    """

    model: Model
    best: Model | None
    last: Model
    history: History
    epochs: tuple[int, ...]


def fit_members(
    train: SequenceSet,
    val: SequenceSet | None,
    *,
    num_classes: int,
    model_settings: ModelSettings,
    settings: TrainingSettings,
    shuffled_time: bool = False,
    checkpointing: Checkpointing | None = None,
    curves: Path | None = None,
    on_epoch: Callable[[dict[str, float]], None] = lambda _row: None,
) -> Fitted:
    """Fit ``training.members`` models that differ in their seeds; arguments and errors as of `fit`.

    Member k has seed ``training.seed`` + 10 007 k, curves of its own and, from the second on, a checkpoint of its own.
    """
    results: list[FitResult] = []
    for number in range(settings.members):

        def show(row: dict[str, float], number: int = number) -> None:
            on_epoch({"member": number + 1.0, **row} if settings.members > 1 else row)

        results.append(
            fit(
                train,
                val,
                num_classes=num_classes,
                model_settings=model_settings,
                settings=settings.model_copy(update={"seed": settings.seed + _SEED_STEP * number}),
                shuffled_time=shuffled_time,
                checkpointing=own_checkpoint(checkpointing, number) if checkpointing else None,
                curves=curves / f"member_{number + 1}" if curves and settings.members > 1 else curves,
                on_epoch=show,
            )
        )
    best = [result.best for result in results]
    selected = [result.best_epoch if settings.select == "best" else len(result.history) for result in results]
    several = settings.members > 1
    return Fitted(
        _together([result.model for result in results]),
        None if best[0] is None else _with_weights(results, best),
        _with_weights(results, [result.last for result in results]),
        [{"member": i + 1.0, **row} if several else row for i, result in enumerate(results) for row in result.history],
        tuple(selected),
    )


def own_checkpoint(checkpointing: Checkpointing, number: int) -> Checkpointing:
    """Where member ``number``, from 0, keeps its state: the first where a single model would."""
    path = checkpointing.path
    return replace(checkpointing, path=path.with_stem(f"{path.stem}_{number + 1}")) if number else checkpointing


def _with_weights(results: Sequence[FitResult], weights: Sequence[State | None]) -> Model:
    models = []
    for result, state in zip(results, weights, strict=True):
        assert state is not None
        model = copy.deepcopy(result.model)
        model.load_state_dict(state)
        models.append(model)
    return _together(models)


def _together(models: Sequence[SequenceClassifier]) -> Model:
    return Ensemble(models).eval() if len(models) > 1 else models[0]
