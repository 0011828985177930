"""`vidrnn.inference.long_outputs`: a video of any length, part after part, gets the answers for the whole."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.inference.long_worlds import DIM, model_of, video, whole
from tests.worlds import CPU
from vidrnn.extraction.gathering import OnDisk
from vidrnn.inference import long_outputs
from vidrnn.inference.long_outputs import step_outputs
from vidrnn.models.model_file import TrainedModel
from vidrnn.sequences.long_sequence import View, long_sequence
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.store.video_features import VideoFeatures

ONE_DIRECTION: dict[str, dict[str, Any]] = {
    "gru": {},
    "all inputs": {"cell": "mingru", "inputs": ["features", "centred", "change"]},
    "tcn": {"cell": "tcn", "layers": 3, "inputs": ["centred", "change"]},
    "window of attention": {"cell": "transformer", "attention_window": 5},
    "numbers": {"head": "step_regression", "inputs": ["change"]},
    "many": {"head": "step_multilabel", "cell": "lstm"},
}


def long(model: TrainedModel, features: dict[View, VideoFeatures]) -> SequenceSet:
    streams = [spec.stream for spec in model.specs]
    causal = not model.settings.model.bidirectional
    return long_sequence(model.specs, features, streams=streams, device=CPU, causal=causal)


@pytest.mark.parametrize("kind", ONE_DIRECTION)
def test_parts_of_any_size_get_the_answers_for_the_whole(kind: str) -> None:
    model, features = model_of(members=2, **ONE_DIRECTION[kind]), {("rgb", False): video(50)}
    expected = whole(model, list(model.specs), features)
    assert np.ptp(expected, axis=0).max() > 0.05  # the steps differ, so that a wrong one would show
    for part in (1, 7, 49, 50, 1000):
        parts = list(step_outputs(model, long(model, features), part=part))
        assert len(parts) == -(-50 // part)
        np.testing.assert_allclose(np.concatenate(parts), expected, atol=1e-4)


@pytest.mark.parametrize("fusion", ["concat", "late", "gated"])
def test_streams_of_other_rates_are_aligned_as_in_training(fusion: str) -> None:
    """A faster one, of which some steps are not shown, and one that comes late and ends early."""
    model = model_of(streams=("rgb", "flow", "rgb_diff"), fusion=fusion, inputs=["centred", "change"])
    features = {
        ("rgb", False): video(40),
        ("flow", False): video(130, dim=DIM + 1, rate=30),
        ("rgb_diff", False): video(9, dim=DIM + 2, rate=4, start_s=0.8),
    }
    expected = whole(model, list(model.specs), features)
    for part in (1, 6, 100):
        found = np.concatenate(list(step_outputs(model, long(model, features), part=part)))
        np.testing.assert_allclose(found, expected, atol=1e-4)
    del features["flow", False]
    expected = whole(model, list(model.specs), features)
    found = np.concatenate(list(step_outputs(model, long(model, features), part=6)))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_both_views_are_averaged() -> None:
    model = model_of()
    features = {("rgb", False): video(20), ("rgb", True): video(20, start_s=0.0)}
    features["rgb", True] = replace(features["rgb", True], features=features["rgb", True].features[::-1])
    expected = whole(model, [model.spec, model.spec.mirrored()], features)
    found = np.concatenate(list(step_outputs(model, long(model, features), part=6)))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    plain = np.concatenate(list(step_outputs(model, long(model, {("rgb", False): features["rgb", False]}))))
    assert np.abs(plain - expected).max() > 1e-3


def test_a_model_of_both_directions_answers_a_short_video_as_a_whole() -> None:
    model = model_of(bidirectional=True, inputs=["centred", "change"])
    features = {("rgb", False): video(90)}
    (found,) = step_outputs(model, long(model, features))
    np.testing.assert_allclose(found, whole(model, list(model.specs), features), atol=1e-5)


def test_blocks_with_enough_context_get_the_answers_for_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolutions that see 3 steps on each side, with 2 of change, and the mean of the whole video."""
    monkeypatch.setattr(long_outputs, "BLOCK", 16)
    model = model_of(bidirectional=True, cell="tcn", layers=2, inputs=["centred", "change"])
    features = {("rgb", False): video(90)}
    expected = whole(model, list(model.specs), features)
    for context, is_same in ((3, True), (20, True), (1, False)):
        monkeypatch.setattr(long_outputs, "CONTEXT", context)
        found = list(step_outputs(model, long(model, features)))
        assert [len(part) for part in found] == [16, 16, 16, 16, 16, 10]
        assert (np.abs(np.concatenate(found) - expected).max() < 1e-5) == is_same


def test_learned_positions_do_not_end_before_the_video() -> None:
    model = model_of(bidirectional=True, cell="transformer", positions="learned")
    features = {("rgb", False): video(1500)}
    assert [len(part) for part in step_outputs(model, long(model, features))] == [512, 512, 476]


def test_features_on_disk_give_what_features_in_memory_give(tmp_path: Path) -> None:
    """In parts of any size; and no file stays behind."""
    model, made = model_of(inputs=["centred"]), video(60)
    expected = np.concatenate(list(step_outputs(model, long(model, {("rgb", False): made}))))
    gathered = OnDisk(tmp_path)
    for begin, end in ((0, 1), (1, 17), (17, 60)):
        gathered.append(made.features[begin:end])
    mapped = replace(made, features=gathered.whole())
    np.testing.assert_array_equal(mapped.features, made.features)
    found = np.concatenate(list(step_outputs(model, long(model, {("rgb", False): mapped}), part=9)))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert list(tmp_path.iterdir()) == []
