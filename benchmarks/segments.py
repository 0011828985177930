"""Memory and time of `vidrnn segments` for long files, beside `vidrnn extract` of the same files.

    OMP_NUM_THREADS=1 python -m benchmarks.segments [--hours 0.25 6] [--rate 10]

Each file is a minute of drawn pictures, repeated. Pictures and network are small and features long (1536 numbers), so
that what is around the network shows. The models have the defaults (minGRU 256, `centred` and `change`) and random
weights: one of both directions, one of one direction, and one of clips in windows of 4 s.

Each verb runs in processes of its own. Twice a second their memory is added up: proportional set size, in which a page
that several processes share counts once. What is mapped from files could be given back at any time. The last line is
JSON.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from benchmarks.common import make_parser, print_json, print_machine

WIDTH, HEIGHT, LOOP_S = 64, 48, 60
FEATURES = {"backbone": "timm/test_resnet", "weights": "random", "image_size": 32, "nodes": {"last": 4}}
MODELS: dict[str, dict[str, object]] = {
    "both directions": {"head": "step_labels"},
    "one direction": {"head": "step_labels", "bidirectional": False},
    "clips": {"head": "label"},
}


@dataclass(frozen=True)
class Run:
    """Seconds that a command took, and the largest sums of memory of its processes in megabytes."""

    seconds: float
    peak_mb: float
    peak_mapped_mb: float


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--hours", type=float, nargs="+", default=[0.25, 6.0])
    parser.add_argument("--rate", type=int, default=10, help="pictures per second in the files, all of which count")
    arguments = parser.parse_args()
    print_machine("vidrnn", "torch", "av", "numpy")
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for hours in arguments.hours:
            for what, run in measure(folder, hours=hours, rate=arguments.rate):
                figures[f"{what}, {hours:g} h"] = vars(run)
                print(f"{what}, {hours:g} h: {run.seconds:.0f} s, {run.peak_mb:.0f} MB", flush=True)
    print("\n| what | seconds | peak MB | of these mapped from files |\n|---|---|---|---|")
    for what, values in figures.items():
        print(f"| {what} | {values['seconds']:.0f} | {values['peak_mb']:.0f} | {values['peak_mapped_mb']:.0f} |")
    print_json(figures)


def measure(folder: Path, *, hours: float, rate: int) -> list[tuple[str, Run]]:
    """All verbs on one file."""
    place = folder / f"{hours:g}"
    video = write_video(place / "videos" / "long.mp4", minutes=round(60 * hours), rate=rate)
    (place / "videos" / "list.csv").write_text("path,start,end,label\nlong.mp4,0,1,a\n")
    models = {what: write_model(place / what, changes, rate=rate, root=place) for what, changes in MODELS.items()}
    config = place / "both directions" / "config.yaml"

    def segments(what: str, *options: str) -> Run:
        output = place / f"{what}{len(options)}.csv"
        words = ["segments", str(video), "--model", str(models[what]), "--output", str(output), "--device", "cpu"]
        return watched([*words, *options])

    runs = [("segments, both directions", segments("both directions"))]
    runs.append(("extract", watched(["extract", "--config", str(config)])))
    runs += [(f"segments, {what}, stored features", segments(what, "--config", str(config))) for what in MODELS]
    assert (place / "both directions0.csv").read_bytes() == (place / "both directions2.csv").read_bytes()
    return runs


def write_video(path: Path, *, minutes: int, rate: int) -> Path:
    """A minute of H.264 whose packets are repeated with later times."""
    import av
    import numpy as np

    path.parent.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 40, (HEIGHT, 2 * WIDTH, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "g": str(5 * rate)})
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = WIDTH, HEIGHT, "yuv420p", 1
        packets = []
        for number in range(LOOP_S * rate):
            image = np.roll(noise, number, axis=1)[:, :WIDTH] + np.uint8(number % 200)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            packets += stream.encode(frame)
        packets += stream.encode()
        unit = packets[0].time_base
        kept = [(bytes(packet), packet.pts, packet.dts, packet.is_keyframe) for packet in packets]
        for minute in range(minutes):
            for content, pts, dts, is_key in kept:
                packet, later = av.Packet(content), round(minute * LOOP_S / unit)
                packet.stream, packet.time_base, packet.is_keyframe = stream, unit, is_key
                packet.pts, packet.dts = pts + later, dts + later
                container.mux(packet)
    return path


def write_model(folder: Path, changes: dict[str, object], *, rate: int, root: Path) -> Path:
    """A model file of random weights, and its configuration beside it."""
    import torch
    import yaml

    from vidrnn.annotations import LabelMap
    from vidrnn.models.classifier import SequenceClassifier
    from vidrnn.models.model_file import TrainedModel, save_model
    from vidrnn.settings.base import validate
    from vidrnn.settings.run import RunSettings
    from vidrnn.streams.passes import load_passes

    torch.manual_seed(0)
    tree = {
        "data": {"root": str(root / "videos"), "format": "csv", "annotations": "list.csv"},
        "features": FEATURES | {"sampling": "fps", "rate": rate, "max_frames": None},
        "extraction": {"device": "cpu", "store": str(root / "store"), "time_limit_s": 1e6},
        "model": changes,
        "training": {"steps": None if changes["head"] == "step_labels" else 24},
    }
    settings = validate(RunSettings, tree)
    (one_pass,) = load_passes(settings.features, settings.extraction)
    labels = LabelMap(("background", "a", "b"))
    classifier = SequenceClassifier(settings.model, dim={"rgb": one_pass.spec.dim}, num_classes=len(labels)).eval()
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    save_model(TrainedModel(classifier, labels, one_pass.spec, settings, {}, {}), folder / "model.safetensors")
    return folder / "model.safetensors"


def watched(arguments: list[str]) -> Run:
    """Run a verb and add up the memory of its processes on the way (Linux)."""
    peak = mapped = 0.0
    started = time.monotonic()
    command = [sys.executable, "-m", "vidrnn", *arguments]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            total_mb, mapped_mb = memory_of(process.pid)
            peak, mapped = max((peak, mapped), (total_mb, mapped_mb))
            time.sleep(0.5)
        assert process.returncode == 0, command
    return Run(time.monotonic() - started, peak, mapped)


def memory_of(session: int) -> tuple[float, float]:
    """Megabytes that all processes of a session hold, and how much of that is mapped from files."""
    total_kb = mapped_kb = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getsid(int(process.name)) == session:
                lines = (process / "smaps_rollup").read_text().splitlines()[1:]
                values = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}
                total_kb += values["Pss"]
                mapped_kb += values["Pss_File"]
    return total_kb / 1024, mapped_kb / 1024


if __name__ == "__main__":
    main()
