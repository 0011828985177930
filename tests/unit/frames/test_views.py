"""Views of frames: which frame each shows and which way round, whole, in parts and filled up."""

import pytest
import torch

from vidrnn.frames.views import Views


@pytest.fixture
def frames() -> torch.Tensor:
    return torch.randint(0, 256, (5, 3, 4, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def views() -> Views:
    return Views(torch.tensor([0, 3, 3, 1, 0, 4, 2]), torch.tensor([False, False, True, True, True, False, False]))


def shown(frames: torch.Tensor, views: Views) -> torch.Tensor:
    """One by one, by plain indexing."""
    pairs = zip(views.source.tolist(), views.mirrored.tolist(), strict=True)
    return torch.stack([frames[source].flip(2) if mirrored else frames[source] for source, mirrored in pairs])


def test_views_show_their_frames_the_way_round_that_is_asked_for(frames, views):
    assert torch.equal(views.of(frames), shown(frames, views))
    assert not torch.equal(views.of(frames)[1], views.of(frames)[2])
    moved = views.to(torch.device("cpu"))
    assert torch.equal(moved.of(frames), shown(frames, views))


def test_plain_views_are_the_frames_themselves(frames):
    """Without a copy: most batches are of this kind."""
    plain = Views.plain(5)
    assert (len(plain), plain.are_the_frames) == (5, True)
    assert plain.of(frames).data_ptr() == frames.data_ptr()
    assert torch.equal(Views.plain(3).of(frames), frames[:3])
    for other in (Views(plain.source, plain.source == 2), Views(plain.source.flip(0), plain.mirrored)):
        assert not other.are_the_frames
        assert torch.equal(other.of(frames), shown(frames, other))


@pytest.mark.parametrize("size", range(1, 9))
def test_parts_of_views_are_the_views_of_parts(frames, views, size):
    """Each with no more frames than it shows."""
    whole = shown(frames, views)
    for start in range(0, len(views), size):
        part_of_frames, part = views.part(frames, start, start + size)
        assert torch.equal(part.of(part_of_frames), whole[start : start + size])
        if size < len(views):
            assert len(part_of_frames) == len(set(views.source[start : start + size].tolist()))


def test_filled_views_begin_with_what_was_there(frames, views):
    filled = views.filled(10)
    assert len(filled) == 10
    assert torch.equal(filled.of(frames)[:7], shown(frames, views))
    assert torch.equal(filled.of(frames)[7:], frames[:1].expand(3, -1, -1, -1))
    assert views.filled(7) is views
    assert views.filled(3) is views
    assert torch.equal(Views.plain(2).filled(4).of(frames), frames[[0, 1, 0, 0]])
