"""The hand-off from annotation files to everything else."""

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal, get_args

from vidrnn.errors import AnnotationError
from vidrnn.names import listed, original, quoted

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
BACKGROUND = "background"
"""The class of moments that no segment covers."""
UNKNOWN = "unknown"
"""What is answered instead of a class when its score is too low; no class itself."""


def as_split(text: str) -> Split:
    """Check the name of a split. Raises AnnotationError naming the allowed ones."""
    if text not in SPLITS:
        raise AnnotationError(f"split {text!r} is unknown; allowed: {', '.join(SPLITS)} or empty")
    return text


def one_form(name: str) -> str:
    """A name in Unicode's composed form (NFC): two names that print alike are one class, or one group."""
    return unicodedata.normalize("NFC", name)


def plain_path(text: str) -> str:
    """One spelling for one file: ``./a//b.mp4`` is ``a/b.mp4``, and bytes that are not UTF-8 are read as written."""
    return str(PurePosixPath(original(text))) if text else ""


@dataclass(frozen=True)
class Segment:
    """A stretch of a video with a label or a number.

    Attributes:
        start_s: seconds since the start of the file, included.
        end_s: seconds, not included.
        label: class name, empty when there is a number.
        target: the number.
        score: how sure a prediction is of it, from 0 to 1; None where people said it.
    """

    start_s: float
    end_s: float
    label: str = ""
    target: float | None = None
    score: float | None = None

    def __post_init__(self) -> None:
        """Refuse a stretch without length; the label is kept in its composed form."""
        object.__setattr__(self, "label", one_form(self.label))
        if not 0.0 <= self.start_s < self.end_s < math.inf:
            raise AnnotationError(
                f"segment from {self.start_s:g} to {self.end_s:g} s: start must be at least 0 and before the end"
            )


@dataclass(frozen=True)
class Annotation:
    """One annotated video. What is known of it is one of ``label``, ``labels``, ``segments`` and ``target``.

    Attributes:
        path: posix path relative to the data root, or absolute on purpose. ``~``, drive letters and backslashes are
            parts of names like any other; a link inside the root may lead out of it, for whoever made it wanted that.
        label: class name, empty when something else is known.
        split: train, val or test; None when the annotations name no split.
        group: what must not cross splits (actor, source video, scene); the path itself when not given.
        labels: any number of class names, in the order in which they happen when that order is known.
        segments: stretches with a label or a number each, by start. Different labels may overlap, for several things
            happen at a time; two of one label never do, and numbers neither. A head with one answer at a moment refuses
            a video in which labels overlap (`first_overlap`).
        target: a number.
        listed_frames: how many frames a list says that the video has; None when it says nothing.
        listed_s: how many seconds the rows of a list last, where it has rows at a rate; None when that is not known.
        text: a title, a caption, what is said in it; None when there is no such column.
        unlabelled: stretches at which nobody looked, by start: for the class that ``label`` names, or for all classes
            where it is empty. What no segment covers elsewhere was looked at, and nothing happened. A segment that
            lies in such a stretch is known all the same.
    """

    path: str
    label: str
    split: Split | None
    group: str
    labels: tuple[str, ...] | None = None
    segments: tuple[Segment, ...] | None = None
    target: float | None = None
    listed_frames: int | None = None
    listed_s: float | None = None
    text: str | None = None
    unlabelled: tuple[Segment, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a path that leaves the data root, an empty label, and segments out of order.

        Segments of one label, or of numbers, must not overlap. Label, labels and group are kept in their composed form.
        """
        object.__setattr__(self, "label", one_form(self.label))
        object.__setattr__(self, "group", one_form(self.group))
        if self.labels is not None:
            object.__setattr__(self, "labels", tuple(map(one_form, self.labels)))
        # A backslash separates nothing here, but does where the annotations may be used next.
        parts = {*PurePosixPath(self.path).parts, *PureWindowsPath(self.path).parts}
        if not self.path or ".." in parts or "\0" in self.path:
            raise AnnotationError(
                f"path {quoted(self.path)} is not inside data.root; give it relative to the root without "
                "'..', or absolute"
            )
        if any("\ud800" <= sign <= "\udfff" and not "\udc80" <= sign <= "\udcff" for sign in self.path):
            raise AnnotationError(f"path {quoted(self.path)} cannot be the name of a file; correct its characters")
        if not self.label and self.labels is None and self.segments is None and self.target is None:
            raise AnnotationError(f"path {quoted(self.path)} has an empty label; name its class")
        if "" in (self.labels or ()):
            raise AnnotationError(
                f"path {quoted(self.path)} has an empty name among its labels {'|'.join(self.labels or ())}"
            )
        if self.target is not None and not math.isfinite(self.target):
            raise AnnotationError(f"path {quoted(self.path)} has target {self.target}; give a finite number")
        self._check_segments(self.segments or ())

    def _check_segments(self, segments: tuple[Segment, ...]) -> None:
        last: dict[str, Segment] = {}
        for before, segment in pairwise((None, *segments)):
            assert segment is not None
            if before is not None and segment.start_s < before.start_s:
                raise AnnotationError(
                    f"path {quoted(self.path)} has a segment from {segment.start_s:g} s behind one from "
                    f"{before.start_s:g} s; give them in order of their starts"
                )
            of_same = last.get(segment.label)
            if of_same is not None and segment.start_s < of_same.end_s:
                raise AnnotationError(
                    f"path {quoted(self.path)} has {_overlap(of_same, segment)}; one label, or a number, is "
                    "said once at a "
                    "moment, so join them or cut one"
                )
            last[segment.label] = segment

    @property
    def first_overlap(self) -> str | None:
        """The first two segments that overlap, in words; None where every moment has one answer."""
        latest: Segment | None = None
        for segment in self.segments or ():
            if latest is not None and segment.start_s < latest.end_s:
                return _overlap(latest, segment)
            latest = segment
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in order of time, as far as it is known; a name comes again when its action does."""
        if self.segments is not None:
            return tuple(segment.label for segment in self.segments if segment.label)
        if self.labels is not None:
            return self.labels
        return (self.label,) if self.label else ()

    @property
    def known(self) -> str:
        """What is known, as the columns of the CSV."""
        if self.segments is not None:
            with_target = any(segment.target is not None for segment in self.segments)
            return "start,end,target" if with_target else "start,end,label"
        return "labels" if self.labels is not None else "label" if self.label else "target"

    def source(self, root: Path) -> Path:
        """Where the video file is expected."""
        return root / self.path


def _overlap(before: Segment, after: Segment) -> str:
    return (
        f"segments that overlap: {before.label or before.target} until {before.end_s:g} s and "
        f"{after.label or after.target} from {after.start_s:g} s"
    )


@dataclass(frozen=True)
class LabelMap:
    """Class names in the order of the logits."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Names must be unique, in their composed form."""
        object.__setattr__(self, "names", tuple(map(one_form, self.names)))
        if len(set(self.names)) != len(self.names):
            raise AnnotationError(f"class names repeat: {listed(sorted(self.names))}")

    @classmethod
    def from_annotations(cls, annotations: Iterable[Annotation]) -> "LabelMap":
        """Alphabetical order, as the folder convention of this field has it."""
        return cls(tuple(sorted({name for annotation in annotations for name in annotation.names})))

    def with_background(self) -> "LabelMap":
        """With `BACKGROUND` in front, unless the annotations use that name themselves."""
        return self if BACKGROUND in self.names else LabelMap((BACKGROUND, *self.names))

    def __len__(self) -> int:
        return len(self.names)

    def index(self, label: str) -> int:
        """Position of ``label`` in the logits. Raises AnnotationError for a class the map does not know."""
        try:
            return self.names.index(one_form(label))
        except ValueError:
            raise AnnotationError(f"label {quoted(label)} is unknown; known: {', '.join(self.names)}") from None
