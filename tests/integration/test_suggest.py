"""`vidrnn suggest`: a table of what to label next, from nothing, with one model and with several."""

import csv
from pathlib import Path

import pytest

import vidrnn
from tests.fake_backbone import AverageColour
from tests.integration.world import Outcome, call, write_config
from tests.media import pictures, write_clip
from tests.worlds import make_run
from vidrnn.errors import ConfigError, MissingPathError
from vidrnn.experiments.suggestion_file import COLUMNS, refuse_other_table
from vidrnn.settings.base import dump_yaml
from vidrnn.settings.run import RunSettings


def world(folder: Path) -> tuple[RunSettings, Path]:
    """Features of four actors; the clips of the last two are not in the annotations, and one clip has no features."""
    settings = make_run(folder, splits=False)
    listed = folder / "videos" / "list.csv"
    rows = list(csv.reader(listed.open(newline="")))
    known = [row for row in rows[1:] if row[0] < "actor2"]
    new = [row for row in rows[1:] if row[0] >= "actor2"]
    with listed.open("w", newline="") as file:
        csv.writer(file).writerows([rows[0], *known])
    with (folder / "new.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path"], *([row[0]] for row in [*new, known[0]]), ["actor9/gone.mp4"]])
    config = folder / "config.yaml"
    config.write_text(dump_yaml(settings))
    return settings, config


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def suggest(capsys: pytest.CaptureFixture[str], config: Path, *options: str | Path) -> Outcome:
    folder = config.parent
    return call(
        *(capsys, "suggest", "--config", config, folder / "new.csv", "--output", folder / "next.csv", "--no-extract"),
        *options,
    )


def test_from_nothing_to_a_table_that_is_always_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, config = world(tmp_path)
    outcome = suggest(capsys, config)
    assert outcome.code == 3
    assert "failed: actor9/gone.mp4: has no features in the store" in outcome.err
    assert "suggested 8 by rule typical, labelled 8, extracted 0, failed 1" in outcome.out
    table = tmp_path / "next.csv"
    rows = rows_of(table)
    assert tuple(rows[0]) == COLUMNS
    assert [row["rank"] for row in rows] == [str(rank) for rank in range(1, 9)]
    assert {row["path"].split("/")[0] for row in rows} == {"actor2", "actor3"}  # what is labelled is not suggested
    assert all(row["reason"] and not row["uncertainty"] for row in rows)
    before = table.read_bytes()
    suggest(capsys, config)
    assert table.read_bytes() == before
    table.write_text("somebody's own table\n")
    refused = suggest(capsys, config)
    assert (refused.code, table.read_text()) == (2, "somebody's own table\n")
    assert "is there and holds no suggestions" in refused.err


def test_models_say_what_they_are_uncertain_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings, config = world(tmp_path)
    models = []
    for seed in (0, 1):
        training = settings.training.model_copy(update={"seed": seed, "members": 2})
        models += ["--model", tmp_path / str(seed) / "model.safetensors"]
        vidrnn.train(settings.model_copy(update={"training": training}), output=tmp_path / str(seed))
    outcome = suggest(capsys, config, *models, "--rule", "uncertain", "--measure", "mutual_information", "--count", "3")
    assert "suggested 3 by rule uncertain" in outcome.out
    rows = rows_of(tmp_path / "next.csv")
    values = [float(row["uncertainty"]) for row in rows]
    assert values == sorted(values, reverse=True)
    assert 0.0 < values[0] <= 1.0
    assert {row["label"] for row in rows} <= {"falls", "rises"}
    assert all(row["reason"].startswith(f"the model says {row['label']} 0.") for row in rows)
    assert suggest(capsys, config, *models, "--rule", "badge").code == 3


def test_what_does_not_fit_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings, config = world(tmp_path)
    assert "rule 'badge' needs a model" in suggest(capsys, config, "--rule", "badge").err
    with pytest.raises(ConfigError, match=r"next\.txt'.*ends in \.csv"):
        refuse_other_table(tmp_path / "next.txt")
    (tmp_path / "known.csv").write_text((tmp_path / "videos" / "list.csv").read_text())
    with pytest.raises(MissingPathError, match="there is no unlabelled video: all of them are among the 8"):
        vidrnn.suggest(settings, tmp_path / "known.csv")


def test_missing_features_are_made_and_broken_videos_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a folder of videos, no annotation and no store: cold start."""
    videos = tmp_path / "videos"
    for number in range(3):
        videos.mkdir(exist_ok=True)
        write_clip(videos / f"{number}.mp4", pictures(6))
    (videos / "broken.mp4").write_bytes(b"no video")
    sampling = {"sampling": "every", "stride": 1}
    data = {"root": str(videos), "format": "csv", "annotations": "not_yet.csv"}
    config = write_config(tmp_path, data=data, features=sampling, epochs=1)
    monkeypatch.setattr("vidrnn.streams.passes.views", lambda *_: (AverageColour(),))
    monkeypatch.setattr("vidrnn.streams.passes.load_backbone", lambda *_: None)
    monkeypatch.setattr("vidrnn.store.spec.FeatureSpec.differences", lambda *_, **__: [])
    options = (capsys, "suggest", "--config", config, "--output", tmp_path / "next.csv")
    outcome = call(*options)
    assert outcome.code == 3, outcome.err
    assert "note: no video counts as labelled" in outcome.out
    assert "failed: broken.mp4:" in outcome.err
    assert "suggested 3 by rule typical, labelled 0, extracted 3, failed 1" in outcome.out
    assert rows_of(tmp_path / "next.csv")[0]["distance"] == ""
    assert "extracted 0, failed 1" in call(*options).out
