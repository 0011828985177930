"""The fits of a cross-validation: every fold, seed and baseline, side by side."""

from collections.abc import Callable, Iterator, Mapping, Sequence
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
AllOutputs = tuple[dict[Variant, ByPosition], list[ByPosition], dict[str, dict[int, Output]]]
"""What `make_all` makes."""


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
        mirrored: for each fold whether its videos are shown in a mirror too; empty: as they are stored.
    """

    sequences: SequenceSet
    folds: Sequence[Fold]
    num_classes: int
    settings: RunSettings
    curves: Path | None = None
    mirrored: Sequence[bool] = ()

    def __call__(self, fit: _Fit) -> Answers:
        """Fit, and answer for the videos that were left out."""
        train, test = self.sides(fit.fold)
        curves = None
        if self.curves is not None and fit.variant == "model":
            curves = self.curves / f"seed_{fit.seed}" / f"{fit.fold + 1:03}_{file_name(self.folds[fit.fold].name)}"
        return fit_and_predict(
            fit.variant, train, test, num_classes=self.num_classes, settings=self.settings, seed=fit.seed, curves=curves
        )

    def name_of(self, fit: _Fit) -> str:
        """What a fit differs in from all others of the same data and settings."""
        view = "" if self._shows_mirror(fit.fold) else " in the plain view"
        return f"{fit.variant} seed {fit.seed}{view} tested on {' '.join(map(str, self.folds[fit.fold].test))}"

    def sides(self, number: int) -> tuple[SequenceSet, SequenceSet]:
        """What is learned from in a fold, and what is tested on."""
        shown = self.sequences if self._shows_mirror(number) else self.sequences.in_plain_view()
        return shown.subset(self.folds[number].train), shown.subset(self.folds[number].test)

    def _shows_mirror(self, number: int) -> bool:
        return not self.mirrored or self.mirrored[number]


def make_all(fits: Fits, *, jobs: int, finished: FinishedFits | None, on_fit: Callable[[], None]) -> AllOutputs:
    """Make every fit of every fold.

    Args:
        fits: makes one of them.
        jobs: how many at the same time.
        finished: fits of an earlier run; None keeps nothing.
        on_fit: called after each fit.

    Returns:
        Averaged outputs by variant, seed and position. The model's single outputs by seed, draw or view, and position;
        a fold that has fewer of them than another repeats its own. Outputs of the baselines that need no fit, by name
        and position.
    """
    settings, seeds_of_variant = fits.settings, seeds_of_fits(fits.settings)
    outputs: dict[Variant, ByPosition] = {variant: [{} for _ in seeds] for variant, seeds in seeds_of_variant.items()}
    single: list[dict[int, Sequence[Output]]] = [{} for _ in seeds_of_variant["model"]]
    untrained: dict[str, dict[int, Output]] = {}
    for number, fold in enumerate(fits.folds):
        train, test = fits.sides(number)
        found = predict_without_pixels(train, test, head=settings.model.head, num_classes=fits.num_classes)
        for name, answers in found.items():
            untrained.setdefault(name, {}).update(zip(fold.test, answers, strict=True))
    for fit, answered in _make(fits, tasks_of(fits), jobs=jobs, finished=finished):
        tested = fits.folds[fit.fold].test
        outputs[fit.variant][fit.number].update(zip(tested, answered.averaged, strict=True))
        if fit.variant == "model":
            single[fit.number].update(zip(tested, zip(*answered.single, strict=True), strict=True))
        on_fit()
    return outputs, [_by_way(answers) for answers in single], untrained


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


def _by_way(answers: Mapping[int, Sequence[Output]]) -> ByPosition:
    """The single answers of each video as one dict for each draw and view."""
    num_ways = max(map(len, answers.values()))
    return [{position: ways[way % len(ways)] for position, ways in answers.items()} for way in range(num_ways)]
