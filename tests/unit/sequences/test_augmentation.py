"""`vidrnn.sequences.augmentation`: changes of a training batch, against loops that say what they should be."""

from collections import Counter
from math import ceil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

from tests.worlds import Array, tiny_model, tiny_training
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.sequences.augmentation import augment, draw_order, draw_steps
from vidrnn.sequences.sequence_set import Batch
from vidrnn.sequences.steps import StepChoice, choose_steps
from vidrnn.settings.model import Head

LENGTHS = [7, 1, 4, 5, 2]
TARGETS: dict[Head, torch.Tensor] = {
    "label": torch.tensor([2, 0, 1, 1, 0]),
    "multilabel": torch.tensor([[1.0, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1], [0, 0, 1]]),
    "regression": torch.tensor([0.5, -3.0, 7.0, 2.0, 11.0]),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_batch(head: Head = "label", *, dim: int = 3) -> Batch:
    features = torch.randn(len(LENGTHS), max(LENGTHS), dim, generator=seeded(99))
    for row, length in zip(features, LENGTHS, strict=True):
        row[length:] = 0.0
    return Batch(features, torch.tensor(LENGTHS), TARGETS[head])


def augmented(batch: Batch, *, head: Head = "label", seed: int = 0, **changes: object) -> Batch:
    return augment(batch, tiny_training(**changes), head=head, num_classes=3, generator=seeded(seed))


def drawn(totals: list[int], *, seed: int = 0, **changes: object) -> StepChoice:
    return draw_steps(torch.tensor(totals), tiny_training(**changes), generator=seeded(seed))


def rows_of(choice: StepChoice) -> list[list[int]]:
    pairs = zip(choice.indices.tolist(), choice.lengths.tolist(), strict=True)
    return [row[:length] for row, length in pairs]


# Steps


@configure(deadline=None)
@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=6),
    st.one_of(st.none(), st.integers(1, 40)),
    st.booleans(),
    st.integers(0, 5),
)
def test_by_default_the_steps_and_the_random_numbers_are_those_of_choose_steps(
    totals: list[int], steps: int | None, jitter: bool, seed: int
) -> None:
    """Old seeds give the old numbers: nothing more is drawn."""
    mine, other = seeded(seed), seeded(seed)
    got = draw_steps(torch.tensor(totals), tiny_training(steps=steps, jitter=jitter), generator=mine)
    expected = choose_steps(torch.tensor(totals), steps, generator=other if jitter else None)
    assert torch.equal(got.indices, expected.indices)
    assert torch.equal(got.lengths, expected.lengths)
    assert torch.equal(mine.get_state(), other.get_state())


@configure(deadline=None)
@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=6),
    st.one_of(st.none(), st.integers(1, 40)),
    st.booleans(),
    st.floats(0.0, 0.99),
    st.floats(0.0, 0.99),
    st.integers(0, 5),
)
def test_steps_are_of_the_video_in_order_and_doubled_only_by_a_warp(
    totals: list[int], steps: int | None, jitter: bool, crop: float, warp: float, seed: int
) -> None:
    choice = drawn(totals, steps=steps, jitter=jitter, time_crop=crop, time_warp=warp, seed=seed)
    for row, padded, total in zip(rows_of(choice), choice.indices.tolist(), totals, strict=True):
        assert 1 <= len(row) <= min(total, steps or total)
        assert len(row) >= min(ceil(total * (1.0 - crop)), steps or total)
        assert row == sorted(row)
        assert 0 <= row[0] <= row[-1] < total
        if not warp:
            assert len(set(row)) == len(row)
        assert padded[len(row) :] == [row[-1]] * (len(padded) - len(row))


def test_a_stretch_is_between_the_least_share_and_all_and_begins_anywhere() -> None:
    """With all steps of the stretch shown, it is the row itself: without a gap, and each place comes up."""
    found = rows_of(drawn([10] * 3000, steps=None, time_crop=0.6))
    assert all(row == list(range(row[0], row[-1] + 1)) for row in found)
    lengths = Counter(map(len, found))
    assert set(lengths) == set(range(5, 11)), "a share between 0.4 and 1, rounded up"
    assert all(count == pytest.approx(3000 / 6, rel=0.2) for count in lengths.values())
    for length in lengths:
        starts = Counter(row[0] for row in found if len(row) == length)
        assert set(starts) == set(range(10 - length + 1))
        assert all(count == pytest.approx(lengths[length] / len(starts), rel=0.4) for count in starts.values())


def test_a_crop_shows_the_middles_of_the_stretch_when_jitter_is_off() -> None:
    """What is random is the stretch: its steps stand apart as those of a video that is no longer than it."""
    middles = {tuple(np.diff([(2 * i + 1) * length // 16 for i in range(8)])) for length in range(100, 201)}
    for row in rows_of(drawn([200] * 50, steps=8, time_crop=0.5)):
        assert tuple(np.diff(row)) in middles


def test_a_warp_is_the_formula_for_some_bend_within_its_bounds() -> None:
    """u is shown at u + k u (1 - u); one k per video explains all of its steps, and both signs come up."""
    total, steps, warp = 10_000, 16, 0.7
    plain = choose_steps(torch.full((40,), total), steps).indices.numpy()
    bends = []
    for row, before in zip(rows_of(drawn([total] * 40, steps=steps, time_warp=warp)), plain, strict=True):
        share = (before + 0.5) / total
        moved = (np.asarray(row) + 0.5) / total - share
        bend = moved / (share * (1 - share))
        np.testing.assert_allclose(bend, np.median(bend), atol=0.5 / total / (share * (1 - share)).min() * 2)
        bends.append(float(np.median(bend)))
    assert -warp <= min(bends) < -0.5 * warp
    assert 0.5 * warp < max(bends) <= warp


@pytest.mark.parametrize("changes", [{"time_crop": 0.9}, {"time_warp": 0.9}, {"time_crop": 0.9, "time_warp": 0.9}])
@pytest.mark.parametrize("steps", [None, 1, 6])
def test_a_video_of_one_frame_shows_it(changes: dict[str, float], steps: int | None) -> None:
    assert rows_of(drawn([1] * 20, steps=steps, jitter=True, **changes)) == [[0]] * 20


# Mixup


def mixed_by_hand(batch: Batch, *, share: float, partner: list[int], targets: Array) -> tuple[Array, Array]:
    features, lengths = batch.features.double().numpy(), batch.lengths.tolist()
    mixed = np.zeros_like(features)
    for video, other in enumerate(partner):
        for step in range(lengths[video]):
            middle = (step + 0.5) / lengths[video]
            same_time = min(int(middle * lengths[other] + 1e-9), lengths[other] - 1)
            mixed[video, step] = share * features[video, step] + (1 - share) * features[other, same_time]
    return mixed, np.stack([share * targets[i] + (1 - share) * targets[other] for i, other in enumerate(partner)])


@pytest.mark.parametrize("head", ["label", "multilabel", "regression"])
@pytest.mark.parametrize("seed", range(4))
def test_mixup_is_the_loop_over_videos_and_steps(head: Head, seed: int) -> None:
    """Partner at the same share of time, lengths and padding kept, answers mixed with the share of the features."""
    batch = make_batch(head)
    got = augmented(batch, head=head, seed=seed, mixup=0.8)
    targets = np.eye(3)[TARGETS[head].numpy()] if head == "label" else TARGETS[head].double().numpy()
    generator = seeded(seed)
    torch._standard_gamma(torch.full((2,), 0.8, dtype=torch.float64), generator=generator)
    partner = torch.randperm(len(LENGTHS), generator=generator).tolist()
    # The one number that is not known: from the first step of one video, and it must then explain all the others.
    video, other = next((i, other) for i, other in enumerate(partner) if other != i)
    second = batch.features[other, LENGTHS[other] // (2 * LENGTHS[video])].double()
    apart = batch.features[video, 0].double() - second
    share = float(((got.features[video, 0].double() - second) @ apart) / (apart @ apart))
    assert 0.0 < share < 1.0
    features, answers = mixed_by_hand(batch, share=share, partner=partner, targets=targets)
    np.testing.assert_allclose(got.features.numpy(), features, atol=1e-5)
    np.testing.assert_allclose(got.targets.numpy(), answers, atol=1e-5)
    assert torch.equal(got.lengths, batch.lengths)
    assert got.targets.is_floating_point()


def test_the_share_of_mixup_follows_its_beta_distribution() -> None:
    """Beta(a, a) has mean 1/2 and variance 1 / (4 (2 a + 1)); read off two videos of one step."""
    batch = Batch(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), torch.tensor([1, 1]), torch.tensor([0, 1]))
    generator, settings = seeded(), tiny_training(mixup=0.4)
    shares = []
    for _ in range(4000):
        got = augment(batch, settings, head="label", num_classes=2, generator=generator)
        if got.targets[0, 1] > 0:  # not its own partner
            shares.append(float(got.features[0, 0, 0]))
            assert got.targets[0, 0] == got.features[0, 0, 0]
    assert len(shares) == pytest.approx(2000, abs=150)
    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
    assert np.var(shares) == pytest.approx(1 / (4 * 1.8), abs=0.01)


# Noise and dropout of steps


@pytest.mark.parametrize("dim", [2, 64])
def test_noise_has_the_stated_share_of_the_deviation_of_its_own_step(dim: int) -> None:
    scales = torch.tensor([0.1, 1.0, 30.0])
    steps = torch.randn(1, 3, dim, generator=seeded(5)) * scales.view(1, 3, 1) + 4.0
    batch = Batch(steps.expand(3000, 3, dim).clone(), torch.full((3000,), 3), torch.zeros(3000, dtype=torch.int64))
    noise = (augmented(batch, feature_noise=0.3).features - batch.features).double().numpy()
    expected = 0.3 * steps[0].double().numpy().std(axis=1)
    np.testing.assert_allclose(noise.std(axis=(0, 2)), expected, rtol=0.05)
    np.testing.assert_allclose(noise.mean(axis=(0, 2)) / expected, 0.0, atol=0.05)


def test_noise_of_a_single_number_per_step_is_none() -> None:
    """One number has no deviation; it must not become nan."""
    batch = make_batch(dim=1)
    assert torch.equal(augmented(batch, feature_noise=0.3).features, batch.features)


@pytest.mark.parametrize("changes", [{"feature_noise": 0.5}, {"step_dropout": 0.5}, {"mixup": 1.0}])
def test_padding_stays_zero_and_the_batch_that_came_in_stays_as_it_was(changes: dict[str, float]) -> None:
    batch = make_batch()
    before = batch.features.clone()
    got = augmented(batch, **changes)
    assert not torch.equal(got.features, before)
    assert torch.equal(batch.features, before)
    for row, length in zip(got.features, LENGTHS, strict=True):
        assert not row[length:].any()


@pytest.mark.parametrize("cell", ["gru", "transformer", "tcn"])
def test_what_noise_there_were_in_the_padding_would_not_matter(cell: str) -> None:
    torch.manual_seed(0)
    model = SequenceClassifier(tiny_model(cell=cell), dim=3, num_classes=3).eval()
    batch = augmented(make_batch(), feature_noise=0.5, step_dropout=0.3)
    dirty = batch.features.clone()
    for row, length in zip(dirty, LENGTHS, strict=True):
        row[length:] = 1000.0
    with torch.inference_mode():
        assert torch.equal(model(dirty, batch.lengths), model(batch.features, batch.lengths))


def test_step_dropout_leaves_out_whole_steps_in_the_stated_share() -> None:
    batch = Batch(torch.ones(500, 20, 3), torch.full((500,), 20), torch.zeros(500, dtype=torch.int64))
    got = augmented(batch, step_dropout=0.3).features
    of_steps = got.sum(dim=2)
    assert set(of_steps.unique().tolist()) == {0.0, 3.0}
    assert float((of_steps == 0).float().mean()) == pytest.approx(0.3, abs=0.02)


def test_without_an_option_the_batch_itself_comes_back_and_nothing_is_drawn() -> None:
    batch, generator = make_batch(), seeded()
    assert augment(batch, tiny_training(), head="label", num_classes=3, generator=generator) is batch
    assert torch.equal(generator.get_state(), seeded().get_state())


# Order of an epoch


def test_a_balanced_epoch_draws_all_classes_equally_often_and_all_videos_of_one() -> None:
    targets = torch.tensor([0] * 60 + [2] * 30 + [1] * 10)
    generator = seeded()
    orders = [draw_order(targets, 100, balanced=True, generator=generator) for _ in range(300)]
    assert {len(order) for order in orders} == {100}
    counts = np.bincount(torch.cat(orders).numpy(), minlength=100)
    for members in (slice(0, 60), slice(60, 90), slice(90, 100)):
        class_counts = counts[members]
        assert class_counts.sum() == pytest.approx(10_000, rel=0.03)
        np.testing.assert_allclose(class_counts, class_counts.mean(), rtol=0.3)


def test_a_class_without_videos_is_no_obstacle_to_balance() -> None:
    order = draw_order(torch.tensor([0, 3, 3]), 3, balanced=True, generator=seeded())
    assert set(order.tolist()) <= {0, 1, 2}


def test_an_epoch_is_otherwise_the_permutation_of_the_generator() -> None:
    mine, other = seeded(4), seeded(4)
    order = draw_order(torch.zeros(9, dtype=torch.int64), 9, balanced=False, generator=mine)
    assert torch.equal(order, torch.randperm(9, generator=other))
    assert torch.equal(mine.get_state(), other.get_state())
