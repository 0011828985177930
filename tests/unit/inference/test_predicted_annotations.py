"""What `classify` writes is read as annotations, whichever the head and the kind of file."""

import json

import pytest

from tests.annotation_files import write
from vidrnn.annotations import Annotation, Segment
from vidrnn.errors import AnnotationError
from vidrnn.inference.predicted_annotations import read_predictions
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.prediction_file import PredictionWriter

ANSWERS = {
    "step_labels": (
        {"start": 0.5, "end": 1.25, "label": "cut", "score": 0.75},
        {"start": 1.25, "end": 3.0, "label": "peel", "score": 0.5},
    ),
    "label": ({"label": "cut", "score": 0.9, "top_k": [("cut", 0.9)]},),
    "multilabel": ({"labels": ["cut", "peel"], "top_k": [("cut", 0.9)]},),
    "transcript": ({"labels": ["cut", "peel", "cut"]},),
    "regression": ({"target": 2.5},),
    "step_regression": ({"start": 0.0, "end": 1.0, "target": 2.5},),
}  # fmt: skip
KNOWN = {
    "step_labels": {"segments": (Segment(0.5, 1.25, "cut", score=0.75), Segment(1.25, 3.0, "peel", score=0.5))},
    "label": {"label": "cut"},
    "multilabel": {"labels": ("cut", "peel")},
    "transcript": {"labels": ("cut", "peel", "cut")},
    "regression": {"target": 2.5},
    "step_regression": {"segments": (Segment(0.0, 1.0, target=2.5),)},
}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize("head", ANSWERS)
def test_the_answers_of_every_head_come_back(tmp_path, head, suffix):
    """A failed video is left out with a note; from step heads one in which nothing happens has no segment."""
    file = tmp_path / f"answers{suffix}"
    with PredictionWriter(file, head=head) as put:
        put(Prediction(str(tmp_path / "v" / "a b.mp4"), "ok", ANSWERS[head], head=head))
        put(Prediction("/elsewhere/bad.mp4", "failed", error="no frame", head=head))
        if "start" in ANSWERS[head][0]:
            put(Prediction(str(tmp_path / "v" / "c.mp4"), "ok", (), head=head))
    notes: list[str] = []
    found = read_predictions(file, root=tmp_path, notes=notes)
    known = {"label": "", "split": None, "group": "v/a b.mp4"} | KNOWN[head]
    assert found[0] == Annotation("v/a b.mp4", **known)
    assert [(each.path, each.segments) for each in found[1:]] == (
        [("v/c.mp4", ())] if "start" in ANSWERS[head][0] else []
    )
    assert notes == [f"{file}: 1 videos had failed and were left out, the first '/elsewhere/bad.mp4'"]


def test_a_table_of_anybody_else_needs_path_start_end_and_label(tmp_path):
    write(tmp_path, {"p.csv": "path,start,end,label\n/x/a.mp4,2,3,peel\n/x/a.mp4,0,1,cut\n"})
    (found,) = read_predictions(tmp_path / "p.csv", root=tmp_path, notes=[])
    assert (found.path, found.segments) == ("/x/a.mp4", (Segment(0, 1, "cut"), Segment(2, 3, "peel")))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.csv", "path,start,end,label\na.mp4,x,1,cut\n", ", line 2: start 'x' is not a number; write it as 12.5"),
        ("p.csv", "path,start,end,label\na.mp4,1,1,cut\n",
         ", line 2: segment from 1 to 1 s: start must be at least 0 and before the end"),
        ("p.csv", "path,start,end,label\na.mp4,0,1,\n",
         ", line 2: the segment from 0 to 1 s has no label; expected what"),
        ("p.csv", "video,start,end,label\na.mp4,0,1,cut\n",
         ", line 2: no path; expected what `vidrnn classify` writes"),
        ("p.csv", "path,top\na.mp4,1\n", ", line 2: no answer; expected what"),
        ("p.csv", "path,label\n", " has no answer for any video; expected what"),
        ("p.jsonl", '{"path": "a.mp4", "label": "x"}\n{"path"\n', ", line 2: not JSON: "),
        ("p.jsonl", "[1]\n", ", line 1: expected an object in braces; expected what"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_with_its_line(tmp_path, name, content, message):
    write(tmp_path, {name: content})
    with pytest.raises(AnnotationError) as caught:
        read_predictions(tmp_path / name, root=tmp_path, notes=[])
    assert str(caught.value).startswith(f"{tmp_path / name}{message}")


def test_other_keys_of_a_line_are_ignored(tmp_path):
    line = {
        "path": "/x/a.mp4",
        "status": "ok",
        "segments": [{"start": 0, "end": 1, "label": "cut", "more": 1}],
        "model": 2,
    }
    write(tmp_path, {"p.jsonl": json.dumps(line) + "\n\n"})
    (found,) = read_predictions(tmp_path / "p.jsonl", root=tmp_path, notes=[])
    assert found.segments == (Segment(0, 1, "cut"),)
