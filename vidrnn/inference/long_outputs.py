"""The outputs of a model that answers at every step, for one video of any length, part after part.

A one-direction model goes on from the state that it carries. A model of both directions answers blocks of `BLOCK`
steps, of which each is read with `CONTEXT` steps before and after it. Blocks begin at the first step of the video, so
that the answers do not depend on how a file is read.
"""

from collections.abc import Iterator

import torch

from vidrnn.device import repeatable
from vidrnn.inference.prediction_rows import Outputs
from vidrnn.models.ensemble import combine_outputs
from vidrnn.models.layer_stack import LEARNED_POSITIONS
from vidrnn.models.model_file import TrainedModel
from vidrnn.models.states import State
from vidrnn.sequences.inputs import InputState, advance_inputs
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.steps import StepChoice
from vidrnn.sequences.stream_table import StreamTable
from vidrnn.settings.model import ModelSettings

BLOCK, CONTEXT = 4096, 1024
"""Steps of a block, and steps that are read before and after it: at 10 per second 7 minutes, and 1.7 minutes."""
_PART = 1024  # steps at once of a model that carries its state; any number gives the same answers


def step_outputs(model: TrainedModel, sequences: SequenceSet, *, part: int = _PART) -> Iterator[Outputs]:
    """The outputs (n, outputs) of neighbouring steps, from the first step to the last.

    Args:
        model: answers at every step; `vidrnn.inference.segments.check_options` had no objection.
        sequences: the video alone.
        part: steps at once, for a model that carries its state.
    """
    model.classifier.eval()
    (total,) = sequences.totals.tolist()
    if model.settings.model.bidirectional:
        block, context = _sizes(model.settings.model)
        for begin in range(0, total, block):
            yield _answer_block(model, sequences, begin, min(begin + block, total), context=context)
        return
    carried = [_Carried(model, sequences, mirrored=mirrored) for mirrored in _views(model, sequences)]
    for begin in range(0, total, part):
        yield _combined(model, [view.advance(begin, min(begin + part, total)) for view in carried])


def _sizes(settings: ModelSettings) -> tuple[int, int]:
    """Block and context; smaller for transformers whose learned positions end."""
    if settings.positions == "learned" and "transformer" in settings.layer_names:
        return LEARNED_POSITIONS // 2, LEARNED_POSITIONS // 4
    return BLOCK, CONTEXT


def _views(model: TrainedModel, sequences: SequenceSet) -> tuple[bool, ...]:
    both = sequences.has_both_views and model.settings.inference.views == "both"
    return (False, True) if both else (False,)


def _combined(model: TrainedModel, outputs: list[torch.Tensor]) -> Outputs:
    """(n, outputs) of the views (1, n, outputs)."""
    lengths, average = torch.tensor([outputs[0].shape[1]]), model.settings.inference.average
    combined: Outputs = combine_outputs(model.settings.model.head, outputs, lengths=lengths, scale=average)[0].numpy()
    return combined


@repeatable()
@torch.inference_mode()
def _answer_block(model: TrainedModel, sequences: SequenceSet, begin: int, end: int, *, context: int) -> Outputs:
    start, stop = max(begin - context, 0), min(end + context, int(sequences.totals[0]))
    choice = StepChoice(torch.arange(start, stop).unsqueeze(0), torch.tensor([stop - start]))
    outputs = []
    for mirrored in _views(model, sequences):
        view = torch.tensor([True]) if mirrored else None
        batch = sequences.batch(torch.tensor([0]), choice, model.settings.model, mirrored=view)
        answers: torch.Tensor = model.classifier(batch.features, batch.lengths, batch.present)
        outputs.append(answers[:, begin - start : end - start].cpu())
    return _combined(model, outputs)


class _Carried:
    """One view of a video, shown to a one-direction model part after part."""

    def __init__(self, model: TrainedModel, sequences: SequenceSet, *, mirrored: bool) -> None:
        self._classifier, self._grid = model.classifier, sequences.grid
        self._state: State | None = None
        self._inputs: dict[str, _Inputs | None] = {}
        self._widths: dict[str, int] = {}
        self._device = sequences.device
        for name, table in sequences.streams.items():
            settings = model.settings.model.of_stream(name)
            self._widths[name] = len(settings.inputs) * table.dim
            view = table.mirrored if mirrored and table.mirrored is not None else table
            self._inputs[name] = None if name in sequences.hidden else _Inputs(view, settings)

    @repeatable()
    @torch.inference_mode()
    def advance(self, begin: int, end: int) -> torch.Tensor:
        """(1, n, outputs) of the steps from ``begin`` to ``end``, which come after all that were shown."""
        shown, present = [], []
        for name, inputs in self._inputs.items():
            if inputs is None:
                steps = torch.full((end - begin,), -1)
            elif self._grid is None:
                steps = torch.arange(begin, end)
            else:
                steps = self._grid.steps[name][begin:end].long()
            there = steps >= 0
            if inputs is None or not bool(there.any()):
                shown.append(torch.zeros(1, end - begin, self._widths[name], device=self._device))
            else:
                shown.append(inputs.at(steps))
            present.append(there)
        several = torch.stack(present, dim=1).unsqueeze(0).to(self._device) if len(present) > 1 else None
        outputs, self._state = self._classifier.advance(torch.cat(shown, dim=2), self._state, present=several)
        return outputs.cpu()


class _Inputs:
    """What a one-direction model sees of a stream. The stream may have more steps than are shown, or fewer."""

    def __init__(self, table: StreamTable, settings: ModelSettings) -> None:
        self._table, self._settings = table, settings
        self._state: InputState | None = None
        self._next = 0  # the first step of the stream that has not been looked at
        self._last: torch.Tensor | None = None  # what was seen of the step before it

    def at(self, steps: torch.Tensor) -> torch.Tensor:
        """(1, n, inputs times D) of these steps (n,) of the stream, zero where they are negative; at least one is not.

        They do not go back behind the last step of the call before.
        """
        until, first = int(steps.max()) + 1, self._next
        known = [] if self._last is None else [self._last]
        first -= len(known)
        if until > self._next:
            rows = self._table.features.narrow(0, self._next, until - self._next).unsqueeze(0)
            seen, self._state = advance_inputs(rows, self._state, model=self._settings, parts=self._table.parts)
            known.append(seen)
            self._next, self._last = until, seen[:, -1:].clone()
        places = (steps - first).clamp(min=0)
        there = (steps >= 0).to(known[0].device).unsqueeze(1)
        return torch.cat(known, dim=1)[:, places.to(known[0].device)].masked_fill(~there, 0.0)
