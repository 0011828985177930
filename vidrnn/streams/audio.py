"""The stream ``audio``: from a file to the features of its sound, in the process that reads it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidrnn.errors import AbsentStreamError, VideoError
from vidrnn.store.source import Source, is_there, state_of
from vidrnn.store.video_features import VideoFeatures, VideoMetadata
from vidrnn.streams.log_mel import RATE, SoundSteps
from vidrnn.video.audio import Sound
from vidrnn.video.container import longest_step_s, open_audio

_STEP_S = 1.0  # the gap between two steps is shorter than that in the sound by less than this


@dataclass(frozen=True)
class ReadSound:
    """A `ReadVideo` that gives the features of the sound.

    Attributes:
        bands, rate: as in `AudioSettings`.
    """

    bands: int
    rate: float

    def change_since(self, made: VideoFeatures, source: Path) -> str | None:
        """A `ChangeSince`: before version 1, the first track was taken, and a clock that was set anew left a long gap.

        Notes of then tell both. Raises VideoError.
        """
        if any("that step back in time" in note for note in made.notes):
            return "times of sound"
        has_gaps, has_tracks = (any(text in note for note in made.notes) for text in (" gaps,", " audio tracks"))
        if not has_gaps and not has_tracks:
            return None
        with open_audio(source) as (container, stream):
            if stream.index != container.streams.audio[0].index:
                return "another of several audio tracks"
            longest_s = float(np.diff(made.timestamps_s).max(initial=0.0))
            return "times of sound" if has_gaps and longest_s > longest_step_s(container) - _STEP_S else None

    def __call__(self, source: Path, on_progress: Callable[[], None]) -> Iterator[VideoFeatures]:
        """Decode and pool. Memory holds one block and the steps, however long the sound is.

        Raises:
            AbsentStreamError: it has no sound. VideoError: it cannot be decoded, or was written to meanwhile.
            OSError: it cannot be read.
        """
        before = state_of(source) if is_there(source) else None
        sound = Sound(source, rate=RATE, on_progress=on_progress)
        steps = SoundSteps(bands=self.bands, rate=self.rate)
        end_s = 0.0
        for block in sound.blocks():
            steps.add(block)
            end_s = max(end_s, block.start_s + len(block.samples) / RATE)
        features, timestamps_s = steps.finish()
        if len(features) == 0:
            raise AbsentStreamError("has less sound than one window of 25 ms")
        digest = Source.of(source, on_read=lambda _count: on_progress())
        if before != digest.state:
            raise VideoError("was written to while it was decoded; run again when the file is complete")
        # Nothing is known of its pictures, which are not looked at: the sound alone may be all there is.
        yield VideoFeatures(features, timestamps_s, VideoMetadata(0, 0, 0, end_s), digest, sound.notes)
