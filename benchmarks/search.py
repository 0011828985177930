"""How fast is a search among a million clips, and are the nearest clips of the same action?

    python -m benchmarks.search [--data "$VIDRNN_DATA" --work runs/defaults]

The index holds a million synthetic vectors of real dimension, a clip each, in a temporary folder. Opening it, and
searching it once it is open, are timed by themselves. With ``--work``, where `benchmarks.defaults --prepare` has put
features, the share of the three nearest clips that show the same action is measured, for each set and for several
weights of what is shown beside how it goes on: among all other clips, and among clips of other groups (people, rooms,
recordings). The last line is JSON.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.common import make_parser, print_json, print_machine, print_table, seconds_of
from benchmarks.defaults import settings_of
from vidrnn.annotations import read_annotations
from vidrnn.experiments.stored_sets import find_folders
from vidrnn.retrieval.index import MomentIndex, Origin, read_index
from vidrnn.sequences.descriptors import DIMENSIONS, Raw, Scale, Space

SETS = ("demo", "weizmann", "ut_interaction_set1", "ut_interaction_set2")
WEIGHTS = (0.0, 0.25, 0.5, 1.0)
STREAMS = (("rgb",), ("rgb", "flow"))
NEAREST, ROUNDS, BLOCK = 3, 20, 50_000
STEPS, DIM = 60, 768  # of the clip whose descriptor is timed


def drawn(rng: np.random.Generator, count: int) -> np.ndarray:
    vectors = rng.standard_normal((count, DIMENSIONS), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def measure_million(clips: int) -> dict[str, float]:
    rng, origin, figures = np.random.default_rng(0), Origin({"rgb": "synthetic"}, "", 4.0), dict[str, float]()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "index"
        index = MomentIndex(origin, None, 0)
        started = time.perf_counter()
        for first in range(0, clips, BLOCK):
            count = min(BLOCK, clips - first)
            moments = np.stack([np.arange(count), np.zeros(count), np.full(count, 3.0)], axis=1)
            paths = [f"folder_{number % 1000}/clip_{number}.mp4" for number in range(first, first + count)]
            index.add(paths, np.full((count, 3), first), moments, drawn(rng, count))
        figures["filled (s, drawing included)"] = time.perf_counter() - started
        started = time.perf_counter()
        index.write(place)
        figures["written (s)"] = time.perf_counter() - started
        figures["on disk (MiB)"] = sum(file.stat().st_size for file in place.iterdir()) / 2**20
        del index
        started = time.perf_counter()
        opened = read_index(place, origin)
        assert opened is not None
        figures["opened (s)"] = time.perf_counter() - started
        asked = drawn(rng, ROUNDS)
        found = [seconds_of(lambda vector=vector: opened.search(vector, count=10)) for vector in asked]  # type: ignore[misc]
        figures["searched (s, median)"] = float(np.median(found))
        figures["searched (s, slowest)"] = max(found)
    figures["most memory (MiB)"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return figures


def measure_descriptor() -> float:
    """Seconds from the features of a clip to its vector."""
    rng = np.random.default_rng(0)
    clips = [rng.normal(size=(STEPS, DIM)).astype(np.float16) for _ in range(400)]
    space = Space.of([{"rgb": Raw.of(clip)} for clip in clips])
    return seconds_of(lambda: space.vectors([{"rgb": Raw.of(clip)} for clip in clips])) / len(clips)


def precision(name: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Share of the nearest that show the same action, among all and among other groups."""
    settings = settings_of(name, "", arguments)
    clips = read_annotations(settings.data)
    folders = find_folders(settings.features, store=settings.extraction.store)
    raw = [{folder.spec.stream: Raw.of(folder.read(clip.path).features) for folder in folders} for clip in clips]
    labels, groups = np.array([clip.label for clip in clips]), np.array([clip.group for clip in clips])
    figures = {}
    for streams in STREAMS:
        found = [{stream: one[stream] for stream in streams} for one in raw]
        for weight in WEIGHTS:
            vectors = Scale.of(found, shown_weight=weight).descriptors(found)
            for among, hidden in (("all", np.eye(len(clips), dtype=bool)), ("other groups", groups == groups[:, None])):
                nearest = np.argsort(np.where(hidden, np.inf, -(vectors @ vectors.T)), axis=1)[:, :NEAREST]
                figures[f"{'+'.join(streams)}, {weight}, {among}"] = float((labels[nearest] == labels[:, None]).mean())
    return figures


def main() -> None:
    parser = make_parser(__doc__, overrides=True)
    parser.add_argument("--clips", type=int, default=1_000_000)
    parser.add_argument("--data", type=Path, help="folder of the clips and their lists")
    parser.add_argument("--work", type=Path, help="folder whose store holds the features")
    parser.set_defaults(folds=5)
    arguments = parser.parse_args()
    print_machine("faiss-cpu", "numpy")
    figures: dict[str, object] = {}
    if arguments.work is not None and arguments.data is not None:
        shares = {name: precision(name, arguments) for name in SETS}
        print("| streams, weight of what is shown, among | " + " | ".join(SETS) + " |")
        print("|---" * (len(SETS) + 1) + "|")
        for way in shares[SETS[0]]:
            print(f"| {way} | " + " | ".join(f"{shares[name][way]:.2f}" for name in SETS) + " |")
        figures |= {"same action": shares}
    times = measure_million(arguments.clips) | {"vector of a clip (ms)": 1000 * measure_descriptor()}
    print_table(times)
    print_json(figures | {"clips": arguments.clips, "times": times})


if __name__ == "__main__":
    main()
