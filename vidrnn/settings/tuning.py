"""What `vidrnn tune` searches: ranges and choices for settings."""

from typing import Annotated

from pydantic import Discriminator, Field, JsonValue, Tag, model_validator

from vidrnn.settings.base import Positive, Settings


class SearchRange(Settings):
    """The numbers that a search may give to one setting, both ends included."""

    low: float
    """Smallest number."""
    high: float
    """Largest number."""
    log: bool = False
    """Each order of magnitude is as likely as the next."""
    step: Annotated[float, Field(gt=0.0)] | None = None
    """Only ``low`` plus multiples of this; null allows every number between."""

    @model_validator(mode="after")
    def _check(self) -> "SearchRange":
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError(f"log needs low above 0 (it is {self.low}) and no step (it is {self.step})")
        if self.step is not None and not self.on_grid(self.high):
            raise ValueError(f"high {self.high} must be low {self.low} plus a multiple of step {self.step}")
        return self

    def on_grid(self, value: float) -> bool:
        """Whether ``value`` is ``low`` plus a multiple of ``step``."""
        steps = (value - self.low) / self.step if self.step else 0.0
        return abs(steps - round(steps)) < 1e-8


SearchChoices = Annotated[tuple[JsonValue, ...], Field(min_length=1)]
SearchEntry = Annotated[
    Annotated[SearchChoices, Tag("choices")] | Annotated[SearchRange, Tag("range")],
    Discriminator(lambda value: "choices" if isinstance(value, list | tuple) else "range"),
]
_SPACE: dict[str, SearchEntry] = {
    "training.learning_rate": SearchRange(low=1e-4, high=1e-2, log=True),
    "training.weight_decay": SearchRange(low=1e-4, high=0.3, log=True),
    "training.label_smoothing": SearchRange(low=0.0, high=0.3),
    "model.dropout": SearchRange(low=0.0, high=0.7),
    "model.hidden_size": (64, 128, 256),
    "model.cell": ("gru", "lstm", "mingru"),
}


class TuningSettings(Settings):
    """What ``vidrnn tune`` tries."""

    trials: Positive = 30
    """Configurations to try. The untuned one counts, and so do the trials of an earlier run in the same folder."""
    folds: Annotated[int, Field(ge=2)] | None = None
    """Folds of the training split that each is validated on, fewer where there are fewer groups; null takes
    ``evaluation.folds`` where that is a number, else 5."""
    space: Annotated[dict[str, SearchEntry], Field(min_length=1)] = _SPACE
    """Setting of ``model`` or ``training`` to a list of values, or to ``{low, high, log, step}``."""
