"""`vidrnn.preflight.mirrored`: classes that a mirror turns into others are named before anything is trained."""

from pathlib import Path

import pytest

from vidrnn.annotations import Annotation
from vidrnn.preflight.inspect import inspect
from vidrnn.preflight.mirrored import find_mirror_classes
from vidrnn.settings.base import validate
from vidrnn.settings.run import RunSettings


def settings(*, mirrored: bool = True, streams: tuple[str, ...] = ("rgb",), root: object = "r") -> RunSettings:
    features = {"mirrored": mirrored, "streams": list(streams)}
    tree = {"data": {"root": str(root)}, "features": features, "extraction": {"store": f"{root}/features"}}
    return validate(RunSettings, tree)


@pytest.mark.parametrize(
    ("classes", "named"),
    [
        (["left", "right", "up"], ["left", "right"]),  # a mirror leaves up and down as they are
        (["TurnLeft", "Stop"], ["TurnLeft"]),
        (["swipeleft", "swiperight", "bright", "cleft"], ["swipeleft", "swiperight"]),
        (["wave_l", "wave_r", "lift"], ["wave_l", "wave_r"]),
        (["waveL", "waveR"], ["waveL", "waveR"]),
        (["spin_cw", "spin_ccw"], ["spin_ccw", "spin_cw"]),
        (["circle clockwise", "circle"], ["circle clockwise"]),
        (["nach links", "nach rechts"], ["nach links", "nach rechts"]),
        (["bright", "cleft", "copyright", "l", "walk", "Western"], []),
        (["up", "down", "soccer", "least", "west side"], []),
    ],
)
def test_names_tell_which_classes_a_mirror_changes(classes: list[str], named: list[str]) -> None:
    found = list(find_mirror_classes(classes, settings()))
    if not named:
        assert found == []
        return
    (finding,) = found
    assert finding.level == "warning"
    assert finding.text == (
        "features.mirrored shows every video in a mirror too, where left is right: by their names it may turn these "
        f"classes into others: {', '.join(map(repr, named))}; set features.mirrored to false, or to auto, unless they "
        "look the same in a mirror"
    )


def test_many_such_classes_are_counted() -> None:
    (finding,) = find_mirror_classes([f"left {number:02}" for number in range(12)], settings())
    assert "'left 08', 'left 09' and 2 more; set" in finding.text


def test_only_a_mirror_is_warned_of() -> None:
    """Neither one view alone nor sounds, which have no mirror image."""
    assert list(find_mirror_classes(["left", "right"], settings(mirrored=False))) == []
    assert list(find_mirror_classes(["left", "right"], settings(streams=("audio",)))) == []


def test_check_finds_them(tmp_path: Path) -> None:
    annotations = [Annotation(f"{name}.mp4", name, "train", name) for name in ("left", "right")]
    found = inspect(annotations, settings(root=tmp_path), quick=True).findings
    assert any("by their names it may turn these classes into others: 'left', 'right'" in each.text for each in found)
