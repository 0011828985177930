"""What is cut out: segments of annotations and predictions, the background on request, shots; under names that last."""

import math
from pathlib import Path

import pytest

from vidrnn.annotations import Annotation, Segment
from vidrnn.errors import ConfigError
from vidrnn.inference.pieces import Piece, Pieces, annotated_pieces, predicted_pieces, shots_as_pieces
from vidrnn.inference.prediction import Prediction

SEGMENTS = (Segment(1.0, 2.0, "cut"), Segment(3.0, 4.5, "stir"))


def spans(pieces: Pieces) -> list[tuple[float, float, str]]:
    return [(piece.start_s, piece.end_s, piece.label) for piece in pieces.pieces]


def test_segments_with_their_group_and_split() -> None:
    annotations = [
        Annotation("x/a.mp4", "", "train", "anna", segments=SEGMENTS),
        Annotation("x/b.mp4", "", "test", "ben", segments=()),
    ]
    (found,) = annotated_pieces(annotations, Path("root"))
    assert (found.video, found.name, found.group, found.split) == (Path("root/x/a.mp4"), "x/a.mp4", "anna", "train")
    assert spans(found) == [(1.0, 2.0, "cut"), (3.0, 4.5, "stir")]


def test_background_is_what_was_looked_at_and_has_no_label() -> None:
    annotation = Annotation("a.mp4", "", None, "a", segments=SEGMENTS, unlabelled=(Segment(2.0, 2.5),))
    found = annotated_pieces([annotation, Annotation("b.mp4", "", None, "b", segments=())], Path(), background=True)
    assert [spans(pieces) for pieces in found] == [
        [
            (0.0, 1.0, "background"),
            (1.0, 2.0, "cut"),
            (2.5, 3.0, "background"),
            (3.0, 4.5, "stir"),
            (4.5, math.inf, "background"),
        ],
        [(0.0, math.inf, "background")],
    ]


def test_predicted_segments_are_in_the_group_of_their_video() -> None:
    rows = ({"start": 1.0, "end": 2.0, "label": "cut", "score": 0.5},)
    predictions = [
        Prediction("x/a.mp4", "ok", rows, head="step_labels"),
        Prediction("b.mp4", "failed", error="no video", head="step_labels"),
    ]
    (found,) = predicted_pieces(predictions, background=True)
    assert (found.video, found.group, found.split) == (Path("x/a.mp4"), "x/a.mp4", None)
    assert spans(found) == [(0.0, 1.0, "background"), (1.0, 2.0, "cut"), (2.0, math.inf, "background")]


def test_what_has_no_segments_is_refused() -> None:
    with pytest.raises(ConfigError, match="the annotations tell label, and start,end,label is needed"):
        annotated_pieces([Annotation("a.mp4", "cut", None, "a")], Path())
    with pytest.raises(ConfigError, match="they are of head label, and step_labels or step_multilabel is needed"):
        predicted_pieces([Prediction("a.mp4", "ok", ({"label": "cut"},))])


def test_shots_follow_each_other() -> None:
    assert spans(shots_as_pieces(Path("a.mp4"), [0.0, 1.5, 4.0])) == [(0.0, 1.5, "shot"), (1.5, 4.0, "shot")]


@pytest.mark.parametrize(
    ("name", "label", "end_s", "expected"),
    [
        ("a.mp4", "cut", 2.0, "cut/a_1.25_2.mp4"),
        ("x/y/a.mkv", "cut tomato", math.inf, "cut tomato/x__y__a.mkv_1.25_end.mp4"),
        ("/data/x/a.mp4", "切る", 2.0, "切る/a_1.25_2.mp4"),
        ("./a.mp4", "cut", 2.0004, "cut/a_1.25_2.mp4"),
    ],
)
def test_a_clip_is_named_after_label_video_and_times(name: str, label: str, end_s: float, expected: str) -> None:
    pieces = Pieces(Path(name), name, name, None, ())
    assert pieces.clip_name(Piece(1.25, end_s, label)) == expected


def test_names_that_some_system_refuses_are_changed() -> None:
    pieces = Pieces(Path("a.mp4"), "caf\udce9?.mp4", "a", None, ())
    folder, _, clip = pieces.clip_name(Piece(0.0, 1.0, "pick/up: a <box>")).partition("/")
    assert folder.startswith("pick_up_ a _box_~") and "/" not in clip
    assert clip.startswith("caf_xe9_~") and clip.endswith("_0_1.mp4")
