"""`vidrnn.models.refinement`: later stages read what the stage before says, in parts and in a batch alike."""

import pytest
import torch

from tests.worlds import tiny_model
from vidrnn.errors import ConfigError
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.states import State
from vidrnn.settings.model import ModelSettings

CELLS = ("rnn", "gru", "lstm", "mingru", "minlstm", "transformer", "tcn")
DIMS = {"rgb": 5, "flow": 4}


def make(*, streams: int = 1, **changes: object) -> SequenceClassifier:
    torch.manual_seed(0)
    settings = tiny_model(**({"head": "step_labels", "stages": 3} | changes))
    return SequenceClassifier(settings, dim=dict(list(DIMS.items())[:streams]), num_classes=3).double().eval()


def batch(lengths: list[int], *, dim: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(len(lengths), max(lengths), dim, generator=generator, dtype=torch.float64)
    for row, length in enumerate(lengths):
        features[row, length:] = float("nan")
    return features, torch.tensor(lengths)


@pytest.mark.parametrize("cell", CELLS)
def test_a_later_stage_reads_the_probabilities_of_the_stage_before(cell: str) -> None:
    """MS-TCN's construction, written out, for every type of layer; the last stage is the answer."""
    model, (features, lengths) = make(cell=cell), batch([7, 7])
    found = model.stage_outputs(features, lengths)
    assert len(found) == 3
    for stage, refinement in enumerate(model.refinements):
        entered = refinement.entry(found[stage].exp() / found[stage].exp().sum(2, keepdim=True))
        expected = refinement.output(refinement.layers(entered, lengths)[0])
        torch.testing.assert_close(found[stage + 1], expected)
    assert torch.equal(model(features, lengths), found[-1])
    assert not torch.allclose(found[0], found[-1], atol=1e-3)


def test_classes_by_themselves_reach_a_later_stage_as_sigmoids() -> None:
    """They need not sum to 1."""
    model, (features, lengths) = make(head="step_multilabel", stages=2), batch([7])
    first, second = model.stage_outputs(features, lengths)
    (refinement,) = model.refinements
    entered = refinement.entry(1 / (1 + (-first).exp()))
    torch.testing.assert_close(second, refinement.output(refinement.layers(entered, lengths)[0]))


@pytest.mark.parametrize("cell", CELLS)
def test_padding_and_company_change_no_stage(cell: str) -> None:
    """A sequence alone is the same in a batch, where nan stands behind its end."""
    model, (features, lengths) = make(cell=cell), batch([9, 4])
    together = model.stage_outputs(features, lengths)
    alone = model.stage_outputs(features[1:, :4], lengths[1:])
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one[1:, :4], other)


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_parts_are_the_whole_through_all_stages(cell: str, streams: int) -> None:
    """A causal model of several stages goes on from its state, late fusion included."""
    model = make(cell=cell, streams=streams, bidirectional=False, attention_window=4, fusion="late")
    features, lengths = batch([8], dim=5 if streams == 1 else 9)
    present = torch.ones(1, 8, streams, dtype=torch.bool)
    state: State | None = None
    parts = []
    for start in range(0, 8, 3):
        output, state = model.advance(features[:, start : start + 3], state, present=present[:, start : start + 3])
        parts.append(output)
    torch.testing.assert_close(torch.cat(parts, dim=1), model(features, lengths, present))


@pytest.mark.parametrize("changes", [{"head": "label"}, {"head": "step_regression"}, {"cell": "none"}])
def test_stages_need_classes_of_steps_and_layers(changes: dict[str, object]) -> None:
    """Each refusal says what to set."""
    with pytest.raises((ConfigError, ValueError), match=r"model\.stages 2 .* set it to 1"):
        ModelSettings(**({"head": "step_labels", "stages": 2} | changes))  # type: ignore[arg-type]
