"""A few small pictures of a clip side by side, decoded in a process of their own."""

import base64
import io
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from vidrnn.errors import VideoError, VidrnnError
from vidrnn.extraction.supervised import supervised
from vidrnn.reporting.clips import Seconds, Stretch
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.stages import stage
from vidrnn.store.source import is_reachable
from vidrnn.store.spec import sampling_values
from vidrnn.video.decode import decode
from vidrnn.video.probe import Video, probe
from vidrnn.video.sampling import Sampling, segment_centres

FRAMES = 6
HEIGHT = 96
"""Pixels."""
_WIDTHS = (42, 229)  # of one picture
_GAP = 4
_QUALITY = 50
LONGEST_S = 15.0
"""Seconds that one video may take; a report waits for none longer."""
_LIMITS = ExtractionSettings(stall_limit_s=LONGEST_S)

Shown = tuple[str, Stretch]


@dataclass(frozen=True)
class Filmstrip:
    """What can be seen of a clip.

    Attributes:
        image: WebP as a data URI; empty where there is none.
        width: of it, in pixels.
        num_pictures: `FRAMES`, or fewer where there are no more.
        start_s, end_s: the time it shows, in seconds.
        problem: why there is none.
    """

    image: str = ""
    width: int = 0
    num_pictures: int = 0
    start_s: float = 0.0
    end_s: float = 0.0
    problem: str = ""


@stage("decode clips for filmstrips")
def make_filmstrips(
    wanted: Sequence[Shown],
    places: Sequence[Path],
    *,
    features: FeatureSettings | None,
    workers: int,
    on_clip: Callable[[], object] = lambda: None,
) -> dict[Shown, Filmstrip]:
    """Decode clips, each video once; what cannot be decoded has a problem instead of a picture.

    Args:
        wanted: path and stretch of each, all different.
        places: folders that the paths may be relative to; the first in which there is something counts.
        features: how steps were chosen; None: they are spread evenly.
        workers: processes at a time.
        on_clip: called for each.
    """
    by_path: dict[str, list[Stretch]] = {}
    for path, span in wanted:
        by_path.setdefault(path, []).append(span)
    tasks, found = [], dict[Shown, Filmstrip]()
    for path, spans in by_path.items():
        source = next((place / path for place in places if is_reachable(place / path)), None)
        if source is None:
            found |= {(path, span): Filmstrip(problem="The video is not where it was.") for span in spans}
        else:
            tasks.append(_Task(path, source, tuple(spans)))

    def work(share: Sequence[_Task]) -> None:
        for task, strips in _supervised(share, features):
            found.update(zip([(task.path, span) for span in task.spans], strips, strict=True))
            for _ in strips:
                on_clip()

    with ThreadPoolExecutor(max_workers=workers) as pool:
        list(pool.map(work, [tasks[number::workers] for number in range(workers)]))
    return {shown: found[shown] for shown in wanted}


@dataclass(frozen=True)
class _Task:
    """A video and its stretches."""

    path: str
    source: Path
    spans: tuple[Stretch, ...]

    def failed(self, error: Exception) -> list[Filmstrip]:
        return [Filmstrip(problem=f"The video cannot be shown: {error}.")] * len(self.spans)


def _supervised(tasks: Sequence[_Task], features: FeatureSettings | None) -> Iterator[tuple[_Task, list[Filmstrip]]]:
    """All tasks in one process; where it crashes, that video has failed and another process goes on."""
    done = 0
    while done < len(tasks):
        try:
            for strips in supervised(partial(_work, tasks[done:], features), limits=_LIMITS):
                yield tasks[done], strips
                done += 1
        except (VidrnnError, OSError) as error:
            yield tasks[done], tasks[done].failed(error)
            done += 1


def _work(
    tasks: Sequence[_Task], features: FeatureSettings | None, alive: Callable[[], None]
) -> Iterator[list[Filmstrip]]:
    """Body of the process."""
    for task in tasks:
        try:
            yield _strips_of(task, features, alive)
        except (VidrnnError, OSError) as error:
            yield task.failed(error)


def _strips_of(task: _Task, features: FeatureSettings | None, alive: Callable[[], None]) -> list[Filmstrip]:
    """All stretches of one video in one go. Raises VideoError, OSError."""
    began_s = time.monotonic()

    def on_progress() -> None:
        alive()
        if time.monotonic() - began_s > LONGEST_S:
            raise VideoError(f"it takes longer than {LONGEST_S:g} s to decode")

    rate, template = (features.frame_rate, features.frame_template) if features else (None, None)
    video = probe(task.source, frame_rate=rate, frame_template=template, on_progress=on_progress)
    sampling = None if features is None else Sampling(**sampling_values(features))
    chosen = [_indices(video, span, sampling) for span in task.spans]
    indices = np.unique(np.concatenate(chosen))
    shown: dict[int, tuple[float, Image.Image]] = {}
    for frame in decode(video, indices, on_progress=on_progress):
        place = int(np.searchsorted(video.timestamps_s, frame.timestamp_s, side="right")) - 1
        shown[place] = frame.timestamp_s, _small(np.asarray(frame.rgb), frame.pixel_aspect)
    return [_strip_of([shown[index] for index in part.tolist() if index in shown]) for part in chosen]


def _strip_of(pictures: Sequence[tuple[float, Image.Image]]) -> Filmstrip:
    if not pictures:
        return Filmstrip(problem="No picture of it comes out of the decoder.")
    width = min(picture.width for _, picture in pictures)
    sheet = Image.new("RGBA", ((width + _GAP) * len(pictures) - _GAP, HEIGHT))
    for number, (_, picture) in enumerate(pictures):
        sheet.paste(picture, (number * (width + _GAP), 0))
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=_QUALITY, method=2)
    image = f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
    return Filmstrip(image, sheet.width, len(pictures), pictures[0][0], pictures[-1][0])


def _indices(video: Video, span: Stretch, sampling: Sampling | None) -> npt.NDArray[np.int64]:
    """Frames in the middle of equal parts of the stretch."""
    total = video.num_frames
    if span is None:
        first, last = 0, total
    elif isinstance(span, Seconds):
        first, last = np.searchsorted(video.timestamps_s, span).tolist()
        first = min(first, total - 1)
    else:
        steps = np.arange(0) if sampling is None else sampling.select(video.timestamps_s)
        if len(steps) != span.total:  # of another sampling, or thinned: steps are spread evenly
            steps = np.floor(np.arange(span.total) * total / span.total).astype(np.int64)
        first = int(steps[span.start])
        last = int(steps[span.end]) if span.end < len(steps) else total
    length = max(last - first, 1)
    return first + np.unique(segment_centres(length, min(FRAMES, length)))


def _small(rgb: npt.NDArray[np.uint8], pixel_aspect: float) -> Image.Image:
    height, width = rgb.shape[:2]
    wanted = round(HEIGHT * width * pixel_aspect / height)
    bounded = min(max(wanted, _WIDTHS[0]), _WIDTHS[1])
    return Image.fromarray(rgb).resize((bounded, HEIGHT), Image.Resampling.BILINEAR, reducing_gap=2.0)
