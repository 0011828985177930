"""`vidrnn report` on folders that are old, damaged, unfinished or of another verb: it says what is missing."""

import json
from pathlib import Path

import pytest

from tests.unit.reporting.report_worlds import Page, write_run
from tests.worlds import make_run
from vidrnn.errors import ConfigError, MissingPathError
from vidrnn.evaluation.comparison import compare
from vidrnn.evaluation.report import write_json
from vidrnn.evaluation.video_figures import read_figures
from vidrnn.experiments.crossval import run_crossval
from vidrnn.experiments.evaluate import evaluate
from vidrnn.experiments.train import train
from vidrnn.reporting.options import ReportOptions
from vidrnn.reporting.report import write_report

NO_CLIPS = ReportOptions(clips=0)


def text_of(place: Path) -> str:
    return Page(write_report(place, options=NO_CLIPS).path).text


def test_a_training_shows_its_curves_and_names_what_makes_predictions(tmp_path: Path) -> None:
    settings = make_run(tmp_path, splits=True)
    train(settings, output=tmp_path / "run")
    page = Page(write_report(tmp_path / "run", options=NO_CLIPS).path)
    assert {"learning", "missing", "trust"} <= set(page.sections())
    assert "vidrnn evaluate --model model.safetensors" in page.text and "validation videos" in page.text
    assert str(tmp_path) not in page.source  # a report is shown around: it tells no folders


def test_an_evaluation_tells_where_its_videos_are(tmp_path: Path) -> None:
    """Its configuration lies beside it, so that a report finds the clips."""
    settings = make_run(tmp_path, splits=True)
    train(settings, output=tmp_path / "run")
    result = evaluate(tmp_path / "run" / "model.safetensors", settings, split="test", output=tmp_path / "elsewhere")
    assert tmp_path / "elsewhere" / "config.yaml" in result.files
    written = write_report(tmp_path / "elsewhere")
    (note,) = written.notes
    assert note.startswith("No clip can be shown below 'videos': The video is not where it was.")
    before = (tmp_path / "run" / "config.yaml").read_bytes()
    evaluate(tmp_path / "run" / "model.safetensors", settings, split="test", output=tmp_path / "run")
    assert (tmp_path / "run" / "config.yaml").read_bytes() == before
    assert "learning" in Page(write_report(tmp_path / "run", options=NO_CLIPS).path).sections()


def test_a_crossvalidation_shows_its_folds(tmp_path: Path) -> None:
    result = run_crossval(make_run(tmp_path), output=tmp_path / "cv", jobs=1)
    text = text_of(tmp_path / "cv")
    assert "predictions.csv gives" not in text
    values = result.as_dict()
    assert f"{values['top1_mean']:.3f}" in text and "a cross-validation keeps no log" in text
    assert all(fold["name"] in text for fold in values["folds"])


def test_old_predictions_without_groups_are_shown(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "label")
    lines = (folder / "predictions.csv").read_text().splitlines()
    (folder / "predictions.csv").write_text("\n".join(line.rsplit(",", 2)[0] for line in lines) + "\n")
    (folder / "metrics.json").write_text(
        json.dumps({"top1": json.loads((folder / "metrics.json").read_text())["top1"]})
    )
    assert "What is confused with what" in text_of(folder)


def test_predictions_alone_are_measured_anew(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "label")
    value = json.loads((folder / "metrics.json").read_text())["top1"]
    (folder / "metrics.json").unlink()
    text = text_of(folder)
    assert f"{value:.3f}" in text and "It is measured anew from predictions.csv" in text


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("metrics.json", '{"top1": 0.', "metrics.json is damaged"),
        ("metrics.json", "[1]", "metrics.json is damaged"),
        ("config.yaml", "model: {cells: 3}", "config.yaml is of another version"),
        ("config.yaml", "data: [", "config.yaml is of another version"),
        ("log.csv", "epoch,train_loss\n1,abc\n", "log.csv is damaged"),
        ("predictions.csv", "path,label,predicted,score,correct,p_a,group,seed\nx,a,a\n", "predictions.csv is damaged"),
        (
            "predictions.csv",
            "path,label,predicted,score,correct,p_a,group,seed\nx,a,b,1,1,1,g,0\n",
            "no column of prob",
        ),
        ("predictions.csv", "path,label,predicted,score,correct,p_a,group,seed\nx,a,a,?,1,1,g,0\n", "cannot be used"),
        ("predictions.csv", "\0\1\2", "predictions.csv has the columns"),
    ],
)
def test_a_damaged_part_is_named_and_the_rest_reported(tmp_path: Path, name: str, content: str, said: str) -> None:
    folder = write_run(tmp_path / "run", "label", root=tmp_path)
    (folder / name).write_text(content)
    text = text_of(folder)
    assert said in text
    assert "top-1" in text


def test_a_configuration_above_a_run_counts_only_beside_a_model(tmp_path: Path) -> None:
    """What lies in the folder of a training is of that training; any other file of that name is somebody else's."""
    folder = write_run(tmp_path / "run", "label")
    write_run(tmp_path, "regression", root=tmp_path / "foreign")
    assert "foreign" not in text_of(folder)
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert "foreign" in text_of(folder)


def test_no_file_but_a_report_is_replaced(tmp_path: Path) -> None:
    """Not even one that is called report.html; of a link, the target is the file that counts."""
    folder = write_run(tmp_path / "run", "label")
    figures, text = folder / "metrics.json", folder / "report.html"
    text.write_text("<html><p>my own report</p></html>")
    for output in (figures, None, tmp_path):
        before = figures.read_bytes(), text.read_bytes()
        with pytest.raises(ConfigError, match=r"is there and no report .* name another --output"):
            write_report(folder, output=output, options=NO_CLIPS)
        assert (figures.read_bytes(), text.read_bytes()) == before
    text.unlink()
    text.symlink_to(tmp_path / "elsewhere.html")
    for _ in range(2):
        write_report(folder, options=NO_CLIPS)
        assert text.is_symlink() and "top-1" in Page(tmp_path / "elsewhere.html").text


def test_a_folder_without_anything_names_the_verbs(tmp_path: Path) -> None:
    with pytest.raises(
        MissingPathError, match=r"neither crossval\.json nor .* `vidrnn crossval` and `vidrnn evaluate`"
    ):
        write_report(tmp_path)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"")
    with pytest.raises(MissingPathError, match=r"a training was stopped there, so go on with `vidrnn train --resume`"):
        write_report(tmp_path)
    with pytest.raises(MissingPathError, match="does not exist"):
        write_report(tmp_path / "nowhere")
    assert not list(tmp_path.glob("*.html"))


def test_a_comparison_shows_its_sentence_and_where_the_two_differ(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", "label", seeds=(0,))
    b = write_run(tmp_path / "b", "label", seeds=(1,))
    found = compare(read_figures(a), read_figures(b))
    write_json(tmp_path / "ab.json", {"folder_a": str(a), "folder_b": str(b), **found.as_dict()})
    written = write_report(tmp_path / "ab.json", options=NO_CLIPS)
    assert written.path == tmp_path / "ab.json.report.html"
    page = Page(written.path)
    assert found.sentence() in page.text
    cards = [attributes for _, attributes in page.elements if attributes.get("class") == "clip"]
    pair = found.pairs[0]
    assert pair.only_a is not None and pair.only_b is not None
    assert len(cards) == min(pair.only_a, 12) + min(pair.only_b, 12) > 0
    (a / "predictions.csv").unlink()
    assert found.sentence() in text_of(tmp_path / "ab.json")
    (tmp_path / "c.json").write_text("{}")
    with pytest.raises(ConfigError, match="is no comparison"):
        write_report(tmp_path / "c.json")


def test_a_card_of_a_comparison_shows_a_seed_in_which_the_two_differ(tmp_path: Path) -> None:
    """Not the first seed where both say the same there."""
    header = "path,label,predicted,score,correct,p_run,p_sit,group,seed\n"
    rows = {"a": ("run,1", "run,1"), "b": ("run,1", "sit,0")}
    for name, of_seeds in rows.items():
        (tmp_path / name).mkdir()
        lines = [
            f"x.mp4,run,{cells.split(',')[0]},0.9,{cells[-1]},0.5,0.5,g,{seed}\n" for seed, cells in enumerate(of_seeds)
        ]
        (tmp_path / name / "predictions.csv").write_text(header + "".join(lines))
    a, b = tmp_path / "a", tmp_path / "b"
    found = compare(read_figures(a), read_figures(b)).as_dict()
    write_json(tmp_path / "ab.json", {"folder_a": str(a), "folder_b": str(b), **found})
    assert "A run, B sit seed 1 of A, seed 1 of B" in text_of(tmp_path / "ab.json")


LABEL_CSV = """path,status,label,score,top_k,error
a.mp4,ok,run,0.9,run:0.9|sit:0.1,
b.mp4,ok,sit,0.4,sit:0.4|run:0.35,
c.mp4,failed,,,,cannot be opened
"""
SEGMENTS_CSV = """path,status,start,end,label,score,error
a.mp4,ok,0.5,1.5,run,0.9,
a.mp4,ok,2,3.5,sit,0.8,
b.mp4,ok,,,,,
"""


@pytest.mark.parametrize(("content", "sections"), [(LABEL_CSV, "clips"), (SEGMENTS_CSV, "timelines")])
def test_what_classify_wrote_is_shown_without_a_number_that_nobody_knows(
    tmp_path: Path, content: str, sections: str
) -> None:
    (tmp_path / "labels.csv").write_text(content)
    (tmp_path / "labels.csv.origin.json").write_text("{}")
    page = Page(write_report(tmp_path, options=NO_CLIPS).path)
    assert (tmp_path / "report.html").is_file()
    assert sections in page.sections() and "cannot say how good the answers are" in page.text
    assert ("cannot be opened" in page.text) == (content == LABEL_CSV)
    (tmp_path / "more.csv").write_text(content)
    (tmp_path / "more.csv.origin.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"holds 2 files that can be reported: labels.csv, more.csv"):
        write_report(tmp_path)
