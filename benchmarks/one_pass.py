"""What it is worth to open each video once: rgb and flow in both views, in one go and one after the other.

    python -m benchmarks.one_pass                        rendered clips of 1920 x 1080, H.264, 10 frames per second kept
    python -m benchmarks.one_pass --spacing 1            the same where each frame is a key frame, and half are skipped
    python -m benchmarks.one_pass --clips FOLDER         every frame of the videos of a folder

In one run, on the same clips, three ways alternate: `embed_passes` with all four passes, one pass after the other as
several runs of `embed_videos`, and the parts of the bound. The parts are decoders that draw everything while nobody
embeds, and the network on resident batches. Where both share the cores, the bound is the sum of their times. Medians of
the ratios within a round are printed, because other work may share the machine. So is the processor time of all
processes, in milliseconds for each kept frame, for the ways and for the two parts. The last line is JSON.
"""

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.common import (
    draw_clips,
    encode_again,
    find_clips,
    make_parser,
    print_json,
    print_machine,
    print_table,
    processor_s,
    seconds_of,
)
from benchmarks.extraction import NoBackbone
from vidrnn.backbones.backbone import load_backbone, views
from vidrnn.extraction.jobs import Job
from vidrnn.extraction.pipeline import embed_passes, embed_videos
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings

RENDERED = 6


def measure(clips: Sequence[Path], features: FeatureSettings, rounds: int) -> dict[str, float]:
    """Frames kept, and the median over rounds of each time and ratio."""
    settings = ExtractionSettings()
    passes = views(load_backbone(features, settings), features)
    jobs = [Job(str(clip), clip, tuple(range(len(passes)))) for clip in clips]
    alone = [Job(job.path, job.source) for job in jobs]
    found = dict(embed_passes(jobs[:1], passes, settings=settings))  # the engine is ready
    resident = torch.zeros(16, *passes[0].preprocessing.shape, dtype=torch.uint8)
    kept = sum(len(features[0].features) for _, features in embed_passes(jobs, passes, settings=settings))
    assert len(found[jobs[0].path]) == len(passes)
    rows: list[dict[str, float]] = []
    for _ in range(rounds):
        before_s = processor_s()
        together = seconds_of(lambda: list(embed_passes(jobs, passes, settings=settings)))
        between_s = processor_s()
        apart = sum(seconds_of(lambda p=one: list(embed_videos(alone, p, settings=settings))) for one in passes)
        spent_ms = {
            "together_cpu_ms": 1e3 * (between_s - before_s) / kept,
            "apart_cpu_ms": 1e3 * (processor_s() - between_s) / kept,
        }
        before_s = processor_s()
        drawn = seconds_of(lambda: list(embed_passes(jobs, [NoBackbone(one) for one in passes], settings=settings)))
        between_s = processor_s()
        network = seconds_of(lambda: [passes[0].embed(resident) for _ in range(8)]) / (8 * len(resident))
        spent_ms |= {
            "drawn_cpu_ms": 1e3 * (between_s - before_s) / kept,
            "network_cpu_ms": 1e3 * (processor_s() - between_s) / (8 * len(resident)) * len(passes),
        }
        bound = drawn + network * kept * len(passes)
        rows.append({"together_s": together, "apart_s": apart, "drawn_s": drawn, "bound_s": bound, **spent_ms})
    figures = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    figures["times_as_fast"] = statistics.median(row["apart_s"] / row["together_s"] for row in rows)
    figures["reached_of_bound"] = statistics.median(row["bound_s"] / row["together_s"] for row in rows)
    figures["times_as_cheap"] = statistics.median(row["apart_cpu_ms"] / row["together_cpu_ms"] for row in rows)
    return {"videos": len(clips), "frames": kept, **figures}


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--clips", type=Path, help="folder of videos; default: rendered ones")
    parser.add_argument("--videos", type=int, default=12, help="how many of them")
    parser.add_argument("--spacing", type=int, default=60, help="frames from key frame to key frame of rendered clips")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sampling = {"sampling": "every"} if options.clips else {"sampling": "fps", "rate": 10.0}
    features = FeatureSettings(streams=("rgb", "flow"), mirrored=True, **sampling)
    with tempfile.TemporaryDirectory() as folder:
        if options.clips:
            every = find_clips(options.clips)
            clips = every[:: max(len(every) // options.videos, 1)][: options.videos]
        else:
            drawn = draw_clips(Path(folder) / "drawn", RENDERED, width=1920, height=1080, fps=30)
            clips = [encode_again(clip, Path(folder) / clip.name, spacing=options.spacing) for clip in drawn]
        figures = measure(clips, features, options.rounds)
    print_machine("torch")
    print_table(figures)
    print_json(figures)


if __name__ == "__main__":
    main()
