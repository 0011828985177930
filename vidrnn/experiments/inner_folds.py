"""Folds inside a training split, for what is chosen by validation there."""

from collections.abc import Sequence

from vidrnn.annotations import Annotation
from vidrnn.annotations.splits import Fold, make_folds
from vidrnn.errors import AnnotationError
from vidrnn.settings.evaluation import EvaluationSettings
from vidrnn.settings.run import RunSettings

_DEFAULT_FOLDS = 5


def inner_folds(
    annotations: Sequence[Annotation], settings: RunSettings, *, wanted: int | None, who: str
) -> list[Fold]:
    """Group k-fold over the training split, with as many folds as there are groups where these are fewer.

    Args:
        annotations: of the training split.
        settings: the configuration.
        wanted: number of folds; None: ``evaluation.folds``, or five.
        who: needs them, for the error.

    Raises:
        AnnotationError: there is a single group.
    """
    groups = len({annotation.group for annotation in annotations})
    if groups < 2:
        raise AnnotationError(
            f"{who} needs at least two groups in the training split, found {groups}; give a group column "
            "(who or what a clip comes from) or data.group_pattern, or lower data.val_fraction and data.test_fraction"
        )
    folds = settings.evaluation.folds
    number = wanted or (folds if isinstance(folds, int) else _DEFAULT_FOLDS)
    inner = EvaluationSettings(protocol="group_kfold", folds=min(number, groups))
    return make_folds(annotations, inner, root=settings.data.root)
