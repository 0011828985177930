"""Peak memory of an extraction against the length and the number of videos: it should follow neither.

Each measurement is a process of its own, whose peak resident set size the operating system reports. Every frame of
every clip is decoded and embedded (``sampling: every``) by a small backbone with random weights.

Run:  OMP_NUM_THREADS=1 python benchmarks/extraction_memory.py
"""

import argparse
import json
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

FPS, WIDTH, HEIGHT = 25, 128, 96
SHORT_S, LONG_S = 10, 100
FEW, MANY = 4, 40
BATCH_SIZE, WORKERS = 16, 2


@dataclass(frozen=True)
class Peak:
    """One process: what it worked on and its largest resident set in megabytes."""

    name: str
    videos: int
    seconds: int
    frames: int
    peak_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", type=Path, help="extract the videos of this folder and print the peak (internal)")
    arguments = parser.parse_args()
    if arguments.child is not None:
        measure_self(arguments.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        short = render(root / "short.mp4", seconds=SHORT_S)
        long = render(root / "long.mp4", seconds=LONG_S)
        peaks = [
            measure(root / "idle", "nothing", short, videos=0, seconds=SHORT_S),
            measure(root / "one_short", "one short video", short, videos=1, seconds=SHORT_S),
            measure(root / "one_long", "one long video", long, videos=1, seconds=LONG_S),
            measure(root / "few", "few videos", short, videos=FEW, seconds=SHORT_S),
            measure(root / "many", "many videos", short, videos=MANY, seconds=SHORT_S),
        ]
    report(peaks)


def render(path: Path, *, seconds: int) -> Path:
    """A moving gradient with noise, H.264, key frame every two seconds."""
    import av
    import numpy as np

    noise = np.random.default_rng(0).integers(0, 40, (HEIGHT, 2 * WIDTH, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "g": str(2 * FPS)})
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = WIDTH, HEIGHT, "yuv420p", 1
        for number in range(seconds * FPS):
            image = np.roll(noise, number, axis=1)[:, :WIDTH] + np.uint8(number % 200)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def measure(folder: Path, name: str, clip: Path, *, videos: int, seconds: int) -> Peak:
    """Extract that many copies of a clip in a fresh process."""
    (folder / "videos").mkdir(parents=True)
    for number in range(videos):
        shutil.copyfile(clip, folder / "videos" / f"{number:03d}.mp4")
    command = [sys.executable, __file__, "--child", str(folder)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads(output.splitlines()[-1])
    assert result["videos"] == videos, result
    return Peak(name, videos, seconds, result["frames"], result["peak_mb"])


def measure_self(folder: Path) -> None:
    """What runs in the process that is measured."""
    import torch

    from vidrnn.annotations import Annotation
    from vidrnn.features.backbones import load_backbone
    from vidrnn.features.extraction import extract
    from vidrnn.settings import FeatureSettings

    torch.set_num_threads(1)
    settings = FeatureSettings(
        store=folder / "store",
        backbone="mobilenet_v3_small",
        weights="random",
        image_size=64,
        sampling="every",
        batch_size=BATCH_SIZE,
        workers=WORKERS,
        device="cpu",
    )
    names = sorted(path.name for path in (folder / "videos").iterdir())
    backbone = load_backbone(settings)
    annotations = [Annotation(name, "any", None, name) for name in names]
    result = extract(annotations, root=folder / "videos", settings=settings, backbone=backbone)
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    frames = sum(len(result.folder.read(name).features) for name in names)
    print(json.dumps({"videos": result.extracted, "frames": frames, "peak_mb": round(peak_kb / 1024, 1)}))


def report(peaks: list[Peak]) -> None:
    idle, short, long, few, many = peaks
    packages = ", ".join(f"{name} {version(name)}" for name in ("vidrnn", "torch", "torchvision", "av", "numpy"))
    print(f"Python {platform.python_version()}, {packages}; {platform.machine()}")
    print(
        f"mobilenet_v3_small (random weights), image_size 64, every frame of {WIDTH}x{HEIGHT} at {FPS} fps, "
        f"batch_size {BATCH_SIZE}, workers {WORKERS}, one torch thread\n"
    )
    print("| what | videos | seconds each | frames | peak MB | above idle MB |")
    print("|---|---|---|---|---|---|")
    for each in peaks:
        above = each.peak_mb - idle.peak_mb
        print(f"| {each.name} | {each.videos} | {each.seconds} | {each.frames} | {each.peak_mb:.0f} | {above:.0f} |")
    figures = {
        "peak_mb_idle": idle.peak_mb,
        "peak_mb_short": short.peak_mb,
        "peak_mb_long": long.peak_mb,
        "ratio_length": round(long.peak_mb / short.peak_mb, 3),
        "peak_mb_few": few.peak_mb,
        "peak_mb_many": many.peak_mb,
        "ratio_number": round(many.peak_mb / few.peak_mb, 3),
    }
    print()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
