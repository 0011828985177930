"""`vidrnn.active_learning.rules`: each rule on few points in the plane, where the right choice can be seen."""

import numpy as np
import pytest

from vidrnn.active_learning.rules import RULES, Pool, choose, rule_of
from vidrnn.errors import ConfigError


def on_circle(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


NOTHING = np.zeros((0, 2), np.float32)
# Three groups: around 0 (five), around 120 (three), and one alone at 240.
GROUPS = on_circle(-4, -2, 0, 2, 4, 118, 120, 122, 240)


def positions(pool: Pool, rule: str, count: int) -> list[int]:
    return [choice.position for choice in choose(pool, rule, count=count)]


def test_typical_takes_the_middle_of_each_group_the_greatest_first() -> None:
    assert positions(Pool(GROUPS, NOTHING), "typical", 3) == [2, 6, 8]


def test_typical_passes_over_a_group_that_has_a_label() -> None:
    chosen = positions(Pool(GROUPS, on_circle(1)), "typical", 2)
    assert chosen == [6, 8]


def test_diverse_is_the_greedy_k_centre() -> None:
    """The independent reference is the definition: each is the farthest from all before, by brute force."""
    vectors = on_circle(*np.random.default_rng(3).uniform(0, 360, 12))
    chosen = choose(Pool(vectors, on_circle(10)), "diverse", count=5)
    centres = [on_circle(10)[0]]
    for choice in chosen:
        nearest = [min(np.linalg.norm(vector - centre) for centre in centres) for vector in vectors]
        assert choice.position == int(np.argmax(nearest))
        assert choice.distance == pytest.approx(max(nearest), abs=1e-3)
        centres.append(vectors[choice.position])


def test_the_first_of_all_is_no_outlier() -> None:
    first = choose(Pool(GROUPS, NOTHING), "diverse", count=1)[0]
    assert first.position != 8
    assert first.distance is None


def test_uncertainty_decides_and_distance_keeps_twins_apart() -> None:
    uncertainty = np.array([0.8, 0.91, 0.8, 0.8, 0.8, 0.5, 0.5, 0.6, 0.0])
    pool = Pool(GROUPS, on_circle(60), uncertainty)
    assert positions(pool, "uncertain", 3) == [1, 0, 2]
    assert positions(pool, "uncertain_diverse", 2) == [1, 7]  # and not a twin of the first; what is sure comes last
    assert positions(pool, "uncertain_diverse", 9)[-1] == 8


def test_badge_compares_gradients_as_if_they_were_written_out() -> None:
    rng = np.random.default_rng(0)
    states, logits = rng.normal(size=(7, 4)).astype(np.float32), rng.normal(size=(7, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    pool = Pool(on_circle(*range(7)), NOTHING, np.zeros(7), probabilities, states)
    errors = probabilities - np.eye(3)[probabilities.argmax(1)]
    gradients = np.einsum("nc,nh->nch", errors, states).reshape(7, -1)
    expected = [int(np.linalg.norm(gradients, axis=1).argmax())]
    while len(expected) < 4:
        nearest = [min(np.linalg.norm(one - gradients[chosen]) for chosen in expected) for one in gradients]
        expected.append(int(np.argmax(nearest)))
    assert positions(pool, "badge", 4) == expected


@pytest.mark.parametrize("rule", RULES)
def test_every_video_comes_once_and_always_in_the_same_order(rule: str) -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(30, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    probabilities = rng.dirichlet(np.ones(4), 30)
    vectors = vectors.astype(np.float32)
    pool = Pool(vectors, np.zeros((0, 5), np.float32), rng.uniform(size=30), probabilities, vectors)
    chosen = positions(pool, rule, 99)
    assert sorted(chosen) == list(range(30))
    assert positions(pool, rule, 99) == chosen


def test_rules_that_need_a_model_say_so() -> None:
    with pytest.raises(ConfigError, match="rule 'badge' needs a model that says how uncertain it is; give --model"):
        rule_of("badge", with_model=False)
    with pytest.raises(ConfigError, match="rule 'best' is unknown; allowed: auto, typical"):
        rule_of("best", with_model=True)
