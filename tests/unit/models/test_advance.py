"""`advance` of every layer, fusion and the classifier: a sequence in parts, from state to state, is the whole one."""

import io
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

from tests.worlds import tiny_model
from vidrnn.errors import ConfigError
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.ensemble import Ensemble, Model
from vidrnn.models.states import State, map_state, obstacle_to_steps

CELLS = ("rnn", "gru", "lstm", "mingru", "minlstm", "transformer", "tcn")
FUSIONS = ("concat", "late", "gated", "cross_attention")
DIMS = {"rgb": 5, "flow": 4, "audio": 3}
HOUR = 36_000  # steps at 10 a second


def make(*, streams: int = 1, members: int = 1, dtype: torch.dtype = torch.float64, **changes: object) -> Model:
    values: dict[str, object] = {"head": "step_labels", "bidirectional": False, "attention_window": 5}
    settings = tiny_model(**(values | changes))
    torch.manual_seed(0)
    model = Ensemble.create(settings, dim=dict(list(DIMS.items())[:streams]), num_classes=3, members=members)
    with torch.no_grad():  # some begin at zero, where an error would not show
        for weights in model.parameters():
            weights.add_(0.1 * torch.randn_like(weights))
    first = model.members[0]
    assert isinstance(first, SequenceClassifier)
    return (model if members > 1 else first).to(dtype).eval()


def batch(lengths: list[int], streams: int, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of sequences, nan beyond their ends, and which streams are there: not all, sometimes none."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(len(lengths), max(lengths), sum(list(DIMS.values())[:streams]), generator=generator)
    present = torch.rand(len(lengths), max(lengths), streams, generator=generator) < (0.7 if streams > 1 else 2.0)
    present[:, 0, 0] = True
    for row, length in enumerate(lengths):
        features[row, length:] = float("nan")
    return features.double(), present


def in_parts(
    model: Model, features: torch.Tensor, present: torch.Tensor, lengths: torch.Tensor, cuts: list[int]
) -> tuple[torch.Tensor, State | None]:
    """Outputs of all steps, each part from the state after the one before, which goes through a file."""
    outputs, state = [], None
    for start, stop in pairwise([0, *cuts, features.shape[1]]):
        true = (lengths - start).clamp(0, stop - start)
        every_one = bool((true == stop - start).all())
        output, state = model.advance(
            features[:, start:stop], state, present=present[:, start:stop], lengths=None if every_one else true
        )
        outputs.append(output)
        state = through_a_file(state)
    return torch.cat(outputs, dim=1), state


def through_a_file(state: State) -> State:
    file = io.BytesIO()
    torch.save(map_state(torch.Tensor.detach, state), file)
    file.seek(0)
    read: State = torch.load(file, weights_only=True)
    return read


@configure(max_examples=60, deadline=None)
@given(
    layers=st.lists(st.sampled_from(CELLS), min_size=0, max_size=3),
    streams=st.integers(1, 3),
    fusion=st.sampled_from(FUSIONS),
    window=st.integers(1, 9),
    positions=st.sampled_from(["rotary", "learned"]),
    kernel_size=st.integers(2, 4),
    head=st.sampled_from(["step_labels", "step_regression", "transcript"]),
    projection=st.sampled_from([0, 8]),
    lengths=st.lists(st.integers(1, 23), min_size=1, max_size=4),
    members=st.integers(1, 2),
    data=st.data(),
)
def test_parts_are_the_whole(
    layers: list[str], streams: int, fusion: str, window: int, positions: str, kernel_size: int, head: str,
    projection: int, lengths: list[int], members: int, data: st.DataObject,
) -> None:  # fmt: skip
    """Any mix of layers, any fusion, any lengths, any cuts; what comes after the end goes on from the true end."""
    model = make(
        streams=streams, members=1 if head == "transcript" else members, fusion=fusion, attention_window=window,
        positions=positions, kernel_size=kernel_size, head=head,
        projection=8 if fusion in {"gated", "cross_attention"} else projection,
        **({"layers": layers} if layers else {"cell": "none"}),
    )  # fmt: skip
    features, present = batch(lengths, streams)
    totals = torch.tensor(lengths)
    places = range(1, max(lengths))
    cuts = sorted(data.draw(st.sets(st.sampled_from(places)))) if places else []
    more, more_present = batch([3] * len(lengths), streams, seed=1)
    with torch.no_grad():
        outputs, state = in_parts(model, features, present, totals, cuts)
        later, _ = model.advance(more, state, present=more_present)
        for row, length in enumerate(lengths):
            whole = torch.cat([features[row, :length], more[row]])[None]
            shown = torch.cat([present[row, :length], more_present[row]])[None]
            expected = model(whole, torch.tensor([length + 3]), shown)[0]
            there = shown[0].any(1)  # a step that shows no stream has an answer that means nothing in late fusion
            given = torch.cat([outputs[row, :length], later[row]])
            assert (given - expected)[there].abs().max() < 1e-5


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_go_through_the_state(cell: str) -> None:
    """A window's loss teaches the weights by what came before it, until the state is detached."""
    model = make(cell=cell, layers=2)
    features, _ = batch([12], 1)
    gradients = []
    for cuts in ([], [5, 6]):
        model.zero_grad()
        outputs, state = [], None
        for start, stop in pairwise([0, *cuts, 12]):
            output, state = model.advance(features[:, start:stop], state)
            outputs.append(output)
        torch.cat(outputs, dim=1).square().sum().backward()
        gradients.append([weights.grad.clone() for weights in model.parameters() if weights.grad is not None])
    for whole, parts in zip(*gradients, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-9, atol=1e-12)
    assert state is not None
    detached: list[bool] = []
    map_state(lambda part: (detached.append(not part.requires_grad), part)[1], map_state(torch.Tensor.detach, state))
    assert detached and all(detached)


@pytest.mark.parametrize("layers", [[cell] for cell in CELLS] + [["tcn", "gru", "transformer"]])
def test_an_hour_of_steps_in_single_precision(layers: list[str]) -> None:
    """36 000 steps: stretches of single ones between long parts end where the whole sequence ends."""
    model = make(layers=layers, attention_window=16, dtype=torch.float32)
    features = torch.randn(1, HOUR, DIMS["rgb"], generator=torch.Generator().manual_seed(0))
    places = torch.randint(1, HOUR, (150,), generator=torch.Generator().manual_seed(1)).tolist()
    cuts = sorted({*places, *range(100), *range(20_000, 20_100), *range(HOUR - 100, HOUR)} - {0})
    outputs, state = [], None
    with torch.no_grad():
        expected = model(features, torch.tensor([HOUR]))
        for start, stop in pairwise([0, *cuts, HOUR]):
            output, state = model.advance(features[:, start:stop], state)
            outputs.append(output)
    assert (torch.cat(outputs, dim=1) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_window_that_is_longer_than_the_video_changes_nothing(fusion: str) -> None:
    features, present = batch([20], 2)
    outputs = [
        make(streams=2, fusion=fusion, cell="transformer", attention_window=window)(
            features, torch.tensor([20]), present
        )
        for window in (None, 20, 300)
    ]
    torch.testing.assert_close(outputs[1], outputs[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(outputs[2], outputs[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"head": "label"}, "answers once for a whole video"),
        ({"bidirectional": True, "attention_window": None}, "train with model.bidirectional: false"),
        ({"cell": "transformer", "attention_window": None}, "its transformer layers would have to remember"),
        ({"fusion": "cross_attention", "attention_window": None}, "its cross_attention fusion would have to"),
    ],
)
def test_a_model_that_cannot_go_on_says_why(changes: dict[str, object], reason: str) -> None:
    model = make(**changes)
    assert reason in str(obstacle_to_steps(model.settings))
    with pytest.raises(ValueError, match=reason):
        model.advance(batch([3], 1)[0])


def test_an_ensemble_of_transcripts_cannot_go_on() -> None:
    with pytest.raises(ValueError, match=r"train with training\.members: 1"):
        make(head="transcript", members=2).advance(batch([3], 1)[0])


def test_learned_positions_end() -> None:
    model = make(cell="transformer", positions="learned")
    features = torch.zeros(1, 512, DIMS["rgb"], dtype=torch.float64)
    with torch.no_grad():
        _, state = model.advance(features)
        _, state = model.advance(features, state)
        with pytest.raises(ValueError, match=r"1025 steps are more than the 1024 learned positions"):
            model.advance(features[:, :1], state)


def test_a_window_is_for_one_direction() -> None:
    with pytest.raises(ConfigError, match=r"attention_window 5 is for one-direction models"):
        tiny_model(attention_window=5)
