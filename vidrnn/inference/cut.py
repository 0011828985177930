"""Clips of stretches of videos, in a folder that a model can be trained from: what ``vidrnn cut`` makes."""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from vidrnn.annotations.segments import covered
from vidrnn.errors import VideoError
from vidrnn.extraction.supervised import supervised
from vidrnn.inference.clip_list import ClipRow, read_rows, state_in_words, write_lists
from vidrnn.inference.pieces import Pieces
from vidrnn.names import quoted
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.stages import LOG
from vidrnn.video.clip import How, Stretch, write_clip
from vidrnn.video.probe import probe

_LIMITS = ExtractionSettings(stall_limit_s=600.0)
_WRITTEN_EVERY_S = 10.0  # the lists, which are written whole
Outcome = How | Literal["kept", "empty"]
"""What became of a piece: a clip was made by copying or encoding, was there already, or would hold no frame."""


@dataclass(frozen=True)
class VideoCut:
    """What became of the pieces of one video.

    Attributes:
        name: of the video, as it was given.
        outcomes: clip, by its path below the output, to what became of it.
        error: why the video or the rest of it could not be cut; None where all went well.
    """

    name: str
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    error: str | None = None

    def count(self, outcome: Outcome) -> int:
        """How many pieces ended so."""
        return sum(found == outcome for found in self.outcomes.values())


def cut_videos(
    videos: Iterable[Pieces | VideoCut], *, output: Path, exact: bool = False, overwrite: bool = False
) -> Iterator[VideoCut]:
    """Write a clip for each piece into ``output/<label>/``, and the lists ``clips.csv`` and ``cuts.csv``.

    A clip holds the frames whose times lie in the piece: its start does, its end does not. Clips are whole or not
    there. One that is there is kept where cutting would make the same: the video has not changed, nor the stretch, nor
    ``exact``. So a run that was stopped goes on. A video that fails costs itself.

    Args:
        videos: what to cut; a video of which that cannot be told is an outcome already.
        output: the folder; the lists keep the rows of earlier runs whose clips are still there.
        exact: encode every clip, see `vidrnn.video.clip.write_clip`.
        overwrite: make all clips anew, also one of another video.

    Yields:
        One outcome for each video.

    Raises:
        OSError: the output cannot be written.
    """
    output.mkdir(parents=True, exist_ok=True)
    rows, written_s = read_rows(output), time.monotonic()
    try:
        for pieces in videos:
            if isinstance(pieces, VideoCut):
                yield pieces
                continue
            cut = _cut_one(pieces, rows, output=output, exact=exact, overwrite=overwrite)
            LOG.info("%s: %s", quoted(cut.name), cut.error or f"{len(cut.outcomes)} clips")
            yield cut
            if time.monotonic() - written_s > _WRITTEN_EVERY_S:  # a run that is killed loses little
                write_lists(output, rows)
                written_s = time.monotonic()
    finally:
        write_lists(output, rows)


def _cut_one(pieces: Pieces, rows: dict[str, ClipRow], *, output: Path, exact: bool, overwrite: bool) -> VideoCut:
    """Cut what is missing of one video, and bring its rows up to date."""
    cut, source = VideoCut(pieces.name), state_in_words(pieces.video)
    wanted: dict[str, tuple[float, float]] = {}
    for piece in pieces.pieces:
        name = pieces.clip_name(piece)
        row = rows.get(name) if (output / name).exists() and not overwrite else None
        if row is not None and row.video != pieces.name:
            cause = f"{quoted(output / name)} is a clip of {quoted(row.video)}; give another --output, or --overwrite"
            return replace(cut, error=cause)
        if row is not None and row.serves(piece.start_s, piece.end_s, exact=exact, source=source):
            cut.outcomes[name] = "kept"
            rows[name] = replace(row, label=piece.label, group=pieces.group, split=pieces.split)
        else:
            wanted[name] = piece.start_s, piece.end_s
            rows.pop(name, None)  # should this fail, the clip of what the video was before is in no list
    cut = _make(cut, wanted, pieces.video, output=output, exact=exact)
    for piece in pieces.pieces:
        name = pieces.clip_name(piece)
        how = cut.outcomes.get(name, "empty")
        if name in wanted and how != "empty":
            facts = (piece.label, pieces.group, pieces.split, how, exact, source)
            rows[name] = ClipRow(name, pieces.name, piece.start_s, piece.end_s, *facts)
    return cut


def _make(cut: VideoCut, wanted: dict[str, tuple[float, float]], video: Path, *, output: Path, exact: bool) -> VideoCut:
    """Write the wanted clips of one video."""
    if not wanted:
        return cut
    with tempfile.TemporaryDirectory(prefix=".cut_", dir=output) as scratch:
        work = partial(_work, _Task(video, wanted, output, Path(scratch), exact))
        try:
            for name, outcome in supervised(work, limits=_LIMITS):
                cut.outcomes[name] = outcome
        except VideoError as error:
            return replace(cut, error=str(error))
    return cut


@dataclass(frozen=True)
class _Task:
    """What the process is told; ``wanted`` are the spans in seconds, by the name of their clip."""

    video: Path
    wanted: dict[str, tuple[float, float]]
    output: Path
    scratch: Path
    exact: bool


def _work(task: _Task, on_packet: Callable[[], None]) -> Iterator[tuple[str, Outcome]]:
    """Body of the process."""
    video = probe(task.video, on_progress=on_packet)
    for name, (start_s, end_s) in task.wanted.items():
        stretch = Stretch(*covered(video.timestamps_s, start_s, end_s))
        if stretch.first == stretch.last:
            yield name, "empty"
            continue
        temporary, target = task.scratch / "clip.mp4", task.output / name
        how = write_clip(video, stretch, temporary, exact=task.exact, on_packet=on_packet)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(target)
        yield name, how
