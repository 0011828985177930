"""A later stage of a multi-stage model (Farha & Gall 2019): it reads what the stage before says, not the features."""

import torch
from torch import nn

from vidrnn.models.layer_stack import LayerStack
from vidrnn.models.states import State
from vidrnn.settings.model import MULTILABEL_HEADS, ModelSettings


class Refinement(nn.Module):
    """Probabilities of the classes to logits: a linear layer, temporal layers as the first stage has them, another.

    Reading nothing else, it learns which answers follow each other and for how long, and repairs what breaks that.

    Args:
        settings: the model.
        num_classes: C.
    """

    def __init__(self, settings: ModelSettings, *, num_classes: int) -> None:
        super().__init__()
        self.by_itself = settings.head in MULTILABEL_HEADS
        self.entry = nn.Linear(num_classes, settings.width)
        self.dropout = nn.Dropout(settings.dropout)
        self.layers = LayerStack(settings.width, settings=settings)
        self.output = nn.Linear(self.layers.output_size, num_classes)

    def forward(self, logits: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Refine a padded batch.

        Args:
            logits: (B, S, C) of the stage before, finite beyond ``lengths`` too.
            lengths: (B,) int64 on the CPU, each at least 1.

        Returns:
            (B, S, C) logits, meaningless beyond ``lengths``.
        """
        return self._answer(self.layers(self._read(logits), lengths)[0])

    def advance(
        self, logits: torch.Tensor, state: State | None = None, lengths: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, State]:
        """Go on from a state, see `vidrnn.models.states`."""
        steps, state = self.layers.advance(self._read(logits), state, lengths)
        return self._answer(steps), state

    def _read(self, logits: torch.Tensor) -> torch.Tensor:
        steps: torch.Tensor = self.entry(logits.sigmoid() if self.by_itself else logits.softmax(dim=2))
        return steps

    def _answer(self, states: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.output(self.dropout(states))
        return outputs
