"""All that vidrnn does on a GPU, in one command of a few minutes: `make gpu` runs it behind the tests.

* backbone only: frames in page-locked memory to features in memory, two batches under way. It is compared with a bare
  loop of the same network in float16 over batches that already lie on the GPU, for each engine and for larger networks;
* decoding only, with 1 to all cores: decoder processes fit every frame and nobody embeds them;
* end to end: both views through `embed_passes`, against the slower of decoding and backbone;
* cores that fill the GPU: the backbone's rate over the frames that one core decodes;
* the same with `extraction.decoder: nvdec`, where the GPU decodes and fits the frames. Both ways also read videos of
  half a minute, because the circuits take a while to get ready for each video;
* fits: `fit` against a bare loop, and several fits at once against one after another, in processes of their own;
* a training step of each layer type against the number of steps T (`benchmarks/temporal.py`).

Clips are rendered here (640 x 480, H.264, 48 to 72 frames; the long ones repeat them). The last line is JSON. Nothing
but PyTorch, torchvision, timm, PyAV, OpenCV, scikit-learn, typer and pydantic is needed; OpenVINO is not.
"""

import itertools
import json
import math
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import av
import torch

from benchmarks import temporal, training
from benchmarks.common import draw_clips, make_parser, print_json, print_machine
from benchmarks.extraction import NoBackbone
from vidrnn.backbones.backbone import load_backbone
from vidrnn.backbones.networks import build_network
from vidrnn.extraction.batches import Throughput
from vidrnn.extraction.jobs import Job
from vidrnn.extraction.pipeline import embed_passes
from vidrnn.frames.views import Views
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings

CLIPS, FRAMES_PER_CORE = 24, {"cpu": 1200, "nvdec": 3000}
LARGER = ("resnet50", "convnext_tiny", "timm/vit_small_patch16_224")
STEPS = (128, 1024, 8192)
CELLS = ("gru", "lstm", "mingru", "transformer", "tcn")
FITS = 4

Figures = dict[str, Any]


def features_of(backbone: str = "efficientnet_lite0") -> FeatureSettings:
    weights = "default" if backbone == "efficientnet_lite0" else "random"
    return FeatureSettings(backbone=backbone, weights=weights, sampling="every", stride=1)


def rate_of(call: Callable[[], object], count: int, *, seconds: float = 1.0) -> float:
    """Things per second, of which a call does ``count``: the median of three stretches, once the GPU is done."""
    call()
    rates = []
    for _ in range(3):
        torch.cuda.synchronize()
        started, done = time.perf_counter(), 0
        while time.perf_counter() - started < seconds / 3:
            call()
            done += count
        torch.cuda.synchronize()
        rates.append(done / (time.perf_counter() - started))
    return statistics.median(rates)


def bare_rate(backbone: str, batch_size: int) -> float:
    """Frames per second of the network alone: channels last, float16, on batches that lie on the GPU."""
    network = build_network(features_of(backbone)).to("cuda").to(memory_format=torch.channels_last)
    network.to_precision(torch.float16)
    size = network.preprocessing.image_size
    frames = torch.randint(0, 256, (batch_size, 3, size, size), dtype=torch.uint8, device="cuda")
    with torch.inference_mode():
        return rate_of(lambda: network(frames), batch_size)


def engine_rate(backbone: str, engine: str) -> tuple[float, float]:
    """Frames per second from memory to memory with all lanes at work, and seconds until the first batch was there."""
    started = time.perf_counter()
    loaded = load_backbone(features_of(backbone), ExtractionSettings(engine=engine))
    size, batch = loaded.preprocessing.image_size, loaded.executor._size  # noqa: SLF001  no setting says it
    batches = [
        torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8).pin_memory()
        for _ in range(loaded.executor.lanes)
    ]
    views = Views.plain(batch)
    loaded.executor(batches[0], views)
    first_s = time.perf_counter() - started
    with ThreadPoolExecutor(len(batches)) as pool:
        call = lambda: list(pool.map(lambda frames: loaded.executor(frames, views), batches * 4))  # noqa: E731
        return rate_of(call, 4 * batch * len(batches)), first_s


def backbone_only() -> Figures:
    """The default network on every engine, larger ones on the automatic one."""
    bare = {size: bare_rate("efficientnet_lite0", size) for size in (64, 256)}
    figures: Figures = {f"bare_fps_batch_{size}": round(rate) for size, rate in bare.items()}
    for engine in ("eager", "graph", "compile"):
        rate, first_s = engine_rate("efficientnet_lite0", engine)
        figures[f"{engine}_fps"], figures[f"{engine}_first_batch_s"] = round(rate), round(first_s, 1)
        figures[f"{engine}_of_bare"] = round(rate / bare[256], 2)
    for name in LARGER:
        short, alone = name.rsplit("/", 1)[-1], bare_rate(name, 256)
        rate, _ = engine_rate(name, "auto")
        figures |= {f"{short}_fps": round(rate), f"{short}_of_bare": round(rate / alone, 2)}
    return figures


def lengthen(clips: Sequence[Path], folder: Path, *, frames: int = 900) -> list[Path]:
    """Videos of half a minute, each one clip again and again."""

    def write(clip: Path) -> Path:
        path = folder / f"long_{clip.name}"
        with av.open(str(clip)) as short, av.open(str(path), "w") as long:
            pictures = [frame.to_ndarray(format="rgb24") for frame in short.decode(video=0)]
            stream = long.add_stream("libx264", rate=30, options={"preset": "veryfast"})
            stream.width, stream.height, stream.pix_fmt = pictures[0].shape[1], pictures[0].shape[0], "yuv420p"
            for number in range(frames):
                picture = av.VideoFrame.from_ndarray(pictures[number % len(pictures)])
                long.mux(stream.encode(picture))
            long.mux(stream.encode(None))
        return path

    with ThreadPoolExecutor() as pool:
        return list(pool.map(write, clips))


def stream_rate(clips: Sequence[Path], passes: Sequence[Any], *, workers: int, decoder: str) -> float:
    """Features per second, of all passes together, once a third of them is there: by then all decoders are at work."""
    how = ExtractionSettings(workers=workers, decoder=decoder)
    wanted, total = tuple(range(len(passes))), FRAMES_PER_CORE[decoder] * workers * len(passes)
    done, seen, ended = Throughput(), [(0.0, 0)], threading.Event()

    def jobs() -> Iterator[Job]:
        for number in itertools.count():
            if done.frames >= total:
                return
            yield Job(str(number), clips[number % len(clips)], wanted)

    def watch() -> None:
        while not ended.wait(0.02):
            seen.append((time.perf_counter(), done.frames))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in embed_passes(jobs(), passes, settings=how, throughput=done):
        pass
    ended.set()
    watcher.join()
    inside = [(at, frames) for at, frames in seen if total / 3 <= frames <= total]
    rate = (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])
    print(f"  {decoder}, {workers} decoders, {len(passes)} passes: {rate:.0f} a second", flush=True)
    return rate


def end_to_end(clips: Sequence[Path], decoder: str, backbone_fps: float, *, most: Sequence[int]) -> Figures:
    """Decoding against decoders, and both together."""
    loaded = load_backbone(features_of(), ExtractionSettings())
    cores = len(os.sched_getaffinity(0))
    counts = [count for count in most if count <= cores]
    decoding = {count: stream_rate(clips, [NoBackbone(loaded)], workers=count, decoder=decoder) for count in counts}
    loaded.embed(torch.zeros(1, 3, 224, 224, dtype=torch.uint8))  # the engine is there before the clock starts
    one = stream_rate(clips, [loaded], workers=cores, decoder=decoder)
    both = stream_rate(clips, [loaded, loaded.mirrored()], workers=cores, decoder=decoder)
    decoded = decoding[counts[-1]]
    return {
        "decode_fps": {str(count): round(rate) for count, rate in decoding.items()},
        "one_view_fps": round(one),
        "one_view_of_bound": round(one / min(decoded, backbone_fps), 2),
        "both_views_fps": round(both),
        "both_views_of_bound": round(both / min(2 * decoded, backbone_fps), 2),
        "cores_that_fill_the_gpu_one_view": round(backbone_fps / (decoded / counts[-1]), 1),
        "cores_that_fill_the_gpu_both_views": round(backbone_fps / 2 / (decoded / counts[-1]), 1),
    }


def one_loop() -> Figures:
    """`fit` against a bare loop."""
    seconds, _ = training.measure(torch.device("cuda"), 5)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "fit_sequences_per_s": round(training.SEQUENCES / median["fit"]),
        "fit_of_bare": round(median["bare"] / median["fit"], 2),
    }


def _fit_when_told(barrier: Any, spent: Any) -> None:  # noqa: ANN401
    training.measure(torch.device("cuda"), 1)  # the libraries are loaded
    barrier.wait()
    started = time.perf_counter()
    training.measure(torch.device("cuda"), 6)
    spent.put(time.perf_counter() - started)


def fits_at_once() -> Figures:
    """Seconds of one fit alone, and of several that share the card, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    seconds = {}
    for count in (1, FITS):
        barrier, spent = context.Barrier(count), context.Queue()
        processes = [context.Process(target=_fit_when_told, args=(barrier, spent)) for _ in range(count)]
        for process in processes:
            process.start()
        seconds[count] = max(spent.get(timeout=120) for _ in processes)
        for process in processes:
            process.join()
    return {"fits_at_once": FITS, "times_one_after_another": round(FITS * seconds[1] / seconds[FITS], 2)}


def layers() -> Figures:
    """Milliseconds and megabytes of a training step."""
    device = torch.device("cuda")
    found = {cell: {steps: temporal.measure(cell, steps, device) for steps in STEPS} for cell in CELLS}
    return {
        "step_ms": {
            cell: {str(t): round(1e3 * m["seconds"], 1) for t, m in sizes.items()} for cell, sizes in found.items()
        },
        "step_mb": {cell: {str(t): round(m["mb"]) for t, m in sizes.items()} for cell, sizes in found.items()},
    }


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--only", nargs="*", help="parts to measure; default: all")
    chosen = parser.parse_args().only
    print_machine("torch", "torchvision", "timm", "av", "opencv-python-headless")
    print(f"{torch.cuda.get_device_name()}, {len(os.sched_getaffinity(0))} cores for this process", flush=True)
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        clips = draw_clips(Path(folder), CLIPS, fps=30)
        videos = {"": clips, "_long": lengthen(clips[:8], Path(folder))}

        def measure_decoder(decoder: str, name: str) -> Figures:
            most = (1, 4, 16) if name else (1, 2, 4, 8, 16)
            found = end_to_end(videos[name], decoder, figures.get("graph_fps", math.nan), most=most)
            return {f"{decoder}{name}_{key}": value for key, value in found.items()}

        parts: list[tuple[str, Callable[[], Figures]]] = [
            ("backbone_only", backbone_only),
            *(
                (f"{decoder}{name}", partial(measure_decoder, decoder, name))
                for name in ("", "_long")
                for decoder in ("cpu", "nvdec")
            ),
            ("one_loop", one_loop),
            ("layers", layers),
            ("fits_at_once", fits_at_once),
        ]
        for name, part in parts:
            if chosen and name not in chosen:
                continue
            started = time.perf_counter()
            try:
                found = part()
            except Exception as error:  # noqa: BLE001  one part must not cost the figures of the others
                traceback.print_exc()
                found = {f"{name}_failed": f"{type(error).__name__}: {error}"}
            figures |= found
            print(f"{name} ({time.perf_counter() - started:.0f} s): {json.dumps(found)}", flush=True)
    figures["peak_mb"] = round(torch.cuda.max_memory_allocated() / 2**20)
    print_json(figures)
    sys.exit(any(name.endswith("_failed") for name in figures))


if __name__ == "__main__":
    main()
