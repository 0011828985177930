"""A one-direction model that answers about each step when it comes."""

from collections.abc import Sequence

import torch

from vidrnn.device import repeatable
from vidrnn.inference.live_answers import LiveAnswer, step_answer
from vidrnn.inference.live_features import StepFeatures
from vidrnn.inference.prediction_rows import Outputs
from vidrnn.models.ensemble import combine_outputs
from vidrnn.models.model_file import TrainedModel
from vidrnn.models.states import State
from vidrnn.sequences.inputs import InputState, advance_inputs
from vidrnn.store.spec import FeatureSpec


class StepByStep:
    """A one-direction model with an answer per step: the same work for every step, however long the stream."""

    def __init__(self, model: TrainedModel, specs: Sequence[FeatureSpec]) -> None:
        self._model = model
        self._specs = {(spec.stream, spec.is_mirrored): spec for spec in specs}
        self._views = sorted({spec.is_mirrored for spec in specs})
        self._device = next(model.classifier.parameters()).device
        self.reset()

    def reset(self) -> None:
        """Forget all steps."""
        self._inputs: dict[tuple[str, bool], InputState] = {}
        self._states: dict[bool, State] = {}
        self._before: Outputs | None = None

    def finish(self) -> list[LiveAnswer]:
        """Nothing waits."""
        return []

    @repeatable()
    @torch.inference_mode()
    def take(self, time_s: float, features: StepFeatures) -> list[LiveAnswer]:
        """The final answer about this step."""
        outputs = [self._advance(view, features) for view in self._views]
        average = self._model.settings.inference.average
        combined = combine_outputs(self._model.settings.model.head, outputs, lengths=torch.tensor([1]), scale=average)[
            0, 0
        ]
        logits = combined.cpu().numpy()
        answer = step_answer(self._model, logits, time_s=time_s, status="final", before=self._before)
        self._before = logits
        return [answer]

    def _advance(self, mirrored: bool, features: StepFeatures) -> torch.Tensor:
        """(1, 1, outputs) of one view; a stream without a mirrored view is seen as it is."""
        settings, shown, present = self._model.settings.model, [], []
        for spec in self._model.specs:
            of_stream = settings.of_stream(spec.stream)
            view = (spec.stream, mirrored if (spec.stream, mirrored) in features else False)
            present.append(view in features)
            if view not in features:
                shown.append(torch.zeros(1, 1, len(of_stream.inputs) * spec.dim, device=self._device))
                continue
            row = torch.from_numpy(features[view])[None, None].to(self._device)
            key = (spec.stream, mirrored)
            inputs, self._inputs[key] = advance_inputs(
                row, self._inputs.get(key), model=of_stream, parts=self._specs[view].parts
            )
            shown.append(inputs)
        outputs, self._states[mirrored] = self._model.classifier.advance(
            torch.cat(shown, dim=2),
            self._states.get(mirrored),
            present=torch.tensor([[present]], device=self._device),
        )
        return outputs
