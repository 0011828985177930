"""What people say is on disk at once and comes back, also after a kill; other files are never written over."""

import json
import os
from pathlib import Path

import pytest

from vidrnn.annotations.records import Segment
from vidrnn.app.label_log import LabelLog, Said
from vidrnn.errors import AnnotationError, ConfigError


def read(path: Path) -> dict[str, Said]:
    with LabelLog(path) as log:
        return log.said


def test_labels_and_segments_come_back(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    segments = (Segment(0.5, 1.25, "sit"), Segment(1.25, 2.0, "größe"))
    with LabelLog(path) as log:
        log.say("a.mp4", Said("sit"))
        log.say("caf\udce9.mp4", Said(segments=segments))
        log.say("a.mp4", Said("stand"))
        assert read(path) == {"a.mp4": Said("stand"), "caf\udce9.mp4": Said(segments=segments)}  # before it is closed
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0] | {"time": ""} == {"time": "", "path": "a.mp4", "label": "sit"}
    assert lines[1]["path"] == r"caf\xe9.mp4" and lines[1]["segments"][1] == [1.25, 2.0, "größe"]


def test_undo_goes_back_step_by_step_also_in_a_later_session(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    with LabelLog(path) as log:
        for label in ("sit", "stand", None):
            log.say("a", Said(label))
        log.say("b", Said("sit"))
        assert log.undo() == "b" and log.said == {}
    with LabelLog(path) as log:
        assert log.said == {}
        assert log.undo() == "a" and log.said == {"a": Said("stand")}
        assert log.undo() == "a" and log.said == {"a": Said("sit")}
        log.say("c", Said("sit"))
    with LabelLog(path) as log:
        assert [log.undo(), log.undo(), log.undo()] == ["c", "a", None]
    assert read(path) == {}


def test_a_line_that_a_kill_cut_off_costs_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    with LabelLog(path) as log:
        log.say("a", Said("sit"))
        whole = path.read_bytes()
        log.say("b", Said("stand"))
    for length in range(len(whole) + 1, path.stat().st_size):
        torn = tmp_path / f"{length}.jsonl"
        torn.write_bytes(path.read_bytes()[:length])
        with LabelLog(torn) as log:
            assert log.said == {"a": Said("sit")}
            assert log.notes == [f"the last line of '{torn}' was cut off and is left out"]
            log.say("c", Said("wave"))
        assert read(torn) == {"a": Said("sit"), "c": Said("wave")}


def test_a_disk_that_is_full_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "labels.jsonl"
    with LabelLog(path) as log:
        log.say("a", Said("sit"))
        before = path.read_bytes()

        def full(_file: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            log.say("b", Said("sit"))
        assert log.said == {"a": Said("sit")} and path.read_bytes() == before
        monkeypatch.undo()
        log.say("c", Said("sit"))
    assert set(read(path)) == {"a", "c"}


@pytest.mark.parametrize(
    "content", ["path,label\na,sit\n", '{"a": 1}\n', "[]\n", '{"path": "a", "segments": [[2, 1, "x"]]}\n']
)
def test_another_file_is_refused_and_stays(tmp_path: Path, content: str) -> None:
    path = tmp_path / "actions.csv"
    path.write_text(content)
    with (
        pytest.raises(ConfigError, match=r"line 1 is .* did not write .*; name another file with --labels"),
        LabelLog(path),
    ):
        pass
    assert path.read_text() == content


def test_two_pages_do_not_write_into_one_file(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    with LabelLog(path) as one, LabelLog(path) as other:
        one.say("a", Said("sit"))
        with pytest.raises(ConfigError, match="is open in another `vidrnn app`; close that one"):
            other.say("b", Said("sit"))
    with LabelLog(path) as one:
        with LabelLog(path) as other:
            other.say("b", Said("sit"))
        with pytest.raises(ConfigError, match="was changed by another program; start `vidrnn app` again"):
            one.say("c", Said("sit"))
    assert read(path) == {"a": Said("sit"), "b": Said("sit")}


def test_classes_are_one_spelling_each(tmp_path: Path) -> None:
    with LabelLog(tmp_path / "labels.jsonl") as log:
        assert log.add_class(" sit down ", ["stand"]) == "sit down"
        assert log.add_class("stand", ["stand", "sit down"]) == "stand"
        for name, message in (
            ("Sit_Down", "look like one class"),
            ("", "give a name"),
            ("a|b", "give a name"),
            ("a\nb", "give a name"),
        ):
            with pytest.raises(AnnotationError, match=message):
                log.add_class(name, ["stand", "sit down"])
    with LabelLog(tmp_path / "labels.jsonl") as log:
        assert log.classes == ["sit down"]


def test_looking_alone_writes_nothing(tmp_path: Path) -> None:
    with LabelLog(tmp_path / "labels.jsonl"):
        pass
    assert list(tmp_path.iterdir()) == []
