"""Which frame a kept frame is compared with, and that the pairs have the times of the kept frames."""

import weakref
from fractions import Fraction

import numpy as np
import pytest

from tests.media import pictures, write_clip
from vidrnn.video.decode import decode
from vidrnn.video.neighbours import Pairing, neighbours, on_screen
from vidrnn.video.probe import probe
from vidrnn.video.sampling import Sampling
from vidrnn.video.upright import Upright


def pairs_of(video, indices, *, gap_s, fit):
    """Decode once, and pair up what is shown."""
    pairing = Pairing(video, indices, gap_s=gap_s)
    for index, picture in on_screen(video, pairing.wanted, fit=fit):
        yield from pairing.advance(index, picture)


def test_neighbours_are_the_nearest_to_the_gap_and_never_the_frame_itself():
    """Brute force over all later frames is the reference; irregular times."""
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.2, 40))
    kept = np.arange(0, 39, 2)
    for gap_s in (0.0, 0.04, 0.1, 0.5, 100.0):
        got = neighbours(times, kept, gap_s=gap_s)
        for index, other in zip(kept, got, strict=True):
            distances = np.abs(times[index + 1 :] - times[index] - gap_s)
            assert distances[other - index - 1] == distances.min()


@pytest.mark.parametrize(
    ("gap_s", "expected"), [(0.0, [1, 2, 3, 4, 3]), (0.08, [2, 3, 4, 4, 2]), (9.0, [4, 4, 4, 4, 0])]
)
def test_at_25_frames_per_second(gap_s, expected):
    """The last frame looks back; the ones before it look as far ahead as there are frames."""
    assert neighbours(np.arange(5) / 25, np.arange(5), gap_s=gap_s).tolist() == expected


def test_a_single_frame_is_its_own_neighbour():
    assert neighbours(np.zeros(1), np.zeros(1, np.int64), gap_s=0.1).tolist() == [0]
    assert neighbours(np.arange(3) / 25, np.zeros(0, np.int64), gap_s=0.1).tolist() == []


@pytest.mark.parametrize("stride", [1, 3, 7])
@pytest.mark.parametrize("gap_s", [0.0, 0.08])
def test_pairs_hold_the_decoded_frames_in_order_of_time(tmp_path, stride, gap_s):
    """Irregular times, sparse and dense: the pictures are those that decoding each index by itself gives."""
    times = [0, 40, 70, 120, 300, 310, 350, 420, 500, 540, 580, 600, 640, 700, 720]
    path = write_clip(tmp_path / "v.mkv", pictures(15), pts=times, time_base=Fraction(1, 1000), g="4")
    video = probe(path)
    kept = Sampling("every", stride=stride).select(video.timestamps_s)
    others = neighbours(video.timestamps_s, kept, gap_s=gap_s)
    fitted = []

    def fit(frame):
        fitted.append(frame.rgb)
        return frame.rgb

    pairs = list(pairs_of(video, kept, gap_s=gap_s, fit=fit))
    every = list(decode(video, np.arange(15)))
    assert len(fitted) == len({*kept, *others})  # each frame once
    assert [pair.kept.timestamp_s for pair in pairs] == [video.timestamps_s[index] for index in kept]
    for pair, index, other in zip(pairs, kept, others, strict=True):
        np.testing.assert_array_equal(pair.first.fitted, every[min(index, other)].rgb)
        np.testing.assert_array_equal(pair.second.fitted, every[max(index, other)].rgb)
        assert pair.seconds == pytest.approx(abs(video.timestamps_s[other] - video.timestamps_s[index]))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_packet_without_a_picture_leaves_the_times_of_the_kept_frames(tmp_path, monkeypatch, stride):
    """Where packets are empty the picture before counts, once, as in `decode`: pairs have the times of plain frames."""
    video = probe(write_clip(tmp_path / "v.mkv", pictures(12), codec="ffv1", pix_fmt="bgr0"))
    frames, empty = list(decode(video, np.arange(12))), {3, 4, 8}

    def decode_with_gaps(_video, indices, **_how):
        shown = [max(set(range(index + 1)) - empty) for index in indices]
        yield from (frames[index] for index in dict.fromkeys(shown))

    monkeypatch.setattr("vidrnn.video.neighbours.decode", decode_with_gaps)
    kept = np.arange(0, 12, stride)
    expected = [frame.timestamp_s for frame in decode_with_gaps(video, kept)]
    pairs = list(pairs_of(video, kept, gap_s=0.0, fit=lambda frame: frame.rgb.copy()))
    assert [pair.kept.timestamp_s for pair in pairs] == expected
    assert len(expected) == {1: 9, 2: 5, 3: 4}[stride]


def test_without_a_gap_each_frame_is_its_own_neighbour(tmp_path):
    """So plain frames and pairs come out of the same decode; what others want is passed over."""
    video = probe(write_clip(tmp_path / "v.mkv", pictures(9), codec="ffv1", pix_fmt="bgr0"))
    alone, every = Pairing(video, np.array([1, 4]), gap_s=None), np.arange(9)
    assert alone.wanted.tolist() == [1, 4]
    pairs = [
        pair for index, shown in on_screen(video, every, fit=lambda frame: 0) for pair in alone.advance(index, shown)
    ]
    assert [(pair.kept.timestamp_s, pair.seconds) for pair in pairs] == [(video.timestamps_s[at], 0) for at in (1, 4)]
    assert all(pair.first is pair.second is pair.kept for pair in pairs)


def test_a_frame_is_gone_before_the_next_one_is_made(tmp_path, monkeypatch):
    """Two frames of HD video at a time would cost a third of what decoding does, in memory that comes and goes."""
    video, alive = probe(write_clip(tmp_path / "v.mp4", pictures(6), g="3")), []
    latest = lambda: None  # noqa: E731  as a weak reference whose object is gone
    convert = Upright.__call__

    def watched(self, frame):
        nonlocal latest
        alive.append(latest() is not None)
        rgb, pixel_aspect = convert(self, frame)
        latest = weakref.ref(rgb)
        return rgb, pixel_aspect

    monkeypatch.setattr(Upright, "__call__", watched)
    assert len(list(on_screen(video, np.arange(6), fit=lambda frame: float(frame.rgb.mean())))) == 6
    assert alive == [False] * 6
