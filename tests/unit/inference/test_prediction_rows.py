"""`vidrnn.inference.prediction_rows`: what every head says in words, and when."""

import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

from tests.worlds import Array, tiny_spec
from vidrnn.inference.prediction_rows import Clock, clock_of, rows_of
from vidrnn.settings.model import Head
from vidrnn.store.source import Source
from vidrnn.store.video_features import VideoFeatures, VideoMetadata
from vidrnn.video.sampling import Sampling

LABELS = ("background", "jump, high", 'say "hi"', "сидеть")


def answers(head: Head, outputs: Array, times: Array | None = None, *, duration_s: float = 0.0, **rest: Any) -> Any:
    times = np.arange(len(outputs)) / 10 if times is None else times
    clock = Clock(np.asarray(times, dtype=np.float64), duration_s)
    return rows_of(head, outputs, labels=LABELS, clock=clock, **rest)


def test_one_label_with_its_probability_and_those_of_the_others() -> None:
    logits = np.asarray([0.0, 3.0, -1.0, 3.0])
    (found,) = answers("label", logits, np.zeros(1))
    shares = [math.exp(each) / sum(math.exp(other) for other in logits) for each in logits]
    assert found["label"] == "jump, high"  # the first of equals
    assert found["score"] == pytest.approx(shares[1])
    assert [name for name, _ in found["top_k"]] == ["jump, high", "сидеть", "background", 'say "hi"']
    assert [score for _, score in found["top_k"]] == pytest.approx([shares[1], shares[3], shares[0], shares[2]])


def test_the_temperature_changes_the_scores_and_never_the_order() -> None:
    logits = np.asarray([0.0, 3.0, -1.0, 2.5], dtype=np.float32)
    (before,), (after,) = (answers("label", logits, np.zeros(1), temperature=each) for each in (1.0, 0.5))
    shares = np.exp(2.0 * logits) / np.exp(2.0 * logits).sum()
    assert [name for name, _ in after["top_k"]] == [name for name, _ in before["top_k"]]
    assert [score for _, score in after["top_k"]] == pytest.approx(np.sort(shares)[::-1])
    assert after["score"] == pytest.approx(shares[1]) != before["score"]


def test_a_score_below_the_threshold_is_unknown_and_stays_to_be_seen() -> None:
    """One that equals it counts; the threshold is one of scores after the temperature."""
    logits = np.asarray([math.log(3), 0.0, -100.0, -100.0])  # 0.75, at half the temperature 0.9
    (plain,) = answers("label", logits, np.zeros(1))
    cut = plain["score"]
    assert answers("label", logits, np.zeros(1), unknown_below=cut) == [plain]
    assert answers("label", logits, np.zeros(1), unknown_below=cut + 1e-9) == [plain | {"label": "unknown"}]
    (warm,) = answers("label", logits, np.zeros(1), temperature=0.5, unknown_below=0.89)
    assert (warm["label"], warm["score"]) == ("background", pytest.approx(0.9))


def test_no_more_than_five_are_listed() -> None:
    names = [f"c{number}" for number in range(8)]
    clock = Clock(np.zeros(1), 0.0)
    (found,) = rows_of("label", np.arange(8.0), labels=names, clock=clock)
    assert [name for name, _ in found["top_k"]] == ["c7", "c6", "c5", "c4", "c3"]


def test_labels_from_their_thresholds_on() -> None:
    """Each class has its own, and a probability that equals it counts; there may be none."""
    logits = np.asarray([0.0, math.log(4), -1.0, math.log(0.25)])  # 0.5, 0.8, 0.27, 0.2
    assert answers("multilabel", logits, np.zeros(1))[0]["labels"] == ["background", "jump, high"]
    (found,) = answers("multilabel", logits, np.zeros(1), thresholds=(0.51, 0.81, 0.28, 0.19))
    assert found["labels"] == ["сидеть"]
    assert [score for _, score in found["top_k"]] == pytest.approx([0.8, 0.5, 1 / (1 + math.e), 0.2])
    assert answers("multilabel", np.full(4, -50.0), np.zeros(1))[0]["labels"] == []


def test_a_transcript_says_repeats_once_unless_a_blank_stands_between() -> None:
    path = np.eye(5)[[4, 1, 1, 4, 1, 3, 2, 2, 4]]
    assert answers("transcript", path) == [{"labels": ["jump, high", "jump, high", "сидеть", 'say "hi"']}]
    assert answers("transcript", np.eye(5)[[4, 4]]) == [{"labels": []}]


def test_a_number() -> None:
    assert answers("regression", np.asarray([-1.25]), np.zeros(1)) == [{"target": -1.25}]


def test_a_number_for_every_step_lasts_until_the_next() -> None:
    found = answers("step_regression", np.asarray([[1.5], [2.5], [-1.0]]), np.asarray([0.2, 0.5, 0.7]), duration_s=1.0)
    assert found == [
        {"start": 0.2, "end": 0.5, "target": 1.5},
        {"start": 0.5, "end": 0.7, "target": 2.5},
        {"start": 0.7, "end": 1.0, "target": -1.0},
    ]


@configure(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=20), st.integers(0, 99))
def test_segments_are_runs_of_equal_steps_without_the_background(classes: list[int], seed: int) -> None:
    """Against a walk from step to step; the score is the mean probability of the segment's own class."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(classes), 4))
    logits[np.arange(len(classes)), classes] += 10.0
    times = np.cumsum(rng.uniform(0.1, 0.5, len(classes)))
    end = float(times[-1]) + 0.6  # later than a usual step would end
    expected: list[dict[str, Any]] = []
    before = 0
    for step, kind in enumerate(classes):
        until = times[step + 1] if step + 1 < len(classes) else end
        share = math.exp(logits[step, kind]) / sum(math.exp(each) for each in logits[step])
        if kind and kind == before:
            expected[-1] |= {"end": until, "scores": [*expected[-1]["scores"], share]}
        elif kind:
            expected.append({"start": times[step], "end": until, "label": LABELS[kind], "scores": [share]})
        before = kind
    found = answers("step_labels", logits, times, duration_s=end)
    assert [each["label"] for each in found] == [each["label"] for each in expected]
    for own, other in zip(found, expected, strict=True):
        assert (own["start"], own["end"]) == (other["start"], other["end"])
        assert own["score"] == pytest.approx(np.mean(other["scores"]))


def test_segments_of_different_classes_overlap_and_those_of_one_do_not() -> None:
    """Each class from its own threshold on, in order of starts, with the mean probability of its steps."""
    sure, likely, no = math.log(9), math.log(4), -50.0  # 0.9, 0.8
    logits = np.asarray([[no, sure, no, no], [no, likely, sure, no], [no, no, likely, no], [no, sure, no, 0.0]])
    found = answers("step_multilabel", logits, np.asarray([0.0, 0.5, 1.0, 1.5]), thresholds=(0.5, 0.5, 0.85, 0.51))
    assert [(row["start"], row["end"], row["label"]) for row in found] == [
        (0.0, 1.0, LABELS[1]),
        (0.5, 1.0, LABELS[2]),
        (1.5, 2.0, LABELS[1]),
    ]
    assert [row["score"] for row in found] == pytest.approx([0.85, 0.9, 0.9])
    assert answers("step_multilabel", np.full((3, 4), no)) == []


def test_a_video_that_is_all_background_has_no_segment() -> None:
    assert answers("step_labels", np.eye(4)[[0, 0, 0]]) == []


@pytest.mark.parametrize(
    ("times", "duration_s", "expected"),
    [
        ([0.0, 0.1, 0.2], 0.25, [0.0, 0.1, 0.2, 0.25]),  # not behind the end of the video
        ([0.4, 0.5, 0.6], 0.25, [0.4, 0.5, 0.6, 0.65]),  # which began late
        ([0.0, 0.1, 0.2], 0.5, [0.0, 0.1, 0.2, 0.5]),
        ([1.0, 1.1, 1.5, 1.6], 0.0, [1.0, 1.1, 1.5, 1.6, 1.7]),  # late start, a gap, no duration: the median distance
        ([0.0], 2.0, [0.0, 2.0]),
        ([0.5], 0.1, [0.5, 0.5]),
        ([2.5, 7.5, 12.5], 15.0, [2.5, 7.5, 12.5, 15.0]),  # spread over the video: half a part after its first frame
    ],
)
def test_steps_end_where_the_next_begins_and_the_last_one_with_the_video(
    times: list[float], duration_s: float, expected: list[float]
) -> None:
    np.testing.assert_allclose(Clock(np.asarray(times), duration_s).bounds(), expected)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling("fps", rate=10.0),
        Sampling("fps", rate=0.2),
        Sampling("uniform", count=6),
        Sampling("uniform", count=1000),
        Sampling("uniform", count=6, window_s=5.0),
        Sampling("fps", rate=10.0, max_frames=6),
        Sampling("fps", rate=10.0, max_frames=300),
        Sampling("every", stride=7, max_frames=6),
    ],
)
@pytest.mark.parametrize("late_s", [0.0, 0.3])
def test_the_last_step_ends_with_the_video_however_its_frames_are_chosen(sampling: Sampling, late_s: float) -> None:
    """Never after it; where frames are spread and its first picture is late, earlier by that at most."""
    frames_s = late_s + np.arange(750) / 25.0
    kept = frames_s[sampling.select(frames_s)]
    video = VideoFeatures(
        np.zeros((len(kept), 1), np.float16), kept, VideoMetadata(64, 48, 750, 30.0), Source(0, 0, "")
    )
    values = {key: value for key, value in asdict(sampling).items() if value is not None}
    end = float(clock_of(video, replace(tiny_spec(dim=1), sampling=values)).bounds()[-1])
    assert max(30.0, float(kept[-1])) <= end <= 30.0 + late_s + 1e-9
    if sampling.most is None or sampling.most > len(kept) or sampling.window_s is not None:
        assert end == pytest.approx(30.0 + late_s)
