"""`Prediction`: what a program reads of an answer, and how a notebook shows it."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from tests.worlds import tiny_model, tiny_spec, tiny_training
from vidrnn.annotations import LabelMap
from vidrnn.inference.outputs import prediction_of
from vidrnn.inference.prediction import Prediction
from vidrnn.inference.prediction_rows import Clock
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.model_file import TrainedModel
from vidrnn.models.segment_decoder import SegmentDecoder
from vidrnn.settings.base import validate
from vidrnn.settings.evaluation import InferenceSettings
from vidrnn.settings.model import Head
from vidrnn.settings.run import RunSettings

NAMES = ("background", "sit <down>", "wave")


def said(head: Head, outputs: Any, *, inference: Any = None, **answering: Any) -> Prediction:
    """What a model with these outputs says of a video of 3 steps at 0, 0.5 and 1 s that lasts 1.5 s."""
    settings = validate(RunSettings, {"data": {"root": "v"}})
    asked = InferenceSettings(**(inference or {}))
    settings = settings.model_copy(
        update={"inference": asked, "model": tiny_model(head=head), "training": tiny_training()}
    )
    names = LabelMap(() if "regression" in head else NAMES)
    classifier = SequenceClassifier(settings.model, dim=5, num_classes=len(names))
    model = TrainedModel(classifier, names, tiny_spec(dim=5), settings, {}, {}, **answering)
    return prediction_of("a.mp4", torch.tensor(outputs), model, clock=Clock(np.asarray([0.0, 0.5, 1.0]), 1.5))


def test_of_a_label_every_class_has_its_probability_the_likeliest_first() -> None:
    found = said("label", [1.0, 3.0, 2.0], temperature=2.0)
    shares = np.exp([0.5, 1.5, 1.0]) / np.exp([0.5, 1.5, 1.0]).sum()
    assert list(found.scores) == ["sit <down>", "wave", "background"]
    assert list(found.scores.values()) == pytest.approx([shares[1], shares[2], shares[0]])
    assert (found.label, found.score) == ("sit <down>", found.scores["sit <down>"])
    assert (found.labels, found.segments, found.steps, found.target) == (("sit <down>",), (), (), None)
    unknown = said("label", [1.0, 3.0, 2.0], temperature=2.0, unknown_below=0.9)
    assert (unknown.label, unknown.score, unknown.scores) == ("unknown", found.score, found.scores)


def test_of_several_labels_those_above_their_thresholds_are_said_and_all_have_scores() -> None:
    found = said("multilabel", [-1.0, 2.0, 0.5], thresholds=(0.5, 0.5, 0.9))
    assert found.labels == ("sit <down>",)
    assert found.scores == pytest.approx(
        {name: 1 / (1 + np.exp(-x)) for name, x in zip(NAMES, (-1.0, 2.0, 0.5), strict=True)}
    )
    assert (found.label, found.score, found.target) == (None, None, None)


def test_steps_are_there_one_by_one_also_where_nothing_happens() -> None:
    outputs = [[2.0, 0.0, 0.0], [0.0, 0.0, 3.0], [0.0, 0.0, 3.0]]
    found = said("step_labels", outputs)
    waving = float(np.exp(3) / (np.exp(3) + 2))
    assert [(each["start"], each["end"], each["label"]) for each in found.segments] == [(0.5, 1.5, "wave")]
    assert [(each["start"], each["end"], each["label"]) for each in found.steps] == [
        (0.0, 0.5, "background"),
        (0.5, 1.0, "wave"),
        (1.0, 1.5, "wave"),
    ]
    assert found.steps[1]["score"] == pytest.approx(waving)
    assert found.labels == ("wave",)
    assert (found.label, found.scores) == (None, {})
    numbers = said("step_regression", [[1.0], [2.5], [-1.0]])
    assert [each["target"] for each in numbers.steps] == [1.0, 2.5, -1.0]
    assert numbers.steps == numbers.segments
    assert numbers.labels == ()


def test_segments_and_steps_are_those_of_the_decoder() -> None:
    """One step of another class is too short to be true; its score is that of the class that is said."""
    decoder = SegmentDecoder((0, 0, 9), ((0,) * 3,) * 3, (9, 9, 9), (3, 3, 3), (0, 0, 0))
    outputs = [[0.0, 0.0, 2.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]]
    found = said("step_labels", outputs, decoder=decoder, inference={"decoding": "viterbi"})
    assert [(each["start"], each["end"], each["label"]) for each in found.segments] == [(0.0, 1.5, "wave")]
    assert [each["label"] for each in found.steps] == ["wave"] * 3
    assert found.steps[1]["score"] == pytest.approx(1 / (np.e + 2))
    assert [each["label"] for each in said("step_labels", outputs).steps] == ["wave", "sit <down>", "wave"]


def test_steps_of_overlapping_classes_name_all_that_go_on() -> None:
    found = said("step_multilabel", [[-9.0, -9.0, 9.0], [-9.0, 9.0, 9.0], [-9.0, -9.0, -9.0]])
    assert [(row["start"], row["end"], row["label"]) for row in found.segments] == [
        (0.0, 1.0, "wave"),
        (0.5, 1.0, "sit <down>"),
    ]
    assert found.steps == (
        {"start": 0.0, "end": 0.5, "labels": ["wave"]},
        {"start": 0.5, "end": 1.0, "labels": ["sit <down>", "wave"]},
        {"start": 1.0, "end": 1.5, "labels": []},
    )
    assert (found.labels, found.label, found.scores) == (("wave", "sit <down>"), None, {})
    failed = Prediction("a.mp4", "failed", error="gone", head="step_multilabel")
    assert (failed.steps, failed.to_dict()["segments"]) == ((), None)


def test_a_number_and_a_transcript() -> None:
    assert said("regression", [2.5]).target == 2.5
    assert said("regression", [2.5]).label is None
    blank = [0.0, 0.0, 0.0, 9.0]
    wave = [0.0, 0.0, 9.0, 0.0]
    assert said("transcript", [wave, blank, wave]).labels == ("wave", "wave")
    assert said("transcript", [wave, blank, wave]).steps == ()


def test_a_failed_video_says_why_and_nothing_else() -> None:
    failed = Prediction("a.mp4", "failed", error="holds <no> frame", head="step_labels")
    assert (failed.label, failed.score, failed.labels, failed.target) == (None, None, (), None)
    assert (failed.scores, failed.segments, failed.steps) == ({}, (), ())
    assert failed.to_dict() == {
        "path": "a.mp4",
        "status": "failed",
        "segments": None,
        "lacking": [],
        "error": "holds <no> frame",
    }
    assert repr(failed) == "<a.mp4: failed, holds <no> frame>"
    assert failed._repr_html_() == "<b>a.mp4</b><br>failed: holds &lt;no&gt; frame"


@pytest.mark.parametrize(
    ("head", "outputs", "line", "cell"),
    [
        ("label", [0.0, 9.0, 0.0], "<a.mp4: sit <down> 1.000>", "<td>sit &lt;down&gt;</td><td>1.000</td>"),
        ("multilabel", [-9.0, 9.0, 9.0], "<a.mp4: sit <down>, wave>", "says sit &lt;down&gt;, wave<table>"),
        ("multilabel", [-9.0, -9.0, -9.0], "<a.mp4: nothing>", "says nothing<table>"),
        ("step_labels", [[0.0, 9.0, 0.0]] * 3, "<a.mp4: 0.000 to 1.500 s: sit <down> 1.000>",
         "<td>0.000</td><td>1.500</td><td>sit &lt;down&gt;</td><td>1.000</td>"),
        ("step_labels", [[9.0, 0.0, 0.0]] * 3, "<a.mp4: nothing>", "<th>start</th>"),
        ("step_multilabel", [[-9.0, 9.0, 9.0]] * 3, ("<a.mp4: 0.000 to 1.500 s: sit <down> 1.000; "
         "0.000 to 1.500 s: wave 1.000>"),
         "<td>0.000</td><td>1.500</td><td>wave</td><td>1.000</td>"),
        ("transcript", [[0.0, 0.0, 9.0, 0.0]], "<a.mp4: wave>", "<td>wave</td>"),
        ("regression", [2.5], "<a.mp4: 2.500>", "<th>target</th></tr><tr><td>2.500</td>"),
    ],
)  # fmt: skip
def test_it_shows_itself_as_a_line_and_as_a_table(head: Head, outputs: Any, line: str, cell: str) -> None:
    found = said(head, outputs)
    assert repr(found) == line
    assert cell in found._repr_html_()
    json.dumps(found.to_dict())


def test_a_long_table_is_cut_and_says_so() -> None:
    rows = tuple({"start": i / 10, "end": (i + 1) / 10, "target": float(i)} for i in range(500))
    found = Prediction("a.mp4", "ok", rows, head="step_regression", lacking=("audio",))
    assert found._repr_html_().count("<tr>") == 21
    assert "the first 20 of 500" in found._repr_html_()
    assert "without audio" in found._repr_html_()
    assert repr(found).endswith("; and 480 more (without audio)>")


def test_two_that_say_the_same_are_equal_whatever_arrays_they_carry() -> None:
    assert said("label", [0.0, 1.0, 2.0]) == said("label", [0.0, 1.0, 2.0])
    assert said("label", [0.0, 1.0, 2.0]) != said("label", [2.0, 1.0, 0.0])
