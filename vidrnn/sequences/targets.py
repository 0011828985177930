"""What each head is taught: annotations to tensors, one entry per video or one per cached step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.annotations import BACKGROUND, Annotation, LabelMap, Segment, covered
from vidrnn.annotations.segments import UNSEEN, presence_at
from vidrnn.errors import AnnotationError
from vidrnn.names import quoted
from vidrnn.sequences.steps import StepChoice
from vidrnn.settings.model import REGRESSION_HEADS, Head

IGNORED = -1
"""Class of a step that is padding, or at which nobody looked; in transcripts, what follows the end."""

_FITS: dict[Head, tuple[str, ...]] = {
    "label": ("label",),
    "multilabel": ("labels", "label", "start,end,label"),
    "step_labels": ("start,end,label",),
    "step_multilabel": ("start,end,label",),
    "transcript": ("labels", "label", "start,end,label"),
    "regression": ("target",),
    "step_regression": ("start,end,target",),
}


def known_answers(values: torch.Tensor) -> torch.Tensor:
    """Where targets say something: not `IGNORED`, and not nan; a bool for each value."""
    return ~values.isnan() if values.is_floating_point() else values != IGNORED


Timestamps = Callable[[int], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Targets:
    """What n videos should be answered with.

    Attributes:
        values: per video or per step. Per video (n,) int64 classes, (n, classes) float32 0 or 1, (n, L) int64 classes
            in order and then `IGNORED`, or (n,) float64 numbers. Per step (steps of all videos,) int64 classes,
            `IGNORED` where nobody looked; or float64 numbers, nan where nothing is known. For several classes a step
            (steps of all videos, classes) float32 0 or 1, nan where nobody looked.
        offsets: (n,) int64 first step of each video in ``values``; None when there is one value per video.
    """

    values: torch.Tensor
    offsets: torch.Tensor | None = None

    def subset(self, positions: torch.Tensor) -> "Targets":
        """Targets of some videos; per-step values are shared, not copied."""
        if self.offsets is None:
            return Targets(self.values[positions.to(self.values.device)])
        return Targets(self.values, self.offsets[positions])

    def of(self, positions: torch.Tensor, choice: StepChoice) -> torch.Tensor:
        """Targets of a batch: (B, ...) per video, or (B, S, ...) of the chosen steps; beyond lengths `IGNORED`, nan."""
        if self.offsets is None:
            return self.values[positions.to(self.values.device)]
        rows = self.offsets[positions].unsqueeze(1) + choice.indices
        beyond = torch.arange(rows.shape[1]) >= choice.lengths.unsqueeze(1)
        values, beyond = self.values[rows.to(self.values.device)], beyond.to(self.values.device)
        beyond = beyond.view(*beyond.shape, *[1] * (values.ndim - 2))
        return values.masked_fill(beyond, float("nan") if values.is_floating_point() else IGNORED)

    def per_video(self, totals: torch.Tensor) -> list[npt.NDArray[np.generic]]:
        """What each video should be answered with, as arrays; ``totals`` (n,) are its cached steps."""
        values = self.values.cpu().numpy()
        if self.offsets is None:
            return list(values)
        starts = zip(self.offsets.tolist(), totals.tolist(), strict=True)
        return [values[start : start + total] for start, total in starts]


def label_map_of(annotations: Sequence[Annotation], head: Head) -> LabelMap:
    """Classes in the order of the outputs: alphabetical, for ``step_labels`` with the background in front.

    Raises:
        AnnotationError: the annotations lack what the head needs, or no video has a class or number.
    """
    _check_fit(annotations, head)
    labels = LabelMap.from_annotations(annotations)
    if head in REGRESSION_HEADS:
        if not any(annotation.target is not None or annotation.segments for annotation in annotations):
            raise AnnotationError(
                f"model.head {head!r} needs at least one number, but no video of the annotations has any"
            )
        return labels
    if not labels.names:
        raise AnnotationError(f"model.head {head!r} needs at least one class, but no video of the annotations has any")
    return labels.with_background() if head == "step_labels" else labels


def _check_fit(annotations: Sequence[Annotation], head: Head) -> None:
    for annotation in annotations:
        # A video with an empty list of segments fits among labels and among numbers.
        known = {annotation.known} if annotation.segments != () else {"start,end,label", "start,end,target"}
        if known.isdisjoint(_FITS[head]):
            raise AnnotationError(
                f"model.head {head!r} needs annotations with {' or '.join(_FITS[head])}, but "
                f"{quoted(annotation.path)} has "
                f"{annotation.known}; change the columns, or model.head to "
                f"{' or '.join(name for name, fits in _FITS.items() if annotation.known in fits)}"
            )
        if head == "step_labels" and (overlap := annotation.first_overlap) is not None:
            raise AnnotationError(
                f"path {quoted(annotation.path)} has {overlap}; a moment has one answer, so cut one of them or use "
                "model.head step_multilabel, multilabel or transcript"
            )


def describe_unlabelled(annotations: Sequence[Annotation], targets: Targets) -> str | None:
    """How much of the steps nobody looked at, in words; None where annotations name no such stretch."""
    if targets.offsets is None or not any(annotation.unlabelled for annotation in annotations):
        return None
    share = 1.0 - float(known_answers(targets.values).double().mean())
    return f"nobody looked at {100 * share:.1f} % of the steps: they are neither learned nor measured"


def make_targets(
    annotations: Sequence[Annotation], head: Head, label_map: LabelMap, timestamps: Timestamps, *, device: torch.device
) -> Targets:
    """Targets of annotated videos.

    Args:
        annotations: n videos that fit the head.
        head: see `vidrnn.settings.model.ModelSettings`.
        label_map: order of the classes.
        timestamps: number of a video to its (T,) float64 seconds; only asked for heads with one target per step.
        device: where they are wanted.

    Raises:
        AnnotationError: the label map lacks a class, or the annotations do not fit the head.
    """
    _check_fit(annotations, head)
    names = {name for annotation in annotations for name in annotation.names}
    classes = {name: label_map.index(name) for name in names}
    numbers = [[classes[name] for name in annotation.names] for annotation in annotations]
    if head == "label":
        return Targets(torch.tensor([video_classes[0] for video_classes in numbers], device=device))
    if head == "multilabel":
        values = torch.zeros(len(annotations), len(label_map))
        for row, positives in zip(values, numbers, strict=True):
            row[positives] = 1.0
        return Targets(values.to(device))
    if head == "transcript":
        longest = max(map(len, numbers), default=0)
        padded = [transcript + [IGNORED] * (longest - len(transcript)) for transcript in numbers]
        return Targets(torch.tensor(padded, dtype=torch.int64, device=device).view(len(numbers), longest))
    if head == "regression":
        values = torch.tensor([annotation.target for annotation in annotations], dtype=torch.float64, device=device)
        return Targets(values)
    steps = _steps_of(annotations, head, label_map, [timestamps(number) for number in range(len(annotations))])
    return _stack(steps, device)


def _steps_of(
    annotations: Sequence[Annotation],
    head: Head,
    label_map: LabelMap,
    times: Sequence[npt.NDArray[np.float64]],
) -> list[npt.NDArray[Any]]:
    """Targets of the steps of each video; ``times`` are their instants, (T,) each."""
    videos = list(zip(annotations, times, strict=True))
    if head == "step_multilabel":
        return [_sets_at_steps(annotation, seconds, label_map) for annotation, seconds in videos]
    if head == "step_labels":
        background = label_map.index(BACKGROUND)
        # Where one class alone was left out, nobody knows either whether this is background.
        spans = [
            [(span, float(IGNORED)) for span in annotation.unlabelled]
            + [(segment, float(label_map.index(segment.label))) for segment in annotation.segments or ()]
            for annotation in annotations
        ]
        labels = [_at_steps(*video, uncovered=background) for video in zip(spans, times, strict=True)]
        return [values.astype(np.int64) for values in labels]
    spans = [
        [(segment, segment.target) for segment in annotation.segments or () if segment.target is not None]
        for annotation in annotations
    ]
    return [_at_steps(*video, uncovered=float("nan")) for video in zip(spans, times, strict=True)]


def _sets_at_steps(
    annotation: Annotation, times: npt.NDArray[np.float64], label_map: LabelMap
) -> npt.NDArray[np.float32]:
    """(T, classes) 1 where a class goes on, 0 where it does not, nan where nobody looked."""
    presence = presence_at(annotation.segments or (), annotation.unlabelled, label_map.names, times)
    return np.where(presence == UNSEEN, np.nan, presence).astype(np.float32)


def _at_steps(
    spans: Sequence[tuple[Segment, float]], times: npt.NDArray[np.float64], *, uncovered: float
) -> npt.NDArray[np.float64]:
    """(T,) the value of the last span that each instant lies in, see `covered`."""
    values = np.full(len(times), uncovered)
    for segment, value in spans:
        first, last = covered(times, segment.start_s, segment.end_s)
        values[first:last] = value
    return values


def _stack(steps: Sequence[npt.NDArray[Any]], device: torch.device) -> Targets:
    offsets = np.cumsum([0, *map(len, steps)])[:-1]
    return Targets(torch.from_numpy(np.concatenate(steps)).to(device), torch.from_numpy(offsets))
