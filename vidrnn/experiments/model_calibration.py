"""What the validation split says about a model's scores: its temperature, and from where on it should answer."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vidrnn.annotations import UNKNOWN, Annotation, LabelMap
from vidrnn.errors import AnnotationError
from vidrnn.evaluation.calibration import calibrate, fit_temperature, judge, measure_calibration, threshold_for_risk
from vidrnn.models.model_file import TrainedModel
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.run import RunSettings
from vidrnn.training.predict import predict, predict_options


def check_unknown(settings: RunSettings, val: Sequence[Annotation], label_map: LabelMap) -> None:
    """Refuse a wish for ``unknown`` that cannot be met, before anything is fitted.

    Raises:
        AnnotationError: there is no validation split, or a class has that name.
    """
    max_risk = settings.inference.max_risk
    if max_risk is None:
        return
    if not val:
        raise AnnotationError(
            f"inference.max_risk {max_risk} needs validation videos to choose the threshold on, but there is no val "
            "split: name it in the annotations, set data.val_fraction, or set inference.max_risk to null"
        )
    if UNKNOWN in label_map.names:
        raise AnnotationError(
            f"a class is called {UNKNOWN!r}, which is also what inference.max_risk {max_risk} answers instead of a "
            "class; rename the class, or set inference.max_risk to null"
        )


def calibrated(model: TrainedModel, val: SequenceSet | None) -> TrainedModel:
    """Give a model of head ``label`` its temperature and threshold, and the figures of both in its metrics.

    Both are chosen and measured on the same videos, which also chose the epoch: the figures are optimistic.

    Args:
        model: with the weights that count.
        val: validation videos; None leaves the model as it is.
    """
    if val is None or model.settings.model.head != "label":
        return model
    options, max_risk = predict_options(model.settings), model.settings.inference.max_risk
    logits = np.stack([output.numpy() for output in predict(model.classifier, val, options)])
    targets = val.targets.values.cpu().numpy()
    temperature = fit_temperature(logits, targets)
    unknown_below, bound = None, None
    if max_risk is not None:
        unknown_below, bound = threshold_for_risk(*judge(calibrate(logits, temperature), targets), max_risk=max_risk)
    measured = measure_calibration(logits, targets, temperature=temperature, unknown_below=unknown_below)
    figures = {
        "protocol": f"temperature{'' if max_risk is None else ' and threshold'} chosen on the validation split and "
        "measured on it, so optimistic",
        **measured.as_dict(),
        "max_risk": max_risk,
        "risk_bound": bound,
    }
    return replace(
        model,
        temperature=temperature,
        unknown_below=unknown_below,
        metrics=model.metrics | {"calibration": figures},
    )
