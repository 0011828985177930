"""A video to the pictures of all passes, decoded once; in a decoder process."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidrnn.errors import VideoError
from vidrnn.extraction.child import NEEDS_MEMORY, lacks_memory
from vidrnn.extraction.messages import Drawn, Item, Pixels, Refused
from vidrnn.frames.fitting import Drawing, Step, draw, indices_of, refusal, wanted_by
from vidrnn.store.source import Source, is_there, state_of
from vidrnn.store.video_features import VideoMetadata
from vidrnn.video.probe import Video, probe

DrawVideo = Callable[[Path, Mapping[int, Drawing], int, Callable[[], None]], Iterator[Item]]


def draw_video(
    source: Path,
    drawings: Mapping[int, Drawing],
    chunk_size: int,
    on_progress: Callable[[], None],
    *,
    gpu: int | None = None,
) -> Iterator[Item]:
    """Decode a video once, draw what is wanted, and hand it on in chunks.

    Args:
        source: the video file, or the folder of its frames.
        drawings: what is wanted, by the number of its reading; all read folders of frames in the same way.
        chunk_size: most frames in a chunk.
        on_progress: called for every packet and frame.
        gpu: as in `draw`.

    Yields:
        `Pixels` of all drawings, and one `Drawn` or `Refused` for each: a drawing ends as it would alone.

    Raises:
        VideoError: it cannot be opened, or was written to meanwhile. OSError: it cannot be read.
    """
    before = state_of(source) if is_there(source) else None
    sampling = next(iter(drawings.values())).sampling
    video = probe(
        source, frame_rate=sampling.frame_rate, frame_template=sampling.frame_template, on_progress=on_progress
    )
    sheets: dict[int, _Sheet] = {}
    for number, drawing in drawings.items():
        if cause := refusal(video, drawing):
            yield Refused(number, "decode", cause)
        else:
            sheets[number] = _Sheet(number, drawing)
    for number, cause in (yield from _fill(video, sheets, chunk_size, on_progress, gpu=gpu)).items():
        del sheets[number]
        yield Refused(number, "decode", cause)
    if not sheets:
        return
    try:
        digest = Source.of(source, on_read=lambda _count: on_progress())
    except (VideoError, OSError) as error:
        raise DecodingError(str(error)) from error
    if before != digest.state:
        raise DecodingError("was written to while it was decoded; run again when the file is complete")
    for sheet in sheets.values():
        yield sheet.end(video, digest, gpu=gpu)


def _fill(
    video: Video,
    sheets: Mapping[int, "_Sheet"],
    chunk_size: int,
    on_progress: Callable[[], None],
    *,
    gpu: int | None,
) -> Generator[Pixels, None, dict[int, str]]:
    """Draw all sheets in one decode; returns the causes of those that cannot be filled, by their numbers."""
    wanted = {number: wanted_by(video, sheet.drawing) for number, sheet in sheets.items()}
    try:
        for number, step in draw(
            video, {number: sheet.drawing for number, sheet in sheets.items()}, gpu=gpu, on_progress=on_progress
        ):
            sheet = sheets[number]
            sheet.add(step)
            if len(sheet.frames) == chunk_size:
                yield sheet.take()
        for sheet in sheets.values():
            if sheet.frames:
                yield sheet.take()
        return {}
    except Exception as error:
        starved = lacks_memory(error)
        if not (starved or isinstance(error, VideoError | OSError)):
            raise
        failed = dict.fromkeys(sheets, NEEDS_MEMORY if starved else str(error))
    # What is damaged may be wanted by another drawing only, and one drawing needs less memory than all: each that may
    # come further goes on by itself. Not before here, where the error no longer holds the pictures that were at hand.
    num_wanted = len(np.unique(np.concatenate(list(wanted.values()))))
    for number, sheet in sheets.items():
        if len(wanted[number]) < num_wanted or (starved and len(sheets) > 1):
            del failed[number]
            failed |= yield from _fill(video, {number: sheet}, chunk_size, on_progress, gpu=gpu)
    return failed


@dataclass
class _Sheet:
    """What has been drawn and not handed on yet, and what is known of the rest."""

    reading: int
    drawing: Drawing
    frames: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    timestamps_s: list[float] = field(default_factory=list)
    num_frames: int = 0
    latest_s: float = -np.inf
    sizes: dict[tuple[int, int], None] = field(default_factory=dict)
    by_gpu: int = 0

    def add(self, step: Step) -> None:
        if step.timestamp_s <= self.latest_s:  # drawn before, when the drawings went together
            return
        self.latest_s = step.timestamp_s
        self.frames.append(step.pixels)
        self.timestamps_s.append(step.timestamp_s)
        self.sizes[step.size] = None
        self.num_frames += 1
        self.by_gpu += step.by_gpu

    def take(self) -> Pixels:
        taken = Pixels(self.reading, self.timestamps_s, self.frames)
        self.frames, self.timestamps_s = [], []
        return taken

    def end(self, video: Video, source: Source, *, gpu: int | None) -> Drawn | Refused:
        wanted = len(indices_of(video, self.drawing))
        if not self.num_frames:
            return Refused(self.reading, "decode", f"none of {wanted} wanted frames holds a picture")
        notes = video.notes + self.drawing.sampling.thinning(video.timestamps_s)
        notes += _notes(wanted=wanted, got=self.num_frames, sizes=list(self.sizes))
        if gpu is not None and video.pictures is None and self.by_gpu < self.num_frames:
            notes += (f"the GPU does not decode it ({video.codec}, {video.pixel_format}); decoded on the CPU",)
        codec = f"{video.codec} in {video.container.split(',')[0]}"
        metadata = VideoMetadata(video.width, video.height, video.num_frames, video.duration_s, codec)
        return Drawn(self.reading, self.num_frames, metadata, source, notes)


def _notes(*, wanted: int, got: int, sizes: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """What only decoding shows."""
    notes = []
    if got < wanted:
        notes.append(f"{wanted - got} of {wanted} wanted frames hold no picture of their own")
    if len(sizes) > 1:
        shown = ", ".join(f"{width}x{height}" for width, height in sizes[:3]) + (" ..." if len(sizes) > 3 else "")
        notes.append(f"its frames have {len(sizes)} sizes ({shown}), each fitted alone")
    return tuple(notes)


class DecodingError(VideoError):
    """A video was opened and indexed, but its frames did not come."""
