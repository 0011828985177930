"""`vidrnn.settings.outputs`: what is not ours is never replaced."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vidrnn.errors import ConfigError
from vidrnn.settings.outputs import refuse_foreign, refuse_foreign_results

NAMES = ("metrics.json", "predictions.csv", "config.yaml", "last.safetensors")


def our_json(folder: Path) -> None:
    (folder / "crossval.json").write_text(json.dumps({"config_digest": "0123456789ab"}), encoding="utf-8")


def our_model(folder: Path) -> None:
    save_file({"weight": torch.zeros(1)}, folder / "mouse.safetensors", metadata={"vidrnn_model": "{}"})


def test_a_new_folder_an_empty_one_and_one_with_other_files_are_taken(tmp_path: Path) -> None:
    refuse_foreign_results(tmp_path / "new", NAMES)
    refuse_foreign_results(tmp_path, NAMES)
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    refuse_foreign_results(tmp_path, NAMES)


@pytest.mark.parametrize("name", ["predictions.csv", "config.yaml", "metrics.json", "last.safetensors"])
def test_a_file_of_such_a_name_that_nobody_claims_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"vidrnn did not write them: \['{name}'\]; name another --output, or move"):
        refuse_foreign_results(tmp_path, NAMES)


def test_a_file_that_is_nested_too_deeply_to_be_read_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("[" * 200_000, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"did not write them: \['metrics\.json'\]"):
        refuse_foreign_results(tmp_path, NAMES)


@pytest.mark.parametrize("record", [our_json, our_model])
def test_a_record_of_ours_answers_for_what_cannot_tell_and_for_nothing_else(
    tmp_path: Path, record: Callable[[Path], None]
) -> None:
    record(tmp_path)
    (tmp_path / "predictions.csv").touch()
    (tmp_path / "config.yaml").touch()
    refuse_foreign_results(tmp_path, NAMES)
    (tmp_path / "metrics.json").write_text('{"loss": 1}', encoding="utf-8")
    save_file({"weight": torch.zeros(1)}, tmp_path / "last.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"write them: \['metrics\.json', 'last\.safetensors'\];"):
        refuse_foreign_results(tmp_path, NAMES)


def test_a_folder_in_which_nothing_can_be_written_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below" / "it"):
        with pytest.raises(ConfigError, match=r"/file' is no folder; name another --output$"):
            refuse_foreign_results(folder, NAMES)
    (tmp_path / "astray").symlink_to("nowhere")
    with pytest.raises(ConfigError, match=r"/astray' is no folder"):
        refuse_foreign_results(tmp_path / "astray", NAMES)
    asked: list[Path] = []
    monkeypatch.setattr(os, "access", lambda path, _mode: asked.append(path))  # a disk that is mounted to be read
    with pytest.raises(ConfigError, match=rf"new/run': nothing can be written to '{tmp_path}'; name another --output$"):
        refuse_foreign_results(tmp_path / "new" / "run", NAMES)
    assert asked == [tmp_path]


def test_a_file_is_refused_by_its_name_and_what_it_is() -> None:
    refuse_foreign(Path("a.html"), is_ours=True, what="no report")
    with pytest.raises(ConfigError, match=r"^--output 'a\.html' is there and no report; name another --output, or"):
        refuse_foreign(Path("a.html"), is_ours=False, what="no report")
