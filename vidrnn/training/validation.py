"""Loss and headline metric of a model on validation sequences."""

import numpy as np
import torch
from torch import nn

from vidrnn.errors import TrainingError
from vidrnn.evaluation.metrics import HEADLINES, headline, measure_outputs
from vidrnn.models.ensemble import Model
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.targets import known_answers
from vidrnn.settings.model import FRAMEWISE_HEADS, MULTILABEL_HEADS
from vidrnn.training.losses import ctc_loss
from vidrnn.training.predict import PredictOptions, predict


def validate(
    model: Model,
    val: SequenceSet,
    options: PredictOptions,
    *,
    num_classes: int,
) -> dict[str, float]:
    """Loss and headline metric on validation sequences.

    The loss depends on the head alone, so that runs and candidates of a search can be compared, whatever they minimise.
    It is cross-entropy without smoothing and weights, binary cross-entropy, CTC, or the squared error in units of the
    deviation of the training set, which the model holds.

    Args:
        model: what is validated.
        val: on what.
        options: how the model answers.
        num_classes: classes that the head tells apart.

    Returns:
        ``val_loss`` and ``val_`` with the name of the metric, as in log.csv.

    Raises:
        TrainingError: no step of a video has a known answer.
    """
    head = model.settings.head
    truth = val.targets.per_video(val.totals)
    if head in FRAMEWISE_HEADS and not any(known_answers(torch.from_numpy(values)).any() for values in truth):
        raise TrainingError(
            "an epoch is chosen by the known answers of the validation videos, and no step has one; annotate some, or "
            "set data.val_fraction to 0"
        )
    outputs = predict(model, val, options)
    loss = _common_loss(model, outputs, val, blank=num_classes)
    metrics = measure_outputs(
        head,
        [output.numpy() for output in outputs],
        truth,
        labels=[str(number) for number in range(num_classes)],
        groups=[annotation.group for annotation in val.annotations],
        bootstrap=1,
    )
    return {"val_loss": float(loss), f"val_{HEADLINES[head].name}": headline(head, metrics)}


def _common_loss(model: Model, outputs: list[torch.Tensor], val: SequenceSet, *, blank: int) -> torch.Tensor:
    """See `validate`."""
    head, truth = model.settings.head, val.targets.per_video(val.totals)
    if head == "transcript":
        lengths = torch.tensor([len(output) for output in outputs])
        padded = nn.utils.rnn.pad_sequence(outputs, batch_first=True)
        return ctc_loss(padded, lengths, val.targets.values.cpu(), blank=blank)
    flat = torch.cat(outputs) if model.per_step else torch.stack(outputs)
    targets = torch.from_numpy(np.concatenate(truth) if model.per_step else np.stack(truth))
    known = known_answers(targets)
    if head in MULTILABEL_HEADS:
        return nn.functional.binary_cross_entropy_with_logits(flat[known], targets[known])
    if model.scale is None:
        return nn.functional.cross_entropy(flat[known], targets[known])
    return (((flat[:, 0] - targets)[known] / model.scale[1].cpu()) ** 2).mean()
