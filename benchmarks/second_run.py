"""How long a second `vidrnn extract` looks at a store in which everything is finished.

    python -m benchmarks.second_run [--videos 100000] [--folder DIR]

Videos are files of a few bytes, which nothing decodes; their features (3 x 16) are written as extraction writes them,
but not each flushed to disk. Then `extract` runs: with no manifest, as after an update from a version that had none;
twice with the manifest that this leaves; with every video touched; and once more. No network is ever called. The
last line is JSON.
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import vidrnn.atomic
from benchmarks.common import make_parser, print_json, print_machine
from vidrnn.annotations import Annotation
from vidrnn.extraction.embedder import Alone
from vidrnn.extraction.extract import extract
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.source import Source
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.video_features import VideoFeatures, VideoMetadata


class Network(Alone):
    """Has a spec and is never asked."""

    preprocessing = Preprocessing(32, 32, "warp", "bilinear", (0.5,) * 3, (0.5,) * 3)
    spec = FeatureSpec(
        "rgb",
        "none",
        "random",
        "0" * 64,
        "head",
        16,
        1,
        preprocessing.as_dict(),
        {"kind": "fps", "rate": 1.0},
        "float32",
    )

    def embed(self, _frames: torch.Tensor) -> torch.Tensor:
        """Never called."""
        raise AssertionError("everything is finished")


def fill(root: Path, store: Path, count: int) -> list[Annotation]:
    """Videos and their features."""
    folder = FeatureStore(store).create(Network.spec)
    vidrnn.atomic.os.fsync = lambda _file: None  # a hundred thousand flushes would be the measurement
    annotations = []
    for number in range(count):
        name = f"class{number % 400:03d}/{number:06d}.mp4"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(str(number).encode())
        video = VideoFeatures(
            np.zeros((3, 16), np.float16), np.arange(3.0), VideoMetadata(32, 32, 3, 3.0), Source.of(root / name), ()
        )
        folder.write(name, video)
        annotations.append(Annotation(name, label=f"class{number % 400:03d}", split=None, group=name))
    return annotations


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--videos", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    print_machine("numpy")
    print(f"{arguments.videos} videos", flush=True)
    figures = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        root, store = Path(scratch, "videos"), Path(scratch, "store")
        annotations = fill(root, store, arguments.videos)
        settings = ExtractionSettings(store=store, workers=1)
        for name in ("without a manifest", "with it", "with it, again", "all touched", "with it, after that"):
            if name == "all touched":
                for annotation in annotations:
                    os.utime(root / annotation.path)
            started, computing = time.perf_counter(), time.process_time()
            report = extract(annotations, [Network()], root=root, settings=settings, weights="default")
            assert report.whole.reused == arguments.videos, report
            seconds, computed = time.perf_counter() - started, time.process_time() - computing
            print(f"{name}: {seconds:.2f} s, of which {computed:.2f} s on a core", flush=True)
            figures[name] = {"seconds": seconds, "on_a_core_s": computed}
    print_json(figures)


if __name__ == "__main__":
    main()
