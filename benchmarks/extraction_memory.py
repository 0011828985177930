"""Memory of an extraction against the length and the number of videos: it should follow neither.

Each peak is of a process of its own, the one that embeds, as the operating system reports it. Besides, one long run
over many short clips says how much all its processes together hold on the way (proportional set size: shared pages
count once). Every frame of every clip is decoded and embedded (``sampling: every``) by a small backbone with random
weights.

The features of one video are in memory until it is whole. What that takes for a recording of six hours is measured
without decoder and network: rows come in batches, are joined, and go to the store.

Run:  OMP_NUM_THREADS=1 python -m benchmarks.extraction_memory [--only-recording]
"""

import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.common import make_parser, print_json, print_machine

if TYPE_CHECKING:
    from vidrnn.backbones.backbone import Backbone
    from vidrnn.settings.extraction import ExtractionSettings

FPS, WIDTH, HEIGHT = 25, 128, 96
SHORT_S, LONG_S = 10, 100
FEW, MANY = 4, 40
LONG_RUN, CLIP_S = (250, 500, 1000, 2000, 4000), 1  # after how many clips the long run is looked at, and their length
REST = 50  # clips after the last look, so that the decoders are still at work
BATCH_SIZE, WORKERS = 16, 2
RECORDING = (6 * 3600 * 10, 1536)  # steps of six hours at 10 a second, and numbers in each


@dataclass(frozen=True)
class Peak:
    """One process: what it worked on and its largest resident set in megabytes."""

    name: str
    videos: int
    seconds: int
    frames: int
    peak_mb: float


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--child", type=Path, help="extract the videos of this folder and print the peak (internal)")
    parser.add_argument("--long-child", type=Path, help="extract one clip many times and look on the way (internal)")
    parser.add_argument("--recording-child", type=Path, help="store the features of six hours there (internal)")
    parser.add_argument("--only-recording", action="store_true", help="measure nothing but the recording")
    arguments = parser.parse_args()
    if arguments.recording_child is not None:
        measure_recording(arguments.recording_child)
        return
    if arguments.only_recording:
        print_machine("vidrnn", "numpy")
        print_json(report_recording(run_recording()))
        return
    if arguments.long_child is not None:
        measure_long_run(arguments.long_child)
        return
    if arguments.child is not None:
        measure_self(arguments.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        short = render(root / "short.mp4", seconds=SHORT_S)
        long = render(root / "long.mp4", seconds=LONG_S)
        measure(root / "first", "keeps the converted network", short, videos=1, seconds=SHORT_S)
        peaks = [
            measure(root / "idle", "nothing", short, videos=0, seconds=SHORT_S),
            measure(root / "one_short", "one short video", short, videos=1, seconds=SHORT_S),
            measure(root / "one_long", "one long video", long, videos=1, seconds=LONG_S),
            measure(root / "few", "few videos", short, videos=FEW, seconds=SHORT_S),
            measure(root / "many", "many videos", short, videos=MANY, seconds=SHORT_S),
        ]
        clip = render(root / "clip.mp4", seconds=CLIP_S)
        command = [sys.executable, "-m", "benchmarks.extraction_memory", "--long-child", str(clip)]
        output = subprocess.run(command, check=True, capture_output=True, text=True, start_new_session=True).stdout
    report(peaks, json.loads(output.splitlines()[-1]), run_recording())


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
    command = [sys.executable, "-m", "benchmarks.extraction_memory", "--child", str(folder)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads(output.splitlines()[-1])
    assert result["videos"] == videos, result
    return Peak(name, videos, seconds, result["frames"], result["peak_mb"])


def measure_self(folder: Path) -> None:
    """What runs in the process that is measured."""
    from vidrnn.annotations import Annotation
    from vidrnn.extraction.extract import extract

    settings, backbone = small_backbone(folder / "store")
    names = sorted(path.name for path in (folder / "videos").iterdir())
    annotations = [Annotation(name, "any", None, name) for name in names]
    report = extract(annotations, [backbone], root=folder / "videos", settings=settings, weights="random")
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    frames = sum(len(report.folders[0].read(name).features) for name in names)
    print(json.dumps({"videos": report.whole.extracted, "frames": frames, "peak_mb": round(peak_kb / 1024, 1)}))


def measure_long_run(clip: Path) -> None:
    """Extract copies of one clip in this process and print what all its processes hold after so many of them."""
    from vidrnn.extraction.jobs import Job
    from vidrnn.extraction.pipeline import embed_videos

    settings, backbone = small_backbone(clip.parent / "no_store")
    jobs = (Job(str(number), clip) for number in range(LONG_RUN[-1] + REST))
    held = {}
    for number, (path, result) in enumerate(embed_videos(jobs, backbone, settings=settings), start=1):
        assert hasattr(result, "features"), f"{path}: {result}"
        if number in LONG_RUN:
            held[number] = round(proportional_mb(), 1)
    print(json.dumps(held))


def run_recording() -> dict[str, float]:
    """What `measure_recording` prints, of a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.extraction_memory", "--recording-child", folder]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    values: dict[str, float] = json.loads(output.splitlines()[-1])
    return values


def measure_recording(folder: Path) -> None:
    """Gather and store the features of a recording in this process, and print its peak before and after."""
    import numpy as np

    from vidrnn.extraction.gathering import InMemory
    from vidrnn.settings.features import FeatureSettings
    from vidrnn.store.feature_store import FeatureStore
    from vidrnn.store.source import Source
    from vidrnn.store.spec import FeatureSpec, sampling_values
    from vidrnn.store.video_features import VideoFeatures, VideoMetadata

    steps, dim = RECORDING
    settings = FeatureSettings()
    spec = FeatureSpec(
        stream="rgb",
        backbone=settings.backbone,
        weights="random",
        weights_digest="0" * 64,
        node="head",
        dim=dim,
        grid=1,
        preprocessing={},
        sampling=sampling_values(settings),
        precision=settings.precision,
    )
    store = FeatureStore(folder).create(spec)
    rng = np.random.default_rng(0)
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    gathered = InMemory()
    for _ in range(steps // BATCH_SIZE):
        gathered.append(rng.random((BATCH_SIZE, dim), dtype=np.float32).astype(np.float16))
    facts = VideoMetadata(WIDTH, HEIGHT, steps, steps / 10), Source(1, 1, "0" * 64)
    store.write("recording.mp4", VideoFeatures(gathered.whole(), np.arange(steps) / 10, *facts))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    features_mb = steps * dim * 2 / 2**20
    print(json.dumps({"features_mb": round(features_mb, 1), "above_mb": round(peak_mb - before_mb, 1)}))


def report_recording(recording: dict[str, float]) -> dict[str, float]:
    """Print and give what a recording takes."""
    times = recording["above_mb"] / recording["features_mb"]
    print(
        f"\none recording of six hours, {RECORDING[0]} steps of {RECORDING[1]}: {recording['above_mb']:.0f} MB for "
        f"{recording['features_mb']:.0f} MB of features, {times:.2f} times"
    )
    return {"recording_mb": recording["above_mb"], "recording_times_its_features": round(times, 3)}


def small_backbone(store: Path) -> tuple["ExtractionSettings", "Backbone"]:
    """One torch thread, small frames, random weights."""
    import torch

    from vidrnn.backbones.backbone import load_backbone
    from vidrnn.settings.extraction import ExtractionSettings
    from vidrnn.settings.features import FeatureSettings

    torch.set_num_threads(1)
    features = FeatureSettings(backbone="mobilenet_v3_small", weights="random", image_size=64, sampling="every")
    settings = ExtractionSettings(store=store, batch_size=BATCH_SIZE, workers=WORKERS, device="cpu")
    return settings, load_backbone(features, settings)


def proportional_mb() -> float:
    """Proportional set size of all processes of this process group (Linux)."""
    total_kb = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(process.name)) == os.getpgrp():
                lines = (process / "smaps_rollup").read_text().splitlines()
                total_kb += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total_kb / 1024


def report(peaks: list[Peak], long_run: dict[str, float], recording: dict[str, float]) -> None:
    idle, short, long, few, many = peaks
    print_machine("vidrnn", "torch", "torchvision", "openvino", "av", "numpy")
    print(
        f"mobilenet_v3_small (random weights), image_size 64, every frame of {WIDTH}x{HEIGHT} at {FPS} fps, "
        f"batch_size {BATCH_SIZE}, workers {WORKERS}, one torch thread\n"
    )
    print("| what | videos | seconds each | frames | peak MB | above idle MB |")
    print("|---|---|---|---|---|---|")
    for peak in peaks:
        above = peak.peak_mb - idle.peak_mb
        print(f"| {peak.name} | {peak.videos} | {peak.seconds} | {peak.frames} | {peak.peak_mb:.0f} | {above:.0f} |")
    print(f"\n| clips of {CLIP_S} s done in one run | MB held by all processes |\n|---|---|")
    for number, held_mb in long_run.items():
        print(f"| {number} | {held_mb:.0f} |")
    figures = {
        "held_mb_in_a_long_run": long_run,
        "peak_mb_idle": idle.peak_mb,
        "peak_mb_short": short.peak_mb,
        "peak_mb_long": long.peak_mb,
        "ratio_length": long.peak_mb / short.peak_mb,
        "peak_mb_few": few.peak_mb,
        "peak_mb_many": many.peak_mb,
        "ratio_number": many.peak_mb / few.peak_mb,
    }
    print_json(figures | report_recording(recording))


if __name__ == "__main__":
    main()
