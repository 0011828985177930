"""Every table of heads has an entry for every head, and every set of heads holds nothing else."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

import vidrnn
from vidrnn.settings.model import FRAMEWISE_HEADS, REGRESSION_HEADS, STEP_HEADS, Head

HEADS = frozenset(get_args(Head))
FILES = sorted(Path(vidrnn.__file__).parent.rglob("*.py"))


def texts(nodes: list[ast.expr | None]) -> set[str]:
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def groups_of_heads(source: str) -> Iterator[tuple[bool, set[str]]]:
    """Whether it must be complete, and its members, of each table (keys) and each set that names two heads or more.

    A table may leave heads out where the same expression says what holds for them: ``{...}.get(head, default)``.
    """
    tree = ast.parse(source)
    with_default = {
        id(node.func.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get"
        if len(node.args) == 2
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            names, is_table = texts(node.keys), id(node) not in with_default
        elif isinstance(node, ast.Set | ast.Tuple | ast.List):
            names, is_table = texts(node.elts), False
        else:
            continue
        if len(names & HEADS) >= 2:
            yield is_table, names


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('T = {"label": 1, "multilabel": 2}', [(True, {"label", "multilabel"})]),
        ('T = {"label": 1, "multilabel": 2}[head]', [(True, {"label", "multilabel"})]),
        ('T = {"label": 1, "multilabel": 2}.get(head, 3)', [(False, {"label", "multilabel"})]),
        ('T = {"label": 1, "multilabel": 2}.get(head)', [(True, {"label", "multilabel"})]),
        ('head in {"label", "mutlilabel", "transcript"}', [(False, {"label", "mutlilabel", "transcript"})]),
        ('row = {"label": name, "score": score}', []),
    ],
)
def test_groups_of_heads_are_found(source, expected):
    assert list(groups_of_heads(source)) == expected


def test_every_table_has_every_head_and_every_set_only_heads():
    tables = 0
    for path in FILES:
        for is_table, names in groups_of_heads(path.read_text(encoding="utf-8")):
            assert names <= HEADS, f"{path}: {sorted(names - HEADS)} are no heads"
            if is_table:
                assert names == HEADS, f"{path}: no entry for {sorted(HEADS - names)}"
                tables += 1
    assert tables >= 7, "headlines, scores, answers and their columns, losses, annotations, predictions"


def test_the_named_sets_are_of_heads():
    assert FRAMEWISE_HEADS < STEP_HEADS < HEADS
    assert {"regression", "step_regression"} == REGRESSION_HEADS
