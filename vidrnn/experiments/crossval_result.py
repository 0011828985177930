"""The outcome of a cross-validation, as figures and in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vidrnn.evaluation.metrics import HEADLINES, HeadMetrics, Output, headline
from vidrnn.evaluation.report import format_averaging
from vidrnn.evaluation.resampling import none_if_nan
from vidrnn.evaluation.segmentation import ReadSteps
from vidrnn.evaluation.verdict import describe_verdict, no_better_than
from vidrnn.experiments.variants import Variant
from vidrnn.settings.evaluation import Average
from vidrnn.settings.model import Head


@dataclass(frozen=True)
class CrossValidation:
    """The outcome of one cross-validation.

    Attributes:
        head: what was answered.
        protocol: how the number was made, in words.
        folds: (name, videos tested) of each.
        seeds: of the repetitions.
        pooled: metrics over all folds for each seed.
        outputs: variant to seed to outputs: for each video from the model that did not see it.
        of_folds: (seeds, folds) headline of the model.
        baselines: name to headline for each seed (those without randomness have one value).
        answers_per_video: draws and views that are averaged to one answer.
        clip: for each seed the headline of these single answers, the mean over them.
        ece: for each seed the expected calibration error of ``label``, without any temperature; else empty.
        recurrent: whether the model has temporal layers.
        mirrored: for each fold whether its training side chose the mirrored view; empty where nothing was to choose.
        missing: annotated videos that have no features and so are not in n.
        readers: for each video what said the classes of its steps; None: the likeliest of each step.
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
    mirrored: tuple[bool, ...] = ()
    missing: tuple[str, ...] = ()
    readers: Sequence[ReadSteps] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The content of crossval.json; accuracies are fractions, the interval belongs to the first seed.

        Every figure of the metrics is averaged over the seeds. The headline, such as ``top1``, has its deviation, fold
        mean and value per seed beside it. A figure that is undefined for some seed is left out.
        """
        name = HEADLINES[self.head].name
        of_seeds = [metrics.as_dict() for metrics in self.pooled]
        values = [headline(self.head, metrics) for metrics in self.pooled]
        others = [key for key, value in of_seeds[0].items() if isinstance(value, float) and key != name]
        return {
            "protocol": self.protocol,
            "folds": [
                {
                    "name": fold,
                    "n": n,
                    f"{name}_mean": float(self.of_folds[:, i].mean()),
                    **({"mirrored": self.mirrored[i]} if self.mirrored else {}),
                }
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
                key: float(np.mean([figures[key] for figures in of_seeds]))
                for key in others
                if all(figures[key] is not None for figures in of_seeds)
            },
            "answers_per_video": self.answers_per_video,
            f"clip_{name}": float(np.mean(self.clip)),
            **({"ece_uncalibrated": float(np.mean(self.ece))} if self.ece else {}),
            "baselines": {baseline: float(np.mean(headlines)) for baseline, headlines in self.baselines.items()},
            "baselines_std": {baseline: _deviation(headlines) for baseline, headlines in self.baselines.items()},
            "no_better_than": list(self._not_beaten()),
        }

    def _not_beaten(self) -> dict[str, float]:
        means = {baseline: float(np.mean(headlines)) for baseline, headlines in self.baselines.items()}
        return no_better_than(self.head, self._value(), means, recurrent=self.recurrent)

    def _value(self) -> float:
        return float(np.mean([headline(self.head, metrics) for metrics in self.pooled]))

    def verdict(self) -> str:
        """See `describe_verdict`, here for the means over the seeds."""
        return describe_verdict(self.head, self._value(), self._not_beaten())

    def averaging(self, scale: Average) -> str:
        """Clip and video accuracy, both averaged over the seeds; see `format_averaging`."""
        values, name = self.as_dict(), HEADLINES[self.head].name
        clip, video = values[f"clip_{name}"], values[f"{name}_mean"]
        return format_averaging(
            self.head, clip=clip, video=video, answers_per_video=self.answers_per_video, scale=scale
        )


def _deviation(values: Sequence[float]) -> float | None:
    """Standard deviation of a sample (n - 1); None for a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None
