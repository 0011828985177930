"""Had a fit converged? Judged by its training loss, since the learning rate ends at nearly nothing in any case."""

from dataclasses import dataclass

import numpy as np

from vidrnn.training.checkpoint import History

_SHARE = 0.1
_FEWEST_EPOCHS = 5


@dataclass(frozen=True)
class Convergence:
    """How the training loss went.

    Attributes:
        updates: optimiser steps.
        epochs: passes over the training set.
        first, last: training loss of the first epoch, and the mean over the last fifth of them.
        late_share: share of the fall between the two that came after the middle of the fit. The middle is the mean over
            the third fifth of the epochs. nan where nothing fell.
    """

    updates: int
    epochs: int
    first: float
    last: float
    late_share: float

    @property
    def converged(self) -> bool:
        """No more than a tenth of the fall came after the middle of the fit; never of fewer than five epochs.

        The last epochs alone would not tell: with the learning rate the loss stands still there, also of a fit that
        was far too short.
        """
        return self.epochs >= _FEWEST_EPOCHS and self.late_share <= _SHARE

    def __str__(self) -> str:
        """A line for people, with what to do."""
        text = f"{self.updates} updates in {self.epochs} epochs: training loss {self.first:.3f} to {self.last:.3f}, "
        if np.isnan(self.late_share):
            return f"{text}which is no fall: nothing was learned; raise training.learning_rate or training.min_updates"
        text += f"{max(self.late_share, 0.0):.0%} of the fall after the middle of the fit: "
        more = f"not converged; training.min_updates={2 * self.updates} would go on"
        return text + ("converged" if self.converged else more)


def judge_convergence(history: History) -> Convergence:
    """See `Convergence`; an ensemble is judged by the member that is furthest from convergence."""
    members = sorted({row.get("member", 1.0) for row in history})
    judged = [_of_one([row for row in history if row.get("member", 1.0) == member]) for member in members]
    return max(judged, key=lambda one: np.inf if np.isnan(one.late_share) else one.late_share)


def _of_one(rows: History) -> Convergence:
    losses = np.array([row["train_loss"] for row in rows])
    fifth, epochs = max(len(losses) // 5, 1), len(losses)
    start = (epochs - fifth) // 2
    middle, last = losses[start : start + fifth].mean(), losses[-fifth:].mean()
    fall = losses[0] - last
    late_share = float((middle - last) / fall) if fall > 0 else float("nan")
    return Convergence(int(rows[-1]["updates"]), epochs, float(losses[0]), float(last), late_share)
