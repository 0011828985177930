"""Places in shared memory: taken until nobody looks at what lies there, and never given away twice."""

import gc
import os
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tests import bad_decoders
from tests.fake_backbone import AverageColour
from tests.media import pictures, write_clip
from tests.unit.extraction.test_pipeline import run_within
from vidrnn.extraction import decoder
from vidrnn.extraction.decode_worker import Reader
from vidrnn.extraction.decoder import Chunk, Decoder, Ended
from vidrnn.extraction.jobs import Failure, Job
from vidrnn.extraction.pipeline import embed_videos
from vidrnn.extraction.readings import Readings
from vidrnn.extraction.shared_frames import SharedFrames
from vidrnn.settings.extraction import ExtractionSettings

SHAPE = (2, 3, 8, 8)


def frames(value: int, count: int = 2) -> list[np.ndarray]:
    return [np.full(SHAPE[1:], value + number, np.uint8) for number in range(count)]


@pytest.fixture
def sides() -> Iterator[tuple[SharedFrames, SharedFrames]]:
    """The decoder's side and the owner's, of two places."""
    size = int(np.prod(SHAPE))
    file = SharedFrames.create(places=2, place_bytes=size)
    yield tuple(SharedFrames(file, places=2, place_bytes=size) for _ in range(2))
    os.close(file)


def test_what_is_put_on_one_side_lies_on_the_other(sides):
    theirs, ours = sides
    places = [theirs.put(frames(value)) for value in (10, 20)]
    assert places == [0, 1]
    for place, value in zip(places, (10, 20), strict=True):
        np.testing.assert_array_equal(ours.get(place, SHAPE), np.stack(frames(value)))
    np.testing.assert_array_equal(ours.get(theirs.put(frames(30, 1)), (1, *SHAPE[1:])), np.stack(frames(30, 1)))


def keep_the_array(array: np.ndarray) -> object:
    return array


def keep_a_part(array: np.ndarray) -> object:
    return array[1:]


def keep_a_part_of_a_part(array: np.ndarray) -> object:
    return array[1:].reshape(-1)[3:]


def keep_a_tensor(array: np.ndarray) -> object:
    return torch.from_numpy(array)


def keep_a_part_of_a_tensor(array: np.ndarray) -> object:
    return torch.from_numpy(array)[1:].permute(0, 2, 3, 1)


def keep_a_tensor_of_a_part(array: np.ndarray) -> object:
    return torch.from_numpy(array[1:])


@pytest.mark.parametrize(
    "keep",
    [
        keep_the_array,
        keep_a_part,
        keep_a_part_of_a_part,
        keep_a_tensor,
        keep_a_part_of_a_tensor,
        keep_a_tensor_of_a_part,
    ],
)
def test_a_place_is_taken_until_the_last_reference_is_gone(sides, keep):
    theirs, ours = sides
    theirs.put(frames(10))
    theirs.put(frames(20))
    kept = keep(ours.get(0, SHAPE))
    gc.collect()
    assert theirs.is_full and ours.is_full
    del kept
    gc.collect()
    assert not theirs.is_full
    assert theirs.put(frames(30)) == 0


def test_whoever_puts_waits_for_a_free_place(sides):
    theirs, ours = sides
    held = [ours.get(theirs.put(frames(value)), SHAPE) for value in (10, 20)]
    places: list[int] = []
    waiting = threading.Thread(target=lambda: places.append(theirs.put(frames(30))), daemon=True)
    waiting.start()
    waiting.join(0.2)
    assert (waiting.is_alive(), places) == (True, [])
    np.testing.assert_array_equal(held[1], np.stack(frames(20)))
    del held[1]
    waiting.join(10)
    assert places == [1]
    np.testing.assert_array_equal(held[0], np.stack(frames(10)))
    np.testing.assert_array_equal(ours.get(1, SHAPE), np.stack(frames(30)))


def test_what_was_handed_over_outlives_both_sides(sides):
    """A decoder is given up, and its last frames are still being embedded."""
    size = int(np.prod(SHAPE))
    file = SharedFrames.create(places=1, place_bytes=size)
    shared = SharedFrames(file, places=1, place_bytes=size)
    os.close(file)
    kept = torch.from_numpy(shared.get(shared.put(frames(10)), SHAPE))[1:]
    del shared
    gc.collect()
    assert torch.equal(kept, torch.full((1, *SHAPE[1:]), 11, dtype=torch.uint8))


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "good.mkv", pictures(30), codec="ffv1", pix_fmt="bgr0")


def test_frames_of_a_decoder_that_was_killed_stay_as_they_are(tmp_path, clip):
    """Its successor has other memory: it cannot write where somebody still reads."""
    bad = tmp_path / "killed.mkv"
    bad.write_bytes(clip.read_bytes())
    expected = torch.from_numpy(np.stack(pictures(30))).permute(0, 3, 1, 2)
    backbone = AverageColour(image_size=24)
    reader = Reader(Readings.of([backbone]).drawings, {}, 4, bad_decoders.by_name)
    owner = Decoder(reader, settings=ExtractionSettings(), stop=threading.Event())
    try:
        messages = owner.decode(Job("killed", bad), (0,))
        first = next(messages)
        assert isinstance(first, Chunk)
        before = first.frames.clone()
        (end,) = messages
        assert isinstance(end, Ended) and isinstance(end.how, Failure)
        assert end.how.cause.startswith("the decoder process was killed (SIGKILL)")
        got = [
            message.frames.clone() for message in owner.decode(Job("good", clip), (0,)) if isinstance(message, Chunk)
        ]
        assert torch.equal(first.frames, before)
    finally:
        owner.close()
    assert torch.equal(torch.cat(got)[:4], before)
    assert len(torch.cat(got)) == 30
    narrowed = torch.nn.functional.interpolate(expected.float(), (24, 24), mode="bilinear", antialias=True)
    assert (torch.cat(got).float() - narrowed).abs().max() <= 1


@pytest.mark.parametrize("places", [1, 3])
def test_more_chunks_than_places_with_a_slow_network(clip, monkeypatch, places):
    """Nobody holds frames that he has passed on, so that even one place is enough."""
    monkeypatch.setattr(decoder, "_PLACES", places)
    slow = threading.Event()

    class Slow(AverageColour):
        def embed(self, frames):
            slow.wait(0.02)
            return super().embed(frames)

    settings = ExtractionSettings(batch_size=2, workers=1)
    ((_, got),) = run_within(60, lambda: list(embed_videos([Job("a", clip)], Slow(), settings=settings)))
    ((_, expected),) = run_within(60, lambda: list(embed_videos([Job("a", clip)], AverageColour(), settings=settings)))
    np.testing.assert_array_equal(got.features, expected.features)
    assert len(got.features) == 30
