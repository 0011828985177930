"""The files of an explanation: names in any encoding, and a folder that is known again where writing it failed."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from vidrnn.explanation import files
from vidrnn.explanation.explanation import Explanation
from vidrnn.explanation.files import FIGURES, TABLE, write_explanations
from vidrnn.names import original
from vidrnn.settings.outputs import refuse_foreign_results

ODD = "caf\udce9"  # a folder whose name is not UTF-8, and the class that it names


def explained() -> Explanation:
    return Explanation(f"{ODD}/a.mp4", ODD, 0.5, ODD, "occlusion", np.array([0.0, 1.0]), np.array([0.25]))


def write(folder: Path) -> None:
    write_explanations(
        folder, [explained()], summary=None, failed={f"{ODD}/b.mp4": "broken"}, facts={"config_digest": 1}
    )


def test_names_in_any_encoding_are_written_and_read_again(tmp_path: Path) -> None:
    write(tmp_path)
    with (tmp_path / TABLE).open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert [original(row[name]) for name in ("path", "label", "truth")] == [f"{ODD}/a.mp4", ODD, ODD]
    figures = json.loads((tmp_path / FIGURES).read_text(encoding="utf-8"))
    assert original(figures["videos"][0]["label"]) == ODD
    assert list(map(original, figures["failed"])) == [f"{ODD}/b.mp4"]


def test_a_folder_that_was_written_in_part_may_be_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    for writer in ("write_atomically", "write_json"):
        with monkeypatch.context() as broken:
            broken.setattr(files, writer, full if writer == "write_atomically" else lambda path, _: full(path, b""))
            with pytest.raises(OSError, match="No space"):
                write(tmp_path / writer)
        refuse_foreign_results(tmp_path / writer, (TABLE, FIGURES))
        write(tmp_path / writer)
