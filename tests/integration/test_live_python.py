"""`Recogniser.stream`: what is pushed picture by picture gets the answers that `classify` gives for the file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vidrnn
from tests.integration.live_world import CLASSES, live_clip, live_model_file
from vidrnn.errors import ConfigError, VideoError
from vidrnn.inference.live import LiveStream
from vidrnn.inference.live_answers import LiveAnswer
from vidrnn.video.decode import decode
from vidrnn.video.probe import probe

ONE_DIRECTION: dict[str, dict[str, Any]] = {
    "gru": {},
    "ensemble": {"members": 2, "cell": "mingru", "inputs": ["features", "centred", "change"]},
    "transformer": {"cell": "transformer", "attention_window": 6},
    "streams": {"features": {"streams": ["rgb", "rgb_diff", "flow"]}, "fusion": "gated"},
    "late": {"features": {"streams": ["rgb", "rgb_diff"]}, "fusion": "late", "cell": "tcn"},
    "both views": {"features": {"mirrored": True, "streams": ["rgb", "flow"]}, "cell": "lstm"},
    "some streams": {"features": {"streams": ["rgb", "flow"]}, "inference": {"streams": ["rgb"]}},
    "every": {"features": {"sampling": "every", "stride": 4}},
    "regression": {"head": "step_regression"},
    "transcript": {"head": "transcript"},
    "overlapping": {"head": "step_multilabel", "cell": "rnn"},
}


def pushed(stream: LiveStream, clip: Path) -> list[LiveAnswer]:
    video, answers = probe(clip), []
    for frame in decode(video, np.arange(video.num_frames)):
        assert isinstance(frame.rgb, np.ndarray)
        answers += stream.push(frame.rgb, frame.timestamp_s, pixel_aspect=frame.pixel_aspect)
    return answers + stream.finish()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return live_clip(tmp_path_factory.mktemp("live") / "clip.mp4")


@pytest.mark.parametrize("kind", ONE_DIRECTION)
def test_a_one_direction_model_answers_as_for_the_file(tmp_path: Path, clip: Path, kind: str) -> None:
    """Scores and numbers within 1e-4, every step once, final at once; and the same again after a reset."""
    recogniser = vidrnn.load(live_model_file(tmp_path, **ONE_DIRECTION[kind]))
    prediction, stream = recogniser.predict(clip), recogniser.stream()
    assert prediction.status == "ok", prediction.error
    answers = pushed(stream, clip)
    assert {answer.status for answer in answers} == {"final"}
    if kind == "transcript":
        said = [label for answer in answers for label in answer.labels]
        assert said == list(prediction.labels)
        assert len(said) > 2
        return
    assert prediction.bounds_s is not None
    np.testing.assert_allclose([answer.time_s for answer in answers], prediction.bounds_s[:-1], atol=1e-9)
    if kind == "regression":
        targets = [answer.target for answer in answers]
        np.testing.assert_allclose(targets, [step["target"] for step in prediction.steps], atol=1e-4)
    else:
        scores = np.stack([answer.scores for answer in answers if answer.scores is not None])
        assert prediction.probabilities is not None
        np.testing.assert_allclose(scores, prediction.probabilities, atol=1e-4)
        assert np.ptp(scores, axis=0).max() > 0.01  # the steps differ, so that a wrong one would show
    stream.reset()
    assert [answer.to_dict() for answer in pushed(stream, clip)] == [answer.to_dict() for answer in answers]


def test_a_model_of_both_directions_answers_after_its_delay(tmp_path: Path, clip: Path) -> None:
    """Provisional at once, final when the delay is over; with a delay beyond the end as for the file."""
    recogniser = vidrnn.load(live_model_file(tmp_path, bidirectional=True, inputs=["features", "change"]))
    prediction = recogniser.predict(clip)
    assert prediction.probabilities is not None
    answers = pushed(recogniser.stream(delay_s=100), clip)
    final = [answer for answer in answers if answer.status == "final"]
    np.testing.assert_allclose(
        [answer.scores for answer in final if answer.scores is not None], prediction.probabilities, atol=1e-4
    )
    assert len(answers) == 2 * len(final)
    stream, video = recogniser.stream(delay_s=0.5), probe(clip)
    for frame in decode(video, np.arange(video.num_frames)):
        assert isinstance(frame.rgb, np.ndarray)
        for answer in stream.push(frame.rgb, frame.timestamp_s):
            late = answer.time_s <= frame.timestamp_s - 0.5
            assert answer.status == ("final" if late else "provisional")
    assert {answer.status for answer in stream.finish()} == {"final"}
    at_once = pushed(recogniser.stream(delay_s=0), clip)
    assert [answer.status for answer in at_once] == ["final"] * len(final)


@pytest.mark.parametrize("head", ["label", "multilabel", "regression"])
def test_a_clip_model_answers_over_a_sliding_window(tmp_path: Path, clip: Path, head: str) -> None:
    """A window as long as the video gives the answer for the file; a short one slides and is final when full."""
    recogniser = vidrnn.load(
        live_model_file(tmp_path, head=head, bidirectional=True, training={"steps": 8}, cell="mingru")
    )
    prediction = recogniser.predict(clip)
    answers = pushed(recogniser.stream(window_s=60), clip)
    (whole,) = answers
    assert whole.status == "final"
    assert whole.window_s == (0.0, pytest.approx(2.3, abs=0.11))
    if head == "regression":
        assert whole.target == pytest.approx(prediction.target, abs=1e-4)
    else:
        np.testing.assert_allclose(whole.scores, prediction.probabilities, atol=1e-4)
    assert whole.labels == prediction.labels
    sliding = pushed(recogniser.stream(window_s=1.0), clip)
    assert [answer.status for answer in sliding[:2]] == ["provisional", "provisional"]
    assert sliding[-1].status == "final"
    assert len(sliding) > 5
    for answer in sliding:
        assert answer.window_s is not None
        assert answer.window_s[1] - answer.window_s[0] < 1.0


def test_an_answer_is_a_line_of_json(tmp_path: Path, clip: Path) -> None:
    first = pushed(vidrnn.load(live_model_file(tmp_path)).stream(), clip)[0]
    assert set(first.to_dict()) == {"time", "status", "label", "score"}
    assert first.label in CLASSES
    assert first.label == first.labels[0]
    assert first.score == pytest.approx(float(np.max(first.scores)))


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    [
        ({"bidirectional": True}, {"delay_s": 1}, "centres rgb by the mean of the whole video.*bidirectional: false"),
        ({"bidirectional": True, "inputs": ["features"]}, {}, "say how many seconds an answer may wait"),
        ({"bidirectional": True, "inputs": ["features"]}, {"delay_s": -1}, "a delay of -1 s: give a number"),
        ({"bidirectional": True, "training": {"steps": 8}}, {"delay_s": 1}, "chooses 8 steps of the whole video"),
        ({}, {"delay_s": 2}, "one direction and answers at once; leave the delay out"),
        ({}, {"window_s": 2}, "a window is for heads with one answer per video"),
        ({"head": "label", "training": {"steps": 8}}, {"delay_s": 2}, "a delay is for heads that answer at every step"),
        ({"head": "label", "training": {"steps": 8}}, {"window_s": 0}, "a window of 0 s"),
        ({"cell": "transformer"}, {}, "train with model.attention_window"),
        ({"features": {"sampling": "uniform"}}, {}, "spread over the whole video"),
        ({"features": {"max_frames": 7}}, {}, "thins long videos to 7 frames"),
        ({"features": {"mirrored": True}, "head": "transcript"}, {}, "chooses among transcripts of whole videos"),
    ],
)
def test_a_model_that_cannot_stream_says_what_to_train(
    tmp_path: Path, model: dict[str, Any], options: dict[str, float], reason: str
) -> None:
    recogniser = vidrnn.load(live_model_file(tmp_path, **model))
    with pytest.raises(ConfigError, match=reason):
        recogniser.stream(**options)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    stream = vidrnn.load(live_model_file(tmp_path)).stream()
    for wrong, reason in (
        (np.zeros((4, 4), np.uint8), r"an array of uint8 \(height, width, 3\) in RGB, and this is uint8 \(4, 4\)"),
        (np.zeros((4, 4, 3)), r"this is float64 \(4, 4, 3\)"),
        ("a.png", "this is str"),
    ):
        with pytest.raises(VideoError, match=reason):
            stream.push(wrong, 0.0)  # type: ignore[arg-type]
    for time_s in (None, "1", True, float("nan"), float("inf")):
        with pytest.raises(VideoError, match="the time of a picture must be a number of seconds, and this is"):
            stream.push(np.zeros((4, 4, 3), np.uint8), time_s)  # type: ignore[arg-type]
    frame = np.zeros((48, 64, 3), np.uint8)
    stream.push(frame, 1.0)
    with pytest.raises(VideoError, match="times of a stream go forward"):
        stream.push(frame, 0.9)
    with pytest.raises(VideoError, match="64x24, those before were 64x48"):
        stream.push(frame[:24], 1.1)
    assert len(stream.finish()) == 1
    assert stream.finish() == []
    with pytest.raises(VideoError, match="finished; reset it to begin anew"):
        stream.push(frame, 2.0)
    stream.reset()
    stream.push(frame, 0.0)
    assert [answer.time_s for answer in stream.finish()] == [0.0]
