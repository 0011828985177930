"""Ways in which reading the sound of a file goes wrong; decoder processes import these by name."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from vidrnn.store.video_features import VideoFeatures
from vidrnn.streams.audio import ReadSound


class Crashing(ReadSound):
    """Crashes at two files, as FFmpeg might."""

    def __call__(self, source: Path, on_progress: Callable[[], None]) -> Iterator[VideoFeatures]:
        if source.stem in {"low", "silent"}:
            os.kill(os.getpid(), signal.SIGSEGV)
            signal.pause()
        yield from super().__call__(source, on_progress)


def crash_in_comparing(_made: VideoFeatures, _source: Path) -> str | None:
    """A `ChangeSince` that meets a bug in FFmpeg."""
    os.kill(os.getpid(), signal.SIGSEGV)
    signal.pause()
    return None
