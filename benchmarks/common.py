"""What benchmarks share: arguments, the line that names the machine, clocks, clips, and how figures are printed.

Run them as modules, from the root of the repository: `python -m benchmarks.NAME`. The last line of each is JSON.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from multiprocessing import forkserver
from pathlib import Path


def make_parser(text: str | None, *, overrides: bool = False) -> argparse.ArgumentParser:
    """Help is the docstring of the benchmark; with ``--set`` where it reads a configuration."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    if overrides:
        parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="SECTION.KEY=VALUE")
    return parser


def print_machine(*packages: str) -> None:
    """Versions, processors, and what else keeps them busy."""
    versions = ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)])
    threads = f", {sys.modules['torch'].get_num_threads()} threads" if "torch" in sys.modules else ""
    load = f"load average {os.getloadavg()[0]:.1f}"
    print(f"{versions}; {platform.machine()}, {os.cpu_count()} cores{threads}, {load}\n", flush=True)


def print_table(figures: Mapping[str, float], form: str = ".3g") -> None:
    print("\n| what | value |\n|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value:{form}} |")


def print_json(figures: object, digits: int = 3) -> None:
    """The last line; floats with so many decimal places."""
    print(f"\n{json.dumps(_rounded(figures, digits))}", flush=True)


def _rounded(value: object, digits: int) -> object:
    if isinstance(value, Mapping):
        return {name: _rounded(inner, digits) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner, digits) for inner in value]
    return round(float(value), digits) if isinstance(value, float) else value


def seconds_of(call: Callable[[], object]) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def processor_s() -> float:
    """Seconds that this process, the fork server and all decoders that have ended took of the processor (Linux).

    Other work on the machine changes it little, where it changes the time that passes a lot.
    """
    time.sleep(0.2)  # the fork server hears of the end of a decoder a moment later
    server = forkserver._forkserver._forkserver_pid  # noqa: SLF001  nothing else knows it
    spent = Path(f"/proc/{server}/stat").read_text().rsplit(")", 1)[1].split()[11:15] if server else []
    return time.process_time() + sum(map(int, spent)) / os.sysconf("SC_CLK_TCK")


def median_ratio(values: Sequence[float], others: Sequence[float]) -> float:
    """The median ratio of pairs measured in the same round: what disturbs the machine disturbs both."""
    return statistics.median(value / other for value, other in zip(values, others, strict=True))


def draw_clips(folder: Path, count: int, *, width: int = 640, height: int = 480, fps: int = 12) -> list[Path]:
    """Clips of a drawn person, in H.264."""
    from vidrnn.synthetic.clips import ACTIONS, render_clip

    folder.mkdir(exist_ok=True)
    names = sorted(ACTIONS)

    def draw(number: int) -> Path:
        path, action = folder / f"{number:03d}.mp4", names[number % len(names)]
        render_clip(path, action=action, group_seed=number, clip_seed=number, width=width, height=height, fps=fps)
        return path

    with ThreadPoolExecutor() as pool:
        return list(pool.map(draw, range(count)))


def encode_again(clip: Path, path: Path, *, spacing: int) -> Path:
    """The same pictures in H.264 as cameras write it: each from those before and after, a key frame now and then."""
    import av

    options = {"preset": "veryfast", "crf": "23", "g": str(spacing)}
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        given = source.streams.video[0]
        stream = target.add_stream("libx264", rate=given.average_rate, options=options)
        stream.width, stream.height, stream.pix_fmt = given.width, given.height, "yuv420p"
        for frame in source.decode(given):
            target.mux(stream.encode(frame.reformat(format="yuv420p")))
        target.mux(stream.encode())
    return path


def find_clips(folder: Path) -> list[Path]:
    """Videos below a folder, in order of their paths."""
    from vidrnn.annotations import VIDEO_SUFFIXES

    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
