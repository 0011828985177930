"""Log-mel frames have the numbers of the published front end of VGGish, and are pooled to the steps they belong to."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tests.sounds import tone
from vidrnn.streams.log_mel import LogMel, SoundSteps
from vidrnn.video.audio import SoundBlock

Array = npt.NDArray[np.float64]


def chord() -> Array:
    """0.075 s of a tone, a rising one and a faint one, at 16 kHz."""
    seconds = np.arange(1200) / 16000
    rising = 0.25 * np.sin(2 * np.pi * 3000 * seconds * (1 + seconds))
    return 0.5 * np.sin(2 * np.pi * 440 * seconds) + rising + 0.05 * np.cos(2 * np.pi * 6000 * seconds)


def independent(samples: Array, *, bands: int = 64) -> Array:
    """(N,) to (F, bands) by the formulas, with a Fourier sum in place of an FFT."""

    def mel(hertz: Array | float) -> Array:
        return np.asarray(1127 * np.log(1 + np.asarray(hertz) / 700))

    places, frequencies = np.arange(400), np.arange(257) * 16000 / 512
    fourier = np.exp(-2j * np.pi * np.outer(places, np.arange(257)) / 512)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * places / 400)
    edges = np.linspace(mel(125), mel(7500), bands + 2)
    found = []
    for start in range(0, len(samples) - 399, 160):
        spectrum = np.abs((samples[start : start + 400] * window) @ fourier)
        frame = []
        for low, peak, high in zip(edges[:-2], edges[1:-1], edges[2:], strict=True):
            weights = np.interp(mel(frequencies), [low, peak, high], [0, 1, 0])
            frame.append(np.log(spectrum @ weights + 0.01))
        found.append(frame)
    return np.asarray(found)


def test_the_numbers_are_those_of_the_published_code():
    """Every seventh band of frames 0 and 3, as `mel_features.log_mel_spectrogram` of VGGish computes them."""
    frames = LogMel(64)(torch.from_numpy(chord()))
    assert frames.shape == (6, 64)
    first = [-3.73602, 3.187996, -3.037451, -4.17894, -4.544526, -4.421214, 4.041198, -4.444026, -4.247997, -4.57499]
    fourth = [-3.84187, 3.187973, -3.022226, -4.120557, -4.486171, -4.472321, 1.004515, -4.329169, -4.252387, -4.573198]
    np.testing.assert_allclose(frames[[0, 3], ::7], [first, fourth], atol=1e-6)


@pytest.mark.parametrize("bands", [64, 40, 8])
def test_the_numbers_are_those_of_the_formulas(bands):
    noise = np.random.default_rng(0).normal(scale=0.1, size=4000)
    for samples in (chord(), noise, np.zeros(800)):
        got = LogMel(bands)(torch.from_numpy(samples)).numpy()
        np.testing.assert_allclose(got, independent(samples, bands=bands), atol=1e-9)


@pytest.mark.parametrize("hertz", [200, 440, 1000, 2500, 6000])
def test_a_tone_is_loudest_in_its_band(hertz):
    edges = 700 * np.expm1(np.linspace(np.log1p(125 / 700), np.log1p(7500 / 700), 66))
    loudest = LogMel(64)(torch.from_numpy(tone(hertz, 0.1, rate=16000)))[3].argmax()
    assert edges[loudest] < hertz < edges[loudest + 2]


def steps_of(blocks: list[SoundBlock], *, bands: int = 8, rate: float = 10.0) -> tuple[Array, Array]:
    steps = SoundSteps(bands=bands, rate=rate)
    for block in blocks:
        steps.add(block)
    return steps.finish()


def test_a_step_is_mean_and_deviation_of_the_frames_around_its_instant():
    samples = np.random.default_rng(1).normal(scale=0.1, size=16000).astype(np.float32)
    features, times = steps_of([SoundBlock(samples, 0.0, follows=False)])
    frames = independent(samples.astype(np.float64), bands=8)
    middles = np.arange(len(frames)) * 0.01 + 0.0125
    assert times.tolist() == pytest.approx([number / 10 for number in range(11)])
    for step, time in zip(features, times, strict=True):
        own = frames[(middles >= time - 0.05) & (middles < time + 0.05)]
        np.testing.assert_allclose(step, np.concatenate([own.mean(0), own.std(0)]), atol=4e-3)  # kept in float16


def test_how_the_sound_is_cut_into_blocks_changes_nothing(monkeypatch):
    samples = np.random.default_rng(2).normal(scale=0.1, size=9000).astype(np.float32)
    whole = steps_of([SoundBlock(samples, 0.3, follows=False)])
    monkeypatch.setattr("vidrnn.streams.log_mel._AT_ONCE", 700)
    cuts = [0, 1, 399, 400, 2000, 2160, 9000]
    parts = [SoundBlock(samples[a:b], 0.3 + a / 16000, follows=a > 0) for a, b in pairwise(cuts)]
    for got, expected in zip(steps_of(parts), whole, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_gap_has_no_steps_and_no_window_reaches_across_it():
    samples = np.full(8000, 0.1, np.float32)
    features, times = steps_of([SoundBlock(samples, 0.0, follows=False), SoundBlock(samples, 2.0, follows=False)])
    np.testing.assert_allclose(times, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 2.0, 2.1, 2.2, 2.3, 2.4, 2.5])
    assert (features[:, 8:] < 1e-3).all()  # a window across the edge would differ from the others


def test_sound_before_the_file_begins_is_left_out_and_too_little_sound_gives_no_step():
    _, times = steps_of([SoundBlock(np.zeros(16000, np.float32), -0.5, follows=False)])
    assert times[0] == 0.0
    features, times = steps_of([SoundBlock(np.zeros(399, np.float32), 0.0, follows=False)])
    assert (features.shape, times.shape) == ((0, 16), (0,))
