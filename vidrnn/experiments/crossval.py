"""Cross-validation: every video is tested once per seed by a model that never saw its group."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidrnn.annotations import LabelMap, read_annotations
from vidrnn.annotations.splits import Fold, make_folds
from vidrnn.evaluation.calibration import expected_calibration_error, judge
from vidrnn.evaluation.measures import HEADLINES, HeadMetrics, Output, headline, measure_outputs
from vidrnn.evaluation.metrics import Metrics
from vidrnn.evaluation.predictions import write_predictions
from vidrnn.evaluation.report import draw_confusion, format_averaging, write_json
from vidrnn.evaluation.resampling import none_if_nan
from vidrnn.evaluation.verdict import describe_verdict, no_better_than
from vidrnn.experiments.provenance import describe_data, provenance, write_config
from vidrnn.experiments.stored_sets import find_folders, load_set, name_specs
from vidrnn.experiments.variants import Variant, answer_without_pixels, fit_and_answer, trained_baselines
from vidrnn.models.model_header import public_metrics
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.targets import label_map_of
from vidrnn.settings.evaluation import Average, EvaluationSettings
from vidrnn.settings.model import Head
from vidrnn.settings.run import RunSettings
from vidrnn.settings.training import TrainingSettings
from vidrnn.training.predict import describe_answers


def _deviation(values: Sequence[float]) -> float | None:
    """Standard deviation with n - 1, as of a sample, which seeds are; None of a single one, which has none."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


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
class CrossValidation:
    """The outcome of one cross-validation.

    Attributes:
        head: what was answered.
        protocol: how the number was made, in words.
        folds: (name, videos tested) of each.
        seeds: of the repetitions.
        pooled: metrics over all folds for each seed.
        outputs: variant to seed to the outputs, for each video of the model that did not see it.
        of_folds: (seeds, folds) headline of the model.
        baselines: name to headline for each seed (those without randomness have one value).
        answers_per_video: draws and views that are averaged to one answer.
        clip: for each seed the headline of these single answers, the mean over them.
        ece: for each seed the expected calibration error of ``label``, without any temperature; else empty.
        recurrent: whether the model has temporal layers.
        missing: annotated videos that have no features and so are not in n.
    """

    head: Head
    protocol: str
    folds: tuple[tuple[str, int], ...]
    seeds: tuple[int, ...]
    pooled: tuple[HeadMetrics, ...]
    outputs: dict[Variant, list[list[Output]]]
    of_folds: npt.NDArray[np.float64]
    baselines: dict[str, list[float]]
    answers_per_video: int
    clip: tuple[float, ...]
    ece: tuple[float, ...]
    recurrent: bool = True
    missing: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The content of crossval.json; accuracies are fractions, the interval is that of the first seed.

        Every single figure of the metrics is averaged over the seeds; that of the headline, such as ``top1``, has its
        deviation, fold mean and value per seed beside it. A figure that is not defined for some seed is left out.
        """
        name = HEADLINES[self.head].name
        each = [metrics.as_dict() for metrics in self.pooled]
        values = [headline(self.head, metrics) for metrics in self.pooled]
        others = [key for key, value in each[0].items() if isinstance(value, float) and key != name]
        return {
            "protocol": self.protocol,
            "folds": [
                {"name": fold, "n": n, f"{name}_mean": float(self.of_folds[:, i].mean())}
                for i, (fold, n) in enumerate(self.folds)
            ],
            "seeds": list(self.seeds),
            "n": self.pooled[0].n,
            "missing_features": list(self.missing),
            f"{name}_mean": float(np.mean(values)),
            f"{name}_std": _deviation(values),
            f"{name}_per_seed": values,
            f"{name}_fold_mean": float(self.of_folds.mean()),
            f"{name}_interval": [none_if_nan(bound) for bound in self.pooled[0].interval],
            **{
                key: float(np.mean([own[key] for own in each]))
                for key in others
                if all(own[key] is not None for own in each)
            },
            "answers_per_video": self.answers_per_video,
            f"clip_{name}": float(np.mean(self.clip)),
            **({"ece_uncalibrated": float(np.mean(self.ece))} if self.ece else {}),
            "baselines": {baseline: float(np.mean(own)) for baseline, own in self.baselines.items()},
            "baselines_std": {baseline: _deviation(own) for baseline, own in self.baselines.items()},
            "no_better_than": list(self._not_beaten()),
        }

    def _not_beaten(self) -> dict[str, float]:
        means = {baseline: float(np.mean(own)) for baseline, own in self.baselines.items()}
        return no_better_than(self.head, self._value(), means, recurrent=self.recurrent)

    def _value(self) -> float:
        return float(np.mean([headline(self.head, metrics) for metrics in self.pooled]))

    def verdict(self) -> str:
        """See `describe_verdict`; of the means over the seeds."""
        return describe_verdict(self.head, self._value(), self._not_beaten())

    def averaging(self, scale: Average) -> str:
        """Clip and video accuracy, both averaged over the seeds; see `format_averaging`."""
        values, name = self.as_dict(), HEADLINES[self.head].name
        clip, video = values[f"clip_{name}"], values[f"{name}_mean"]
        return format_averaging(
            self.head, clip=clip, video=video, answers_per_video=self.answers_per_video, scale=scale
        )


def crossvalidate(
    sequences: SequenceSet,
    folds: Sequence[Fold],
    *,
    label_map: LabelMap,
    settings: RunSettings,
    protocol: str,
    on_fit: Callable[[], None] = lambda: None,
) -> CrossValidation:
    """Fit and test every fold for every seed, and the baselines on the same cuts.

    Args:
        sequences: all videos; folds hold positions in it.
        folds: disjoint test sides that together cover all videos.
        label_map: class order.
        settings: model, training and evaluation.
        protocol: goes into the result.
        on_fit: called after each fit, for a progress bar.
    """
    head, fits = settings.model.head, seeds_of_fits(settings)
    outputs, single, untrained = _answer_all(
        sequences, folds, num_classes=len(label_map), settings=settings, on_fit=on_fit
    )
    measured = _Measured(sequences, label_map, settings)
    pooled = tuple(measured(own) for own in outputs["model"])
    baselines = {name: [headline(head, measured(own, bootstrap=1))] for name, own in untrained.items()}
    baselines |= {
        variant: [headline(head, measured(own, bootstrap=1)) for own in outputs[variant]]
        for variant in fits
        if variant != "model"
    }
    of_folds = [
        [headline(head, measured(own, bootstrap=1, positions=fold.test)) for fold in folds] for own in outputs["model"]
    ]
    return CrossValidation(
        head=head,
        protocol=protocol,
        folds=tuple((fold.name, len(fold.test)) for fold in folds),
        seeds=fits["model"],
        pooled=pooled,
        outputs={
            variant: [[own[position] for position in range(len(sequences))] for own in outputs[variant]]
            for variant in fits
        },
        of_folds=np.asarray(of_folds),
        baselines=baselines,
        recurrent=bool(settings.model.layer_names),
        missing=sequences.missing,
        answers_per_video=len(single[0]),
        clip=tuple(float(np.mean([headline(head, measured(each, bootstrap=1)) for each in own])) for own in single),
        ece=tuple(measured.calibration_error(own) for own in outputs["model"]) if head == "label" else (),
    )


_Answers = list[dict[int, Output]]  # of each seed, or of each draw and view, by position


def _answer_all(
    sequences: SequenceSet,
    folds: Sequence[Fold],
    *,
    num_classes: int,
    settings: RunSettings,
    on_fit: Callable[[], None],
) -> tuple[dict[Variant, _Answers], list[_Answers], dict[str, dict[int, Output]]]:
    """Every fit of every fold: answers of each variant, the model's single ones of each seed, those without pixels."""
    head, fits = settings.model.head, seeds_of_fits(settings)
    outputs: dict[Variant, _Answers] = {variant: [{} for _ in own] for variant, own in fits.items()}
    single: list[_Answers] = [[] for _ in fits["model"]]
    untrained: dict[str, dict[int, Output]] = {}
    for fold in folds:
        train, test = sequences.subset(fold.train), sequences.subset(fold.test)
        for name, answers in answer_without_pixels(train, test, head=head, num_classes=num_classes).items():
            untrained.setdefault(name, {}).update(zip(fold.test, answers, strict=True))
        for variant, seeds in fits.items():
            for number, seed in enumerate(seeds):
                said = fit_and_answer(variant, train, test, num_classes=num_classes, settings=settings, seed=seed)
                outputs[variant][number].update(zip(fold.test, said.averaged, strict=True))
                if variant == "model":
                    _add(single[number], fold.test, said.single)
                on_fit()
    return outputs, single, untrained


def _add(single: _Answers, positions: Sequence[int], said: Sequence[Sequence[Output]]) -> None:
    """Take in the single answers for some videos, of each draw and view."""
    single += [{} for _ in said[len(single) :]]
    for own, each in zip(single, said, strict=True):
        own.update(zip(positions, each, strict=True))


class _Measured:
    """Metrics of outputs that are kept by position in a set of sequences."""

    def __init__(self, sequences: SequenceSet, label_map: LabelMap, settings: RunSettings) -> None:
        self._head, self._labels = settings.model.head, label_map.names
        self._truth = sequences.targets.per_video(sequences.totals)
        self._groups = [annotation.group for annotation in sequences.annotations]
        self._bootstrap = settings.evaluation.bootstrap

    def __call__(
        self, outputs: Mapping[int, Output], *, bootstrap: int | None = None, positions: Sequence[int] | None = None
    ) -> HeadMetrics:
        chosen = range(len(self._truth)) if positions is None else positions
        return measure_outputs(
            self._head,
            [outputs[position] for position in chosen],
            [self._truth[position] for position in chosen],
            labels=self._labels,
            groups=[self._groups[position] for position in chosen],
            bootstrap=bootstrap or self._bootstrap,
        )

    def calibration_error(self, outputs: Mapping[int, Output]) -> float:
        """Of the labels, as the model scores them."""
        logits = np.stack([outputs[position] for position in range(len(self._truth))])
        return expected_calibration_error(*judge(logits, np.asarray(self._truth, dtype=np.int64)))


def run_crossval(
    settings: RunSettings,
    *,
    output: Path,
    on_total: Callable[[int], None] = lambda _fits: None,
    on_fit: Callable[[], None] = lambda: None,
    on_note: Callable[[str], object] = lambda _note: None,
) -> CrossValidation:
    """Cross-validate on stored features; writes crossval.json, predictions.csv, config.yaml, maybe confusion.png.

    Args:
        settings: the configuration.
        output: folder of the results.
        on_total: gets the number of fits before the first.
        on_fit: called after each fit.
        on_note: gets what deserves a second look before the first fit.

    Raises:
        AnnotationError, StoreError, MissingPathError: see the parts.
    """
    notes: list[str] = []
    annotations = read_annotations(settings.data, notes)
    folders = find_folders(settings.features, store=settings.extraction.store)
    head = settings.model.head
    label_map = label_map_of(annotations, head)
    sequences = load_set(annotations, settings=settings, folders=folders, label_map=label_map)
    for note in (*notes, *sequences.notes):
        on_note(note)
    folds = make_folds(sequences.annotations, settings.evaluation, root=settings.data.root, accept=settings.data.accept)
    fits = seeds_of_fits(settings)
    seeds = fits["model"]
    on_total(len(folds) * sum(map(len, fits.values())))
    specs = name_specs(folder.spec for folder in folders)
    protocol = (
        f"{describe_data(settings, specs)}; {settings.evaluation.protocol}, {len(folds)} folds, "
        f"every video tested once per seed, {describe_answers(settings)}; no validation, last epoch; "
        f"seeds {', '.join(map(str, seeds))}{_of_baselines(fits)}; "
        f"{HEADLINES[head].name}_mean and _std (n - 1) over seeds of the value pooled over folds"
    )
    result = crossvalidate(sequences, folds, label_map=label_map, settings=settings, protocol=protocol, on_fit=on_fit)
    output.mkdir(parents=True, exist_ok=True)
    lacking = {"lacking_streams": sequences.lacking} if sequences.lacking else {}
    write_json(output / "crossval.json", public_metrics(result.as_dict() | lacking | provenance(settings)))
    write_config(output / "config.yaml", settings)
    write_predictions(
        output / "predictions.csv",
        head=head,
        paths=[annotation.path for annotation in sequences.annotations],
        groups=[annotation.group for annotation in sequences.annotations],
        labels=label_map.names,
        answers=zip(seeds, result.outputs["model"], strict=True),
        truth=sequences.targets.per_video(sequences.totals),
    )
    first = result.pooled[0]
    if isinstance(first, Metrics):
        draw_confusion(output / "confusion.png", first, title=f"top-1 {first.top1:.3f}, n = {first.n}, seed {seeds[0]}")
    return result


def _of_baselines(fits: dict[Variant, tuple[int, ...]]) -> str:
    own = next((seeds for variant, seeds in fits.items() if variant != "model"), fits["model"])
    return "" if own == fits["model"] else f" (trained baselines {', '.join(map(str, own))})"
