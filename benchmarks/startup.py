"""How long does help take, and does it stay free of the heavy libraries?

    python -m benchmarks.startup [--repeats 5]

Runs `python -m vidrnn [VERB] --help` as a user would, and once each with ``-X importtime`` to see what it imports. The
last line is JSON.
"""

import re
import statistics
import subprocess
import sys

from benchmarks.common import make_parser, print_json, print_machine, seconds_of

HEAVY = ("torch", "sklearn", "matplotlib", "av", "cv2", "timm", "torchvision")
VERB = re.compile(r"^\s{2}([a-z][a-z-]*)\s{2,}", re.MULTILINE)


def call(*arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-m", "vidrnn", *arguments, "--help"]
    return subprocess.run(command, check=True, capture_output=True, text=True)


def find_verbs() -> list[tuple[str, ...]]:
    """The bare command, each verb, and each verb of a group of verbs, as help lists them."""
    found: list[tuple[str, ...]] = [()]
    for verb in VERB.findall(call().stdout.partition("Commands:")[2]):
        below = VERB.findall(call(verb).stdout.partition("Commands:")[2])
        found += [(verb,), *((verb, inner) for inner in below)]
    return found


def heavy_imports(verb: tuple[str, ...]) -> list[str]:
    """Heavy libraries among the modules that help imports."""
    lines = call(*verb, options=("-X", "importtime")).stderr.splitlines()
    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines if line.startswith("import time:")}
    return sorted(modules & set(HEAVY))


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="calls of each verb")
    repeats = parser.parse_args().repeats
    print_machine()
    print(f"{repeats} calls of each, after one to warm up\n")
    print("| command | median s | slowest s | heavy imports |")
    print("|---|---|---|---|")
    medians: dict[str, float] = {}
    heavy: set[str] = set()
    for verb in find_verbs():
        imported = heavy_imports(verb)  # also the warm-up
        heavy |= set(imported)
        seconds = [seconds_of(lambda verb=verb: call(*verb)) for _ in range(repeats)]
        name = " ".join(["vidrnn", *verb])
        medians[name] = round(statistics.median(seconds), 3)
        print(f"| {name} --help | {medians[name]:.3f} | {max(seconds):.3f} | {', '.join(imported) or 'none'} |")
    print_json({"help_s": medians, "slowest_s": max(medians.values()), "heavy_imports": sorted(heavy)})


if __name__ == "__main__":
    main()
