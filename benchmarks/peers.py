"""Frames to features beside what a person would take instead: same clips, same frames, same network, one machine.

Each peer is written as its documentation shows it, with batches of sixteen frames:

* torchcodec: a `VideoDecoder`, transforms of torchvision on tensors, the network in eager PyTorch;
* hugging_face: `pipeline("image-feature-extraction")` of transformers over pictures that OpenCV reads;
* opencv: OpenCV's read loop, transforms of torchvision on pictures of Pillow, the network in eager PyTorch.

vidrnn is `embed_videos`, as `vidrnn extract` calls it, with the network pooled as the others pool it, and every frame.
The network is EfficientNet-Lite0; transformers cannot read its weights and takes random ones, which cost as much.
Each rate counts the frames that a way gave: TorchCodec raises where the header of an AVI names more frames than there
are. The ways alternate over several rounds. Medians of the ratios within a round are printed, because other work may
share the machine: of seconds, and of the processor time of all processes. Peers that are not installed are left out.

    pip install torchcodec transformers timm
    python -m benchmarks.peers --clips FOLDER
"""

import importlib.util
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
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
from benchmarks.extraction import BATCH, embed, plain_network, plain_recipe
from vidrnn.backbones.backbone import load_backbone
from vidrnn.extraction.jobs import Job
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings

RENDERED = 6
Way = Callable[[Sequence[Path]], int]


def torchcodec_loop(clips: Sequence[Path]) -> int:
    """Features of every frame; returns how many."""
    from torchcodec.decoders import VideoDecoder
    from torchvision.transforms import InterpolationMode, v2

    network = plain_network()
    size, preprocessing = network.preprocessing.image_size, network.preprocessing
    transform = v2.Compose(
        [
            v2.Resize((size, size), InterpolationMode.BICUBIC, antialias=True),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(preprocessing.mean, preprocessing.std),
        ]
    )
    count = 0
    with torch.inference_mode():
        for clip in clips:
            decoder = VideoDecoder(str(clip))
            for start in range(0, len(decoder), BATCH):
                try:
                    frames = decoder.get_frames_in_range(start, min(start + BATCH, len(decoder))).data
                except RuntimeError:  # the header names more frames than there are; its last batch is lost
                    break
                count += len(network.model.forward_features(transform(frames)).mean((2, 3)).numpy())
    return count


def hugging_face_pipeline(clips: Sequence[Path]) -> int:
    """Features of every frame; returns how many."""
    return sum(len(_extractor()(list(_pictures(clip)), pool=True)) for clip in clips)


@cache
def _extractor() -> Any:  # noqa: ANN401  transformers does not say
    from transformers import TimmWrapperConfig, TimmWrapperImageProcessor, TimmWrapperModel, pipeline

    size, preprocessing = plain_network().preprocessing.image_size, plain_network().preprocessing
    facts = {
        "input_size": [3, size, size],
        "interpolation": "bicubic",
        "crop_pct": 1.0,
        "mean": list(preprocessing.mean),
        "std": list(preprocessing.std),
    }
    config = TimmWrapperConfig(architecture="tf_efficientnet_lite0", pretrained_cfg=facts)
    processor = TimmWrapperImageProcessor(pretrained_cfg=facts, architecture="tf_efficientnet_lite0")
    model = TimmWrapperModel(config).eval()
    return pipeline("image-feature-extraction", model=model, image_processor=processor, batch_size=BATCH)


def _pictures(clip: Path) -> Iterator[Any]:
    import cv2
    from PIL import Image

    capture = cv2.VideoCapture(str(clip))
    while True:
        there, frame = capture.read()
        if not there:
            return
        yield Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def opencv_loop(clips: Sequence[Path]) -> int:
    """Features of every frame; returns how many."""
    return sum(map(plain_recipe, clips))


def vidrnn_way() -> Way:
    """The pipeline with its backbone loaded."""
    features, settings = FeatureSettings(sampling="every", nodes={"last": 1}), ExtractionSettings()
    backbone = load_backbone(features, settings)
    return lambda clips: embed([Job(str(clip), clip) for clip in clips], backbone, settings)


def ways() -> dict[str, Way]:
    """What can be measured here."""
    peers: dict[str, tuple[str, Way]] = {
        "torchcodec": ("torchcodec", torchcodec_loop),
        "hugging_face": ("transformers", hugging_face_pipeline),
        "opencv": ("cv2", opencv_loop),
    }
    there = {name: way for name, (package, way) in peers.items() if importlib.util.find_spec(package)}
    return {"vidrnn": vidrnn_way(), **there}


def measure(clips: Sequence[Path], rounds: int) -> dict[str, float]:
    """Frames per second and processor milliseconds per frame of each way, and how many times as fast vidrnn is."""
    found = ways()
    counts = {name: way(clips) for name, way in found.items()}  # warms everything up
    rates: dict[str, list[float]] = {name: [] for name in found}
    costs: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, way in found.items():
            before_s = processor_s()
            rates[name].append(counts[name] / seconds_of(lambda way=way: way(clips)))
            costs[name].append(1e3 * (processor_s() - before_s) / counts[name])
    figures = {f"{name}_frames_per_s": statistics.median(values) for name, values in rates.items()}
    figures |= {f"{name}_cpu_ms": statistics.median(values) for name, values in costs.items()}
    for name in found:
        if name != "vidrnn":
            figures[f"times_as_fast_as_{name}"] = median_ratio(rates["vidrnn"], rates[name])
            figures[f"times_as_cheap_as_{name}"] = median_ratio(costs[name], costs["vidrnn"])
    return {"videos": len(clips), **{f"{name}_frames": count for name, count in counts.items()}, **figures}


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--clips", type=Path, help="folder of videos; default: rendered ones (640 x 480, H.264)")
    parser.add_argument("--videos", type=int, default=12, help="how many of them")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clips = find_clips(arguments.clips) if arguments.clips else draw_clips(Path(folder), RENDERED)
        figures = measure(clips[: arguments.videos], arguments.rounds)
    optional = [name for name in ("torchcodec", "transformers", "timm") if importlib.util.find_spec(name)]
    print_machine("vidrnn", "torch", "torchvision", "opencv-python-headless", "av", *optional)
    print_table(figures, ".3g")
    print_json(figures)


if __name__ == "__main__":
    main()
