"""The sequence classifier: LayerNorm, projection, temporal layers, pooling over time, linear output.

Heads with an answer at every step have no pooling: their output layer stands on the states of the steps. Several
streams are fused before the temporal layers, or, in ``late`` fusion, have all of this for themselves. Further stages
refine the classes of steps.
"""

from collections.abc import Mapping

import torch
from torch import nn

from vidrnn.models.fusion import Fusion, Mixture, closed_up, put_back, split
from vidrnn.models.layer_stack import LayerStack
from vidrnn.models.pooling import Pooling, valid_steps
from vidrnn.models.refinement import Refinement
from vidrnn.models.states import State, obstacle_to_steps, parts_of
from vidrnn.settings.model import REGRESSION_HEADS, STEP_HEADS, Head, ModelSettings
from vidrnn.settings.streams import in_order


def num_outputs(head: Head, num_classes: int) -> int:
    """Numbers that a head gives: logits of the classes, for transcripts and of the blank after them; or one number."""
    return 1 if head in REGRESSION_HEADS else num_classes + (head == "transcript")


class SequenceClassifier(nn.Module):
    """Frame features in time order to the outputs of a head, which are logits or, for regressions, numbers.

    The outputs of a sequence are the same alone, padded, or in any batch. A feature that is nan makes every step that
    sees it nan, and with it the outputs of that sequence; other sequences stay as they are.

    Args:
        settings: the model.
        dim: length D of a feature vector, or stream to length; their order does not matter.
        num_classes: classes that the head tells apart; 0 for regressions.
    """

    scale: torch.Tensor | None

    def __init__(self, settings: ModelSettings, *, dim: int | Mapping[str, int], num_classes: int) -> None:
        super().__init__()
        self.settings = settings
        self.per_step = settings.head in STEP_HEADS
        dims = {"rgb": dim} if isinstance(dim, int) else {name: dim[name] for name in in_order(dim)}
        self.widths = {name: length * len(settings.of_stream(name).inputs) for name, length in dims.items()}
        self.width = sum(self.widths.values())
        # Mean and deviation of the numbers that were learned from. In float64: beside a mean of 1e9, such as of times,
        # float32 has steps of 64.
        scale = torch.tensor([0.0, 1.0], dtype=torch.float64) if settings.head in REGRESSION_HEADS else None
        self.register_buffer("scale", scale)
        self.fusion: Fusion | None = None
        self.branches: nn.ModuleDict | None = None
        if len(dims) > 1 and settings.fusion == "late":
            alone = settings.model_copy(update={"stages": 1})  # what all of them say together is refined
            self.branches = nn.ModuleDict(
                {
                    name: SequenceClassifier(alone, dim={name: length}, num_classes=num_classes)
                    for name, length in dims.items()
                }
            )
            self.mixture = Mixture(len(dims), learned=settings.late_weights == "learned")
            self.refinements = _refinements(settings, num_classes)
            return
        if len(dims) > 1:
            self.fusion = Fusion(self.widths, settings=settings)
            width = self.fusion.output_size
        else:
            self.norm = nn.LayerNorm(self.width) if settings.input_norm else nn.Identity()
            width = settings.projection or self.width
            self.projection = nn.Linear(self.width, width) if settings.projection else nn.Identity()
        self.dropout = nn.Dropout(settings.dropout)
        self.layers = LayerStack(width, settings=settings)
        channels = self.layers.output_size
        if not self.per_step:
            self.pooling = Pooling(settings.pooling, channels=channels, heads=settings.pooling_heads)
        self.output = nn.Linear(channels, num_outputs(settings.head, num_classes))
        self.refinements = _refinements(settings, num_classes)

    def forward(
        self, features: torch.Tensor, lengths: torch.Tensor, present: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Classify a padded batch.

        Args:
            features: (B, S, inputs times D), of several streams one after the other in canonical order; only what is
                present and lies within ``lengths`` counts.
            lengths: (B,) int64 on the CPU, each between 1 and S.
            present: (B, S, streams) bool, which stream is there at which step, at least one somewhere; needed for
                several streams.

        Returns:
            (B, outputs), or (B, S, outputs) for heads that answer at every step, meaningless beyond ``lengths``;
            float64 from regressions.

        Raises:
            ValueError: the batch is empty, a length is 0 or beyond S, the last dimension differs from the model's, or
                there are more steps than learned positions.
        """
        return self._scaled(self.unscaled(features, lengths, present))

    def advance(
        self,
        features: torch.Tensor,
        state: State | None = None,
        *,
        present: torch.Tensor | None = None,
        lengths: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, State]:
        """Go on from a state: the outputs of S more steps, as `forward` over all steps since the start gives them.

        Args:
            features: (B, S, inputs times D), see `forward`.
            state: after the steps before, see `vidrnn.models.states`; None at the start.
            present: (B, S, streams) bool, needed for several streams; all may be absent.
            lengths: (B,) int64 on the CPU, true steps of each sequence, 0 to S; None when all are.

        Returns:
            (B, S, outputs), where those beyond ``lengths`` mean nothing, and the state after the true steps.

        Raises:
            ValueError: the model cannot, see `vidrnn.models.states.obstacle_to_steps`; or there are more steps than
                learned positions.
        """
        outputs, state = self.advance_stages(features, state, present=present, lengths=lengths)
        return self._scaled(outputs[-1]), state

    def advance_stages(
        self,
        features: torch.Tensor,
        state: State | None = None,
        *,
        present: torch.Tensor | None = None,
        lengths: torch.Tensor | None = None,
    ) -> tuple[list[torch.Tensor], State]:
        """As `advance`, with the outputs of `stage_outputs`."""
        if obstacle := obstacle_to_steps(self.settings):
            raise ValueError(obstacle)
        if lengths is not None:
            valid = valid_steps(lengths, features).unsqueeze(2)
            features = features.masked_fill(~valid, 0.0)  # nan beyond the end would become nan in the gradients
            present = None if present is None else present & valid
        before, *others = parts_of(state, 1 + len(self.refinements))
        first, after = self._advance_first(features, before, present, lengths)
        outputs, states = [first], [after]
        for refinement, other in zip(self.refinements, others, strict=True):
            assert isinstance(refinement, Refinement)
            refined, after = refinement.advance(outputs[-1], other, lengths)
            outputs.append(refined)
            states.append(after)
        return outputs, tuple(states)

    def _advance_first(
        self, features: torch.Tensor, state: State | None, present: torch.Tensor | None, lengths: torch.Tensor | None
    ) -> tuple[torch.Tensor, State]:
        """The first stage."""
        if self.branches is not None:
            assert present is not None, "which streams?"
            return self._advance_branches(features, state, present)
        fused, layers = parts_of(state, 2)
        if self.fusion is not None:
            assert present is not None, "which streams?"
            steps, fused = self.fusion.advance(features, present, fused, lengths)
        else:
            steps, fused = self.projection(self.norm(features)), ()
        states, layers = self.layers.advance(self.dropout(steps), layers, lengths)
        return self._answer(states), (fused, layers)

    def _advance_branches(
        self, features: torch.Tensor, state: State | None, present: torch.Tensor
    ) -> tuple[torch.Tensor, State]:
        """Late fusion: each branch goes on by the steps that its stream has."""
        assert self.branches is not None
        outputs, states = [], []
        parts = zip(
            self.branches.values(),
            split(features, list(self.widths.values())),
            present.unbind(2),
            parts_of(state, len(self.branches)),
            strict=True,
        )
        for branch, stream, there, before in parts:
            assert isinstance(branch, SequenceClassifier)
            lasting = there.sum(1).cpu()
            steps, order = closed_up(stream, there, longest=max(int(lasting.max()), 1))
            (stream_outputs,), after = branch.advance_stages(steps, before, lengths=lasting)
            outputs.append(put_back(stream_outputs, order, steps=there.shape[1]))
            states.append(after)
        return self.mixture(torch.stack(outputs, dim=2), present), tuple(states)

    def _scaled(self, outputs: torch.Tensor) -> torch.Tensor:
        return outputs if self.scale is None else outputs.double() * self.scale[1] + self.scale[0]

    def unscaled(
        self, features: torch.Tensor, lengths: torch.Tensor, present: torch.Tensor | None = None
    ) -> torch.Tensor:
        """As `forward`, but numbers of regressions as deviations from the mean in training, in units of the deviation.

        That is what is learned: rounded to bfloat16, a number itself would be off by up to 0.4 % of its mean.
        """
        return self.stage_outputs(features, lengths, present)[-1]

    def stage_outputs(
        self, features: torch.Tensor, lengths: torch.Tensor, present: torch.Tensor | None = None
    ) -> list[torch.Tensor]:
        """As `unscaled`, from each of ``model.stages``; the last one is the answer."""
        if self.branches is not None:
            of_video, of_steps = self._mix(features, lengths, present, with_steps=False)
            outputs = [of_steps if self.per_step else of_video]
        else:
            steps, end = self._encode(features, lengths, present)
            outputs = [self._answer(steps if self.per_step else self.pooling(steps, end, lengths))]
        for refinement in self.refinements:
            outputs.append(refinement(outputs[-1], lengths))
        return outputs

    def with_step_logits(
        self, features: torch.Tensor, lengths: torch.Tensor, present: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As `unscaled` for heads with one answer per video, and the output layer on every step too.

        Returns:
            (B, outputs) and (B, S, outputs) of single steps, meaningless beyond ``lengths``.
        """
        if self.branches is not None:
            return self._mix(features, lengths, present, with_steps=True)
        steps, end = self._encode(features, lengths, present)
        return self._answer(self.pooling(steps, end, lengths)), self._answer(steps)

    def _mix(
        self, features: torch.Tensor, lengths: torch.Tensor, present: torch.Tensor | None, *, with_steps: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Late fusion: every stream answers from the steps that it has, and the answers are weighed.

        Returns:
            (B, outputs) of the videos, for heads with one answer per video; and (B, S, outputs) of the steps, for the
            others or when they are asked for. What is not there is empty.
        """
        assert self.branches is not None
        present = self._check_streams(features, lengths, present)
        of_video, of_steps = [], []
        for branch, stream, there in zip(
            self.branches.values(), split(features, list(self.widths.values())), present.unbind(2), strict=True
        ):
            assert isinstance(branch, SequenceClassifier)
            lasting = there.sum(1).cpu().clamp(min=1)  # of an absent stream one step of zeros, which weighs nothing
            steps, order = closed_up(stream, there, longest=int(lasting.max()))
            outputs = branch.with_step_logits(steps, lasting) if with_steps else (branch.unscaled(steps, lasting),)
            if not self.per_step:
                of_video.append(outputs[0])
            if with_steps or self.per_step:
                of_steps.append(put_back(outputs[-1], order, steps=there.shape[1]))
        empty = features.new_zeros(0)
        return (
            self.mixture(torch.stack(of_video, dim=1), present.any(1)) if of_video else empty,
            self.mixture(torch.stack(of_steps, dim=2), present) if of_steps else empty,
        )

    def _encode(
        self, features: torch.Tensor, lengths: torch.Tensor, present: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.fusion is not None:
            fused = self.fusion(features, self._check_streams(features, lengths, present))
            steps, end = self.layers(self.dropout(fused), lengths)
            return steps, end
        self._check(features, lengths)
        if int(lengths.min()) < features.shape[1]:  # nan in the padding would become nan in the gradients
            features = features.masked_fill(~valid_steps(lengths, features).unsqueeze(2), 0.0)
        steps, end = self.layers(self.dropout(self.projection(self.norm(features))), lengths)
        return steps, end

    def _answer(self, states: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.output(self.dropout(states))
        return outputs

    def _check_streams(
        self, features: torch.Tensor, lengths: torch.Tensor, present: torch.Tensor | None
    ) -> torch.Tensor:
        """(B, S, streams) bool, true where a stream is there inside the lengths."""
        self._check(features, lengths)
        assert present is not None and present.shape == (*features.shape[:2], len(self.widths)), "which streams?"
        present = present & valid_steps(lengths, features).unsqueeze(2)
        assert bool(present.flatten(1).any(1).all()), "a video without any stream cannot be answered"
        return present

    def _check(self, features: torch.Tensor, lengths: torch.Tensor) -> None:
        if features.ndim != 3 or features.shape[2] != self.width:
            raise ValueError(f"features have shape {tuple(features.shape)}, expected (batch, steps, {self.width})")
        if not len(features):
            raise ValueError(f"features have shape {tuple(features.shape)}: a batch needs at least one sequence")
        if lengths.shape != features.shape[:1] or lengths.min() < 1 or lengths.max() > features.shape[1]:
            raise ValueError(
                f"lengths {lengths.tolist()} must be {features.shape[0]} numbers from 1 to {features.shape[1]}; "
                "a video without frames cannot be classified"
            )


def _refinements(settings: ModelSettings, num_classes: int) -> nn.ModuleList:
    return nn.ModuleList(Refinement(settings, num_classes=num_classes) for _ in range(settings.stages - 1))
