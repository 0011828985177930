"""Whether annotations and the length of their video contradict each other."""

from collections.abc import Iterable, Sequence

from vidrnn.annotations.records import Annotation
from vidrnn.names import quoted

_SHARE, _SECONDS = 0.02, 0.2
"""Programs disagree about the end of a file; more than both together is another rate, or another file."""


def contradicted_length(annotation: Annotation, end_s: float) -> str | None:
    """What is wrong with the length of a video, for people; None where nothing is, or its end is not known.

    Args:
        annotation: of the video.
        end_s: at which it ends, in seconds since its start; 0 where that is not known.
    """
    slack_s = _SECONDS + _SHARE * end_s
    if end_s <= 0.0:
        return None
    if annotation.listed_s is not None and abs(annotation.listed_s - end_s) > slack_s:
        return (
            f"the rows of its annotations last {annotation.listed_s:g} s, and the video {end_s:g} s; set "
            "data.frame_rate to the rows per second, or correct the annotations"
        )
    last_s = max((segment.end_s for segment in annotation.segments or ()), default=0.0)
    if last_s > end_s + slack_s:
        return f"its segments go to {last_s:g} s, and the video ends at {end_s:g} s; correct the segments"
    return None


def describe_lengths(annotations: Sequence[Annotation], ends_s: Iterable[float]) -> str | None:
    """How many videos have such a contradiction, with the first; None where none has.

    Args:
        annotations: n videos.
        ends_s: n, see `contradicted_length`.
    """
    pairs = zip(annotations, ends_s, strict=True)
    found = [(annotation.path, text) for annotation, end_s in pairs if (text := contradicted_length(annotation, end_s))]
    if not found:
        return None
    path, text = found[0]
    number = f"{len(found)} of {len(annotations)} videos"
    return f"{number} are of another length than their annotations, the first is {quoted(path)}: {text}"
