"""How fast is a packed store of a million sequences? Opening it, and reading it against a raw NumPy memory map.

    python -m benchmarks.store [--folder DIR] [--sequences 1000000]

Two packs are written with the project's own writer, one after the other. One has a million short sequences (D = 64),
for the number of videos. The other has a few thousand of the size of real ones (100 steps of D = 1280), for the bytes.
Shards are small (64 MiB), so that there are many of them as in a store of hundreds of gigabytes. Beside each pack lies
one file with the same feature bytes in the same order: mapped as one array, it is the raw memory map. Store and raw
alternate in rounds of the same sequences, so that other load on the machine meets both; figures are medians over
rounds. What is read is in the page cache, except where it says cold; `writing_memory_mb` is how far the peak of the
process rose while the pack was written. About 2.6 GB of scratch below --folder, removed at the end. The last line is
JSON.
"""

import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import make_parser, print_json, print_machine, print_table, seconds_of
from vidrnn.annotations import Annotation, LabelMap
from vidrnn.sequences.loading import load_sequences
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.steps import choose_steps
from vidrnn.settings.model import ModelSettings
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.pack_update import pack
from vidrnn.store.pack_writer import PackWriter
from vidrnn.store.source import Source
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.video_features import VideoFeatures, VideoMetadata

SHARD_BYTES = 64 << 20
ROUNDS = 15
LABELS = LabelMap(("a", "b"))


def path_of(number: int) -> str:
    return f"class{number % 400:03d}/video_{number:07d}.mp4"


class World:
    """A packed store and the same feature bytes in one raw file."""

    def __init__(self, root: Path, *, sequences: int, steps: tuple[int, int], dim: int) -> None:
        spec = FeatureSpec("rgb", "synthetic", "random", "0" * 64, "head", dim, 1, {}, {"kind": "fps"}, "float32")
        self.root, self.raw_path, self.dim = root, root / "raw", dim
        folder = FeatureStore(root).create(spec)
        rng = np.random.default_rng(0)
        pool = rng.normal(size=(steps[1] + 1000, dim)).astype(np.float16)
        source, started = Source(123456789, 1700000000000000000, "0123456789abcdef" * 4), time.perf_counter()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.totals = rng.integers(steps[0], steps[1] + 1, size=sequences)
        self.firsts = self.totals.cumsum() - self.totals
        with PackWriter(folder, SHARD_BYTES) as writer, self.raw_path.open("wb") as raw:
            for number, total in enumerate(self.totals.tolist()):
                start = number % 1000
                values = pool[start : start + total]
                facts = VideoMetadata(320, 240, total * 3, total / 10)
                writer.add(path_of(number), VideoFeatures(values, np.arange(total) / 10, facts, source), 0, 0)
                raw.write(values.tobytes())
            writer.commit(None, np.zeros(0, dtype=np.bool_))
        self.seconds = time.perf_counter() - started
        self.memory_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
        self.raw = np.asarray(np.memmap(self.raw_path, dtype=np.float16, mode="r").reshape(-1, dim))

    def folder(self) -> FeatureFolder:
        """Not opened yet."""
        (folder,) = FeatureStore(self.root).folders()
        return folder

    def forget(self) -> None:
        """Take the pack out of the page cache."""
        for path in self.root.glob("*/_pack/*"):
            number = os.open(path, os.O_RDONLY)
            os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(number)


def touch(table: np.ndarray) -> None:
    """Bring every page of a map into the process: the first touch is the system's work and the same for all."""
    table.reshape(-1)[::2048].max()


def paired(store: Callable[[int], object], raw: Callable[[int], object]) -> tuple[float, float, float]:
    """Median seconds of a round through the store and raw, and the median over rounds of raw / store."""
    store(0), raw(0)
    pairs = []
    for number in range(1, ROUNDS + 1):
        both = {
            name: seconds_of(lambda call=call, number=number: call(number)) for name, call in order(store, raw, number)
        }
        pairs.append((both["store"], both["raw"]))
    seconds = [statistics.median(column) for column in zip(*pairs, strict=True)]
    return seconds[0], seconds[1], statistics.median(raw_s / store_s for store_s, raw_s in pairs)


def order(store: Callable[[int], object], raw: Callable[[int], object], number: int) -> list[tuple[str, Callable]]:
    pair = [("store", store), ("raw", raw)]
    return pair if number % 2 else pair[::-1]


def measure_opening(world: World) -> dict[str, float]:
    warm = [seconds_of(lambda: world.folder().pack()) for _ in range(5)]
    cold = []
    for _ in range(3):
        world.forget()
        cold.append(seconds_of(lambda: world.folder().pack()))
    again = seconds_of(lambda: pack(world.folder(), shard_bytes=SHARD_BYTES))
    return {
        "open_s": statistics.median(warm),
        "open_cold_s": statistics.median(cold),
        "pack_nothing_new_s": again,
    }


def measure_sequences(world: World, number: int) -> dict[str, float]:
    """Copy whole sequences in random order."""
    folder = world.folder()
    opened = folder.pack()
    assert opened is not None
    firsts, ends, raw = world.firsts, world.firsts + world.totals, world.raw
    rng = np.random.default_rng(1)
    draws = [rng.integers(len(opened), size=number).tolist() for _ in range(ROUNDS + 1)]
    # Paths are in order of their names in the pack, in order of writing in the raw file.
    places = np.array([int(path[-11:-4]) for path in opened.paths()])
    raw_draws = [places[draw].tolist() for draw in draws]

    def through_store(at: int) -> None:
        for position in draws[at]:
            opened.features(position).copy()

    def through_raw(at: int) -> None:
        for position in raw_draws[at]:
            raw[firsts[position] : ends[position]].copy()

    def whole(at: int) -> None:
        for position in draws[at]:
            folder.read_packed(opened, position)

    touch(opened.table)
    touch(raw)
    check = draws[0][0]
    np.testing.assert_array_equal(opened.features(check), raw[firsts[places[check]] : ends[places[check]]])
    store_s, raw_s, ratio = paired(through_store, through_raw)
    whole_s, _, _ = paired(whole, through_raw)
    bytes_read = float(world.totals.mean()) * world.dim * 2 * number
    return {
        "sequences_per_s": number / store_s,
        "raw_sequences_per_s": number / raw_s,
        "ratio_sequences": ratio,
        "mb_per_s": bytes_read / store_s / 1e6,
        "with_metadata_per_s": number / whole_s,
    }


def measure_batches(world: World, batch: int, steps: int, number: int) -> dict[str, float]:
    """Gather float32 batches as training does: `SequenceSet.batch` against the same from the raw map."""
    annotations = [Annotation(path_of(i), LABELS.names[i % 2], None, "g") for i in range(len(world.totals))]
    loaded: list[SequenceSet] = []
    device = torch.device("cpu")
    load_s = seconds_of(lambda: loaded.append(load_sequences(annotations, world.folder(), LABELS, device=device)))
    (sequences,) = loaded
    model, firsts = ModelSettings(inputs=("features",)), torch.from_numpy(world.firsts)
    generator = torch.Generator().manual_seed(0)
    draws = [
        [torch.randint(len(sequences), (batch,), generator=generator) for _ in range(number)] for _ in range(ROUNDS + 1)
    ]
    choices = [
        [choose_steps(sequences.totals[chosen], steps, generator=generator) for chosen in positions]
        for positions in draws
    ]

    def raw_batch(positions: torch.Tensor, choice: object) -> torch.Tensor:
        rows = firsts[positions].unsqueeze(1) + choice.indices
        valid = torch.arange(rows.shape[1]) < choice.lengths.unsqueeze(1)
        return torch.from_numpy(world.raw[rows.numpy()]).float().mul_(valid.unsqueeze(2))

    def through_store(at: int) -> None:
        for positions, choice in zip(draws[at], choices[at], strict=True):
            sequences.batch(positions, choice, model)

    def through_raw(at: int) -> None:
        for positions, choice in zip(draws[at], choices[at], strict=True):
            raw_batch(positions, choice)

    touch(sequences.streams["rgb"].features.numpy())
    touch(world.raw)
    first = draws[0][0], choices[0][0]
    assert torch.equal(sequences.batch(*first, model).features, raw_batch(*first))
    store_s, raw_s, ratio = paired(through_store, through_raw)
    return {
        "load_set_s": load_s,
        "batch_sequences_per_s": batch * number / store_s,
        "raw_batch_sequences_per_s": batch * number / raw_s,
        "ratio_batches": ratio,
    }


def show(name: str, world: World, figures: dict[str, float]) -> None:
    files = list(world.root.glob("*/_pack/*"))
    size, index = (sum(file.stat().st_size for file in files if file.match(kind)) / 1e6 for kind in ("*", "index"))
    steps = f"{world.totals.min()} to {world.totals.max()} steps"
    print(f"\n{name}: {len(world.totals)} sequences of {steps}, D = {world.dim};")
    print(f"{len(files) - 1} shards, {size:.0f} MB with the index of {index:.0f} MB; written in {world.seconds:.0f} s")
    print_table(figures, ".2f")


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--folder", type=Path, default=None, help="where the scratch files go; default the system's")
    parser.add_argument("--sequences", type=int, default=1_000_000)
    arguments = parser.parse_args()
    print_machine("numpy", "torch")
    print(f"{ROUNDS} rounds, store and raw alternating")
    results: dict[str, dict[str, float]] = {}
    shapes = {
        "million": {"sequences": arguments.sequences, "steps": (4, 12), "dim": 64},
        "large": {"sequences": max(1, arguments.sequences // 250), "steps": (80, 120), "dim": 1280},
    }
    for name, shape in shapes.items():
        root = Path(tempfile.mkdtemp(dir=arguments.folder))
        try:
            world = World(root, **shape)
            results[name] = {"writing_memory_mb": world.memory_mb}
            results[name] |= measure_sequences(world, 20_000 if name == "million" else 1000)
            results[name] |= measure_batches(world, batch=64, steps=24, number=100 if name == "million" else 20)
            results[name] |= measure_opening(world)  # last: it empties the page cache
            show(name, world, results[name])
        finally:
            shutil.rmtree(root)
    print_json({f"{name}_{key}": value for name, values in results.items() for key, value in values.items()})


if __name__ == "__main__":
    main()
