"""Views of frames: which frame each shows and which way round, whole, in parts and filled up."""

import numpy as np
import pytest
import torch

from vidrnn.frames.rendering import FlowRendering
from vidrnn.frames.views import Turn, Views


@pytest.fixture
def frames() -> torch.Tensor:
    return torch.randint(0, 256, (5, 3, 4, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def views() -> Views:
    return Views(torch.tensor([0, 3, 3, 1, 0, 4, 2, 2]), torch.tensor([0, 0, 1, 1, 2, 2, 0, 2], dtype=torch.uint8))


def shown(frames: torch.Tensor, views: Views) -> torch.Tensor:
    """One by one, by plain indexing and whole numbers."""
    pairs = zip(views.source.tolist(), views.turns.tolist(), strict=True)
    return torch.stack([turned(frames[source], Turn(turn)) for source, turn in pairs])


def turned(frame: torch.Tensor, turn: Turn) -> torch.Tensor:
    if turn == Turn.PLAIN:
        return frame
    mirrored = frame.flip(2)
    if turn == Turn.MIRRORED:
        return mirrored
    across = (256 - mirrored[:1].int()) % 256
    return torch.cat([across.to(torch.uint8), mirrored[1:]])


def test_views_show_their_frames_the_way_round_that_is_asked_for(frames, views):
    assert torch.equal(views.of(frames), shown(frames, views))
    assert not torch.equal(views.of(frames)[1], views.of(frames)[2])
    moved = views.to(torch.device("cpu"))
    assert torch.equal(moved.of(frames), shown(frames, views))


def test_a_gpu_turns_frames_as_the_cpu_does(frames, views):
    """What a graph holds, executed here."""
    before = frames.clone()
    assert torch.equal(views._on_a_gpu(frames), shown(frames, views))
    assert torch.equal(views.of(frames), shown(frames, views))
    assert torch.equal(frames, before)


@pytest.mark.parametrize("on", ["cpu", "gpu"])
def test_the_turned_picture_of_flow_is_the_picture_of_the_turned_flow(on):
    """The field is turned by NumPy: columns from the right, and what goes to the right goes to the left.

    To the level: also at rest, at the bound, and far beyond it, where levels are clipped. Only where a motion lies in
    the middle of two levels, within what float32 rounds, may it be the other one; of these 9216 values one is.
    """
    rendering = FlowRendering("dis", "keep", bound=8.0, gap_s=0.0)
    field = np.random.default_rng(0).normal(scale=6.0, size=(64, 48, 2)).astype(np.float32)
    field[0, :8, 0] = [0.0, -0.0, 8.0, -8.0, 1e6, -1e6, 8.001, 0.01]
    turned_field = np.stack([-field[:, ::-1, 0], field[:, ::-1, 1]], axis=2)
    plain, expected = rendering.draw(field), rendering.draw(turned_field)
    view = Views(torch.tensor([0]), torch.tensor([Turn.MIRRORED_FLOW], dtype=torch.uint8))
    frames = torch.from_numpy(plain)[None]
    (got,) = view.of(frames) if on == "cpu" else view._on_a_gpu(frames)
    levels = 128 + 127 * np.clip(turned_field[..., 0].astype(float) / 8.0, -1, 1)
    between = np.abs(levels % 1 - 0.5) < 1e-4
    np.testing.assert_array_equal(np.where(between, expected[0], got[0]), expected[0])
    np.testing.assert_array_equal(got[1:], expected[1:])
    assert np.abs(got[0].numpy() - levels).max() < 0.5001
    assert (got.numpy() != expected).sum() <= between.sum() <= 3
    assert not np.array_equal(got[0].numpy(), plain[0, :, ::-1])


def test_plain_views_are_the_frames_themselves(frames):
    """Without a copy: most batches are of this kind."""
    plain = Views.plain(5)
    assert (len(plain), plain.are_the_frames) == (5, True)
    assert plain.of(frames).data_ptr() == frames.data_ptr()
    assert torch.equal(Views.plain(3).of(frames), frames[:3])
    for other in (Views(plain.source, (plain.source == 2).byte()), Views(plain.source.flip(0), plain.turns)):
        assert not other.are_the_frames
        assert torch.equal(other.of(frames), shown(frames, other))


@pytest.mark.parametrize("size", range(1, 10))
def test_parts_of_views_are_the_views_of_parts(frames, views, size):
    """Each with no more frames than it shows."""
    whole = shown(frames, views)
    for start in range(0, len(views), size):
        part_of_frames, part = views.part(frames, start, start + size)
        assert torch.equal(part.of(part_of_frames), whole[start : start + size])
        if size < len(views):
            assert len(part_of_frames) == len(set(views.source[start : start + size].tolist()))


def test_filled_views_begin_with_what_was_there(frames, views):
    filled = views.filled(11)
    assert len(filled) == 11
    assert torch.equal(filled.of(frames)[:8], shown(frames, views))
    assert torch.equal(filled.of(frames)[8:], frames[:1].expand(3, -1, -1, -1))
    assert views.filled(8) is views
    assert views.filled(3) is views
    assert torch.equal(Views.plain(2).filled(4).of(frames), frames[[0, 1, 0, 0]])
