"""Cross-validation: every video is tested once per seed by a model that never saw its group."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from vidrnn.annotations import LabelMap
from vidrnn.evaluation.baselines import majority, metadata_only
from vidrnn.evaluation.metrics import Metrics, measure
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.splits import Fold
from vidrnn.settings import EvaluationSettings, ModelSettings, RunSettings, TrainingSettings
from vidrnn.training.fit import fit, predict

Variant = str  # "model", "mean_pool" or "shuffled_time"


def mean_pool_settings(model: ModelSettings) -> ModelSettings:
    """The model with its recurrence left out: the cached features, norm, projection, mean over time, classifier.

    It always takes the features themselves: the mean of ``centred`` steps is nothing, which would be no baseline.
    """
    return model.model_copy(update={"inputs": ("features",), "cell": "none", "pooling": "mean"})


def seeds_of(evaluation: EvaluationSettings, training: TrainingSettings) -> tuple[int, ...]:
    """The seeds of a repeated evaluation."""
    if isinstance(evaluation.seeds, tuple):
        return evaluation.seeds
    return tuple(training.seed + number for number in range(evaluation.seeds))


def fit_and_predict(
    variant: Variant,
    train: SequenceSet,
    test: SequenceSet,
    *,
    num_classes: int,
    settings: RunSettings,
    seed: int,
) -> npt.NDArray[np.float32]:
    """Fit the model or one of its trained baselines, without validation, and score the test sequences.

    Args:
        variant: ``model``, ``mean_pool`` (no recurrence) or ``shuffled_time`` (steps in random order throughout).
        train: sequences to learn from.
        test: sequences to score.
        num_classes: length of the logits.
        settings: model and training.
        seed: replaces ``training.seed``.

    Returns:
        (m, classes) logits of the test sequences.
    """
    model = mean_pool_settings(settings.model) if variant == "mean_pool" else settings.model
    training = settings.training.model_copy(update={"seed": seed})
    shuffled = variant == "shuffled_time"
    fitted = fit(train, None, num_classes=num_classes, model_settings=model, settings=training, shuffled_time=shuffled)
    return predict(fitted.model, test, training, shuffled_time=shuffled).numpy()


@dataclass(frozen=True)
class CrossValidation:
    """The outcome of one cross-validation.

    Attributes:
        protocol: how the number was made, in words.
        folds: (name, videos tested) of each.
        seeds: of the repetitions.
        pooled: metrics over all folds for each seed.
        scores: variant to (seeds, n, classes) logits of the model that did not see the video.
        fold_top1: (seeds, folds) accuracy of the model.
        baselines: name to accuracy for each seed (those without randomness have one value).
        missing: annotated videos that have no features and so are not in n.
    """

    protocol: str
    folds: tuple[tuple[str, int], ...]
    seeds: tuple[int, ...]
    pooled: tuple[Metrics, ...]
    scores: dict[Variant, npt.NDArray[np.float32]]
    fold_top1: npt.NDArray[np.float64]
    baselines: dict[str, list[float]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The content of crossval.json; accuracies are fractions, ``top1_interval`` is that of the first seed."""
        top1 = [metrics.top1 for metrics in self.pooled]
        return {
            "protocol": self.protocol,
            "folds": [
                {"name": name, "n": n, "top1_mean": float(self.fold_top1[:, i].mean())}
                for i, (name, n) in enumerate(self.folds)
            ],
            "seeds": list(self.seeds),
            "n": self.pooled[0].n,
            "missing_features": list(self.missing),
            "top1_mean": float(np.mean(top1)),
            "top1_std": float(np.std(top1)),
            "top1_per_seed": top1,
            "top1_fold_mean": float(self.fold_top1.mean()),
            "top1_interval": list(self.pooled[0].interval),
            "mean_class_accuracy": float(np.mean([metrics.mean_class_accuracy for metrics in self.pooled])),
            "macro_f1": float(np.mean([metrics.macro_f1 for metrics in self.pooled])),
            "baselines": {name: float(np.mean(values)) for name, values in self.baselines.items()},
            "baselines_std": {name: float(np.std(values)) for name, values in self.baselines.items()},
        }


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
    seeds = seeds_of(settings.evaluation, settings.training)
    variants = ["model", *(["mean_pool", "shuffled_time"] if settings.evaluation.baselines else [])]
    n, num_classes = len(sequences), len(label_map)
    targets = sequences.targets.cpu().numpy()
    scores = {variant: np.full((len(seeds), n, num_classes), np.nan, dtype=np.float32) for variant in variants}
    untrained = {"majority": np.zeros(n, dtype=np.int64), "metadata_only": np.zeros(n, dtype=np.int64)}
    for fold in folds:
        train, test = sequences.subset(fold.train), sequences.subset(fold.test)
        chosen, train_targets = list(fold.test), targets[list(fold.train)]
        untrained["majority"][chosen] = majority(train_targets, len(chosen))
        untrained["metadata_only"][chosen] = metadata_only(train.metadata, train_targets, test.metadata)
        for number, seed in enumerate(seeds):
            for variant in variants:
                scores[variant][number, chosen] = fit_and_predict(
                    variant, train, test, num_classes=num_classes, settings=settings, seed=seed
                )
                on_fit()
    groups = [annotation.group for annotation in sequences.annotations]
    pooled = [
        measure(each, targets, labels=label_map.names, groups=groups, bootstrap=settings.evaluation.bootstrap)
        for each in scores["model"]
    ]
    correct = scores["model"].argmax(2) == targets
    baselines = {name: [float((predicted == targets).mean())] for name, predicted in untrained.items()}
    baselines |= {
        variant: [float(value) for value in (scores[variant].argmax(2) == targets).mean(axis=1)]
        for variant in variants[1:]
    }
    return CrossValidation(
        protocol=protocol,
        folds=tuple((fold.name, len(fold.test)) for fold in folds),
        seeds=seeds,
        pooled=tuple(pooled),
        scores=scores,
        fold_top1=np.stack([correct[:, list(fold.test)].mean(axis=1) for fold in folds], axis=1),
        baselines=baselines,
        missing=sequences.missing,
    )
