"""What a step shows: cached features, features without the video's mean, and the change between neighbours."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from tests.worlds import tiny_model
from vidrnn.sequences.inputs import advance_inputs, gather_inputs, mean_features, running_means
from vidrnn.sequences.steps import choose_steps

LENGTHS = (9, 1, 4)
RNG = np.random.default_rng(0)
VIDEOS = [RNG.normal(size=(length, 5)).astype(np.float16) for length in LENGTHS]


def gathered(inputs: list[str], *, steps: int = 6, change_steps: int = 2) -> tuple[np.ndarray, list[np.ndarray]]:
    """The module's answer (B, S, inputs * D), and the chosen indices of each video."""
    features = torch.from_numpy(np.concatenate(VIDEOS))
    totals = torch.tensor(LENGTHS)
    offsets = totals.cumsum(0) - totals
    choice = choose_steps(totals, steps)
    answer = gather_inputs(
        features,
        offsets=offsets,
        totals=totals,
        means=mean_features(features, offsets, totals),
        choice=choice,
        model=tiny_model(inputs=inputs, change_steps=change_steps),
    )
    indices = [row[:length].numpy() for row, length in zip(choice.indices, choice.lengths, strict=True)]
    return answer.numpy(), indices


def test_nodes_are_brought_to_one_scale_each_on_its_own() -> None:
    """The second node is a thousand times as large, which must not matter; nor may it with several inputs."""
    video = np.concatenate([RNG.normal(size=(4, 3)), 1000.0 * RNG.normal(size=(4, 2))], axis=1).astype(np.float16)
    total = torch.tensor([4])
    steps = gather_inputs(
        torch.from_numpy(video),
        offsets=torch.tensor([0]),
        totals=total,
        means=mean_features(torch.from_numpy(video), torch.tensor([0]), total),
        choice=choose_steps(total, 4),
        model=tiny_model(inputs=["features", "centred"]),
        parts=(3, 2),
    )[0].numpy()
    seen = video.astype(np.float64)
    wanted = [part for values in (seen, seen - seen.mean(0)) for part in (values[:, :3], values[:, 3:])]
    scaled = [(part - part.mean(1, keepdims=True)) / part.std(1, keepdims=True) for part in wanted]
    np.testing.assert_allclose(steps, np.concatenate(scaled, axis=1), atol=2e-3)


def reference(name: str, video: np.ndarray, indices: np.ndarray, change_steps: int) -> np.ndarray:
    """The same written out for one video, (S, D)."""
    video = video.astype(np.float64)
    if name == "features":
        return video[indices]
    if name == "centred":
        return video[indices] - video.mean(axis=0)
    last = len(video) - 1
    return np.stack([video[min(i + change_steps, last)] - video[max(i - change_steps, 0)] for i in indices])


@pytest.mark.parametrize("name", ["features", "centred", "change"])
@pytest.mark.parametrize("change_steps", [1, 2, 100])
def test_one_input_is_what_its_definition_says_and_stops_at_the_video_s_ends(name: str, change_steps: int) -> None:
    answer, indices = gathered([name], change_steps=change_steps)
    for row, video, chosen in zip(answer, VIDEOS, indices, strict=True):
        np.testing.assert_allclose(row[: len(chosen)], reference(name, video, chosen, change_steps), atol=1e-5)
        assert (row[len(chosen) :] == 0).all()


def test_several_inputs_stand_side_by_side_each_brought_to_one_scale() -> None:
    answer, indices = gathered(["centred", "change"])
    for row, video, chosen in zip(answer, VIDEOS, indices, strict=True):
        for part, name in enumerate(["centred", "change"]):
            expected = reference(name, video, chosen, 2)
            mean, deviation = expected.mean(1, keepdims=True), expected.var(1, keepdims=True)
            found = row[: len(chosen), 5 * part : 5 * part + 5]
            np.testing.assert_allclose(found, (expected - mean) / np.sqrt(deviation + 1e-5), atol=1e-3)


def test_a_still_video_shows_no_change_and_nothing_but_its_mean() -> None:
    """One frame: the mean is the frame itself, and there is no neighbour."""
    answer, _ = gathered(["centred", "change"])
    np.testing.assert_allclose(answer[1], 0.0, atol=1e-6)


@pytest.mark.parametrize("parts", [(), (2, 2)])
@pytest.mark.parametrize("inputs", [["features"], ["centred"], ["change"], ["centred", "change", "features"]])
def test_a_video_in_parts_shows_what_it_shows_as_a_whole(inputs: list[str], parts: tuple[int, ...]) -> None:
    """One-direction models: the running mean and the step ``change_steps`` before go from part to part."""
    total = 57
    rows = torch.randn(total, 4, generator=torch.Generator().manual_seed(0)).half()
    model = tiny_model(inputs=inputs, change_steps=3, bidirectional=False)
    offsets, totals = torch.tensor([0]), torch.tensor([total])
    choice = choose_steps(totals, None)
    expected = gather_inputs(
        rows, offsets=offsets, totals=totals, means=running_means(rows, offsets, choice), choice=choice, model=model,
        parts=parts,
    )  # fmt: skip
    state, shown = None, []
    for start, stop in pairwise([0, 1, 2, 3, 10, 11, 40, total]):
        part, state = advance_inputs(rows[None, start:stop], state, model=model, parts=parts)
        shown.append(part)
    torch.testing.assert_close(torch.cat(shown, dim=1), expected, rtol=0, atol=1e-5)
