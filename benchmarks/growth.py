"""How does work grow with the data: carving splits, identical files, near-duplicates, the memory of long sound?

    OMP_NUM_THREADS=2 python -m benchmarks.growth [--videos 10000] [--steps 200]

Splits are carved from 100 000 annotations of four kinds. 4000 empty files and 4000 of one size are compared by their
bytes. Near-duplicates are looked for among made-up motions (smooth noise, `--steps` thumbnails each), on ten sides. One
motion in a hundred is a shifted and noisy copy of another. Memory is what the process takes at most. Sound is noise of
one channel at 44.1 kHz in WAV, read by a process of its own for each length. The last line is JSON.
"""

import multiprocessing
import random
import resource
import tempfile
import time
import wave
from functools import lru_cache
from pathlib import Path

import numpy as np

from benchmarks.common import make_parser, print_json, print_machine, print_table
from vidrnn.annotations import Annotation
from vidrnn.annotations.carving import carve
from vidrnn.bars import nowhere
from vidrnn.preflight.annotated import Sides
from vidrnn.preflight.files import find_identical
from vidrnn.preflight.motion import Motion
from vidrnn.preflight.near_copies import find_near_copies
from vidrnn.settings.base import validate
from vidrnn.settings.run import RunSettings
from vidrnn.streams.audio import ReadSound

_ANNOTATED = 100_000
_FILES = 4000
_SHIFT = 20  # steps
_HOURS = (0.25, 1, 4)


def carving(per_group: int, classes: int) -> float:
    """Seconds for all annotations in groups of this size."""
    rng = random.Random(0)  # noqa: S311  a reproducible split, not a secret
    videos = [
        Annotation(f"{i}.mp4", f"class{rng.randrange(classes)}", None, f"group{i // per_group}")
        for i in range(_ANNOTATED)
    ]
    started = time.perf_counter()
    carve(videos, 0.2, rng)
    return time.perf_counter() - started


def identical(contents: list[bytes]) -> float:
    """Seconds for so many files."""
    with tempfile.TemporaryDirectory() as name:
        settings = validate(RunSettings, {"data": {"root": name}})
        for number, content in enumerate(contents):
            Path(name, f"{number}.mp4").write_bytes(content)
        videos = [Annotation(f"{number}.mp4", "x", None, str(number)) for number in range(len(contents))]
        sides = Sides("halves", tuple(("train", "test")[number % 2] for number in range(len(contents))))
        started = time.perf_counter()
        findings = list(find_identical(videos, sides, settings, bar=nowhere))
        for finding in findings:
            print(next(iter(finding.lines())))
        return time.perf_counter() - started


def motion(position: int, steps: int) -> Motion:
    """Smooth in time, as a picture is; every hundredth is the one before it, later and with noise."""
    is_copy = position % 100 == 99
    rng = np.random.default_rng(position - is_copy)
    values = rng.standard_normal((steps + 8, 1024), dtype=np.float32).cumsum(axis=0)
    values = values[8:] - values[:-8]
    if is_copy:
        values = np.roll(values, _SHIFT, axis=0)
        values += np.random.default_rng(position).standard_normal(values.shape, dtype=np.float32)
    return Motion(values - values.mean(axis=0), np.arange(steps) / 30, is_still=False)


def near_duplicates(videos: int, steps: int) -> tuple[float, float, float]:
    """Wall seconds, seconds of all cores together, and the share of the copies that were found."""
    read = lru_cache(512)(lambda position: motion(position, steps))
    started, busy = time.perf_counter(), time.process_time()
    found = {(copy.first, copy.second) for copy in find_near_copies(read, [i % 10 for i in range(videos)])}
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    copies = {(i - 1, i) for i in range(99, videos, 100)}
    assert found <= copies, sorted(found - copies)[:5]
    return seconds, busy, len(found) / len(copies)


def of_sound(path: str) -> tuple[float, float]:
    """Seconds, and what they add to the memory of this process in MB, for the features of one file."""
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    list(ReadSound(bands=64, rate=10.0)(Path(path), lambda: None))
    return time.perf_counter() - started, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3


def sound(hours: float) -> tuple[float, float]:
    """The same in a fresh process, on so many hours of noise."""
    second = np.random.default_rng(0).integers(-9000, 9000, 44100, dtype=np.int16).tobytes()
    with tempfile.TemporaryDirectory() as name:
        path = f"{name}/noise.wav"
        with wave.open(path, "wb") as file:
            file.setparams((1, 2, 44100, 0, "NONE", ""))
            for _ in range(round(3600 * hours)):
                file.writeframes(second)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(of_sound, (path,))


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--videos", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    print_machine("numpy", "faiss-cpu")
    figures = {
        f"carve_{_ANNOTATED}_in_groups_of_{size}_{classes}_classes_s": carving(size, classes)
        for size, classes in ((1, 400), (4, 400), (10, 50), (100, 1000))
    }
    figures[f"identical_{_FILES}_empty_s"] = identical([b""] * _FILES)
    figures[f"identical_{_FILES}_of_one_size_s"] = identical([number.to_bytes(100_000) for number in range(_FILES)])
    for hours in _HOURS:
        figures[f"sound_{hours}_h_s"], figures[f"sound_{hours}_h_mb"] = sound(hours)
    for videos in (arguments.videos // 4, arguments.videos // 2, arguments.videos):
        seconds, busy, share = near_duplicates(videos, arguments.steps)
        figures[f"near_duplicates_{videos}_s"], figures[f"near_duplicates_{videos}_cpu_s"] = seconds, busy
        figures[f"found_of_copies_{videos}"] = share
        figures[f"memory_gb_{videos}"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"{videos} videos of {arguments.steps} steps: {figures}", flush=True)
    print_table(figures)
    print_json(figures)


if __name__ == "__main__":
    main()
