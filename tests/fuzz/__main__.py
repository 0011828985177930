"""A long run: ``python -m tests.fuzz --files 20000 --minutes 10`` (``make fuzz``)."""
# ruff: noqa: T201 - what it prints is its result

import argparse
import json
import platform
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from tests.fuzz.supervise import LIMIT_S, Tally, fuzz


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000, help="stop after so many")
    parser.add_argument("--minutes", type=float, default=10.0, help="stop after so long")
    parser.add_argument("--first", type=int, default=1_000_000, help="first seed; the tests take those from 0")
    arguments = parser.parse_args()
    end = time.monotonic() + 60 * arguments.minutes
    with tempfile.TemporaryDirectory() as folder:
        seeds = range(arguments.first, arguments.first + arguments.files)
        tally = fuzz(Path(folder), seeds, go_on=lambda: time.monotonic() < end)
    report(tally, first=arguments.first)
    return 1 if tally.faults else 0


def report(tally: Tally, *, first: int) -> None:
    print(f"Python {platform.python_version()}, av {version('av')}; {platform.machine()}; at most {LIMIT_S:g} s a file")
    print(f"seeds {first} to {first + tally.files - 1}: {tally.files} damaged files in {tally.seconds:.0f} s")
    print(f"slowest {tally.slowest_s:.2f} s: {tally.slowest}\n")
    print("| outcome | files |")
    print("|---|---|")
    print(f"| frames | {tally.frames} |")
    for message, count in tally.failures.most_common():
        print(f"| {message} | {count} |")
    print(f"| anything else | {len(tally.faults)} |\n")
    for fault in tally.faults:
        print(fault)
    print(json.dumps({"files": tally.files, "frames": tally.frames, "faults": len(tally.faults)}))


if __name__ == "__main__":
    sys.exit(main())
