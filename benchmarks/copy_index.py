"""Which index finds the nearest steps of other videos: FAISS (inverted lists, 8 bits) or hnswlib (a graph)?

    pip install hnswlib
    OMP_NUM_THREADS=2 python -m benchmarks.copy_index [--videos 1000]

The steps are the motions of `benchmarks.growth` along 96 random axes. Four steps of each video are looked for, ten
nearest each, and a copy is found when one of its steps is among them. Each index runs in a process of its own; memory
is what it adds. The last line is JSON.
"""

import multiprocessing
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.common import make_parser, print_json, print_machine
from benchmarks.growth import motion

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Search = Callable[[Floats], Rows]
_STEPS, _AXES, _QUESTIONS, _NEAREST, _ROWS = 200, 96, 4, 10, 65536
_GRAPHS = ((8, 40), (16, 100))  # links of a node, and candidates while it is built


@dataclass(frozen=True)
class Figures:
    """What one index takes: wall seconds, seconds of all cores together, memory in GB, share of the copies found."""

    build_s: float
    build_cpu_s: float
    search_s: float
    search_cpu_s: float
    memory_gb: float
    found: float


def steps_of(videos: int) -> tuple[Floats, Rows]:
    """(videos * 200, 96) unit vectors, and the rows that are looked for: the liveliest of each quarter."""
    axes = np.linalg.qr(np.random.default_rng(0).standard_normal((1024, _AXES)))[0].astype(np.float32)
    rows, asked = np.empty((videos * _STEPS, _AXES), np.float32), []
    for video in range(videos):
        steps = motion(video, _STEPS).steps @ axes
        energy = np.square(steps).sum(axis=1)
        asked += [
            video * _STEPS + part[energy[part].argmax()] for part in np.array_split(np.arange(_STEPS), _QUESTIONS)
        ]
        rows[video * _STEPS : (video + 1) * _STEPS] = steps / np.sqrt(energy)[:, None]
    return rows, np.array(asked)


def faiss_index(rows: Floats) -> Search:
    import faiss

    lists = int(len(rows) ** 0.5)
    quantizer = faiss.IndexFlatIP(_AXES)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, _AXES, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.train(rows[np.sort(np.random.default_rng(0).choice(len(rows), min(len(rows), 40 * lists), replace=False))])
    for start in range(0, len(rows), _ROWS):
        index.add(rows[start : start + _ROWS])
    index.nprobe = 16
    return lambda asked: index.search(asked, _NEAREST)[1]


def graph_index(rows: Floats, links: int, candidates: int) -> Search:
    import hnswlib

    index = hnswlib.Index("ip", _AXES)
    index.init_index(len(rows), M=links, ef_construction=candidates)
    index.set_num_threads(2)
    index.set_ef(50)
    for start in range(0, len(rows), _ROWS):
        index.add_items(rows[start : start + _ROWS])
    return lambda asked: index.knn_query(asked, k=_NEAREST)[0].astype(np.int64)


def measure(videos: int, graph: tuple[int, int] | None) -> Figures:
    rows, asked = steps_of(videos)
    memory, started, busy = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter(), time.process_time()
    search = graph_index(rows, *graph) if graph else faiss_index(rows)
    built, built_busy = time.perf_counter(), time.process_time()
    nearest = search(rows[asked])
    searched, searched_busy = time.perf_counter(), time.process_time()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    pairs = {
        (min(video, other), max(video, other))
        for video, others in zip((asked // _STEPS).tolist(), (nearest // _STEPS).tolist(), strict=True)
        for other in others
    }
    copies = {(video - 1, video) for video in range(99, videos, 100)}
    return Figures(
        built - started, built_busy - busy, searched - built, searched_busy - built_busy, memory / 1e6,
        len(pairs & copies) / len(copies),
    )  # fmt: skip


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--videos", type=int, default=1000)
    videos = parser.parse_args().videos
    print_machine("faiss-cpu", "hnswlib")
    figures: dict[str, Figures] = {}
    for graph in (None, *_GRAPHS):
        name = "hnswlib, {} links, {} candidates".format(*graph) if graph else "faiss"
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            figures[name] = pool.apply(measure, (videos, graph))
        print(
            f"| {name} | " + " | ".join(f"{value:.3g}" for value in asdict(figures[name]).values()) + " |", flush=True
        )
    print_json({name: asdict(figure) for name, figure in figures.items()})


if __name__ == "__main__":
    main()
