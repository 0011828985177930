"""`vidrnn.sequences.preflight`: what `vidrnn check` says before anything runs."""

from pathlib import Path

import pytest

from vidrnn.annotations import Annotation
from vidrnn.config import validate
from vidrnn.data_settings import DataSettings
from vidrnn.errors import AnnotationError
from vidrnn.sequences.preflight import inspect


def test_counts_per_split_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    annotations = [
        Annotation("a.mp4", "walk", "train", "g1"),
        Annotation("b.mp4", "jump", "train", "g1"),
        Annotation("c.mp4", "walk", "train", "g2"),
    ]
    findings = inspect(annotations, validate(DataSettings, {"root": str(tmp_path), "val_fraction": 0.0}))
    assert findings.missing_files == ("b.mp4", "c.mp4")
    assert findings.lines == (
        f"3 videos in {tmp_path}",
        "train: 3 videos, 2 groups; jump 1, walk 2",
        "val: 0 videos, 0 groups; empty",
        "test: 0 videos, 0 groups; empty",
        f"2 videos do not exist, first 'b.mp4'; looked in {tmp_path}",
    )


def test_nothing_missing_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    findings = inspect([Annotation("a.mp4", "x", None, "g")], validate(DataSettings, {"root": str(tmp_path)}))
    assert findings.missing_files == ()
    assert len(findings.lines) == 4


def test_splits_that_leak_are_refused(tmp_path: Path) -> None:
    annotations = [Annotation("a", "x", "train", "bob"), Annotation("b", "x", "test", "bob")]
    with pytest.raises(AnnotationError, match="1 groups are in more than one split"):
        inspect(annotations, validate(DataSettings, {"root": str(tmp_path)}))
