"""A prediction drawn onto its video: the MP4 that ``vidrnn annotate`` writes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vidrnn.annotations import Annotation
from vidrnn.atomic import replacing_path
from vidrnn.display.lettering import Lettering
from vidrnn.display.sheets import SheetMaker, scale_for
from vidrnn.errors import ConfigError, MissingPathError, VideoError
from vidrnn.extraction.supervised import supervised
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.stories import story_of
from vidrnn.names import quoted
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.outputs import refuse_foreign
from vidrnn.video.overlay import Written, is_annotated, write_annotated
from vidrnn.video.probe import Video, probe

_LIMITS = ExtractionSettings(stall_limit_s=600.0)  # the index of a long MP4 is moved to the front in one go
_REPORT_EVERY = 25  # pictures


@dataclass(frozen=True)
class Progress:
    """How many pictures of all are written."""

    done: int
    total: int


@dataclass(frozen=True)
class AnnotatedVideo:
    """What became of a video.

    Attributes:
        written: what is in the new file.
        scale: how many times as large as in the video its pictures are.
    """

    written: Written
    scale: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know."""
        if self.scale == 1:
            return self.written.notes
        return (*self.written.notes, f"the pictures are small and shown {self.scale} times as large")


def annotate_video(
    video: Path,
    prediction: Prediction,
    *,
    output: Path,
    truth: Annotation | None = None,
    lettering: Lettering | None = None,
    frame_rate: float | None = None,
    on_progress: Callable[[Progress], None] = lambda _progress: None,
) -> AnnotatedVideo:
    """Write a copy of a video with what is said of it, and what is true, on and below its pictures.

    It is decoded and encoded in a process of its own. The file is there whole or not at all.

    Args:
        video: the file, or a folder of frames.
        prediction: what is said of it.
        output: an MP4 to write.
        truth: what is known of it.
        lettering: the font; None: DejaVu Sans.
        frame_rate: pictures per second in a folder of frames.
        on_progress: called now and then.

    Raises:
        MissingPathError, ConfigError: see `refuse_unfit`.
        VideoError: the prediction failed, or the video cannot be read to its end. OSError: the disk is full.
    """
    refuse_unfit(video, output)
    if prediction.error is not None:
        raise VideoError(f"{prediction.path}: {prediction.error}")
    with replacing_path(output) as temporary:
        task = _Task(video, temporary, prediction, truth, lettering or Lettering(), frame_rate)
        for found in supervised(partial(_work, task), limits=_LIMITS):
            if isinstance(found, Progress):
                on_progress(found)
            else:
                annotated = found
    return annotated


def refuse_unfit(video: Path, output: Path) -> None:
    """Say before any work is done that a video is not there, or that its copy cannot have the name.

    Raises:
        MissingPathError: there is no such video. ConfigError: the output does not end in .mp4, is the video itself, or
            is there and was not written by `annotate_video`.
    """
    if not video.exists():
        raise MissingPathError(f"{quoted(video)} does not exist; give a video file or a folder of frames")
    if output.suffix.lower() != ".mp4":
        raise ConfigError(f"--output {quoted(output)}: give a file that ends in .mp4")
    if output.exists() and output.samefile(video):
        raise ConfigError(f"--output {quoted(output)} is the video itself; give another name")
    refuse_foreign(output, is_ours=not output.exists() or is_annotated(output), what="no annotated video")


@dataclass(frozen=True)
class _Task:
    """What the process is told."""

    video: Path
    target: Path
    prediction: Prediction
    truth: Annotation | None
    lettering: Lettering
    frame_rate: float | None


def _work(task: _Task, on_progress: Callable[[], None]) -> Iterator[Progress | AnnotatedVideo]:
    """Body of the process."""
    video = probe(task.video, frame_rate=task.frame_rate, on_progress=on_progress)
    yield Progress(0, video.num_frames)
    width, height = _upright_size(video)
    scale = scale_for(width, height)
    end_s = float(video.timestamps_s[0]) + video.duration_s
    make_sheets = SheetMaker(story_of(task.prediction, task.truth, duration_s=end_s), task.lettering)
    writing = write_annotated(video, task.target, make_sheets, scale=scale, on_packet=on_progress)
    for number, found in enumerate(writing):
        if isinstance(found, Written):
            yield AnnotatedVideo(found, scale)
        elif number % _REPORT_EVERY == 0:
            yield Progress(found, video.num_frames)


def _upright_size(video: Video) -> tuple[int, int]:
    """Width and height in square pixels; a turn by a quarter exchanges them, which the scale does not mind."""
    return round(video.width * max(video.pixel_aspect, 1.0)), round(video.height / min(video.pixel_aspect, 1.0))
