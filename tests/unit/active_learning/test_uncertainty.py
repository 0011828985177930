"""`vidrnn.active_learning.uncertainty`: the measures against their definitions, worked out by hand."""

import numpy as np
import pytest
from scipy.stats import entropy

from vidrnn.active_learning.uncertainty import as_probabilities, measure_of, uncertainty
from vidrnn.errors import ConfigError

SURE = [0.98, 0.01, 0.01]
EVEN = [1 / 3] * 3


def test_a_sure_video_is_0_and_an_even_one_1() -> None:
    for measure in ("entropy", "margin"):
        assert uncertainty(np.array([[1.0, 0.0, 0.0]]), measure) == pytest.approx(0.0)
        assert uncertainty(np.array([EVEN]), measure) == pytest.approx(1.0)


def test_only_disagreement_is_mutual_information() -> None:
    """Two members that are both undecided agree; two that are sure of different classes do not."""
    undecided, opposed = np.array([EVEN, EVEN]), np.array([SURE, SURE[::-1]])
    assert uncertainty(undecided, "mutual_information") == pytest.approx(0.0)
    expected = (entropy(opposed.mean(0)) - entropy(opposed, axis=1).mean()) / np.log(3)
    assert uncertainty(opposed, "mutual_information") == pytest.approx(expected)
    assert uncertainty(opposed[:1], "mutual_information") == pytest.approx(0.0)
    assert uncertainty(opposed, "entropy") == pytest.approx(entropy(opposed.mean(0)) / np.log(3))
    assert uncertainty(opposed, "margin") == pytest.approx(1.0)


def test_steps_and_decisions_are_averaged() -> None:
    steps = np.array([[SURE, EVEN]])
    alone = [uncertainty(np.array([row]), "entropy") for row in (SURE, EVEN)]
    assert uncertainty(steps, "entropy") == pytest.approx(np.mean(alone))
    decisions = as_probabilities(np.array([0.0, 30.0]), "multilabel")
    assert np.allclose(decisions, [[0.5, 0.5], [0.0, 1.0]])
    assert uncertainty(decisions[None], "entropy") == pytest.approx(0.5)


def test_logits_become_softmax() -> None:
    logits = np.array([1.0, 2.0, 1000.0])
    assert np.allclose(as_probabilities(logits, "label"), [0.0, 0.0, 1.0])
    assert np.allclose(as_probabilities(np.log([0.2, 0.3, 0.5]), "label"), [0.2, 0.3, 0.5])


def test_an_unknown_measure_is_refused() -> None:
    with pytest.raises(ConfigError, match="measure 'bald' is unknown; allowed: auto, entropy"):
        measure_of("bald")
