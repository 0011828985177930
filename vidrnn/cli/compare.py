"""The verb ``vidrnn compare``: two results about the same videos, side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidrnn.errors import ExitCode

if TYPE_CHECKING:
    from vidrnn.evaluation.comparison import Comparison

Result = Annotated[Path, typer.Argument(help="Folder that crossval or evaluate wrote.")]


def compare(
    a: Result,
    b: Result,
    output: Annotated[Path | None, typer.Option(help="File that also gets the figures, as JSON.")] = None,
) -> int:
    """Say whether B is better than A: two results of crossval or evaluate, paired over the same videos."""
    from vidrnn.bars import on_screen
    from vidrnn.evaluation.comparison import compare as compare_figures
    from vidrnn.evaluation.report import write_json
    from vidrnn.evaluation.video_figures import read_figures

    figures = []
    with on_screen(total=2, desc="reading", unit="result") as bar:
        for folder in (a, b):
            figures.append(read_figures(folder))
            bar.update()
    found = compare_figures(*figures)
    if output is not None:
        write_json(output, {"folder_a": str(a), "folder_b": str(b), **found.as_dict()})
    print(_table(found))
    print(found.sentence())
    return ExitCode.OK


def _table(found: "Comparison") -> str:
    from vidrnn.evaluation.report import format_table
    from vidrnn.evaluation.video_figures import FIGURES

    title = FIGURES[found.head].title
    header = ["seed", f"A {title}", f"B {title}", "B - A"]
    rows = [[_seeds(*pair.seeds), *_figures(pair.a, pair.b)] for pair in found.pairs]
    rows.append(["all", *_figures(found.a, found.b)])
    if found.head == "label":
        header += ["only A right", "only B right", "McNemar p"]
        for row, pair in zip(rows, found.pairs, strict=False):  # the last row is for all seeds
            row += [str(pair.only_a), str(pair.only_b), f"{pair.p_value:.2g}"]
        sums = (sum(getattr(pair, name) for pair in found.pairs) for name in ("only_a", "only_b"))
        rows[-1] += [*map(str, sums), ""]
    return format_table(header, rows)


def _seeds(a: int, b: int) -> str:
    return str(a) if a == b else f"{a} and {b}"


def _figures(a: float, b: float) -> list[str]:
    return [f"{a:.4g}", f"{b:.4g}", f"{b - a:z.4g}"]
