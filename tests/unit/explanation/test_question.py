"""`vidrnn.explanation.question`: what a model says with moments occluded, against single calls of it."""

import numpy as np
import pytest
import torch

from tests.unit.explanation.explained_worlds import arrays, log_odds, make_model, question_of
from tests.worlds import sequence_set
from vidrnn.errors import ConfigError
from vidrnn.explanation.question import ask_why
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.training.predict import predict, predict_options

OCCLUDED = np.array([[0, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 1]], bool)


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("draws", [1, 3])
def test_nothing_hidden_is_the_answer_of_the_model(draws: int, members: int) -> None:
    model = make_model(draws=draws, members=members, temperature=1.7)
    (array,) = arrays([17])
    sequences = sequence_set([array], [0])
    (outputs,) = predict(model.classifier, sequences, predict_options(model.settings))
    question = ask_why(model, sequences, 0)
    assert question.target == int(outputs.argmax())
    assert question.score == pytest.approx(log_odds(outputs / 1.7, question.target), abs=1e-5)
    assert ask_why(model, sequences, 0, label="b").score == pytest.approx(log_odds(outputs / 1.7, 1), abs=1e-5)


@pytest.mark.parametrize("cell", ["gru", "mingru", "none"])
@pytest.mark.parametrize("fill", ["mean", "held", "cut"])
def test_each_way_of_hiding_is_the_model_on_features_changed_by_hand(fill: str, cell: str) -> None:
    model = make_model(cell=cell)
    (array,) = arrays([6])
    question = question_of(model, array, label="c")
    steps = array.astype(np.float64)
    for occluded, score in zip(OCCLUDED, question.scores(OCCLUDED, fill=fill), strict=True):
        shown = np.flatnonzero(~occluded)
        if fill == "cut":
            changed = steps[shown]
        elif fill == "mean":
            changed = np.where(occluded[:, None], steps.mean(0), steps)
        else:
            changed = np.stack([np.interp(np.arange(6), shown, column[shown]) for column in steps.T], axis=1)
        features = torch.from_numpy(changed).float()[None]
        with torch.inference_mode():
            (outputs,) = model.classifier(features, torch.tensor([len(changed)]))
        assert score == pytest.approx(log_odds(outputs, 2), abs=1e-4)


def test_many_rows_are_the_same_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    question = question_of(make_model(), arrays([11])[0])
    rows = np.random.default_rng(0).random((20, 6)) < 0.4
    rows[:, 2] = False  # something stays
    together = {fill: question.scores(rows, fill=fill) for fill in ("mean", "held", "cut")}
    monkeypatch.setattr("vidrnn.explanation.question._STEPS_AT_ONCE", 18)
    for fill, scores in together.items():
        assert np.allclose(question.scores(rows, fill=fill), scores, atol=1e-5)


def test_moments_are_the_segments_that_steps_are_chosen_from() -> None:
    assert question_of(make_model(), arrays([17])[0]).places.tolist() == [0, 2, 5, 8, 11, 14, 17]
    assert question_of(make_model(), arrays([3])[0]).places.tolist() == [0, 1, 2, 3]
    assert question_of(make_model(), arrays([1])[0]).num_moments == 1


def test_classes_of_multilabel_and_numbers_have_scores_of_their_own() -> None:
    (array,) = arrays([9])
    several = make_model(head="multilabel")
    (logits,) = predict(several.classifier, sequence_set([array], [0]), predict_options(several.settings))
    assert question_of(several, array, label="b").score == pytest.approx(float(logits[1]), abs=1e-5)
    number = make_model(head="regression")
    (value,) = predict(number.classifier, sequence_set([array], [0]), predict_options(number.settings))
    assert question_of(number, array).score == pytest.approx(float(value[0]), abs=1e-5)


def test_what_cannot_be_asked_is_refused_with_what_to_do() -> None:
    (array,) = arrays([9])
    with pytest.raises(ConfigError, match=r"head step_labels answers step by step.* `vidrnn annotate`"):
        question_of(make_model(head="step_labels"), array)
    with pytest.raises(ConfigError, match=r"label 'd': the model does not know this class; it knows \['a', 'b', 'c'\]"):
        question_of(make_model(), array, label="d")
    with pytest.raises(ConfigError, match="predicts a number and has no classes; leave it out"):
        question_of(make_model(head="regression"), array, label="a")


def test_sequences_stay_as_they_are() -> None:
    (array,) = arrays([9])
    sequences: SequenceSet = sequence_set([array], [0])
    before = sequences.streams["rgb"].features.clone()
    ask_why(make_model(), sequences, 0).scores(OCCLUDED, fill="mean")
    assert torch.equal(sequences.streams["rgb"].features, before)
