"""Speed of extraction against the bound that decoding and the backbone set together, and against the plain recipe.

In one run, on the same clips and the same kept frames:

* decoding only: decoder processes fit and send every kept frame, nobody embeds them;
* backbone only: the engine on resident batches;
* the bound: where both share the cores, the sum of their costs per frame; where a GPU embeds, the slower one;
* reached: `embed_videos` as `vidrnn extract` calls it, and the whole verb with the feature store;
* a pass of each stream of pictures alone, and both views of all of them in one decode: processor time of all processes
  per kept frame, against rgb;
* the plain recipe: OpenCV's read loop, per-frame transforms by Pillow, eager float32, batch 16, one after the other.

What is extracted is the `--recipe`: `plain` (one view, pooled as the plain recipe does), or the default layers in both
views, of `rgb` or of `rgb_flow`. Every frame is kept, and counts once, however many features it has.

Stages alternate over several rounds and medians are printed, because other work may share the machine. The plain recipe
sees a part of the clips. Clips are read from a folder, else rendered (640 x 480, H.264).

Run:  python -m benchmarks.extraction --clips FOLDER
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import (
    draw_clips,
    find_clips,
    make_parser,
    median_ratio,
    print_json,
    print_machine,
    print_table,
    processor_s,
    seconds_of,
)
from benchmarks.first_feature import first_feature
from vidrnn.annotations import Annotation
from vidrnn.backbones.backbone import Backbone, load_backbone
from vidrnn.backbones.network import Network
from vidrnn.backbones.networks import build_network
from vidrnn.device import choose_batch_size
from vidrnn.extraction.embedder import Alone, Embedder
from vidrnn.extraction.extract import extract
from vidrnn.extraction.jobs import Job
from vidrnn.extraction.pipeline import embed_passes, embed_videos, num_workers
from vidrnn.frames.views import Views
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.streams.passes import load_passes
from vidrnn.video.decode import decode
from vidrnn.video.probe import probe
from vidrnn.video.sampling import Sampling

RENDERED, BATCH = 24, 16
RECIPES: dict[str, dict[str, Any]] = {
    "plain": {"nodes": {"last": 1}},
    "rgb": {"mirrored": True},
    "rgb_flow": {"mirrored": True, "streams": ("rgb", "flow")},
}


class NoBackbone(Alone):
    """Takes what decoders draw for a backbone and gives nothing of worth, at no cost."""

    def __init__(self, backbone: Embedder) -> None:
        self.spec, self.preprocessing = backbone.spec, backbone.preprocessing

    def __call__(self, _frames: torch.Tensor, views: Views) -> torch.Tensor:
        """A row for each view, without touching a frame."""
        return torch.zeros(len(views), 1)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--clips", type=Path, help="folder of videos; default: rendered ones")
    parser.add_argument("--videos", type=int, default=40, help="how many of them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--recipe", choices=list(RECIPES), default="plain")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--batch-size", type=int, default=None, help="default: as vidrnn chooses for the device")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--engines", nargs="*", default=["eager"], help="also time these engines, backbone only")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clips = find_clips(arguments.clips) if arguments.clips else draw_clips(Path(folder) / "clips", RENDERED)
        clips = clips[: arguments.videos]
        features = FeatureSettings(sampling="every", precision=arguments.precision, **RECIPES[arguments.recipe])
        settings = ExtractionSettings(
            batch_size=choose_batch_size(arguments.batch_size, arguments.device),
            workers=arguments.workers,
            device=arguments.device,
        )
        figures = measure(clips, features, settings, Path(folder), rounds=arguments.rounds)
        figures |= other_engines(arguments.engines, features, settings)
        if arguments.recipe == "plain":
            figures |= streams(clips, features, settings, rounds=arguments.rounds)
        figures["first_feature_s"] = statistics.median(first_feature(clips[0]) for _ in range(3))
    report(figures, settings, precision=arguments.precision)


def measure(
    clips: Sequence[Path], features: FeatureSettings, settings: ExtractionSettings, folder: Path, *, rounds: int
) -> dict[str, float]:
    """Frames per second of each stage, medians over rounds."""
    passes = load_passes(features, settings)
    nothing = [NoBackbone(one_pass) for one_pass in passes]
    frames = embed_all(clips, passes, settings)  # warms everything up, and counts
    resident = _resident(passes[0], clips[0], settings)
    rates: dict[str, list[float]] = {}
    for number in range(rounds):
        stages: list[tuple[str, int, Callable[[], object]]] = [
            ("decode_only", frames, lambda: embed_all(clips, nothing, settings)),
            ("backbone_only", 8 * len(resident), lambda: [passes[0].embed(resident) for _ in range(8)]),
            ("reached", frames, lambda: embed_all(clips, passes, settings)),
            ("verb", frames, lambda number=number: _extract(clips, folder / str(number), passes, settings)),
        ]
        for name, count, stage in stages:
            rates.setdefault(name, []).append(count / seconds_of(stage))
        few = clips[:: max(len(clips) // 4, 1)][:4]
        started = time.perf_counter()
        count = sum(plain_recipe(clip) for clip in few)
        rates.setdefault("plain_recipe", []).append(count / (time.perf_counter() - started))
    figures = {name: statistics.median(values) for name, values in rates.items()}
    shared, calls = passes[0].device.type == "cpu", len(passes)
    bounds = [
        1 / (1 / decoding + calls / embedding) if shared else min(decoding, embedding / calls)
        for decoding, embedding in zip(rates["decode_only"], rates["backbone_only"], strict=True)
    ]
    figures["bound"] = statistics.median(bounds)
    # Ratios are taken within a round: what disturbs the machine disturbs all stages of it.
    figures["reached_of_bound"] = median_ratio(rates["reached"], bounds)
    figures["verb_of_bound"] = median_ratio(rates["verb"], bounds)
    figures["times_plain_recipe"] = median_ratio(rates["verb"], rates["plain_recipe"])
    figures["videos"], figures["frames"] = len(clips), frames
    return figures


def embed(jobs: Sequence[Job], backbone: Backbone | NoBackbone, settings: ExtractionSettings) -> int:
    """All videos through the pipeline; returns the number of frames."""
    total = 0
    for path, result in embed_videos(jobs, backbone, settings=settings):
        assert hasattr(result, "features"), f"{path}: {result}"
        total += len(result.features)
    return total


def embed_all(clips: Sequence[Path], passes: Sequence[Embedder | NoBackbone], settings: ExtractionSettings) -> int:
    """All passes over all videos, each decoded once; returns the number of kept frames, each counted once."""
    jobs = [Job(str(clip), clip, tuple(range(len(passes)))) for clip in clips]
    total = 0
    for path, results in embed_passes(jobs, passes, settings=settings):
        assert all(hasattr(result, "features") for result in results.values()), f"{path}: {results}"
        total += len(results[0].features)
    return total


def plain_recipe(clip: Path) -> int:
    """What is found in most tutorials: read with OpenCV, transform with Pillow, embed sixteen at a time in eager."""
    import cv2
    from torchvision import transforms
    from torchvision.transforms import InterpolationMode

    network = plain_network()
    size = network.preprocessing.image_size
    transform = transforms.Compose(
        [
            transforms.ToPILImage(),
            transforms.Resize((size, size), InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize(network.preprocessing.mean, network.preprocessing.std),
        ]
    )
    capture, batch, count = cv2.VideoCapture(str(clip)), [], 0
    with torch.inference_mode():
        while True:
            there, frame = capture.read()
            if there:
                batch.append(transform(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)))
                count += 1
            if batch and (not there or len(batch) == BATCH):
                network.model.forward_features(torch.stack(batch)).mean((2, 3)).numpy()
                batch = []
            if not there:
                return count


@cache
def plain_network() -> Network:
    """Built once, outside the first timing."""
    return build_network(FeatureSettings(nodes={"last": 1}))


def other_engines(names: Sequence[str], features: FeatureSettings, settings: ExtractionSettings) -> dict[str, float]:
    """Backbone only, for engines beside the automatic choice."""
    figures = {}
    for name in names:
        backbone = load_backbone(features, settings.model_copy(update={"engine": name}))
        size = backbone.preprocessing.image_size
        frames = torch.randint(0, 256, (settings.batch_size, 3, size, size), dtype=torch.uint8)
        backbone.embed(frames)
        seconds = [seconds_of(lambda b=backbone, f=frames: b.embed(f)) for _ in range(8)]
        figures[f"backbone_only_{name}"] = len(frames) / statistics.median(seconds)
    return figures


def streams(
    clips: Sequence[Path], features: FeatureSettings, settings: ExtractionSettings, *, rounds: int
) -> dict[str, float]:
    """Processor and wall milliseconds per kept frame of each stream and of several at once, the former against rgb.

    Both views of all streams are six feature vectors for each kept frame.
    """
    pictures = features.model_copy(update={"streams": ("rgb", "flow", "rgb_diff"), "mirrored": True})
    several = load_passes(pictures, settings)
    wanted = {embedder.spec.stream: [embedder] for embedder in several if not embedder.spec.is_mirrored}
    wanted |= {"rgb_both": list(several[:2]), "all_both": list(several)}
    costs: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for name, passes in wanted.items():
            before_s, started = processor_s(), time.perf_counter()
            frames = embed_all(clips[:1] if number == 0 else clips, passes, settings)
            wall_s = time.perf_counter() - started
            if number > 0:  # the first one warms up
                costs.setdefault(f"{name}_cpu_ms", []).append(1e3 * (processor_s() - before_s) / frames)
                costs.setdefault(f"{name}_wall_ms", []).append(1e3 * wall_s / frames)
    figures = {name: statistics.median(values) for name, values in costs.items()}
    for name in ("flow", "rgb_diff", "rgb_both", "all_both"):
        figures[f"{name}_of_rgb_cpu"] = median_ratio(costs[f"{name}_cpu_ms"], costs["rgb_cpu_ms"])
    return figures


def report(figures: dict[str, float], settings: ExtractionSettings, *, precision: str) -> None:
    packages = ("vidrnn", "torch", "torchvision", "openvino", "av", "opencv-python-headless", "pillow")
    print_machine(*packages)
    print(f"{num_workers(settings)} decoders, batch {settings.batch_size}, {precision}")
    print_table(figures, ".2f")
    print_json(figures)


def _resident(backbone: Embedder, clip: Path, settings: ExtractionSettings) -> torch.Tensor:
    video = probe(clip)
    indices = Sampling("every", stride=1).select(video.timestamps_s)
    frames = [backbone.preprocessing.fit(frame.rgb) for frame in decode(video, indices)]
    return torch.stack((frames * settings.batch_size)[: settings.batch_size])


def _extract(clips: Sequence[Path], store: Path, passes: Sequence[Embedder], settings: ExtractionSettings) -> None:
    annotations = [Annotation(str(clip.resolve()), "any", None, str(clip)) for clip in clips]
    settings = settings.model_copy(update={"store": store})
    report = extract(annotations, passes, root=Path("/"), settings=settings, weights="default")
    assert report.whole.extracted == len(clips) * len(passes), report.whole.summary()
    shutil.rmtree(store)


if __name__ == "__main__":
    main()
