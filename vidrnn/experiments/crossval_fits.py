"""The fits of a cross-validation: every fold, seed and baseline, side by side."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidrnn.annotations.splits import Fold
from vidrnn.device import choose_device
from vidrnn.evaluation.metrics import Output
from vidrnn.experiments.finished_fits import FinishedFits
from vidrnn.experiments.side_by_side import side_by_side
from vidrnn.experiments.variants import Variant, fit_and_predict, predict_without_pixels, trained_baselines
from vidrnn.names import file_name
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.evaluation import EvaluationSettings
from vidrnn.settings.run import RunSettings
from vidrnn.settings.training import TrainingSettings
from vidrnn.training.predict import Answers

ByPosition = list[dict[int, Output]]
"""A dict for each seed, or for each draw and view: outputs by position in the set."""


def seeds_of(evaluation: EvaluationSettings, training: TrainingSettings) -> tuple[int, ...]:
    """The seeds of a repeated evaluation."""
    if isinstance(evaluation.seeds, tuple):
        return evaluation.seeds
    return tuple(training.seed + number for number in range(evaluation.seeds))


def seeds_of_fits(settings: RunSettings) -> dict[Variant, tuple[int, ...]]:
    """The seeds with which the model and each trained baseline is fitted on every fold."""
    seeds = seeds_of(settings.evaluation, settings.training)
    baselines = trained_baselines(settings.model) if settings.evaluation.baselines else ()
    return {"model": seeds} | dict.fromkeys(baselines, seeds[: settings.evaluation.baseline_seeds])


@dataclass(frozen=True)
class _Fit:
    """A fit to make: the number of the fold, what is fitted, and with which of its seeds (number and value)."""

    fold: int
    variant: Variant
    number: int
    seed: int


@dataclass(frozen=True)
class Fits:
    """Makes fits, here or in another process.

    Attributes:
        sequences: all videos.
        folds: hold positions in it.
        num_classes: classes that the head tells apart.
        settings: model, training and evaluation.
        curves: folder for the curves of the model's fits, one folder for each seed and fold; None writes none.
    """

    sequences: SequenceSet
    folds: Sequence[Fold]
    num_classes: int
    settings: RunSettings
    curves: Path | None = None

    def __call__(self, fit: _Fit) -> Answers:
        """Fit, and answer for the videos that were left out."""
        train, test = self.sides(self.folds[fit.fold])
        curves = None
        if self.curves is not None and fit.variant == "model":
            curves = self.curves / f"seed_{fit.seed}" / f"{fit.fold + 1:03}_{file_name(self.folds[fit.fold].name)}"
        return fit_and_predict(
            fit.variant, train, test, num_classes=self.num_classes, settings=self.settings, seed=fit.seed, curves=curves
        )

    def name_of(self, fit: _Fit) -> str:
        """What a fit differs in from all others of the same data and settings."""
        return f"{fit.variant} seed {fit.seed} tested on {' '.join(map(str, self.folds[fit.fold].test))}"

    def sides(self, fold: Fold) -> tuple[SequenceSet, SequenceSet]:
        """What is learned from, and what is tested on."""
        return self.sequences.subset(fold.train), self.sequences.subset(fold.test)


def make_all(
    fits: Fits, *, jobs: int, finished: FinishedFits | None, on_fit: Callable[[], None]
) -> tuple[dict[Variant, ByPosition], list[ByPosition], dict[str, dict[int, Output]]]:
    """Make every fit of every fold.

    Args:
        fits: makes one of them.
        jobs: how many at the same time.
        finished: fits of an earlier run; None keeps nothing.
        on_fit: called after each fit.

    Returns:
        Averaged outputs by variant, seed and position. The model's single outputs by seed, draw or view, and position.
        Outputs of the baselines that need no fit, by name and position.
    """
    settings, seeds_of_variant = fits.settings, seeds_of_fits(fits.settings)
    outputs: dict[Variant, ByPosition] = {variant: [{} for _ in seeds] for variant, seeds in seeds_of_variant.items()}
    single: list[ByPosition] = [[] for _ in seeds_of_variant["model"]]
    untrained: dict[str, dict[int, Output]] = {}
    for fold in fits.folds:
        train, test = fits.sides(fold)
        found = predict_without_pixels(train, test, head=settings.model.head, num_classes=fits.num_classes)
        for name, answers in found.items():
            untrained.setdefault(name, {}).update(zip(fold.test, answers, strict=True))
    for fit, answered in _make(fits, tasks_of(fits), jobs=jobs, finished=finished):
        tested = fits.folds[fit.fold].test
        outputs[fit.variant][fit.number].update(zip(tested, answered.averaged, strict=True))
        if fit.variant == "model":
            _add(single[fit.number], tested, answered.single)
        on_fit()
    return outputs, single, untrained


def tasks_of(fits: Fits) -> list[_Fit]:
    """Every fit that there is to make."""
    return [
        _Fit(fold, variant, number, seed)
        for fold in range(len(fits.folds))
        for variant, seeds in seeds_of_fits(fits.settings).items()
        for number, seed in enumerate(seeds)
    ]


def _make(
    fits: Fits, tasks: Sequence[_Fit], *, jobs: int, finished: FinishedFits | None
) -> Iterator[tuple[_Fit, Answers]]:
    """What an earlier run has finished, then the rest side by side."""
    waiting: list[_Fit] = []
    for fit in tasks:
        known = finished.get(fits.name_of(fit)) if finished else None
        if known is None:
            waiting.append(fit)
        else:
            yield fit, known
    device = choose_device(fits.settings.training.device)
    for position, answers in side_by_side(fits, waiting, jobs=jobs, device=device):
        if finished:
            finished.add(fits.name_of(waiting[position]), answers)
        yield waiting[position], answers


def _add(single: ByPosition, positions: Sequence[int], answers: Sequence[Sequence[Output]]) -> None:
    """Take in the single answers for some videos, of each draw and view."""
    single += [{} for _ in answers[len(single) :]]
    for outputs, found in zip(single, answers, strict=True):
        outputs.update(zip(positions, found, strict=True))
