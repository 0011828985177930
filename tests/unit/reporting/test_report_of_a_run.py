"""`vidrnn report` on folders of all heads: one file with everything in it, escaped, bounded, true to the run."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from tests.media import pictures, write_clip
from tests.unit.reporting.report_worlds import HEADS, LABELS, Page, answers, write_run
from vidrnn.evaluation.metrics import HEADLINES
from vidrnn.reporting.options import ReportOptions
from vidrnn.reporting.rendering import LARGEST_PAGE
from vidrnn.reporting.report import write_report
from vidrnn.settings.model import Head

NO_CLIPS = ReportOptions(clips=0)
BASELINES = {"majority": 0.25, "mean_pool": 0.5, "own_inputs_mean": 0.5, "shuffled_time": 0.6, "metadata_only": 0.3}
SECTIONS: dict[Head, set[str]] = {
    "label": {"confused", "classes", "clips", "scores"},
    "multilabel": {"confused", "classes", "clips", "scores"},
    "step_labels": {"confused", "classes", "timelines", "clips", "scores"},
    "step_multilabel": {"confused", "classes", "timelines", "clips", "scores"},
    "transcript": {"clips"},
    "regression": {"clips", "scores"},
    "step_regression": {"timelines", "clips", "scores"},
}


def page_of(folder: Path, options: ReportOptions = NO_CLIPS) -> Page:
    return Page(write_report(folder, options=options).path)


@pytest.mark.parametrize("head", HEADS)
def test_each_head_has_what_applies_and_says_what_does_not(tmp_path: Path, head: Head) -> None:
    folder = write_run(tmp_path / "run", head)
    page = page_of(folder)
    value = json.loads((folder / "metrics.json").read_text())[HEADLINES[head].name]
    assert f"{value:.3f}" in page.text and f"{value:.3f}" in page.source.split("</title>")[0]
    found = set(page.sections())
    assert found >= SECTIONS[head] | {"good", "trust"}
    assert not found & ({"confused", "classes", "timelines", "scores"} - SECTIONS[head])
    if head not in {"label", "step_labels"}:
        assert re.search(r"there is no matrix|none is mistaken for another", page.text)


@pytest.mark.parametrize("head", HEADS)
def test_nothing_is_fetched(tmp_path: Path, head: Head) -> None:
    """No element names an address, and the page forbids the browser to ask for any."""
    page = page_of(write_run(tmp_path / "run", head))
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "object", "base", "form"}
        for name in ("src", "href", "xlink:href", "action", "data"):
            assert re.match(r"#|data:image/", attributes.get(name) or "#"), (tag, attributes)
    assert not re.search(r"@import|url\((?!#)", page.source)
    policy = next(a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:;")


def test_the_matrix_counts_every_answer(tmp_path: Path) -> None:
    """By hand from outputs and truth; each cell lists its very videos."""
    folder = write_run(tmp_path / "run", "label", n=40)
    outputs, truth = answers("label", 40)
    cells = page_of(folder).data("cells")["cells"]
    expected: dict[str, set[str]] = {}
    for number, (output, true) in enumerate(zip(outputs, truth, strict=True)):
        expected.setdefault(f"{true}-{output.argmax()}", set()).add(f"clips/{number}.mp4")
    assert {place: {clip[0] for clip in cell["clips"]} for place, cell in cells.items()} == expected


def test_the_seeds_of_a_video_are_joined_where_they_agree(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "label", seeds=(0, 1, 2))
    cells = page_of(folder).data("cells")["cells"]
    seeds: dict[str, int] = {}
    for cell in cells.values():
        for path, *_, note, _strip, _width, _room, _when, _problem in cell["clips"]:
            seeds[path] = seeds.get(path, 0) + int(note.split(" of 3 seeds")[0])
    assert seeds == {f"clips/{number}.mp4": 3 for number in range(24)}


def test_what_recurrence_is_worth_is_said_in_points(tmp_path: Path) -> None:
    """Against the best of what sees the same without it."""
    baselines = BASELINES | {"own_inputs_max": 0.72}
    page = page_of(write_run(tmp_path / "run", "label", top1=0.8, baselines=baselines))
    assert (
        "Recurrence is worth 8 points here: the same inputs without it, pooled by the maximum, reach 0.720" in page.text
    )
    for name, value in baselines.items():
        assert name in page.text and f"{value:.3f}" in page.text


def test_what_costs_is_said_too(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "a", "label", top1=0.45, baselines=BASELINES))
    assert "Recurrence costs 5 points here" in page.text
    page = page_of(write_run(tmp_path / "b", "label", top1=0.2, baselines=BASELINES))
    assert "Nothing was learned: always the commonest answer has 0.250" in page.text
    page = page_of(write_run(tmp_path / "c", "regression", mae=1.0, baselines={"median": 0.8, "mean_pool": 1.5}))
    assert (
        "Recurrence is worth 0.5 here" in page.text and "Nothing was learned: always the median has 0.800" in page.text
    )


def test_predictions_of_another_run_are_noticed(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run", "label", top1=0.123))
    assert re.search(r"predictions\.csv gives 0\.\d+ where the figures beside it say 0\.123", page.text)
    assert "where the figures beside it say" not in page_of(write_run(tmp_path / "good", "label")).text


@pytest.mark.parametrize("head", HEADS)
def test_predictions_that_were_cut_off_are_noticed(tmp_path: Path, head: Head) -> None:
    """Also where the headline agrees; it is said on the page and by the command."""
    folder = write_run(tmp_path / "run", head, seeds=(0, 1))
    figures = json.loads((folder / "metrics.json").read_text())
    rows = (folder / "predictions.csv").read_text().splitlines(keepends=True)
    kept = [row for row in rows if not re.search(r"clips/(1\d|2\d|9)\.mp4", row)]
    (folder / "predictions.csv").write_text("".join(kept))
    written = write_report(folder, options=NO_CLIPS)
    note = next(note for note in written.notes if note.startswith("predictions.csv gives"))
    number = re.search(rf"answers for (\d+) where the figures beside it are of {figures['n']}\b", note)
    assert number and int(number[1]) < figures["n"] and note in Page(written.path).text
    one = [row for row in rows if not row.endswith(",1\n")]
    (folder / "predictions.csv").write_text("".join(one))
    (folder / "metrics.json").write_text(json.dumps(figures | {"seeds": [0, 1]}))
    assert "answers of 1 of the 2 seeds" in " ".join(write_report(folder, options=NO_CLIPS).notes)


def test_a_run_without_an_interval_is_told_why(tmp_path: Path) -> None:
    """One group says nothing about others; figures of an earlier version hold none."""
    folder = write_run(tmp_path / "run", "label", top1_interval=[None, None])
    assert "No interval: one group says nothing about others." in page_of(folder).text
    figures = json.loads((folder / "metrics.json").read_text())
    figures.pop("top1_interval")
    (folder / "metrics.json").write_text(json.dumps(figures))
    text = page_of(folder).text
    assert "No interval: these figures hold none" in text and "one group" not in text


NASTY = (
    "</script><script>document.title='taken'</script>",
    "<img src=x onerror=alert(1)>",
    '"&quot; onclick="x',
    "{{ 7 * 7 }} {% raw %}",
    "сидеть 切る \u202eجلس",
    "@filmstrips@",
    "x" * 5000,
)


@pytest.mark.parametrize("head", ["label", "multilabel", "step_labels", "step_multilabel"])
def test_names_are_text_and_nothing_else(tmp_path: Path, head: Head) -> None:
    """Names of classes and videos that are HTML, templates, right to left, or endless."""
    plain = page_of(write_run(tmp_path / "plain", head, labels=[f"c{number}" for number in range(7)]))
    paths = [f"{number}{name[:200]}.mp4" for number, name in enumerate(NASTY * 4)][:24]
    page = page_of(write_run(tmp_path / "nasty", head, labels=NASTY, paths=paths))
    assert [tag for tag, _ in page.elements].count("script") == [tag for tag, _ in plain.elements].count("script")
    assert not [attributes for _, attributes in page.elements if {"onerror", "onclick"} & set(attributes)]
    assert "49" not in page.data("cells")["rows"] and "{{ 7 * 7 }} {% raw %}" in page.data("cells")["rows"]
    assert page.data("filmstrips") == []
    assert max(map(len, page.data("cells")["rows"])) <= 60


def test_1200_classes_are_bounded(tmp_path: Path) -> None:
    labels = [f"class {number} " + "ж" * 300 for number in range(1200)]
    folder = write_run(tmp_path / "run", "label", n=1300, labels=labels)
    written = write_report(folder, options=NO_CLIPS)
    assert written.size < LARGEST_PAGE / 4
    page = Page(written.path)
    assert len(page.data("cells")["rows"]) == 32 and page.data("cells")["rows"][-1] == "1169 other classes"
    counted = sum(
        int(re.search(r": (\d+) answers", a["aria-label"] or "")[1])
        for t, a in page.elements
        if a.get("data-cell") and t == "button" and a.get("aria-label")
    )  # type: ignore[index]
    assert counted == 1300


def test_the_size_is_bounded_whatever_the_number_of_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With filmstrips of 100 kB each, and paths as long as a file system takes, of signs that need the most bytes."""
    from vidrnn.reporting import page as page_module
    from vidrnn.reporting.filmstrips import Filmstrip

    image = "data:image/webp;base64," + "A" * 100_000
    monkeypatch.setattr(
        page_module,
        "make_filmstrips",
        lambda wanted, _places, **_rest: dict.fromkeys(wanted, Filmstrip(image, 600, 6, 0.0, 1.0)),
    )
    paths = [f"{number}" + "<" * 1000 for number in range(5000)]
    labels = [f"{number}" + "<" * 200 for number in range(32)]
    folder = write_run(tmp_path / "run", "label", n=5000, paths=paths, labels=labels)
    written = write_report(folder, options=ReportOptions(clips=5000))
    assert 5_000_000 < written.size == written.path.stat().st_size < LARGEST_PAGE
    assert len(Page(written.path).data("filmstrips")) == written.num_strips < 150


def test_long_step_predictions_are_bounded(tmp_path: Path) -> None:
    """Labels that change at every step are drawn thinned, and not every video has a place."""
    folder = tmp_path / "run"
    folder.mkdir()
    rows = ["path,step,label,predicted,score,group,seed"]
    for video in range(20):
        rows += [f"{video}.mp4,{step},run,{LABELS[step % 3]},0.5,g,0" for step in range(3000)]
    (folder / "predictions.csv").write_text("\n".join(rows) + "\n")
    written = write_report(folder, options=NO_CLIPS)
    assert written.size < LARGEST_PAGE / 3
    shown = [attributes for tag, attributes in Page(written.path).elements if attributes.get("class") == "raster"]
    assert 1 <= len(shown) < 20


def test_timelines_show_truth_over_prediction(tmp_path: Path) -> None:
    """Read back from the bands: every step has the names that predictions.csv has."""
    folder = write_run(tmp_path / "run", "step_labels", n=3)
    outputs, truth = answers("step_labels", 3)
    page = page_of(folder)
    drawing = re.findall(r'data-side="(\w+)">(.*?)</g>', page.source, flags=re.DOTALL)
    sides = [
        [
            (int(x), int(width), name)
            for x, width, name in re.findall(r'x="(\d+)" .*?width="(\d+)".*?<title>(.*?)</title>', body)
        ]
        for _, body in drawing
    ]
    errors = [
        np.mean([guess != true for guess, true in zip(o.argmax(1), t, strict=True) if true >= 0])
        for o, t in zip(outputs, truth, strict=True)
    ]
    for place, video in enumerate(np.argsort(-np.asarray(errors), kind="stable")):
        for side, wanted in ((2 * place, truth[video]), (2 * place + 1, outputs[video].argmax(1))):
            steps = {x + number: name for x, width, name in sides[side] for number in range(width)}
            assert steps == {step: LABELS[kind] for step, kind in enumerate(wanted) if kind >= 0}


def test_a_name_that_is_not_utf8_has_its_clip_and_is_shown_as_everywhere(tmp_path: Path) -> None:
    r"""A byte E9 is ``\xe9``, once escaped; a name that holds these four signs has another backslash."""
    names = [os.fsdecode(b"clips/caf\xe9.mp4"), r"clips/tea\xe9.mp4"]
    for name in names:
        write_clip(tmp_path / "videos" / name, pictures(24, width=64, height=48))
    folder = write_run(tmp_path / "run", "label", n=2, paths=names, root=tmp_path / "videos")
    page = page_of(folder, ReportOptions(clips=2, workers=1))
    clips = [clip for cell in page.data("cells")["cells"].values() for clip in cell["clips"]]
    assert sorted(clip[0] for clip in clips) == [r"clips/caf\xe9.mp4", r"clips/tea\\xe9.mp4"]
    assert all(clip[6] >= 0 for clip in clips), "each has a filmstrip"
