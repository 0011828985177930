"""`vidrnn.explanation.nearest`: neighbours are those whose pooled states point the same way, by hand."""

import numpy as np
import pytest
import torch

from tests.unit.explanation.explained_worlds import DIM, arrays, make_model
from tests.worlds import sequence_set
from vidrnn.explanation.nearest import TrainingVideos, _ask, vectors_of
from vidrnn.explanation.question import ask_why
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.ensemble import Ensemble
from vidrnn.sequences.sequence_set import Batch
from vidrnn.sequences.steps import choose_steps

LENGTHS = [6, 9, 17, 4, 30]


def pooled(member: SequenceClassifier, array: np.ndarray) -> torch.Tensor:
    """What one member pools of the middle steps of one video."""
    (chosen,) = choose_steps(torch.tensor([len(array)]), 6).indices
    features = torch.from_numpy(array[chosen.numpy()]).float()[None]
    lengths = torch.tensor([len(chosen)])
    steps, end = member._encode(features, lengths, None)
    return member.pooling(steps, end, lengths)[0]


@pytest.mark.parametrize("members", [1, 2])
@torch.inference_mode()
def test_vectors_are_the_pooled_states_of_all_members(members: int) -> None:
    model, made = make_model(members=members), arrays(LENGTHS)
    classifier = model.classifier
    parts = list(classifier.members) if isinstance(classifier, Ensemble) else [classifier]
    expected = torch.stack([torch.cat([pooled(part, array) for part in parts]) for array in made])
    expected = expected / expected.norm(dim=1, keepdim=True)
    assert np.allclose(vectors_of(model, sequence_set(made, [0] * 5)), expected.numpy(), atol=1e-5)


def test_the_nearest_is_the_most_alike_and_not_the_video_itself() -> None:
    model, made = make_model(), arrays(LENGTHS)
    made.append((made[2] + np.random.default_rng(5).normal(scale=0.01, size=made[2].shape)).astype(np.float16))
    sequences = sequence_set(made, [0, 1, 2, 0, 1, 2])
    training = TrainingVideos.of(model, sequences)
    found = training.nearest(ask_why(model, sequences, 2), path="2.mp4", count=3)
    assert (found[0].path, found[0].known) == ("5.mp4", "class2")
    assert found[0].similarity == pytest.approx(1.0, abs=1e-3)
    assert [one.similarity for one in found] == sorted((one.similarity for one in found), reverse=True)
    assert "2.mp4" not in {one.path for one in found}
    everything = training.nearest(ask_why(model, sequences, 2), path="elsewhere.mp4", count=99)
    assert len(everything) == 6
    assert everything[0].path == "2.mp4"


@pytest.mark.parametrize("fusion", ["concat", "late"])
def test_late_fusion_has_the_states_of_all_streams(fusion: str) -> None:
    model = make_model(fusion=fusion)
    classifier = SequenceClassifier(model.settings.model, dim={"rgb": DIM, "audio": 3}, num_classes=3).eval()
    present = torch.ones(2, 6, 2, dtype=torch.bool)
    batch = Batch(torch.randn(2, 6, DIM + 3), torch.tensor([6, 4]), torch.zeros(2), present, (DIM, 3))
    width = _ask(classifier, batch).shape
    assert width == (2, model.settings.model.width * (2 if fusion == "late" else 1))
