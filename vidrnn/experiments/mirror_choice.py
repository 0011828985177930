"""``features.mirrored: auto``: validation inside the training split says whether videos are shown in a mirror too.

A mirror doubles the examples. Where left and right are classes it also shows some of them as others, which no look at a
single video tells.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from vidrnn.annotations.splits import Fold
from vidrnn.device import choose_device
from vidrnn.errors import TrainingError
from vidrnn.experiments.finished_fits import FinishedFits
from vidrnn.experiments.inner_folds import inner_folds
from vidrnn.experiments.side_by_side import side_by_side, usual_jobs
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.run import RunSettings
from vidrnn.training.members import fit_members
from vidrnn.training.predict import Answers, predict_options
from vidrnn.training.validation import validate

_FOLDS = 3  # inner ones; each is fitted twice


@dataclass(frozen=True)
class MirrorChoice:
    """What was found.

    Attributes:
        with_mirror: validation loss of models that are shown both views, mean over the inner folds.
        without: the same of the plain view alone.
        num_folds: inner folds; 0 where the videos of a single group cannot choose.
    """

    with_mirror: float
    without: float
    num_folds: int

    @property
    def mirrored(self) -> bool:
        """Whether the mirror is taken: where it lowers the loss."""
        return self.with_mirror < self.without

    def __str__(self) -> str:
        """A line for people."""
        if not self.num_folds:
            return "features.mirrored: auto is false here: the training split has a single group, which cannot choose"
        return (
            f"features.mirrored: auto is {str(self.mirrored).lower()} here: validation loss {self.with_mirror:.3f} "
            f"with the mirrored view and {self.without:.3f} without, in {self.num_folds} folds of the training split"
        )


@dataclass(frozen=True)
class _Fit:
    """One fit: in which set, which of its folds is validated on, and whether both views are shown."""

    number: int
    fold: Fold
    mirrored: bool


@dataclass(frozen=True)
class Settled:
    """A training with the choice made.

    Attributes:
        settings: with ``features.mirrored`` true or false.
        train_set: in the views that the choice leaves.
        val_set: the same; None where there is none.
        figures: for metrics.json.
        notes: for people.
    """

    settings: RunSettings
    train_set: SequenceSet
    val_set: SequenceSet | None
    figures: dict[str, dict[str, float]]
    notes: tuple[str, ...]


def settle(
    settings: RunSettings,
    train_set: SequenceSet,
    val_set: SequenceSet | None,
    *,
    num_classes: int,
    jobs: int | None = None,
) -> Settled:
    """Choose for a training whose configuration says ``auto``; any other comes back as it is.

    Args and errors as of `choose_mirrored`.
    """
    if settings.features.mirrored != "auto":
        return Settled(settings, train_set, val_set, {}, ())
    mirrored, figures, note = False, {}, "features.mirrored: auto is false here: no stream has a mirrored view"
    if train_set.has_both_views:
        (choice,) = choose_mirrored([train_set], settings, num_classes=num_classes, jobs=jobs)
        mirrored, note = choice.mirrored, str(choice)
        if choice.num_folds:
            figures = {"mirrored_losses": {"true": choice.with_mirror, "false": choice.without}}
    features = settings.features.model_copy(update={"mirrored": mirrored})
    settings = settings.model_copy(update={"features": features})
    if not mirrored:
        train_set, val_set = train_set.in_plain_view(), None if val_set is None else val_set.in_plain_view()
    return Settled(settings, train_set, val_set, figures, (note,))


def choose_mirrored(
    sets: Sequence[SequenceSet],
    settings: RunSettings,
    *,
    num_classes: int,
    jobs: int | None = None,
    finished: FinishedFits | None = None,
    on_fit: Callable[[], object] = lambda: None,
) -> list[MirrorChoice]:
    """Compare models with and without the mirrored view by group k-fold inside each of several sets.

    The loss is the one of `validate`, the fits have the configuration's settings and seed and no validation of their
    own: their last epoch counts.

    Args:
        sets: each a training split with both views.
        settings: the configuration.
        num_classes: classes that the head tells apart.
        jobs: fits at the same time, each with one thread; None: `usual_jobs`. The choice does not depend on it.
        finished: fits of an earlier run that was stopped; the losses that are found now are kept there.
        on_fit: called after each fit.

    Raises:
        TrainingError: a loss is no number.
    """
    folds = [_folds_in(one_set, settings) for one_set in sets]
    fits = [
        _Fit(number, fold, mirrored)
        for number, of_set in enumerate(folds)
        for fold, mirrored in product(of_set, (True, False))
    ]
    losses: dict[tuple[int, bool], list[float]] = {}
    for fit, loss in _losses(sets, fits, settings, num_classes=num_classes, jobs=jobs, finished=finished):
        losses.setdefault((fit.number, fit.mirrored), []).append(loss)
        on_fit()
    means = {key: math.fsum(found) / len(found) for key, found in losses.items()}
    return [
        MirrorChoice(means.get((number, True), math.nan), means.get((number, False), math.nan), len(of_set))
        for number, of_set in enumerate(folds)
    ]


def _losses(
    sets: Sequence[SequenceSet],
    fits: Sequence[_Fit],
    settings: RunSettings,
    *,
    num_classes: int,
    jobs: int | None,
    finished: FinishedFits | None,
) -> Iterator[tuple[_Fit, float]]:
    """What an earlier run has found, then the rest side by side."""
    waiting: list[_Fit] = []
    for fit in fits:
        known = finished.get(_name_of(fit, sets)) if finished else None
        if known is None:
            waiting.append(fit)
        else:
            yield fit, float(known.averaged[0])
    device = choose_device(settings.training.device)
    work = partial(_loss, sets, settings, num_classes)
    for number, loss in side_by_side(work, waiting, jobs=usual_jobs(device) if jobs is None else jobs, device=device):
        if finished:
            finished.add(_name_of(waiting[number], sets), Answers([np.asarray(loss)], ()))
        yield waiting[number], loss


def _name_of(fit: _Fit, sets: Sequence[SequenceSet]) -> str:
    """What a fit differs in from all others of the same data and settings."""
    videos = sets[fit.number].annotations
    learned, tested = ([str(videos[position]) for position in side] for side in (fit.fold.train, fit.fold.test))
    return f"mirror {fit.mirrored} learned from {learned} validated on {tested}"


def number_of_fits(sets: Sequence[SequenceSet], settings: RunSettings) -> int:
    """How many fits `choose_mirrored` makes."""
    return sum(2 * len(_folds_in(one_set, settings)) for one_set in sets)


def _folds_in(sequences: SequenceSet, settings: RunSettings) -> list[Fold]:
    if len({annotation.group for annotation in sequences.annotations}) < 2:
        return []
    return inner_folds(sequences.annotations, settings, wanted=_FOLDS, who="features.mirrored: auto")


def _loss(sets: Sequence[SequenceSet], settings: RunSettings, num_classes: int, fit: _Fit) -> float:
    shown = sets[fit.number] if fit.mirrored else sets[fit.number].in_plain_view()
    train, val = shown.subset(fit.fold.train), shown.subset(fit.fold.test)
    fitted = fit_members(
        train, None, num_classes=num_classes, model_settings=settings.model, settings=settings.training
    )
    loss = validate(fitted.model, val, predict_options(settings), num_classes=num_classes)["val_loss"]
    if not math.isfinite(loss):
        raise TrainingError(
            f"features.mirrored: auto: the validation loss of {fit.fold.name} became {loss}; lower "
            "training.learning_rate, or set features.mirrored to true or false"
        )
    return loss
