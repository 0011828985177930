"""Would Arrow IPC files read as fast as the packs of the store?

    pip install pyarrow; python -m benchmarks.arrow [--folder DIR] [--sequences 1000000]

The sequences of `benchmarks.store` lie in a pack and, shard for shard, in Arrow IPC files: one record batch each, with
a column of fixed-size lists of float16 and one of times, mapped into memory. What training reads is timed in rounds in
which both alternate: whole sequences, and batches of 64 sequences with up to 24 steps as float32. Arrow gathers in two
ways. `take` is its own function, over all shards; `by shard` is NumPy on the mapped values of each shard that a batch
meets. `cold`: the files are taken out of the page cache before each round. `memory`: what reading batches adds to the
process beside the pages of the files. About 4 GB of scratch below --folder, removed at the end. The last line is JSON.
"""

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.common import make_parser, median_ratio, print_json, print_machine, print_table, seconds_of
from benchmarks.store import World
from vidrnn.store.pack_reader import Pack

BATCH, STEPS = 64, 24
ROUNDS, COLD_ROUNDS = 11, 5
Rows = npt.NDArray[np.int64]
Values = npt.NDArray[np.float16]
Read = Callable[[Sequence[int]], object]


class Arrow:
    """The values of a pack in Arrow IPC files, opened.

    Attributes:
        paths: the files.
        views: (rows, D) of each, mapped.
        column: the same for Arrow, in one chunk for each file.
        starts: first row of each file, counted over all.
    """

    def __init__(self, paths: Sequence[Path], dim: int) -> None:
        import pyarrow as pa

        self.paths = paths
        chunks = [pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0).column(0) for path in paths]
        self.column = pa.chunked_array(chunks)
        self.views = [chunk.flatten().to_numpy(zero_copy_only=True).reshape(-1, dim) for chunk in chunks]
        self.starts = np.cumsum([0, *map(len, self.views)])[:-1]

    @classmethod
    def write(cls, pack: Pack, folder: Path, dim: int) -> "Arrow":
        """Write the values of a pack, a file for each shard, and open them."""
        import pyarrow as pa

        folder.mkdir()
        paths, times = [], np.arange(max(shard.rows for shard in pack.shards)) / 10
        for number, shard in enumerate(pack.shards):
            first = int(pack.rows_at[pack.columns["shard"] == number].min())
            flat = pa.array(np.array(pack.table[first : first + shard.rows]).reshape(-1))
            lists = pa.FixedSizeListArray.from_arrays(flat, dim)
            batch = pa.record_batch([lists, pa.array(times[: shard.rows])], names=["features", "timestamps_s"])
            paths.append(folder / f"{number:04d}.arrow")
            with pa.OSFile(str(paths[-1]), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
                writer.write_batch(batch)
        return cls(paths, dim)

    def take(self, rows: Rows) -> Values:
        """(k, D), by Arrow."""
        taken = self.column.take(rows)
        return np.concatenate([chunk.flatten().to_numpy() for chunk in taken.chunks]).reshape(len(rows), -1)

    def by_shard(self, rows: Rows) -> Values:
        """(k, D), by NumPy."""
        shards = np.searchsorted(self.starts, rows, side="right") - 1
        found = np.empty((len(rows), self.views[0].shape[1]), np.float16)
        for shard in np.unique(shards).tolist():
            here = shards == shard
            found[here] = self.views[shard][rows[here] - self.starts[shard]]
        return found


class Draws:
    """Random sequences, and which of their steps a batch takes; the same for all."""

    def __init__(self, pack: Pack, arrow: Arrow) -> None:
        self.totals = pack.columns["rows"]
        shards = pack.columns["shard"]
        self.pack_rows = pack.rows_at
        self.arrow_rows = pack.columns["first_row"] + arrow.starts[shards]
        self.shards, self.within = shards.tolist(), pack.columns["first_row"].tolist()
        self.rng = np.random.default_rng(0)

    def videos(self, count: int) -> list[int]:
        """So many numbers of videos."""
        return self.rng.integers(len(self.totals), size=count).tolist()

    def rows(self, firsts: Rows, videos: Sequence[int]) -> Rows:
        """(n * STEPS,) evenly chosen steps; of a shorter sequence the last again."""
        totals = self.totals[videos, None]
        steps = np.minimum(np.arange(STEPS) * np.maximum(totals, STEPS) // STEPS, totals - 1)
        return (firsts[videos, None] + steps).reshape(-1)


def forget(paths: Sequence[Path]) -> None:
    """Take files out of the page cache."""
    for path in paths:
        number = os.open(path, os.O_RDONLY)
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(number)


def private_mb() -> float:
    """Memory of this process that no file backs."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:")) / 1e3


def timed(ways: Mapping[str, Read], work: Sequence[Sequence[int]], before: Callable[[str], object]) -> dict[str, Any]:
    """Seconds of each way in each round, in turn; the first round only warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number, videos in enumerate(work):
        names = list(ways)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            before(name)
            taken = seconds_of(lambda name=name, videos=videos: ways[name](videos))
            if number:
                seconds[name].append(taken)
    return seconds


def measure(pack: Pack, arrow: Arrow, *, sequences: int, batches: int) -> dict[str, float]:
    draws = Draws(pack, arrow)
    files = {"pack": [pack.folder / shard.name for shard in pack.shards], "take": arrow.paths, "by shard": arrow.paths}

    def whole(read: Callable[[int], Values]) -> Read:
        return lambda videos: [read(video).copy() for video in videos]

    def view(video: int) -> Values:
        first = draws.within[video]
        return arrow.views[draws.shards[video]][first : first + int(draws.totals[video])]

    def gather(read: Callable[[Rows], Values], firsts: Rows) -> Read:
        def run(videos: Sequence[int]) -> None:
            for start in range(0, len(videos), BATCH):
                read(draws.rows(firsts, videos[start : start + BATCH])).astype(np.float32)

        return run

    ways: dict[str, Read] = {
        "pack": gather(lambda rows: pack.table[rows], draws.pack_rows),
        "take": gather(arrow.take, draws.arrow_rows),
        "by shard": gather(arrow.by_shard, draws.arrow_rows),
    }
    example = draws.videos(BATCH)
    rows = draws.rows(draws.pack_rows, example), draws.rows(draws.arrow_rows, example)
    np.testing.assert_array_equal(pack.table[rows[0]], arrow.take(rows[1]))
    np.testing.assert_array_equal(pack.table[rows[0]], arrow.by_shard(rows[1]))
    np.testing.assert_array_equal(pack.features(example[0]), view(example[0]))
    for values in (pack.table, *arrow.views):  # the first touch of a page is the system's work
        values.reshape(-1)[::2048].max()
    figures = {}
    both = {"pack": whole(pack.features), "arrow": whole(view)}
    found = timed(both, [draws.videos(sequences) for _ in range(ROUNDS + 1)], lambda _: None)
    figures["sequences_ratio"] = median_ratio(found["pack"], found["arrow"])
    warm = timed(ways, [draws.videos(BATCH * batches) for _ in range(ROUNDS + 1)], lambda _: None)
    cold = timed(ways, [draws.videos(BATCH * 4) for _ in range(COLD_ROUNDS + 1)], lambda name: forget(files[name]))
    for kind, seconds in (("warm", warm), ("cold", cold)):
        figures[f"{kind}_pack_ms"] = statistics.median(seconds["pack"]) * 1e3
        for name in ("take", "by shard"):
            figures[f"{kind}_{name.replace(' ', '_')}_ratio"] = median_ratio(seconds["pack"], seconds[name])
    for name, way in ways.items():
        started = private_mb()
        way(draws.videos(BATCH * batches))
        figures[f"memory_{name.replace(' ', '_')}_mb"] = private_mb() - started
    return figures


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--folder", type=Path, help="where the scratch files go; default the system's")
    parser.add_argument("--sequences", type=int, default=1_000_000)
    arguments = parser.parse_args()
    print_machine("numpy", "pyarrow")
    results: dict[str, dict[str, float]] = {}
    for name, count, steps, dim in (
        ("short", arguments.sequences, (4, 12), 64),
        ("long", max(1, arguments.sequences // 250), (80, 120), 1280),
    ):
        root = Path(tempfile.mkdtemp(dir=arguments.folder))
        try:
            world = World(root, sequences=count, steps=steps, dim=dim)
            pack = world.folder().pack()
            assert pack is not None
            started = time.perf_counter()
            arrow = Arrow.write(pack, root / "arrow", dim)
            figures = {"arrow_written_s": time.perf_counter() - started}
            figures["open_pack_s"] = statistics.median(
                seconds_of(lambda world=world: world.folder().pack()) for _ in range(5)
            )
            figures["open_arrow_s"] = statistics.median(
                seconds_of(lambda paths=arrow.paths, dim=dim: Arrow(paths, dim)) for _ in range(5)
            )
            figures |= measure(pack, arrow, sequences=20_000 if dim == 64 else 1000, batches=100 if dim == 64 else 20)
            size = sum(path.stat().st_size for path in arrow.paths) / 1e6
            print(f"\n{name}: {count} sequences of {steps[0]} to {steps[1]} steps, D = {dim};")
            print(f"{len(arrow.paths)} files, {size:.0f} MB in each form; ratio: rate of Arrow over that of the pack")
            print_table(figures)
            results[name] = figures
        finally:
            shutil.rmtree(root)
    print_json(results)


if __name__ == "__main__":
    main()
