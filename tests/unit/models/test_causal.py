"""`model.bidirectional: false`: nothing that a model says at a step depends on what comes later."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

from tests.worlds import Array, sequence_set, tiny_model
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.sequences.alignment import align, latest_steps
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.steps import StepChoice
from vidrnn.sequences.stream_table import StreamTable
from vidrnn.settings.model import ModelSettings
from vidrnn.training.predict import PredictOptions, predict

CELLS = ["rnn", "gru", "lstm", "mingru", "minlstm", "transformer", "tcn", "none"]
INPUTS = [["features"], ["centred"], ["change"], ["centred", "change", "features"]]
FUSIONS = ["concat", "late", "gated", "cross_attention"]
LENGTHS, NOW_S = (17, 11), 0.75
RATES = {"rgb": 10.0, "audio": 7.0}
STARTS = {"rgb": 0.0, "audio": 0.12}  # before sound there is a step without any


def seconds(stream: str, length: int) -> Array:
    return STARTS[stream] + np.arange(length) / RATES[stream]


def world(streams: tuple[str, ...], *, later: float) -> SequenceSet:
    """Two videos, the same until `NOW_S` whatever ``later`` is added to all features from then on."""
    rng = np.random.default_rng(0)
    tables, times = {}, {}
    for name in streams:
        arrays = [rng.normal(size=(length, 4)) for length in LENGTHS]
        times[name] = [seconds(name, length) for length in LENGTHS]
        for array, instants in zip(arrays, times[name], strict=True):
            array[instants > NOW_S] += later * rng.normal(size=(int((instants > NOW_S).sum()), 4))
        totals = torch.tensor(LENGTHS)
        rows = torch.from_numpy(np.concatenate(arrays).astype(np.float16))
        tables[name] = StreamTable(rows, totals.cumsum(0) - totals, totals)
    plain = sequence_set([np.zeros((length, 4)) for length in LENGTHS], [0, 1])
    grid, _ = align(times, causal=True) if len(streams) > 1 else (None, None)
    return replace(plain, streams=tables, grid=grid)


def outputs_of(model: ModelSettings, streams: tuple[str, ...], *, later: float) -> list[Array]:
    """Outputs of the steps until `NOW_S`."""
    sequences = world(streams, later=later)
    torch.manual_seed(0)
    classifier = SequenceClassifier(model, dim=sequences.dims, num_classes=3).eval()
    outputs = predict(classifier, sequences, PredictOptions(steps=None))
    return [
        output[torch.from_numpy(seconds("rgb", length) <= NOW_S)].numpy()
        for output, length in zip(outputs, LENGTHS, strict=True)
    ]


def assert_blind_to_the_future(streams: tuple[str, ...], **changes: object) -> None:
    values = {"head": "step_labels", "bidirectional": False, "layers": 2, "projection": 8}
    model = tiny_model(**(values | changes))
    for output, other in zip(
        outputs_of(model, streams, later=0.0), outputs_of(model, streams, later=30.0), strict=True
    ):
        np.testing.assert_allclose(output, other, rtol=0, atol=1e-5)
        assert np.isfinite(output).all()
    if changes.get("cell") not in {"none", "tcn"}:  # the test sees what it should: with both directions it does
        seen = model.model_copy(update={"bidirectional": True})
        pairs = zip(outputs_of(seen, streams, later=0.0), outputs_of(seen, streams, later=30.0), strict=True)
        assert any(np.abs(output - other).max() > 1e-3 for output, other in pairs)


def test_overlapping_labels_look_no_further_ahead() -> None:
    assert_blind_to_the_future(("rgb",), head="step_multilabel")


@pytest.mark.parametrize(("cell", "inputs"), list(product(CELLS, INPUTS)))
def test_no_layer_and_no_input_looks_ahead(cell: str, inputs: list[str]) -> None:
    assert_blind_to_the_future(("rgb",), cell=cell, inputs=inputs)


@pytest.mark.parametrize(("fusion", "cell"), list(product(FUSIONS, ["mingru", "gru", "transformer", "none"])))
def test_no_fusion_looks_ahead(fusion: str, cell: str) -> None:
    assert_blind_to_the_future(("rgb", "audio"), fusion=fusion, cell=cell, inputs=["centred", "change"])


TIMES = st.lists(st.floats(0.0, 20.0).map(lambda value: round(value, 2)), min_size=1, max_size=12, unique=True)


@configure(deadline=None)
@given(TIMES, TIMES, st.integers(0, 11))
def test_the_latest_step_is_the_one_before_and_knows_no_later_one(
    times: list[float], grid: list[float], now: int
) -> None:
    seconds, instants = np.sort(times), np.sort(grid)
    found = latest_steps(seconds, instants)
    for place, instant in zip(found.tolist(), instants, strict=True):
        before = [number for number, second in enumerate(seconds) if second <= instant]
        gaps = np.diff(seconds[: len(before)])
        lasts = not len(gaps) or instant - seconds[before[-1]] <= gaps.max()
        assert place == (before[-1] if before and lasts else -1)
    # The same as if the stream and the grid ended at any instant.
    end = instants[min(now, len(instants) - 1)]
    cut = latest_steps(seconds[seconds <= end], instants[instants <= end]) if (seconds <= end).any() else -1
    assert (found[instants <= end] == cut).all()


def test_running_means_and_past_differences_are_those_of_the_definition() -> None:
    """In float64, over all cached steps until the chosen one."""
    model = tiny_model(inputs=["centred"], bidirectional=False)
    array = np.random.default_rng(1).normal(size=(9, 3)).astype(np.float16)
    table, chosen = next(iter(sequence_set([array], [0]).streams.values())), torch.tensor([[1, 4, 8]])
    choice = StepChoice(chosen, torch.tensor([3]))
    centred = table.gather(torch.tensor([0]), choice, model)[0].numpy()
    exact = array.astype(np.float64)
    np.testing.assert_allclose(centred, [exact[i] - exact[: i + 1].mean(0) for i in (1, 4, 8)], atol=1e-6)
    change = table.gather(torch.tensor([0]), choice, tiny_model(inputs=["change"], bidirectional=False))[0].numpy()
    np.testing.assert_allclose(change, [exact[i] - exact[max(i - 2, 0)] for i in (1, 4, 8)], atol=1e-6)
