"""What is measured of the fits of a cross-validation, pooled over its folds."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from vidrnn.annotations import LabelMap
from vidrnn.annotations.splits import Fold
from vidrnn.evaluation.calibration import expected_calibration_error, judge
from vidrnn.evaluation.metrics import HeadMetrics, Output, headline, measure_outputs
from vidrnn.evaluation.segmentation import ReadSteps
from vidrnn.experiments.crossval_fits import AllOutputs, seeds_of_fits
from vidrnn.experiments.crossval_result import CrossValidation
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.run import RunSettings
from vidrnn.training.segments import learn_segments


class Measured:
    """Metrics of outputs that are kept by position in a set of sequences."""

    def __init__(self, sequences: SequenceSet, label_map: LabelMap, settings: RunSettings) -> None:
        self._head, self._labels = settings.model.head, label_map.names
        self._truth = sequences.targets.per_video(sequences.totals)
        self._groups = [annotation.group for annotation in sequences.annotations]
        self._bootstrap = settings.evaluation.bootstrap

    def __call__(
        self,
        outputs: Mapping[int, Output],
        *,
        bootstrap: int | None = None,
        positions: Sequence[int] | None = None,
        readers: Mapping[int, ReadSteps] | None = None,
    ) -> HeadMetrics:
        """The metrics of some videos, by their positions, or of all.

        Args:
            outputs: by position.
            bootstrap: resamples of intervals; None: as the configuration says.
            positions: which videos; None: all.
            readers: what says the classes of steps, by position.
        """
        chosen = range(len(self._truth)) if positions is None else positions
        return measure_outputs(
            self._head,
            [outputs[position] for position in chosen],
            [self._truth[position] for position in chosen],
            labels=self._labels,
            groups=[self._groups[position] for position in chosen],
            bootstrap=bootstrap or self._bootstrap,
            readers=None if readers is None else [readers[position] for position in chosen],
        )

    def headline(
        self,
        outputs: Mapping[int, Output],
        positions: Sequence[int] | None = None,
        readers: Mapping[int, ReadSteps] | None = None,
    ) -> float:
        """The number that stands at the top, of some videos or of all."""
        return headline(self._head, self(outputs, bootstrap=1, positions=positions, readers=readers))

    @property
    def num_classes(self) -> int:
        """How many classes the head tells apart."""
        return len(self._labels)

    def calibration_error(self, outputs: Mapping[int, Output]) -> float:
        """The expected calibration error of the labels, as the model scores them."""
        logits = np.stack([outputs[position] for position in range(len(self._truth))])
        return expected_calibration_error(*judge(logits, np.asarray(self._truth, dtype=np.int64)))


def measure(
    made: AllOutputs,
    measured: Measured,
    sequences: SequenceSet,
    folds: Sequence[Fold],
    settings: RunSettings,
    *,
    protocol: str,
    mirrored: tuple[bool, ...],
) -> CrossValidation:
    """The metrics of all fits, which `make_all` made."""
    (outputs, single, untrained), value = made, measured.headline
    head, fits = settings.model.head, seeds_of_fits(settings)
    readers = _readers(sequences, folds, settings, num_classes=measured.num_classes)
    baselines = {name: [value(answers)] for name, answers in untrained.items()}
    baselines |= {variant: [value(answers) for answers in outputs[variant]] for variant in fits if variant != "model"}
    return CrossValidation(
        head=head,
        protocol=protocol,
        folds=tuple((fold.name, len(fold.test)) for fold in folds),
        seeds=fits["model"],
        pooled=tuple(measured(answers, readers=readers) for answers in outputs["model"]),
        outputs={
            variant: [[answers[position] for position in range(len(sequences))] for answers in outputs[variant]]
            for variant in fits
        },
        of_folds=np.asarray([[value(answers, fold.test, readers) for fold in folds] for answers in outputs["model"]]),
        baselines=baselines,
        recurrent=bool(settings.model.layer_names),
        mirrored=mirrored,
        missing=sequences.missing,
        answers_per_video=len(single[0]),
        clip=tuple(float(np.mean([value(answers, None, readers) for answers in of_seed])) for of_seed in single),
        readers=None if readers is None else [readers[position] for position in range(len(sequences))],
        ece=tuple(measured.calibration_error(answers) for answers in outputs["model"]) if head == "label" else (),
    )


def _readers(
    sequences: SequenceSet, folds: Sequence[Fold], settings: RunSettings, *, num_classes: int
) -> dict[int, ReadSteps] | None:
    """What says the classes of steps of each video, from the segments of the videos that its model learned from."""
    if settings.inference.decoding == "argmax":
        return None
    found: dict[int, ReadSteps] = {}
    for fold in folds:
        decoder = learn_segments(sequences.subset(fold.train), settings.model.head, num_classes=num_classes)
        assert decoder is not None, "the configuration was refused"
        found |= dict.fromkeys(fold.test, partial(decoder.decode, weight=settings.inference.decoding_weight))
    return found
