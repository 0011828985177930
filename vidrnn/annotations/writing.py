"""What the writers of annotation files share: footage, the instants of rows, names of files, and what gets lost."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from vidrnn.annotations.records import Annotation, Segment
from vidrnn.annotations.segments import Times, covered
from vidrnn.atomic import write_atomically
from vidrnn.errors import AnnotationError, ConfigError
from vidrnn.names import quoted, writable


@dataclass(frozen=True)
class Footage:
    """What is known of the file of a video.

    Attributes:
        bounds_s: (frames + 1,) seconds at which its frames are shown, and the end of the last.
        has_sound: whether it has a track of sound.
    """

    bounds_s: Times
    has_sound: bool = False

    @property
    def end_s(self) -> float:
        """The end of the last frame, in seconds since the start of the file."""
        return float(self.bounds_s[-1])

    @property
    def rate(self) -> float:
        """Frames per second, on average."""
        return (len(self.bounds_s) - 1) / float(self.bounds_s[-1] - self.bounds_s[0])


@dataclass(frozen=True)
class Writing:
    """Where annotations go, what may be asked about their videos, and what could not be kept.

    Attributes:
        output: file or folder.
        root: of the videos.
        footage_of: what is known of a video; None where it is not there.
        rate: rows per second; None: one for each frame.
        times: path of a video to the (n,) seconds of its rows, for videos of which they are known.
        overwrite: whether files that are there may be replaced.
        losses: what the format has no place for, counted.
    """

    output: Path
    root: Path
    footage_of: Callable[[Annotation], Footage | None]
    rate: float | None = None
    times: Mapping[str, Times] = field(default_factory=dict)
    overwrite: bool = False
    losses: Counter[str] = field(default_factory=Counter)

    def write(self, path: Path, text: str) -> None:
        """A whole file in UTF-8; names of files in it are as `vidrnn.names.writable` has them.

        Raises:
            ConfigError: it is there, and nobody said that it may be replaced. OSError: it cannot be written.
        """
        self.write_bytes(path, writable_text(text).encode())

    def write_bytes(self, path: Path, content: bytes) -> None:
        """As `write`."""
        if path.exists() and not self.overwrite:
            raise ConfigError(f"{path} is there, maybe corrected by hand; name another --output, or say --overwrite")
        write_atomically(path, content)

    def instants(self, annotation: Annotation) -> Times:
        """(n,) seconds of the rows of a video.

        Raises:
            AnnotationError: nobody says when its frames are.
        """
        if annotation.path in self.times:
            return self.times[annotation.path]
        footage = self.footage_of(annotation)
        if self.rate is None:
            if footage is None:
                raise AnnotationError(
                    f"{quoted(annotation.path)} is not there, and rows count its frames; give --frame-rate, or the "
                    "folder of the "
                    "videos"
                )
            return footage.bounds_s[:-1]
        if footage is not None:
            end_s = footage.end_s
        elif annotation.listed_s is not None:
            end_s = annotation.listed_s
        else:
            self.losses["ends of videos that are not there: their rows end with the last segment"] += 1
            end_s = max((segment.end_s for segment in annotation.segments or ()), default=0.0)
        return np.arange(max(1, round(end_s * self.rate)), dtype=np.float64) / self.rate

    def one_label_each(self, annotation: Annotation, times: Times) -> list[str]:
        """The label of each row, empty where nothing happens; where several hold, the one that begins last."""
        labels = np.full(len(times), "", dtype=object)
        for segment in annotation.segments or ():
            first, last = covered(times, segment.start_s, segment.end_s)
            self.losses["labels of rows that have another one too; the one that begins last is kept"] += int(
                (labels[first:last] != "").sum()
            )
            self.losses["segments that no row falls into"] += first == last
            labels[first:last] = segment.label
        return [str(label) for label in labels]


def writable_text(text: str) -> str:
    """Lines of which some hold names of files that are not UTF-8."""
    return "\n".join(map(writable, text.split("\n"))) if any("\ud800" <= char <= "\udfff" for char in text) else text


def in_segments(annotations: Sequence[Annotation], writing: Writing) -> list[Annotation]:
    """Annotations with segments: a label, or labels, of a whole video last from its start to its end.

    Raises:
        AnnotationError: a number, or a label of a whole video that is not there.
    """
    return [_in_segments(annotation, writing) for annotation in annotations]


def _in_segments(annotation: Annotation, writing: Writing) -> Annotation:
    if annotation.known in {"target", "start,end,target"}:
        raise AnnotationError(f"{quoted(annotation.path)} has numbers; only --to csv has a place for them")
    if annotation.segments is not None:
        return annotation
    footage = writing.footage_of(annotation)
    if footage is None and annotation.names:
        raise AnnotationError(
            f"{quoted(annotation.path)} is labelled as a whole, and is not there to tell its length; give the "
            "folder of the "
            "videos, or write --to csv"
        )
    names = dict.fromkeys(annotation.names)
    segments = tuple(Segment(0.0, footage.end_s, name) for name in names) if footage else ()
    return replace(annotation, label="", labels=None, segments=segments)


def file_names(annotations: Sequence[Annotation], *, flat: bool) -> dict[str, str]:
    """Path of each video to the name of its file without suffix: with its folders, or ``flat``, without.

    Raises:
        AnnotationError: two videos would have one file.
    """
    found: dict[str, str] = {}
    taken: dict[str, str] = {}
    for annotation in annotations:
        path = PurePosixPath(annotation.path)
        name = path.stem if flat or path.is_absolute() else path.with_suffix("").as_posix()
        before = taken.setdefault(name, annotation.path)
        if before != annotation.path:
            raise AnnotationError(
                f"{quoted(before)} and {quoted(annotation.path)} would both be {quoted(name)}; rename one of the videos"
            )
        found[annotation.path] = name
    return found
