"""How long a user waits for the first features: from `import torch` to the first batch, in a fresh process.

The engine lies in the cache already. The clip is the first of a folder, else a rendered one (640 x 480, H.264).

Run:  python -m benchmarks.first_feature --clips FOLDER
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.common import draw_clips, find_clips, make_parser, print_json, print_machine

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


def first_feature(clip: Path) -> float:
    """Seconds from `import torch` to the first batch of features in a process that finds the engine in the cache."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "first.py"
        script.write_text(FIRST_FEATURE)
        command = [sys.executable, str(script), str(clip)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--clips", type=Path, help="folder of videos; default: a rendered one")
    parser.add_argument("--rounds", type=int, default=4, help="how often; the first round warms up")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clips = find_clips(options.clips) if options.clips else draw_clips(Path(folder), 1)
        seconds = [first_feature(clips[0]) for _ in range(options.rounds)]
    print_machine("vidrnn", "torch")
    print_json({"first_feature_s": statistics.median(seconds[1:] or seconds)})


if __name__ == "__main__":
    main()
