"""Would Arrow IPC files read as fast as the packs of the store?

    pip install pyarrow; python -m benchmarks.arrow [--folder DIR] [--sequences 1000000]

The sequences of `benchmarks.store` lie in a pack and, shard for shard, in Arrow IPC files, mapped into memory. Each
file is one record batch, with a column of fixed-size lists of float16 and one of times. What training reads is timed in
rounds in which both alternate: whole sequences, and batches of 64 sequences with up to 24 steps as float32. Arrow
gathers in two ways. `take` is its own function, over all shards; `by shard` is NumPy on the mapped values of each shard
that a batch meets. `cold`: the files are taken out of the page cache before each round. `memory`: what reading batches
adds to the process beside the pages of the files. About 4 GB of scratch below --folder, removed at the end. The last
line is JSON.
"""

import gc
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.common import make_parser, median_ratio, print_json, print_machine, print_table, seconds_of
from benchmarks.store import World
from vidrnn.store.pack_reader import Pack

BATCH, STEPS = 64, 24
ROUNDS, COLD_ROUNDS = 11, 7
WAYS = ("pack", "take", "by shard")
Rows = npt.NDArray[np.int64]
Values = npt.NDArray[np.float16]
Read = Callable[[Sequence[int]], object]


class Arrow:
    """The values of a pack in Arrow IPC files, opened.

    Attributes:
        views: (rows, D) of each, mapped.
        column: the same for Arrow, in one chunk for each file.
        starts: first row of each file, counted over all.
    """

    def __init__(self, paths: Sequence[Path], dim: int) -> None:
        import pyarrow as pa

        chunks = [pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0).column(0) for path in paths]
        self.column = pa.chunked_array(chunks)
        self.views = [chunk.flatten().to_numpy(zero_copy_only=True).reshape(-1, dim) for chunk in chunks]
        self.starts = np.cumsum([0, *map(len, self.views)])[:-1]

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


def write_arrow(world: World, folder: Path) -> tuple[list[Path], float]:
    """Write the values of a pack, a file for each shard; the files, and the seconds that it took."""
    import pyarrow as pa

    pack, started = world.folder().pack(), time.perf_counter()
    assert pack is not None
    folder.mkdir()
    paths, times = [], np.arange(max(shard.rows for shard in pack.shards)) / 10
    for number, shard in enumerate(pack.shards):
        first = int(pack.rows_at[pack.columns["shard"] == number].min())
        flat = pa.array(np.array(pack.table[first : first + shard.rows]).reshape(-1))
        lists = pa.FixedSizeListArray.from_arrays(flat, world.dim)
        batch = pa.record_batch([lists, pa.array(times[: shard.rows])], names=["features", "timestamps_s"])
        paths.append(folder / f"{number:04d}.arrow")
        with pa.OSFile(str(paths[-1]), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
            writer.write_batch(batch)
    os.sync()  # what is not on the disk yet cannot be taken out of memory
    return paths, time.perf_counter() - started


class Draws:
    """Random sequences, and which of their steps a batch takes; the same for all. Nothing of the files is kept open."""

    def __init__(self, pack: Pack, arrow: Arrow) -> None:
        self.totals = np.array(pack.columns["rows"])
        self.shards, self.first_rows = np.array(pack.columns["shard"]), np.array(pack.columns["first_row"])
        self.firsts = {"pack": np.array(pack.rows_at), "arrow": self.first_rows + arrow.starts[self.shards]}
        self.rng = np.random.default_rng(0)

    def videos(self, count: int) -> list[int]:
        """So many numbers of videos."""
        return self.rng.integers(len(self.totals), size=count).tolist()

    def rows(self, form: str, videos: Sequence[int]) -> Rows:
        """(n * STEPS,) evenly chosen steps; of a shorter sequence the last again."""
        totals = self.totals[videos, None]
        steps = np.minimum(np.arange(STEPS) * np.maximum(totals, STEPS) // STEPS, totals - 1)
        return (self.firsts[form][videos, None] + steps).reshape(-1)


def forget(paths: Sequence[Path]) -> None:
    """Take files out of the page cache; only what no process has mapped goes."""
    for path in paths:
        number = os.open(path, os.O_RDONLY)
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(number)


def private_mb() -> float:
    """Memory of this process that no file backs."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:")) / 1e3


class Forms:
    """A pack and the same in Arrow files, and the ways in which batches are gathered from them."""

    def __init__(self, world: World, paths: Sequence[Path]) -> None:
        self._world, self._paths = world, paths
        pack, arrow = self.pack(), self.arrow()
        self.draws = Draws(pack, arrow)
        shards = [pack.folder / shard.name for shard in pack.shards]
        self.files = {"pack": shards, "take": paths, "by shard": paths}

    def pack(self) -> Pack:
        """Opened now."""
        pack = self._world.folder().pack()
        assert pack is not None
        return pack

    def arrow(self) -> Arrow:
        """Opened now."""
        return Arrow(self._paths, self._world.dim)

    def ways(self, names: Sequence[str] = WAYS) -> dict[str, Read]:
        """How batches are gathered, each from files that are opened now."""
        return {name: self._way(name) for name in names}

    def _way(self, name: str) -> Read:
        read: Callable[[Rows], Values]
        if name == "pack":
            table = self.pack().table
            form, read = "pack", lambda rows: table[rows]
        else:
            arrow = self.arrow()
            form, read = "arrow", arrow.take if name == "take" else arrow.by_shard

        def gather(videos: Sequence[int]) -> list[npt.NDArray[np.float32]]:
            starts = range(0, len(videos), BATCH)
            return [read(self.draws.rows(form, videos[at : at + BATCH])).astype(np.float32) for at in starts]

        return gather


def measure_cold(forms: Forms) -> dict[str, list[float]]:
    """Seconds of a few batches from files that are opened and in no cache."""
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(COLD_ROUNDS):
        videos = forms.draws.videos(4 * BATCH)
        for name in WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)]:
            gc.collect()  # whoever still maps a file keeps it in memory
            forget(forms.files[name])
            (way,) = forms.ways([name]).values()
            seconds[name].append(seconds_of(lambda way=way, videos=videos: way(videos)))
            del way
    return seconds


def measure_warm(ways: Mapping[str, Read], draw: Callable[[], list[int]]) -> dict[str, list[float]]:
    """Seconds of each way in each round, in turn; the first round only warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(ROUNDS + 1):
        videos = draw()
        for name in names[number % len(names) :] + names[: number % len(names)]:
            taken = seconds_of(lambda name=name, videos=videos: ways[name](videos))
            if number:
                seconds[name].append(taken)
    return seconds


def measure(forms: Forms, *, sequences: int, batches: int) -> dict[str, float]:
    draws, cold = forms.draws, measure_cold(forms)
    ways = forms.ways()
    example = draws.videos(BATCH)
    for name in WAYS:
        np.testing.assert_array_equal(ways["pack"](example)[0], ways[name](example)[0])
    pack, arrow = forms.pack(), forms.arrow()
    for values in (pack.table, *arrow.views):  # the first touch of a page is the system's work
        values.reshape(-1)[::2048].max()
    shards, firsts = draws.shards.tolist(), draws.first_rows.tolist()

    def of_arrow(video: int) -> Values:
        return arrow.views[shards[video]][firsts[video] : firsts[video] + int(draws.totals[video])]

    np.testing.assert_array_equal(pack.features(example[0]), of_arrow(example[0]))
    both: dict[str, Read] = {
        "pack": lambda videos: [pack.features(video).copy() for video in videos],
        "arrow": lambda videos: [of_arrow(video).copy() for video in videos],
    }
    whole = measure_warm(both, lambda: draws.videos(sequences))
    warm = measure_warm(ways, lambda: draws.videos(BATCH * batches))
    figures = {"sequences_ratio": median_ratio(whole["pack"], whole["arrow"])}
    for kind, seconds in (("warm", warm), ("cold", cold)):
        figures[f"{kind}_pack_ms"] = statistics.median(seconds["pack"]) * 1e3
        for name in WAYS[1:]:
            figures[f"{kind}_{name.replace(' ', '_')}_ratio"] = median_ratio(seconds["pack"], seconds[name])
    for name in WAYS:
        started = private_mb()
        for _ in range(batches):
            ways[name](draws.videos(BATCH))
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
            paths, written_s = write_arrow(world, root / "arrow")
            forms = Forms(world, paths)
            figures = {"arrow_written_s": written_s}
            figures["open_pack_s"] = statistics.median(seconds_of(forms.pack) for _ in range(5))
            figures["open_arrow_s"] = statistics.median(seconds_of(forms.arrow) for _ in range(5))
            figures |= measure(forms, sequences=20_000 if dim == 64 else 1000, batches=100 if dim == 64 else 20)
            size = sum(path.stat().st_size for path in paths) / 1e6
            print(f"\n{name}: {count} sequences of {steps[0]} to {steps[1]} steps, D = {dim};")
            print(f"{len(paths)} files, {size:.0f} MB in each form; ratio: rate of Arrow over the rate of the pack")
            print_table(figures)
            results[name] = figures
        finally:
            shutil.rmtree(root)
    print_json(results)


if __name__ == "__main__":
    main()
