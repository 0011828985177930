"""`vidrnn.sequences.steps`: which cached steps a model sees."""

from fractions import Fraction
from itertools import pairwise
from math import floor

import torch
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

from vidrnn.sequences.steps import choose_steps, full_batches, shuffle_steps, similar_lengths

totals_and_steps = st.tuples(st.lists(st.integers(1, 300), min_size=1, max_size=6), st.integers(1, 40))


def middles(total: int, steps: int) -> list[int]:
    """The step at the middle of each of ``steps`` equal segments, in exact arithmetic; all steps of a short one."""
    if total <= steps:
        return list(range(total))
    return [floor(Fraction(total * (2 * slot + 1), 2 * steps)) for slot in range(steps)]


@configure(deadline=None)
@given(totals_and_steps)
def test_middles_equal_exact_arithmetic_and_do_not_depend_on_the_batch(case: tuple[list[int], int]) -> None:
    totals, steps = case
    choice = choose_steps(torch.tensor(totals), steps)
    assert choice.lengths.tolist() == [min(total, steps) for total in totals]
    for row, total, length in zip(choice.indices.tolist(), totals, choice.lengths.tolist(), strict=True):
        assert row[:length] == middles(total, steps)
        assert row[length:] == [total - 1] * (len(row) - length)


@configure(deadline=None)
@given(totals_and_steps, st.integers(0, 5))
def test_jitter_takes_one_step_of_each_segment_and_none_twice(case: tuple[list[int], int], seed: int) -> None:
    totals, steps = case
    choice = choose_steps(torch.tensor(totals), steps, generator=torch.Generator().manual_seed(seed))
    for row, total, length in zip(choice.indices.tolist(), totals, choice.lengths.tolist(), strict=True):
        for slot, index in enumerate(row[:length]):
            assert slot * total // length <= index < (slot + 1) * total // length
        assert row[:length] == sorted(set(row[:length]))
        assert row[length:] == [total - 1] * (len(row) - length)


def test_jitter_reaches_every_step() -> None:
    generator = torch.Generator().manual_seed(0)
    choice = choose_steps(torch.full((500,), 10), 4, generator=generator)
    assert set(choice.indices.flatten().tolist()) == set(range(10))


def test_jitter_follows_its_generator() -> None:
    def draw(seed: int) -> list[list[int]]:
        found: list[list[int]] = choose_steps(
            torch.tensor([100, 60]), 8, generator=torch.Generator().manual_seed(seed)
        ).indices.tolist()
        return found

    assert draw(3) == draw(3)
    assert draw(3) != draw(4)


def test_the_middle_uses_no_random_numbers() -> None:
    before = torch.get_rng_state()
    choose_steps(torch.tensor([50, 7]), 9)
    assert torch.equal(torch.get_rng_state(), before)


def test_long_videos_are_seen_to_the_end() -> None:
    """A bug of the field: only the first 16 consecutive frames of any video are looked at."""
    indices = choose_steps(torch.tensor([1000]), 16).indices[0]
    assert indices[0] < 63
    assert indices[-1] >= 1000 - 63


@configure(deadline=None)
@given(totals_and_steps, st.integers(0, 5))
def test_shuffling_permutes_the_true_steps_and_leaves_padding_alone(case: tuple[list[int], int], seed: int) -> None:
    totals, steps = case
    choice = choose_steps(torch.tensor(totals), steps)
    shuffled = shuffle_steps(choice, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(shuffled.lengths, choice.lengths)
    for before, after, length in zip(choice.indices, shuffled.indices, choice.lengths.tolist(), strict=True):
        assert sorted(after[:length].tolist()) == before[:length].tolist()
        assert torch.equal(after[length:], before[length:])


def test_shuffling_does_shuffle() -> None:
    choice = choose_steps(torch.tensor([40] * 20), 40)
    shuffled = shuffle_steps(choice, generator=torch.Generator().manual_seed(0))
    assert len({tuple(row) for row in shuffled.indices.tolist()}) == 20


many_lengths = st.lists(st.one_of(st.integers(1, 20), st.integers(1, 5000)), min_size=1, max_size=40)


@configure(deadline=None)
@given(many_lengths)
def test_parts_of_similar_lengths_hold_each_sequence_once_and_little_padding(lengths: list[int]) -> None:
    parts = [part.tolist() for part in similar_lengths(torch.tensor(lengths))]
    assert sorted(position for part in parts for position in part) == list(range(len(lengths)))
    for part in parts:
        lengths_of_part = [lengths[position] for position in part]
        assert len(lengths_of_part) * max(lengths_of_part) <= 2 * sum(lengths_of_part)


def test_similar_sequences_stay_one_batch_in_their_order() -> None:
    assert [part.tolist() for part in similar_lengths(torch.tensor([24, 12, 20, 24]))] == [[0, 1, 2, 3]]


def test_a_long_sequence_is_not_padded_together_with_short_ones() -> None:
    parts = [part.tolist() for part in similar_lengths(torch.tensor([10, 5000, 12, 11]))]
    assert parts == [[1, 2], [3, 0]]  # beside the long one there is room for as much again


@configure(deadline=None)
@given(many_lengths, st.integers(1, 10_000))
def test_batches_are_full_and_keep_the_order(lengths: list[int], most: int) -> None:
    batches = [batch.tolist() for batch in full_batches(torch.tensor(lengths), most_steps=most)]
    assert [position for batch in batches for position in batch] == list(range(len(lengths)))
    padded = [len(batch) * max(lengths[position] for position in batch) for batch in batches]
    assert all(steps <= most or len(batch) == 1 for steps, batch in zip(padded, batches, strict=True))
    for batch, following in pairwise(batches):  # not one more would have had room
        together = [lengths[position] for position in [*batch, following[0]]]
        assert len(together) * max(together) > most
