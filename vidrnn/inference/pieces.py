"""Which stretches of which videos are cut out: what annotations or predictions name, or shots."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from vidrnn.annotations import BACKGROUND, Annotation, read_annotations
from vidrnn.annotations.csv_file import read_csv
from vidrnn.annotations.records import Split
from vidrnn.annotations.segments import gaps
from vidrnn.errors import ConfigError
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.prediction_rows import COLUMNS
from vidrnn.names import file_name, is_absolute, last_part
from vidrnn.settings.run import RunSettings

SHOT = "shot"
"""The label of a shot."""
_FOLDERS = "__"  # between the folders of a video in the name of its clips


@dataclass(frozen=True)
class Piece:
    """A stretch of a video with a label.

    Attributes:
        start_s, end_s: seconds since the start of the file; the end is not included, and infinite for the video's own.
        label: class name.
    """

    start_s: float
    end_s: float
    label: str


@dataclass(frozen=True)
class Pieces:
    """All that is cut out of one video.

    Attributes:
        video: the file.
        name: as it was annotated or predicted.
        group: what must not cross splits.
        split: None where none is named.
        pieces: in order of time.
    """

    video: Path
    name: str
    group: str
    split: Split | None
    pieces: tuple[Piece, ...]

    def clip_name(self, piece: Piece) -> str:
        """Where the clip of a piece lies, with ``/``: the same in each run, and safe on every file system."""
        below = self.name.removeprefix("./").replace("/", _FOLDERS)
        stem = last_part(self.name) if is_absolute(self.name) else below
        times = f"{_seconds(piece.start_s)}_{_seconds(piece.end_s)}"
        return f"{file_name(piece.label)}/{file_name(stem.removesuffix('.mp4'))}_{times}.mp4"


def pieces_of(source: RunSettings | Path | Iterable[Prediction], *, background: bool = False) -> list[Pieces]:
    """The segments that a configuration, a CSV of annotations or predictions name; errors as of reading these.

    Raises:
        ConfigError: no video has segments with labels.
    """
    if isinstance(source, RunSettings):
        return annotated_pieces(read_annotations(source.data), source.data.root, background=background)
    if isinstance(source, Path):
        return annotated_pieces(read_csv(source), source.parent, background=background)
    return predicted_pieces(source, background=background)


def annotated_pieces(annotations: Sequence[Annotation], root: Path, *, background: bool = False) -> list[Pieces]:
    """The segments of annotations; with ``background`` also what lies between them and was looked at.

    Raises:
        ConfigError: no video has segments with labels.
    """
    with_labels = [one for one in annotations if any(segment.label for segment in one.segments or ())]
    if not with_labels:
        known = sorted({annotation.known for annotation in annotations}) or ["nothing"]
        raise ConfigError(
            f"no video has segments to cut out: the annotations tell {', '.join(known)}, and start,end,label is needed"
        )
    found = []
    for annotation in annotations if background else with_labels:
        segments = annotation.segments or ()
        pieces = [Piece(segment.start_s, segment.end_s, segment.label) for segment in segments if segment.label]
        if background and annotation.segments is not None:
            covered = [(segment.start_s, segment.end_s) for segment in (*segments, *annotation.unlabelled)]
            pieces += [Piece(start_s, end_s, BACKGROUND) for start_s, end_s in gaps(covered)]
        found.append(_pieces(annotation.source(root), annotation.path, pieces, annotation.group, annotation.split))
    return found


def predicted_pieces(predictions: Iterable[Prediction], *, background: bool = False) -> list[Pieces]:
    """The segments that predictions name; with ``background`` also what lies between them. Failed ones are left out.

    Raises:
        ConfigError: no prediction has segments with labels.
    """
    found, heads = [], set[str]()
    for prediction in predictions:
        heads.add(prediction.head)
        if prediction.error is not None or not {"start", "label"} <= set(COLUMNS[prediction.head]):
            continue
        pieces = [Piece(row["start"], row["end"], row["label"]) for row in prediction.rows]
        if background:
            pieces += [Piece(*gap, BACKGROUND) for gap in gaps((piece.start_s, piece.end_s) for piece in pieces)]
        found.append(_pieces(Path(prediction.path), prediction.path, pieces, prediction.path, None))
    if not found:
        raise ConfigError(
            f"no prediction has segments to cut out: they are of head {', '.join(sorted(heads)) or 'none'}, and "
            "step_labels or step_multilabel is needed"
        )
    return found


def shots_as_pieces(video: Path, bounds_s: Sequence[float]) -> Pieces:
    """The shots of a video, given where each begins and the last one ends."""
    spans = pairwise(bounds_s)
    return _pieces(video, str(video), [Piece(start_s, end_s, SHOT) for start_s, end_s in spans], str(video), None)


def _pieces(video: Path, name: str, pieces: Iterable[Piece], group: str, split: Split | None) -> Pieces:
    return Pieces(video, name, group, split, tuple(sorted(pieces, key=lambda piece: (piece.start_s, piece.end_s))))


def _seconds(seconds: float) -> str:
    """``12.4``, or ``end``."""
    return "end" if math.isinf(seconds) else f"{seconds:.3f}".rstrip("0").rstrip(".")
