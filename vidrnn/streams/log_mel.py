"""Log-mel frames, as VGGish takes them: Hershey et al., CNN Architectures for Large-Scale Audio Classification, 2017.

The numbers are the same as in `mel_features.py`, which was published with it (tensorflow/models,
research/audioset/vggish). At 16 kHz, windows of 25 ms every 10 ms are taken with a periodic Hann and an FFT of 512, as
magnitudes. Triangles on the mel scale of HTK, 1127 ln(1 + f / 700 Hz), from 125 to 7500 Hz, reach one and are not
normalised by area. Last comes log(band + 0.01).
"""

import math

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.store.stream_specs import LOG_MEL
from vidrnn.video.audio import SoundBlock

RATE: int = LOG_MEL["rate"]
"""Samples per second."""
_WINDOW, _HOP, _FFT, _OFFSET = (LOG_MEL[name] for name in ("window", "hop", "fft", "offset"))
_LOW_HZ, _HIGH_HZ = LOG_MEL["hz"]

_REACH_S = 2.0  # a clock that drifts back (`vidrnn.video.audio`) reaches no step that lies further behind
_AT_ONCE = 80000  # samples: decoders give a thousand at a time, and each call of PyTorch costs as much as that many

_Steps = tuple[npt.NDArray[np.int64], npt.NDArray[np.float16]]  # numbers (n,) and features (n, 2 bands)


class LogMel:
    """Samples to log-mel frames."""

    def __init__(self, bands: int) -> None:
        self._window = torch.hann_window(_WINDOW, periodic=True, dtype=torch.float64)
        self._filters = _filters(bands)

    def __call__(self, samples: torch.Tensor) -> torch.Tensor:
        """(N,) to (F, bands) float64: one frame per whole window, F = 1 + (N - 400) // 160."""
        # In float32 the leakage of a loud tone would drown the quiet bands: off by 2e-4 after the logarithm.
        frames = samples.double().unfold(0, _WINDOW, _HOP) * self._window
        return torch.log(torch.fft.rfft(frames, _FFT).abs() @ self._filters + _OFFSET)


class SoundSteps:
    """Blocks of sound to steps at a fixed rate: mean and deviation of the log-mel frames around each instant.

    Step k stands for the time k / rate and takes the frames whose middle is at most half a step away. So it is the
    step nearest to a picture at that time. A step without any frame (a gap, before the first sound) does not exist.

    Memory holds one piece of sound, the steps that it may still reach, and the result of all others.
    """

    def __init__(self, *, bands: int, rate: float) -> None:
        self._log_mel, self._bands, self._rate = LogMel(bands), bands, rate
        self._sums: dict[int, tuple[int, torch.Tensor, torch.Tensor]] = {}
        self._waiting: list[npt.NDArray[np.float32]] = []
        self._num_waiting, self._start_s = 0, 0.0
        self._closed: list[_Steps] = []

    def add(self, block: SoundBlock) -> None:
        """Take the next block."""
        if not block.follows:
            self._take_waiting()
            self._waiting, self._num_waiting, self._start_s = [], 0, block.start_s
        self._waiting.append(block.samples)
        self._num_waiting += len(block.samples)
        if self._num_waiting >= _AT_ONCE:
            self._take_waiting()

    def _take_waiting(self) -> None:
        """Pool all whole windows; what the next one needs stays."""
        num_frames = max(0, 1 + (self._num_waiting - _WINDOW) // _HOP)
        if num_frames:
            samples = np.concatenate(self._waiting)
            self._pool(self._log_mel(torch.from_numpy(samples)), self._start_s)
            rest = samples[num_frames * _HOP :].copy()
            self._waiting, self._num_waiting = [rest], len(rest)
            self._start_s += num_frames * _HOP / RATE

    def _pool(self, frames: torch.Tensor, start_s: float) -> None:
        middles_s = start_s + (torch.arange(len(frames), dtype=torch.float64) * _HOP + _WINDOW / 2) / RATE
        steps = torch.floor(middles_s * self._rate + 0.5).long()
        numbers, inverse, counts = torch.unique_consecutive(steps, return_inverse=True, return_counts=True)
        sums = torch.zeros(len(numbers), self._bands, dtype=torch.float64).index_add_(0, inverse, frames)
        squares = torch.zeros_like(sums).index_add_(0, inverse, frames**2)
        for place, (number, count) in enumerate(zip(numbers.tolist(), counts.tolist(), strict=True)):
            before = self._sums.get(number, (0, 0.0, 0.0))
            self._sums[number] = before[0] + count, before[1] + sums[place], before[2] + squares[place]
        self._close(before=steps[-1].item() - _REACH_S * self._rate)

    def _close(self, *, before: float) -> None:
        """Turn the steps that no later sound reaches into features."""
        numbers = sorted(number for number in self._sums if number < before)
        pooled = [self._sums.pop(number) for number in numbers]
        # Sound may begin before zero, and what comes too late for a step that is closed is no step of its own.
        first = max(0, int(self._closed[-1][0][-1]) + 1 if self._closed else 0)
        kept = [place for place, number in enumerate(numbers) if number >= first]
        if kept:
            counts = torch.tensor([[pooled[place][0]] for place in kept])
            means = torch.stack([pooled[place][1] for place in kept]) / counts
            squares = torch.stack([pooled[place][2] for place in kept]) / counts
            deviations = (squares - means**2).clamp_min(0).sqrt()
            features = torch.cat([means, deviations], dim=1).half().numpy()
            self._closed.append((np.asarray([numbers[place] for place in kept]), features))

    def finish(self) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.float64]]:
        """Features (T, 2 bands), means first, and their times (T,); T is 0 when no window was filled."""
        self._take_waiting()
        self._close(before=math.inf)
        if not self._closed:
            return np.zeros((0, 2 * self._bands), np.float16), np.zeros(0)
        numbers, features = (np.concatenate(parts) for parts in zip(*self._closed, strict=True))
        return features, numbers / self._rate


def _filters(bands: int) -> torch.Tensor:
    """(257, bands) float64: the weight of each frequency in each band."""
    edges = torch.linspace(_mel(_LOW_HZ), _mel(_HIGH_HZ), bands + 2, dtype=torch.float64)
    lower, middle, upper = edges[:-2], edges[1:-1], edges[2:]
    frequencies = torch.linspace(0.0, RATE / 2, _FFT // 2 + 1, dtype=torch.float64)[:, None]
    mel = 1127.0 * torch.log1p(frequencies / 700.0)
    rising, falling = (mel - lower) / (middle - lower), (upper - mel) / (upper - middle)
    return torch.minimum(rising, falling).clamp_min(0.0)


def _mel(hertz: float) -> float:
    return 1127.0 * math.log1p(hertz / 700.0)
