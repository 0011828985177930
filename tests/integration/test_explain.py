"""`vidrnn explain`: from videos or stored features to the moments that count, a check in two numbers, and a page."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import vidrnn
from tests.integration.world import World, call, make_world
from vidrnn.models.model_file import load_model, save_model


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = make_world(tmp_path_factory.mktemp("why"))
    settings = vidrnn.load_settings(world.config)
    vidrnn.extract(settings)
    vidrnn.train(settings, output=world.folder / "run")
    return world


def model_of(world: World) -> Path:
    return world.folder / "run" / "model.safetensors"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_split_is_explained_from_its_stored_features(trained: World, capsys: pytest.CaptureFixture[str]) -> None:
    output = trained.folder / "why split"
    outcome = call(
        *(capsys, "explain", "--config", trained.config, "--model", model_of(trained), "--output", output),
        *("--device", "cpu"),
    )
    assert outcome.code == 0, outcome.err
    assert "explained 6, failed 0" in outcome.out
    figures = json.loads((output / "explanation.json").read_text())
    removal = figures["removal"]
    assert (
        f"falls by {removal['important']:.2f}, without a fifth elsewhere by {removal['elsewhere']:.2f}" in outcome.out
    )
    rows = rows_of(output / "importance.csv")
    assert len(rows) == 6 * 4  # two actors, three actions, four of the six cached steps each
    for video in figures["videos"]:
        moments = [row for row in rows if row["path"] == video["path"]]
        assert [float(row["start"]) for row in moments[1:]] == [float(row["end"]) for row in moments[:-1]]
        assert len(video["nearest"]) == 3
        assert all(neighbour["path"].split("/")[1].startswith("train") for neighbour in video["nearest"])
        most = max(moments, key=lambda row: float(row["importance"]))
        assert video["most_important_s"] == pytest.approx([float(most["start"]), float(most["end"])], abs=1e-3)
    page = (output / "explanation.html").read_text()
    assert page.count('<svg class="importance"') == 6
    assert len(re.findall('<ul class="alike">', page)) == 6
    named = {neighbour["path"] for video in figures["videos"] for neighbour in video["nearest"]}
    assert page.count("data:image/webp") == 6 + len(named)
    assert f"{removal['important']:.2f}" in page


def test_a_new_video_is_explained_as_in_python(trained: World, capsys: pytest.CaptureFixture[str]) -> None:
    clip, output = trained.clips / "sit_down" / "test 0.mp4", trained.folder / "why one"
    outcome = call(capsys, "explain", clip, "--model", model_of(trained), "--output", output, "--device", "cpu")
    assert outcome.code == 0, outcome.err
    model = vidrnn.load(model_of(trained), device="cpu")
    made, said = model.explain(clip), model.predict(clip)
    assert (made.label, made.score) == (said.label, pytest.approx(said.score, abs=1e-6))
    written = [float(row["importance"]) for row in rows_of(output / "importance.csv")]
    assert np.allclose(written, made.importance, rtol=1e-4, atol=1e-5)
    other = model.explain(clip, label="open_door")
    assert (other.label, other.score) == ("open_door", pytest.approx(said.scores["open_door"], abs=1e-6))


def test_what_cannot_be_explained_is_refused_or_named(trained: World, capsys: pytest.CaptureFixture[str]) -> None:
    broken, output = trained.folder / "broken", trained.folder / "why broken"
    broken.mkdir()
    (broken / "bad.mp4").write_bytes(b"no video at all")
    shutil.copy(trained.clips / "sit_down" / "test 0.mp4", broken / "good.mp4")
    outcome = call(capsys, "explain", broken, "--model", model_of(trained), "--output", output, "--device", "cpu")
    assert outcome.code == 3
    assert "explained 1, failed 1" in outcome.out
    assert re.search(r"failed: .*bad.mp4: ", outcome.err)
    assert list(json.loads((output / "explanation.json").read_text())["failed"]) == [str(broken / "bad.mp4")]
    for options, message in (
        (["--label", "fly"], "label 'fly': the model does not know this class; it knows"),
        (["--method", "magic"], "method 'magic': allowed are occlusion, attention, gradients"),
        (["--method", "attention"], "method 'attention': the model pools by 'max' and weighs no moments"),
        (["--config", str(trained.config)], "give one of the two"),
    ):
        refused = call(capsys, "explain", broken, "--model", model_of(trained), "--output", output, *options)
        assert refused.code == 2, refused.err
        assert message in refused.err


def test_files_of_others_are_not_replaced(trained: World, capsys: pytest.CaptureFixture[str]) -> None:
    clip, output = trained.clips / "sit_down" / "test 0.mp4", trained.folder / "theirs"
    output.mkdir()
    command = ["explain", clip, "--model", model_of(trained), "--output", output, "--device", "cpu"]
    (output / "importance.csv").write_text("mine")
    refused = call(capsys, *command)
    assert refused.code == 2
    assert "importance.csv; name another --output" in refused.err.replace("['importance.csv']", "importance.csv")
    assert (output / "importance.csv").read_text() == "mine"
    (output / "importance.csv").unlink()
    assert call(capsys, *command).code == 0
    assert call(capsys, *command).code == 0  # its own are replaced


def test_the_report_of_an_evaluation_shows_importance(trained: World, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained.folder / "evaluated"
    evaluated = call(
        *(capsys, "evaluate", "--config", trained.config, "--model", model_of(trained), "--output", run),
        *("--set", "evaluation.baselines=false", "--set", "training.device=cpu"),
    )
    assert evaluated.code == 0, evaluated.err
    assert call(capsys, "report", run).code == 0
    assert "Which moments count: the model is not in the folder above" in (run / "report.html").read_text()
    assert call(capsys, "report", run, "--model", model_of(trained)).code == 0
    page = (run / "report.html").read_text()
    clips = page.count('<figure class="clip">')
    assert clips >= 6
    assert page.count('<svg class="importance"') == clips
    assert page.count("without its most important fifth the answer falls by") == clips
    assert page.count('<ul class="alike">') == clips
    assert re.search(r'<img data-strip="\d+" [^>]*alt="Pictures of \w+/train \d.mp4">', page)
    other = load_model(model_of(trained), device=torch.device("cpu"))  # as of another epoch: the same configuration
    with torch.no_grad():
        next(iter(other.classifier.output.parameters())).neg_()
    save_model(other, trained.folder / "other.safetensors")
    assert call(capsys, "report", run, "--model", trained.folder / "other.safetensors").code == 0
    page = (run / "report.html").read_text()
    assert '<svg class="importance"' not in page
    assert "the model is another than the one that was evaluated" in page
    store = trained.folder / "features"
    store.rename(trained.folder / "moved features")
    try:
        assert call(capsys, "report", run, "--model", model_of(trained)).code == 0
    finally:
        (trained.folder / "moved features").rename(store)
    page = (run / "report.html").read_text()
    assert '<svg class="importance"' not in page
    assert "Which moments count cannot be said: " in page
    assert str(trained.folder) not in page


def test_videos_that_have_moved_are_named_on_the_page(trained: World, capsys: pytest.CaptureFixture[str]) -> None:
    moved = trained.folder / "elsewhere"
    trained.clips.rename(moved)
    moved.joinpath("annotations.csv").rename(trained.folder / "annotations.csv")
    trained.clips.mkdir()
    (trained.folder / "annotations.csv").rename(trained.clips / "annotations.csv")
    common = ["explain", "--config", trained.config, "--model", model_of(trained), "--device", "cpu"]
    outcome = call(capsys, *common, "--output", trained.folder / "why moved")
    assert outcome.code == 0, outcome.err
    assert "The video is not where it was." in (trained.folder / "why moved" / "explanation.html").read_text()
    outcome = call(capsys, *common, "--output", trained.folder / "why found", "--videos", moved)
    assert outcome.code == 0, outcome.err
    assert "data:image/webp" in (trained.folder / "why found" / "explanation.html").read_text()
