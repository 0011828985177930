"""What one reading of a file for pictures and sound together could save: the second opening for the sound.

    python -m benchmarks.sound_reading                   rendered clips of 1920 x 1080, H.264, with AAC
    python -m benchmarks.sound_reading --clips FOLDER    the videos of a folder that have sound

All figures are processor time in milliseconds for each second of video, medians over the rounds. `whole` is what
`vidrnn extract` does for rgb and audio. `opening` is the second opening and all packets of the
sound, without decoding: no more than this could be saved. `hash` is one digest of the file. The last line is JSON.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import av
import numpy as np

from benchmarks.common import draw_clips, find_clips, make_parser, print_json, print_machine, print_table, processor_s
from vidrnn.errors import VideoError
from vidrnn.extraction.jobs import Job
from vidrnn.extraction.pipeline import embed_passes
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.store.source import Source
from vidrnn.streams.passes import all_passes
from vidrnn.video.audio import Sound
from vidrnn.video.container import open_audio, packets_of
from vidrnn.video.probe import probe

RATE = 48_000


def with_sound(clip: Path, path: Path, *, seconds: int, fps: int = 30) -> Path:
    """The pictures of a clip again and again in H.264, beside noise in AAC."""
    with av.open(str(clip)) as source:
        drawn = [frame.reformat(format="yuv420p") for frame in source.decode(video=0)]
    noise = np.random.default_rng(0).normal(0.0, 0.1, (2, 1024)).astype(np.float32)
    with av.open(str(path), "w") as target:
        pictures = target.add_stream("libx264", rate=fps, options={"preset": "veryfast", "crf": "23"})
        pictures.width, pictures.height, pictures.pix_fmt = drawn[0].width, drawn[0].height, "yuv420p"
        sound = target.add_stream("aac", rate=RATE, layout="stereo")
        heard = 0
        for number, frame in enumerate(islice(cycle(drawn), seconds * fps)):
            frame.pts, frame.time_base = number, Fraction(1, fps)
            target.mux(pictures.encode(frame))
            while heard * fps < number * RATE:
                piece = av.AudioFrame.from_ndarray(noise, format="fltp", layout="stereo")
                piece.sample_rate, piece.pts, piece.time_base = RATE, heard, Fraction(1, RATE)
                target.mux(sound.encode(piece))
                heard += noise.shape[1]
        target.mux(pictures.encode())
        target.mux(sound.encode())
    return path


def _opened(clip: Path) -> None:
    with open_audio(clip) as (container, stream):
        for _ in packets_of(container, stream):
            pass


def _heard(clip: Path) -> None:
    for _ in Sound(clip, rate=16000).blocks():
        pass


PARTS: dict[str, Callable[[Path], object]] = {"opening": _opened, "sound": _heard, "hash": Source.of}


def _spent_s(part: Callable[[Path], object], clips: Sequence[Path]) -> float:
    before_s = time.process_time()
    for clip in clips:
        part(clip)
    return time.process_time() - before_s


def measure(clips: Sequence[Path], rounds: int, *, rate: float) -> dict[str, float]:
    """Milliseconds of the processor for each second of video, and the share of the second opening."""
    features, settings = FeatureSettings(streams=("rgb", "audio"), rate=rate), ExtractionSettings()
    passes = all_passes((), root=Path("/"), features=features, extraction=settings)
    jobs = [Job(str(clip), clip, tuple(range(len(passes)))) for clip in clips]
    length_s = sum(probe(clip).duration_s for clip in clips)
    list(embed_passes(jobs[:1], passes, settings=settings))  # the engine is ready
    rows: list[dict[str, float]] = []
    for _ in range(rounds):
        before_s = processor_s()
        list(embed_passes(jobs, passes, settings=settings))
        rows.append(
            {"whole": processor_s() - before_s, **{name: _spent_s(part, clips) for name, part in PARTS.items()}}
        )
    figures = {name: 1e3 * statistics.median(row[name] for row in rows) / length_s for name in rows[0]}
    shares = [row["opening"] / row["whole"] for row in rows]
    return {
        "videos": len(clips),
        "seconds": length_s,
        "megabytes": sum(clip.stat().st_size for clip in clips) / 1e6,
        **{f"{name}_ms": value for name, value in figures.items()},
        "opening_percent_of_whole": 100 * statistics.median(shares),
    }


def _has_sound(clip: Path) -> bool:
    try:
        with open_audio(clip):
            return True
    except VideoError:
        return False


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--clips", type=Path, help="folder of videos; default: rendered ones")
    parser.add_argument("--videos", type=int, default=3, help="how many of them")
    parser.add_argument("--seconds", type=int, default=20, help="length of rendered clips")
    parser.add_argument("--rate", type=float, default=10.0, help="pictures kept per second")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.clips:
            clips = list(islice(filter(_has_sound, find_clips(options.clips)), options.videos))
        else:
            drawn = draw_clips(Path(folder) / "drawn", options.videos, width=1920, height=1080, fps=30)
            clips = [with_sound(clip, Path(folder) / clip.name, seconds=options.seconds) for clip in drawn]
        figures = measure(clips, options.rounds, rate=options.rate)
    print_machine("torch", "av")
    print_table(figures)
    print_json(figures)


if __name__ == "__main__":
    main()
