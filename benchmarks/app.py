"""How fast the page of `vidrnn app` answers for a folder of many clips, and for as many answers of a model.

    python -m benchmarks.app [--clips 100000] [--asked 50]

The server is a process of its own, asked over HTTP as a browser does. The clips are files without content: nothing of
them is opened for a list. Each list is asked for anew, so that nothing is answered from before. The last line is JSON.
"""

import http.client
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from benchmarks.common import make_parser, print_json, print_machine, print_table
from vidrnn.evaluation.predictions import write_predictions

LISTS = {
    "all, from the start": "first=0",
    "all, the last page": "first={last}",
    "name holds 99": "text=99",
    "without a label": "show=unlabelled",
    "predicted wrongly": "show=wrong",
    "the least certain": "show=uncertain",
    "wrong, of one class": "show=wrong&label=class 3&text=7",
}


@contextmanager
def served(*arguments: object) -> Iterator[str]:
    """The address of a `vidrnn app`."""
    command = [sys.executable, "-m", "vidrnn", "app", *map(str, arguments), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
        process.terminate()


def milliseconds(address: str, queries: list[str], *, body: str | None = None) -> list[float]:
    """Seconds of each request on one connection, until its answer is read."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc)
    taken = []
    for query in queries:
        begun_s = time.perf_counter()
        connection.request("GET" if body is None else "POST", parts.path + query.replace(" ", "%20"), body)
        answer = connection.getresponse()
        content = answer.read()
        taken.append(1e3 * (time.perf_counter() - begun_s))
        assert answer.status == 200, content
    return taken


def write_answers(folder: Path, names: list[str]) -> None:
    """What ``evaluate`` would write of a model of ten classes that is right in four of five cases."""
    rng = np.random.default_rng(0)
    truth = [np.int64(number % 10) for number in range(len(names))]
    outputs = [3.0 * np.eye(10)[true] + rng.normal(size=10) for true in truth]
    labels, groups = (
        [f"class {number}" for number in range(10)],
        [f"actor {number % 20}" for number in range(len(names))],
    )
    write_predictions(
        folder / "predictions.csv", head="label", paths=names, groups=groups, labels=labels, answers=[(0, outputs)],
        truth=truth,
    )  # fmt: skip


def measure(address: str, figures: dict[str, float], what: str, *, clips: int, asked: int) -> None:
    for name, query in LISTS.items():
        wanted = f"clips?count=50&anew=1&{query.format(last=clips - 50)}"
        taken = milliseconds(address, [wanted] * asked)
        figures[f"{what}: {name}, median, ms"], figures[f"{what}: {name}, slowest, ms"] = np.median(taken), max(taken)
    milliseconds(address, ["classes"], body=json.dumps({"name": "new"}))
    taken = milliseconds(
        address, [f"clips/{number}/label" for number in range(asked)], body=json.dumps({"label": "new"})
    )
    figures[f"{what}: a label is kept, median, ms"], figures[f"{what}: a label is kept, slowest, ms"] = (
        np.median(taken),
        max(taken),
    )


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--asked", type=int, default=50)
    arguments = parser.parse_args()
    print_machine("starlette", "uvicorn", "numpy")
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        videos, run = Path(name) / "videos", Path(name) / "run"
        run.mkdir()
        names = [f"{number // 1000:03}/{number:06}.mp4" for number in range(arguments.clips)]
        for clip in names:
            (videos / clip).parent.mkdir(parents=True, exist_ok=True)
            (videos / clip).touch()
        write_answers(run, names)
        for what, given in {"folder": (videos,), "run": (videos, "--run", run)}.items():
            begun_s = time.perf_counter()
            with served(*given) as address:
                figures[f"{what}: from the command to the address, s"] = time.perf_counter() - begun_s
                measure(address, figures, what, clips=arguments.clips, asked=arguments.asked)
    print_table(figures)
    print_json({key: float(value) for key, value in figures.items()})


if __name__ == "__main__":
    main()
