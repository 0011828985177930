"""The candidates behind two choices of extraction: how a frame is resized, and the memory layout of the backbone.

Prints milliseconds per frame and the mean absolute difference from Pillow's bicubic resize in grey levels, then frames
per second of the default architecture in both layouts. Candidates take turns; medians of several rounds.
"""

import statistics
from collections.abc import Callable

import cv2
import numpy as np
import timm
import torch
from PIL import Image
from torch.nn import functional

from benchmarks.common import make_parser, print_json, print_machine, seconds_of
from vidrnn.evaluation.report import format_table

SIZE = 224


def resizers() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    def torch_antialias(frame: np.ndarray) -> np.ndarray:
        chw = torch.from_numpy(frame).permute(2, 0, 1)[None]
        return functional.interpolate(chw, (SIZE, SIZE), mode="bicubic", antialias=True)[0].permute(1, 2, 0).numpy()

    return {
        "Pillow bicubic": lambda frame: np.asarray(
            Image.fromarray(frame).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        ),
        "torch bicubic, antialias": torch_antialias,
        "OpenCV area": lambda frame: cv2.resize(frame, (SIZE, SIZE), interpolation=cv2.INTER_AREA),
        "OpenCV cubic": lambda frame: cv2.resize(frame, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC),
    }


def measure_resize(rounds: int) -> list[list[str]]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (45, 80, 3), dtype=np.uint8)
    frame = cv2.resize(coarse, (1280, 720), interpolation=cv2.INTER_CUBIC)
    frame = np.clip(frame + rng.normal(0, 8, frame.shape), 0, 255).astype(np.uint8)
    candidates = resizers()
    reference = candidates["Pillow bicubic"](frame).astype(float)
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, resize in candidates.items():
            times[name].append(seconds_of(lambda resize=resize: resize(frame)))
    return [
        [name, f"{1e3 * statistics.median(times[name]):.2f}", f"{np.abs(resize(frame) - reference).mean():.2f}"]
        for name, resize in candidates.items()
    ]


def measure_layout(rounds: int, batch_size: int) -> dict[str, float]:
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    batch = torch.rand(batch_size, 3, SIZE, SIZE)
    layouts = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
    times: dict[str, list[float]] = {name: [] for name in layouts}
    with torch.inference_mode():
        for number in range(rounds + 1):
            for name, layout in layouts.items():
                model.to(memory_format=layout)
                frames = batch.contiguous(memory_format=layout)
                taken = seconds_of(lambda frames=frames: model.forward_features(frames))
                if number:  # the first round warms up
                    times[name].append(taken)
    return {name: batch_size / statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    print_machine("torch", "pillow", "opencv-python-headless")
    resize = measure_resize(options.rounds)
    print(format_table(["resize of 1280x720 to 224x224", "ms", "difference"], resize))
    layout = measure_layout(options.rounds, batch_size=16)
    print(format_table(["EfficientNet-Lite0, batch 16", "frames/s"], [[k, f"{v:.1f}"] for k, v in layout.items()]))
    print_json(
        {
            "resize_ms": {row[0]: float(row[1]) for row in resize},
            "resize_difference": {row[0]: float(row[2]) for row in resize},
            "frames_per_s": layout,
        }
    )


if __name__ == "__main__":
    main()
