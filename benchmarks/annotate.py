"""How long `vidrnn annotate` takes beside a plain transcode, and how much memory for a long video.

    python -m benchmarks.annotate [--seconds 20] [--rounds 3] [--memory-minutes 10 60]

The plain transcode decodes and encodes all pictures with the same libraries, threads and encoder settings, draws
nothing and copies no sound. Both are timed in turn. Memory is what the writing process takes, for a small video of each
length. The last line is JSON.
"""

import resource
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from importlib import import_module
from pathlib import Path

import av
import numpy as np

from benchmarks.common import (
    draw_clips,
    make_parser,
    median_ratio,
    print_json,
    print_machine,
    print_table,
    seconds_of,
)
from vidrnn.display.lettering import Lettering
from vidrnn.display.sheets import SheetMaker, scale_for
from vidrnn.extraction.processes import warm_up
from vidrnn.extraction.supervised import supervised
from vidrnn.inference.annotate import annotate_video
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.prediction_rows import Clock, rows_of
from vidrnn.inference.stories import story_of
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.video.decode import decode_raw
from vidrnn.video.encode import Encoder, Timing
from vidrnn.video.overlay import write_annotated
from vidrnn.video.planes import Upright420, colours_of, frame_of
from vidrnn.video.probe import probe

CLASSES = ("background", "sit down", "stand up", "open the door", "close the door", "lift a box")
SIZES = ((1280, 720), (1920, 1080))
STEPS_PER_S = 10
FPS = 25


def long_video(folder: Path, seconds: int, *, width: int, height: int) -> Path:
    """Drawn clips one after the other, again and again."""
    clips = draw_clips(folder / f"clips{height}", 4, width=width, height=height, fps=FPS)
    target = folder / f"{width}x{height}_{seconds}.mp4"
    shown = [frame for clip in clips for frame in pictures_of(clip)]
    with av.open(str(target), "w") as output:
        stream = output.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(FPS * seconds):
            frame = shown[number % len(shown)]
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return target


def pictures_of(path: Path) -> Iterator[av.VideoFrame]:
    with av.open(str(path)) as container:
        yield from container.decode(video=0)


def random_prediction(path: Path) -> Prediction:
    """Something that is said ten times a second, so that the panel changes as often."""
    video = probe(path)
    clock = Clock(np.arange(0.0, video.duration_s, 1 / STEPS_PER_S), video.duration_s)
    outputs = np.random.default_rng(0).normal(scale=2.0, size=(len(clock.timestamps_s), len(CLASSES)))
    outputs[:, 1] += 2 * np.sin(clock.timestamps_s)
    probabilities = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    rows = tuple(rows_of("step_labels", outputs, labels=CLASSES, clock=clock))
    return Prediction(
        str(path), "ok", rows, head="step_labels", classes=CLASSES, probabilities=probabilities,
        bounds_s=clock.bounds(),
    )  # fmt: skip


def transcode(path: Path, target: Path) -> None:
    video = probe(path)
    upright, encoder = None, None
    for frame, time_s in decode_raw(video, np.arange(video.num_frames)):
        if encoder is None or upright is None:
            colours = colours_of(frame)
            upright = Upright420(colours=colours)
            encoder = Encoder(target, timing=Timing.of(video), colours=colours).__enter__()
        encoder.add(frame_of(upright(frame)), time_s)
    assert encoder is not None
    encoder.__exit__(None, None, None)


def write_and_tell(path: Path, target: Path, on_packet: Callable[[], None]) -> Iterator[float]:
    """Peak memory in MiB of a process that annotates one video."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    video = probe(path, on_progress=on_packet)
    story = story_of(random_prediction(path), None, duration_s=video.duration_s)
    maker = SheetMaker(story, Lettering())
    scale = scale_for(video.width, video.height)
    for _ in write_annotated(video, target, maker, scale=scale, on_packet=on_packet):
        pass
    yield before / 1024
    yield resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="length of the videos that are timed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-minutes", type=int, nargs="*", default=[10, 60])
    arguments = parser.parse_args()
    importable = import_module("benchmarks.annotate")  # another process knows no functions of a script
    warm_up()
    print_machine("av", "numpy", "pillow")
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for width, height in SIZES:
            path = long_video(folder, arguments.seconds, width=width, height=height)
            prediction = random_prediction(path)
            plain: list[float] = []
            annotated: list[float] = []
            for _ in range(arguments.rounds):
                plain.append(seconds_of(lambda path=path: transcode(path, folder / "plain.mp4")))
                annotated.append(
                    seconds_of(
                        lambda path=path, prediction=prediction: annotate_video(
                            path, prediction, output=folder / "annotated.mp4"
                        )
                    )
                )
            figures |= {
                f"{height}p, plain transcode, best, s": min(plain),
                f"{height}p, annotated, best, s": min(annotated),
                f"{height}p, speed of annotate over plain": median_ratio(plain, annotated),
            }
        for minutes in arguments.memory_minutes:
            path = long_video(folder, 60 * minutes, width=160, height=120)
            work = partial(importable.write_and_tell, path, folder / "annotated.mp4")
            before, peak = supervised(work, limits=ExtractionSettings(stall_limit_s=600.0))
            figures |= {
                f"{minutes} min, memory at the start, MiB": before,
                f"{minutes} min, most memory, MiB": peak,
            }
    print_table(figures)
    print_json(figures)


if __name__ == "__main__":
    main()
