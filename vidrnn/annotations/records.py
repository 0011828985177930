"""The hand-off from annotation files to everything else."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal, get_args

from vidrnn.errors import AnnotationError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


def as_split(text: str) -> Split:
    """Check the name of a split. Raises AnnotationError naming the allowed ones."""
    if text not in SPLITS:
        raise AnnotationError(f"split {text!r} is unknown; allowed: {', '.join(SPLITS)} or empty")
    return text


def plain_path(text: str) -> str:
    """One spelling for one file: ``./a//b.mp4`` is ``a/b.mp4``."""
    return str(PurePosixPath(text)) if text else ""


@dataclass(frozen=True)
class Annotation:
    """One labelled video.

    Attributes:
        path: posix path relative to the data root, or absolute on purpose. ``~``, drive letters and backslashes are
            parts of names like any other; a link inside the root may lead out of it, for whoever made it wanted that.
        label: class name.
        split: train, val or test; None when the annotations name no split.
        group: what must not cross splits (actor, source video, scene); the path itself when not given.
    """

    path: str
    label: str
    split: Split | None
    group: str

    def __post_init__(self) -> None:
        """Refuse a path that leaves the data root, and an empty label."""
        # A backslash separates nothing here, but does where the annotations may be used next.
        parts = {*PurePosixPath(self.path).parts, *PureWindowsPath(self.path).parts}
        if not self.path or ".." in parts or "\0" in self.path:
            raise AnnotationError(
                f"path {self.path!r} is not inside data.root; give it relative to the root without '..', or absolute"
            )
        if not self.label:
            raise AnnotationError(f"path {self.path!r} has an empty label; name its class")

    def source(self, root: Path) -> Path:
        """Where the video file is expected."""
        return root / self.path


@dataclass(frozen=True)
class LabelMap:
    """Class names in the order of the logits."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Names must be unique."""
        if len(set(self.names)) != len(self.names):
            raise AnnotationError(f"class names repeat: {sorted(self.names)}")

    @classmethod
    def from_annotations(cls, annotations: Iterable[Annotation]) -> "LabelMap":
        """Alphabetical order, as the folder convention of this field has it."""
        return cls(tuple(sorted({annotation.label for annotation in annotations})))

    def __len__(self) -> int:
        return len(self.names)

    def index(self, label: str) -> int:
        """Position of ``label`` in the logits. Raises AnnotationError for a class the map does not know."""
        try:
            return self.names.index(label)
        except ValueError:
            raise AnnotationError(f"label {label!r} is unknown; known: {', '.join(self.names)}") from None
