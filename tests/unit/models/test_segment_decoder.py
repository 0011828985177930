"""`vidrnn.models.segment_decoder` against the enumeration of all answers, and what it counts in training labels."""

import itertools
import json
import math
from dataclasses import asdict
from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

from tests.worlds import Array
from vidrnn.models.segment_decoder import SegmentDecoder

COUNTS = st.integers(0, 5)


def score_of(labels: tuple[int, ...], logits: Array, decoder: SegmentDecoder, *, weight: float) -> float:
    """The log-probability of an answer, segment by segment, from the definition."""
    classes = logits.shape[1]
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    total = weight * sum(log_p[step, label] for step, label in enumerate(labels))
    starts = np.asarray(decoder.starts) + 1 / classes
    total += math.log(starts[labels[0]] / starts.sum())
    segments = [(label, len(list(steps))) for label, steps in groupby(labels)]
    for (before, _), (after, _) in pairwise(segments):
        row = np.asarray(decoder.transitions[before]) + 1 / classes
        row[before] = 0.0
        total += math.log(row[after] / row.sum())
    for number, (label, duration) in enumerate(segments):
        beyond, count, shortest = decoder.beyond[label], decoder.segments[label], decoder.shortest[label]
        going_on = (beyond + 1) / (beyond + count + 2)
        if number == len(segments) - 1:  # the end of the video cuts it: it lasts at least as long
            total += max(duration - shortest, 0) * math.log(going_on)
        elif duration < shortest:
            return -math.inf
        else:
            total += (duration - shortest) * math.log(going_on) + math.log(1 - going_on)
    return float(total)


@configure(max_examples=60, deadline=None)
@given(data=st.data(), length=st.integers(1, 6), classes=st.integers(1, 3), weight=st.sampled_from([0.1, 1.0, 3.0]))
def test_the_answer_is_the_best_of_all_answers(data: st.DataObject, length: int, classes: int, weight: float) -> None:
    """For any counts: every sequence of classes is scored by the definition, and none scores higher."""
    row = st.tuples(*[COUNTS] * classes)
    decoder = SegmentDecoder(
        data.draw(row),
        tuple(data.draw(row) for _ in range(classes)),
        data.draw(row),
        data.draw(st.tuples(*[st.integers(1, 4)] * classes)),
        data.draw(row),
    )
    logits = np.random.default_rng(data.draw(st.integers(0, 99))).normal(scale=2.0, size=(length, classes))
    found = decoder.decode(logits, weight=weight)
    answers = itertools.product(range(classes), repeat=length)
    best = max(score_of(answer, logits, decoder, weight=weight) for answer in answers)
    assert score_of(tuple(found.tolist()), logits, decoder, weight=weight) == pytest.approx(best, rel=1e-9)


def test_what_is_counted() -> None:
    """Segments beside a stretch that nobody saw have no duration and no neighbour there."""
    videos = [[0, 0, 0, 1, 1, 0], [1, -1, 2, 0, 0], [-1, -1]]
    decoder = SegmentDecoder.from_labels([np.asarray(video) for video in videos], num_classes=4)
    assert decoder.starts == (1, 1, 0, 0)
    assert decoder.transitions == ((0, 1, 0, 0), (1, 0, 0, 0), (1, 0, 0, 0), (0, 0, 0, 0))
    assert decoder.segments == (3, 1, 0, 0)
    assert decoder.shortest == (1, 2, 1, 1)
    assert decoder.beyond == (2 + 0 + 1, 0, 0, 0)


def test_flicker_goes_and_true_borders_stay() -> None:
    """Segments of 20 steps, one step in five of another class: the segments come back."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2, 0, 2, 1], 20)
    decoder = SegmentDecoder.from_labels([truth, np.repeat([1, 2, 0], 20)], num_classes=3)
    said = np.where(rng.random(len(truth)) < 0.2, (truth + 1) % 3, truth)
    logits = 1.5 * np.eye(3)[said]
    assert (np.diff(said) != 0).sum() > 30
    found = decoder.decode(logits, weight=1.0)
    assert (np.diff(found) != 0).sum() == 5
    assert (found == truth).mean() > 0.95


@pytest.mark.parametrize("least", [-np.inf, float(np.finfo(np.float32).min), -1e18, -1e5])
def test_an_impossible_class_changes_no_later_step(least: float) -> None:
    """A probability of exactly 0 has a logarithm whose sum over time would swallow the digits of all others."""
    decoder = SegmentDecoder.from_labels([np.repeat([0, 1, 2], 3)] * 3, num_classes=3)
    logits = 5.0 * np.eye(3)[np.repeat([0, 1, 2], 4)]
    expected = decoder.decode(logits, weight=1.0)
    logits[0, 1:] = least
    assert decoder.decode(logits, weight=1.0).tolist() == expected.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_an_hour_of_steps_is_decoded() -> None:
    """36 000 steps, much weight: what is clear at every step is said."""
    truth = np.repeat(np.arange(360) % 5, 100)
    decoder = SegmentDecoder.from_labels([truth], num_classes=5)
    assert np.array_equal(decoder.decode(4.0 * np.eye(5)[truth].astype(np.float32), weight=1.0), truth)


def test_it_comes_back_from_a_header() -> None:
    """Plain numbers in JSON."""
    decoder = SegmentDecoder.from_labels([np.asarray([0, 0, 1, 0])], num_classes=2)
    assert SegmentDecoder.from_header(json.loads(json.dumps(asdict(decoder))), num_classes=2) == decoder


@pytest.mark.parametrize(
    "change",
    [
        {"starts": [1]},
        {"starts": [1, -1]},
        {"shortest": [0, 1]},
        {"transitions": [[0, 1]]},
        {"beyond": [0.5, 1]},
        {"segments": "many"},
        {"more": [1, 1]},
    ],
)
def test_a_header_that_holds_something_else_is_refused(change: dict[str, object]) -> None:
    """Anybody may have written the file."""
    header = json.loads(json.dumps(asdict(SegmentDecoder.from_labels([np.asarray([0, 1])], num_classes=2))))
    with pytest.raises(ValueError, match="segments"):
        SegmentDecoder.from_header(header | change, num_classes=2)
    with pytest.raises(ValueError, match="segments"):
        SegmentDecoder.from_header([1], num_classes=2)
