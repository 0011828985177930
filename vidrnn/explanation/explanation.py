"""The explanation of one answer for one video: which moments count, and the check of that."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from vidrnn.errors import ConfigError
from vidrnn.evaluation.metrics import sigmoid
from vidrnn.explanation.importance import Method, by_attention, by_gradients, by_occlusion
from vidrnn.explanation.nearest import Neighbour, TrainingVideos
from vidrnn.explanation.question import Numbers, Question, ask_why
from vidrnn.explanation.removal import Removal, remove_important
from vidrnn.models.model_file import TrainedModel
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.model import REGRESSION_HEADS

NEIGHBOURS = 3
"""Training videos that are named."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a model answers as it does for a video.

    Attributes:
        path: of the video.
        label: the class in question; None for a regression.
        score: its probability; of a regression the number.
        truth: the label of the video, where it is known.
        method: how importance was found.
        bounds_s: (M + 1,) seconds at which the moments begin, and at which the last one ends.
        importance: (M,) how much each moment counts; below 0 it speaks against the answer.
        by_stream: the same with only one of several streams occluded; from occlusion.
        attention: (M,) weights of an attention pooling; None where the model has none.
        removal: whether it hurts more to remove what counts than as much elsewhere; None for a single moment.
        nearest: training videos that are most alike to the model, the nearest first; empty where these are not known.
    """

    path: str
    label: str | None
    score: float
    truth: str | None
    method: Method
    bounds_s: Numbers
    importance: Numbers
    by_stream: dict[str, Numbers] = field(default_factory=dict)
    attention: Numbers | None = None
    removal: Removal | None = None
    nearest: tuple[Neighbour, ...] = ()

    @property
    def most_important_s(self) -> tuple[float, float]:
        """When the most important moment begins and ends, in seconds."""
        place = int(self.importance.argmax())
        return float(self.bounds_s[place]), float(self.bounds_s[place + 1])

    def rows(self) -> list[dict[str, Any]]:
        """One for each moment, and for each stream that was occluded by itself, which ``stream`` then names."""
        found = []
        for stream, values in {"": self.importance, **self.by_stream}.items():
            weights = [None] * len(values) if stream or self.attention is None else self.attention.tolist()
            for number, (value, weight) in enumerate(zip(values.tolist(), weights, strict=True)):
                found.append(
                    {
                        "start": float(self.bounds_s[number]),
                        "end": float(self.bounds_s[number + 1]),
                        "stream": stream,
                        "importance": value,
                        "attention": weight,
                    }
                )
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "path": self.path,
            "label": self.label,
            "score": self.score,
            "truth": self.truth,
            "method": self.method,
            "moments": self.rows(),
            "removal": None if self.removal is None else self.removal.as_dict(),
            "nearest": [asdict(neighbour) for neighbour in self.nearest],
        }


def explain(
    model: TrainedModel,
    sequences: SequenceSet,
    position: int,
    timestamps_s: npt.NDArray[np.float64],
    *,
    path: str,
    truth: str | None = None,
    label: str | None = None,
    method: Method = "occlusion",
    training: TrainingVideos | None = None,
) -> Explanation:
    """Explain the answer of a model for one video.

    Args:
        model: the model.
        sequences: as the model takes them.
        position: of the video among them.
        timestamps_s: (T,) seconds of its cached steps.
        path: what it is called.
        truth: its label, where that is known.
        label: the class in question; None: the likeliest one.
        method: how.
        training: names the videos that are most alike.

    Raises:
        ConfigError: the model answers at every step, does not know the class, or has no attention pooling; or Captum is
            missing. StoreError: see `SequenceSet.batch`.
    """
    question = ask_why(model, sequences, position, label=label)
    attention = by_attention(question)
    importance = _importance(question, method, attention)
    streams = _shown_streams(question, sequences) if method == "occlusion" else {}
    is_number = model.settings.model.head in REGRESSION_HEADS
    return Explanation(
        path,
        None if is_number else model.label_map.names[question.target],
        question.score if is_number else float(sigmoid(np.array(question.score))),
        truth,
        method,
        bounds_of(question.places, timestamps_s),
        importance,
        {name: by_occlusion(question, stream=number) for name, number in streams.items()},
        attention,
        remove_important(question, importance),
        () if training is None else training.nearest(question, path=path, count=NEIGHBOURS),
    )


def bounds_of(places: npt.NDArray[np.int64], timestamps_s: npt.NDArray[np.float64]) -> Numbers:
    """(M + 1,) seconds of moments that begin at these cached steps; the last one lasts as long as steps usually do."""
    usual = float(np.median(np.diff(timestamps_s))) if len(timestamps_s) > 1 else 0.0
    bounds: Numbers = np.append(timestamps_s[places[:-1]], timestamps_s[-1] + usual)
    return bounds


def _importance(question: Question, method: Method, attention: Numbers | None) -> Numbers:
    if method == "occlusion":
        return by_occlusion(question)
    if method == "gradients":
        return by_gradients(question)
    if attention is None:
        raise ConfigError(
            f"method 'attention': the model pools by {question.model.settings.model.pooling!r} and weighs no moments; "
            "take occlusion, or train with model.pooling=attention"
        )
    return attention


def _shown_streams(question: Question, sequences: SequenceSet) -> dict[str, int]:
    """Streams that are there at some moment, and their numbers, where there are several."""
    present = question.ways[0].present
    if present is None:
        return {}
    there = present[0].any(0).tolist()
    found = {name: number for number, name in enumerate(sequences.streams) if there[number]}
    return found if len(found) > 1 else {}
