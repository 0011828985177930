"""`vidrnn.inference.segments`: scores of steps to segments, against the rows of whole videos."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.inference.long_worlds import model_of, video, whole
from vidrnn.errors import ConfigError
from vidrnn.inference.events import EventOptions
from vidrnn.inference.live_models import note_usual_window
from vidrnn.inference.prediction_rows import Clock, rows_of
from vidrnn.inference.segments import SegmentOptions, check_options, find_segments
from vidrnn.models.model_file import TrainedModel
from vidrnn.models.segment_decoder import SegmentDecoder

DECODER = SegmentDecoder.from_labels([np.repeat([0, 1, 2, 0, 2], 6), np.repeat([0, 2, 1], 9)], num_classes=3)


def viterbi_model() -> TrainedModel:
    model = model_of(bidirectional=True)
    inference = model.settings.inference.model_copy(update={"decoding": "viterbi"})
    return replace(model, settings=model.settings.model_copy(update={"inference": inference}), decoder=DECODER)


def test_a_model_that_reads_all_steps_together_says_what_classify_says() -> None:
    model, made = viterbi_model(), video(60)
    outputs = whole(model, list(model.specs), {("rgb", False): made})
    clock = Clock(made.timestamps_s, made.metadata.duration_s)
    expected = rows_of("step_labels", outputs, labels=model.label_map.names, clock=clock, read=model.read_steps)
    plain = rows_of("step_labels", outputs, labels=model.label_map.names, clock=clock)
    assert [row["start"] for row in expected] != [row["start"] for row in plain]
    found = find_segments(
        model,
        list(model.specs),
        {("rgb", False): made},
        streams=["rgb"],
        options=check_options(model, SegmentOptions()),
    )
    assert [(row["start"], row["end"], row["label"]) for row in found] == [
        (row["start"], row["end"], row["label"]) for row in expected
    ]
    np.testing.assert_allclose([row["score"] for row in found], [row["score"] for row in expected], atol=1e-5)
    with pytest.raises(ConfigError, match=r"a hysteresis of 0\.1: the model reads segments from all steps together"):
        check_options(model, SegmentOptions(events=EventOptions(hysteresis=0.1)))


def test_numbers_are_given_for_every_step_and_end_where_nothing_is_shown() -> None:
    model, made = model_of(head="step_regression"), video(12)
    times_s = made.timestamps_s + 100.0 * (np.arange(12) >= 6)
    made = replace(made, timestamps_s=times_s)
    options = check_options(model, SegmentOptions())
    found = find_segments(model, list(model.specs), {("rgb", False): made}, streams=["rgb"], options=options)
    assert [row["start"] for row in found] == times_s.tolist()
    assert found[5]["end"] == pytest.approx(0.6)
    outputs = whole(model, list(model.specs), {("rgb", False): made})
    np.testing.assert_allclose([row["target"] for row in found], outputs[:, 0], atol=1e-4)


@pytest.mark.parametrize("head", ["label", "multilabel", "regression"])
def test_models_of_clips_have_windows_when_nothing_is_said(head: str) -> None:
    """As long as the median training video; a file that does not tell it gets 4 s."""
    older = model_of(head=head, bidirectional=True)
    checked = check_options(older, SegmentOptions())
    assert (checked.window_s, checked.hop_s) == (4.0, 1.0)
    checked = check_options(replace(older, clip_s=2.0), SegmentOptions())
    assert (checked.window_s, checked.hop_s) == (2.0, 0.5)
    assert check_options(replace(older, clip_s=2.0), SegmentOptions(3.0)).window_s == 3.0
    assert check_options(replace(older, clip_s=0.09), SegmentOptions()).window_s == 0.1  # a step
    assert "so windows are of 4 s; give --window" in str(note_usual_window(older, None))
    assert note_usual_window(older, 4.0) is note_usual_window(replace(older, clip_s=2.0), None) is None
    with pytest.raises(ConfigError, match=r"a window of 0\.05 s is shorter than a step of the model, 0\.1 s"):
        check_options(older, SegmentOptions(0.05))
    assert check_options(model_of(), SegmentOptions()) == SegmentOptions()


@pytest.mark.parametrize(
    ("sampling", "reason"),
    [
        (
            {"kind": "uniform", "count": 24},
            r"takes 24 frames spread over the whole video \(features\.sampling: uniform\), too few of a long one; ",
        ),
        (
            {"kind": "fps", "rate": 10.0, "max_frames": 300},
            r"thins long videos to 300 frames \(features\.max_frames\), too few of a long one; train with features",
        ),
    ],
)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_step_model_whose_frames_are_spread_over_clips_needs_a_window(
    sampling: dict[str, object], reason: str, *, bidirectional: bool
) -> None:
    """A file of hours would have its few frames minutes apart. `stream` refuses such models, in the same words."""
    model = model_of(bidirectional=bidirectional)
    spread = replace(model, spec=replace(model.spec, sampling=sampling))
    with pytest.raises(ConfigError, match=reason):
        check_options(spread, SegmentOptions())
    assert check_options(spread, SegmentOptions(5.0)).window_s == 5.0
