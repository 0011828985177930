"""`vidrnn.explanation.importance`: what counts, by loops, by known models, and where one stream alone tells."""

import numpy as np
import pytest
import torch

from tests.unit.explanation.explained_worlds import arrays, make_model, question_of
from vidrnn.errors import ConfigError
from vidrnn.explanation.importance import as_method, by_attention, by_gradients, by_occlusion
from vidrnn.explanation.question import Question
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.sequences.sequence_set import Batch


def test_occlusion_is_the_mean_fall_over_the_windows_that_hide_a_moment() -> None:
    question = question_of(make_model(), arrays([24])[0])
    found: list[list[float]] = [[] for _ in range(6)]
    for start in range(5):
        occluded = np.zeros((1, 6), bool)
        occluded[0, start : start + 2] = True
        for moment in (start, start + 1):
            found[moment].append(question.score - float(question.scores(occluded)[0]))
    assert np.allclose(by_occlusion(question, window=2), [np.mean(falls) for falls in found], atol=1e-5)


def test_of_a_regression_importance_is_how_far_the_number_moves() -> None:
    question = question_of(make_model(head="regression"), arrays([24])[0])
    for start, value in enumerate(by_occlusion(question, window=1).tolist()):
        occluded = np.arange(6)[None] == start
        assert value == pytest.approx(abs(question.score - float(question.scores(occluded)[0])), abs=1e-5)


def test_windows_of_a_long_video_are_few_and_leave_no_moment_out(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model()
    long = model.settings.model_copy(update={"training": model.settings.training.model_copy(update={"steps": None})})
    question = question_of(type(model)(**{**vars(model), "settings": long}), arrays([300])[0])
    asked: list[int] = []
    scores = Question.scores

    def counted(self: Question, occluded: np.ndarray, **rest: object) -> np.ndarray:
        asked.append(len(occluded))
        return scores(self, occluded, **rest)

    monkeypatch.setattr(Question, "scores", counted)
    importance = by_occlusion(question, window=1)
    assert max(asked) == 64
    assert importance.shape == (300,)
    assert np.isfinite(importance).all()


def test_attention_is_the_weights_of_the_pooling() -> None:
    model = make_model(pooling="attention", pooling_heads=2)
    question = question_of(model, arrays([6])[0])
    assert isinstance(model.classifier, SequenceClassifier)
    pooling = model.classifier.pooling.attention
    assert pooling is not None
    (way,) = question.ways
    with torch.inference_mode():
        steps, _ = model.classifier._encode(way.features, way.lengths, None)
        expected = pooling.weights(steps, way.lengths)[0].mean(1)
    weights = by_attention(question)
    assert weights is not None
    assert np.allclose(weights, expected.numpy(), atol=1e-6)
    assert weights.sum() == pytest.approx(1.0)
    assert by_attention(question_of(make_model(pooling="max"), arrays([6])[0])) is None


@pytest.mark.parametrize("draws", [1, 2])
def test_integrated_gradients_add_up_to_what_all_moments_change(draws: int) -> None:
    pytest.importorskip("captum")
    question = question_of(make_model(cell="gru", draws=draws), arrays([17])[0])
    everything = question.score - float(question.scores(np.ones((1, 6), bool))[0])
    total = by_gradients(question).sum()
    if draws == 1:
        assert total == pytest.approx(everything, abs=0.02)
    else:  # each draw by itself, so that only what is linear adds up
        assert np.isfinite(total)


def test_of_a_linear_model_gradients_and_single_occlusion_are_the_same() -> None:
    pytest.importorskip("captum")
    model = make_model(head="multilabel", cell="none", input_norm=False, pooling="mean")
    question = question_of(model, arrays([6])[0], label="a")
    assert np.allclose(by_gradients(question), by_occlusion(question, window=1), atol=1e-4)


@pytest.mark.parametrize("fusion", ["concat", "late"])
def test_only_the_stream_that_is_heard_counts(fusion: str) -> None:
    model = make_model(fusion=fusion)
    torch.manual_seed(0)
    classifier = SequenceClassifier(model.settings.model, dim={"rgb": 4, "audio": 3}, num_classes=3).eval()
    if classifier.branches is not None:
        silent = classifier.branches["rgb"]
        for parameter in silent.parameters():
            parameter.data.zero_()
    else:
        assert classifier.fusion is not None
        for parameter in classifier.fusion.projections["rgb"].parameters():
            parameter.data.zero_()
    features, present = torch.randn(1, 6, 7), torch.ones(1, 6, 2, dtype=torch.bool)
    present[0, 4:, 1] = False  # the sound has ended
    features[0, 4:, 4:] = 0.0
    shown = Batch(features, torch.tensor([6]), torch.zeros(1), present, (4, 3))
    question = Question(type(model)(**{**vars(model), "classifier": classifier}), (shown,), 1, np.arange(7))
    assert np.allclose(by_occlusion(question, stream=0), 0.0, atol=1e-6)
    heard = by_occlusion(question, window=1, stream=1)
    assert np.abs(heard[:4]).min() > 0
    assert np.allclose(heard[4:], 0.0, atol=1e-6)
    assert np.allclose(by_occlusion(question, window=1), heard, atol=1e-5)


def test_ways_of_explaining_have_names() -> None:
    assert as_method("gradients") == "gradients"
    with pytest.raises(ConfigError, match="method 'magic': allowed are occlusion, attention, gradients"):
        as_method("magic")
