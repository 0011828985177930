"""Segments that no step lies in: they are counted, and refused where a class or most of them are lost."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidrnn.annotations import Annotation, Segment, covered
from vidrnn.names import listed, quoted

_LATE = 1.05  # an annotation may end a little after the last frame

_Placed = tuple[int, Segment]


@dataclass(frozen=True)
class UnmetSegments:
    """What `find_unmet` found.

    Attributes:
        refusal: why nothing can be learned from these segments as they are; None where most of them can be used.
        note: how many of them teach nothing; None where all have a step.
    """

    refusal: str | None = None
    note: str | None = None


def find_unmet(
    annotations: Sequence[Annotation],
    timestamps: Callable[[int], npt.NDArray[np.float64]],
    metadata: npt.NDArray[np.float64],
) -> UnmetSegments:
    """Compare segments with the steps that they should label.

    Args:
        annotations: n videos.
        timestamps: number of a video to its (T,) float64 seconds, increasing.
        metadata: (n, 4) float64 width, height, frames, seconds of the videos; a zero is not known.
    """
    placed = [
        (number, segment) for number, annotation in enumerate(annotations) for segment in annotation.segments or ()
    ]
    unmet: list[_Placed] = []
    for number, annotation in enumerate(annotations):
        times = timestamps(number) if annotation.segments else np.zeros(0)
        for segment in annotation.segments or ():
            first, last = covered(times, segment.start_s, segment.end_s)
            if first == last:
                unmet.append((number, segment))
    if not unmet:
        return UnmetSegments()
    first_one = _described(unmet[0], annotations)
    ends = _ends(annotations, timestamps, metadata)
    outside = [(number, segment) for number, segment in unmet if segment.start_s >= ends[number]]
    if 2 * len(outside) > len(placed):
        return UnmetSegments(_outside(outside, placed, annotations, metadata, ends))
    if 2 * len(unmet) > len(placed):
        return UnmetSegments(
            f"most segments ({len(unmet)} of {len(placed)}) hold no step, the first {first_one}; they are shorter than "
            "the distance of the steps: raise features.rate, or correct the segments"
        )
    met = set(placed) - set(unmet)
    if lost := sorted(set(_labels(placed)) - set(_labels(met))):
        example = next((number, segment) for number, segment in unmet if segment.label == lost[0])
        return UnmetSegments(
            f"classes {listed(lost)} have no step: none of their segments holds one, as that "
            f"{_described(example, annotations)}; raise features.rate, correct the segments, or drop these classes"
        )
    counts = Counter(_labels(unmet))
    named = " (" + ", ".join(f"{label} {count}" for label, count in counts.most_common(5)) + ")" if counts else ""
    return UnmetSegments(
        note=f"{len(unmet)} of {len(placed)} segments hold no step and teach nothing{named}, the first {first_one}"
    )


def _labels(segments: Iterable[_Placed]) -> list[str]:
    return [segment.label for _, segment in segments if segment.label]


def _ends(
    annotations: Sequence[Annotation],
    timestamps: Callable[[int], npt.NDArray[np.float64]],
    metadata: npt.NDArray[np.float64],
) -> list[float]:
    """Seconds at which the videos end, as far as that is known; else the time of the last step."""
    last = [float(timestamps(number)[-1]) for number in range(len(annotations))]
    return [max(last_s, float(seconds)) for last_s, seconds in zip(last, metadata[:, 3], strict=True)]


def _outside(
    outside: Sequence[_Placed],
    placed: Sequence[_Placed],
    annotations: Sequence[Annotation],
    metadata: npt.NDArray[np.float64],
    ends: Sequence[float],
) -> str:
    text = (
        f"most segments ({len(outside)} of {len(placed)}) lie outside their videos, the first "
        f"{_described(outside[0], annotations)}, which ends at {ends[outside[0][0]]:g} s; start and end are seconds"
    )
    frames = metadata[:, 2]
    if 2 * sum(segment.end_s <= _LATE * frames[number] for number, segment in placed) > len(placed):
        return f"{text}, and these look like frames: divide them by the frame rate"
    if 2 * sum(segment.end_s <= _LATE * 1000 * ends[number] for number, segment in placed) > len(placed):
        return f"{text}, and these look like milliseconds: divide them by 1000"
    return f"{text}; correct them, or the paths that they belong to"


def _described(placed: _Placed, annotations: Sequence[Annotation]) -> str:
    number, segment = placed
    of = f" of {quoted(segment.label)}" if segment.label else ""
    return f"from {segment.start_s:g} to {segment.end_s:g} s{of} in {quoted(annotations[number].path)}"
