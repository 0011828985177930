"""How long a user waits for the first features: from `import torch` to the first batch, in a fresh process.

A first run finds no engine in the cache and makes it, a later one finds it. With a model, so is the whole command
`vidrnn classify CLIP` measured, from the start of Python to its end. The clip is the first of a folder, else a rendered
one (640 x 480, H.264). Medians are printed; the last line is JSON.

Run:  python -m benchmarks.first_feature [--clips FOLDER] [--model MODEL]
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.common import draw_clips, find_clips, make_parser, print_json, print_machine, seconds_of

# The first features of a fresh process, as in `vidrnn extract`, counted from before torch is imported.
FIRST_FEATURE = """
import time; started = time.perf_counter()
from vidrnn.extraction.processes import warm_up
if __name__ == "__main__":
    warm_up()
import sys, torch
from pathlib import Path
from vidrnn.backbones.backbone import load_backbone
from vidrnn.extraction.jobs import Job
from vidrnn.extraction.pipeline import embed_videos
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
if __name__ == "__main__":
    features, settings = FeatureSettings(sampling="every", nodes={"last": 1}), ExtractionSettings()
    backbone = load_backbone(features, settings)  # which pools as the plain recipe does
    execution, ends = type(backbone.executor), []
    call = execution.__call__
    def timed(self, frames, views):
        features = call(self, frames, views)
        ends.append(time.perf_counter())
        return features
    execution.__call__ = timed
    next(embed_videos([Job("a", Path(sys.argv[1]))], backbone, settings=settings))
    print(ends[0] - started)
"""


def first_feature(clip: Path, cache: Path | None = None) -> float:
    """Seconds from `import torch` to the first batch of features in a fresh process.

    Args:
        clip: a video.
        cache: where the process looks for its engine; None: where `vidrnn extract` would.
    """
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "first.py"
        script.write_text(FIRST_FEATURE)
        environment = os.environ | ({} if cache is None else {"VIDRNN_CACHE": str(cache)})
        command = [sys.executable, str(script), str(clip)]
        ended = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(ended.stdout)


def classify(clip: Path, model: Path) -> float:
    """Seconds that the command takes for one clip."""
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "predictions.csv")
        command = [sys.executable, "-m", "vidrnn", "classify", str(clip), "--model", str(model), "--output", output]
        return seconds_of(lambda: subprocess.run(command, check=True, capture_output=True))


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--clips", type=Path, help="folder of videos; default: a rendered one")
    parser.add_argument("--model", type=Path, help="a model.safetensors, for the time of `vidrnn classify`")
    parser.add_argument("--rounds", type=int, default=4, help="how often; one round more warms up")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = (find_clips(options.clips) if options.clips else draw_clips(Path(folder), 1))[0]
        caches = [Path(folder) / f"cache{number}" for number in range(options.rounds)]
        first_feature(clip, Path(folder) / "cache")
        figures = {
            "first_run_s": statistics.median(first_feature(clip, cache) for cache in caches),
            "second_run_s": statistics.median(first_feature(clip, cache) for cache in caches),
        }
        if options.model:
            classify(clip, options.model)
            figures["classify_s"] = statistics.median(classify(clip, options.model) for _ in caches)
    print_machine("vidrnn", "torch")
    print_json(figures)


if __name__ == "__main__":
    main()
