"""Looks into videos for whoever writes annotations: when each frame is shown, and whether there is sound."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vidrnn.annotations import Annotation
from vidrnn.annotations.segments import Times
from vidrnn.annotations.writing import Footage
from vidrnn.errors import VideoError
from vidrnn.names import quoted
from vidrnn.store.source import is_reachable
from vidrnn.video.probe import probe


@dataclass(frozen=True)
class FootageFinder:
    """What the files of videos say, each opened once.

    Attributes:
        root: of the videos.
        frame_rate, frame_template: of folders of frames, see `vidrnn.video.probe.probe`.
        failures: path of a video to why it cannot be read; those that are not there are not among them.
        on_look: called after each file.
    """

    root: Path
    frame_rate: float | None = None
    frame_template: str | None = None
    failures: dict[str, str] = field(default_factory=dict)
    on_look: Callable[[], object] = lambda: None
    _seen: dict[str, Footage | None] = field(default_factory=dict)

    def find(self, annotation: Annotation) -> Footage | None:
        """What is known of a video; None where it is not there or cannot be read."""
        return self._of(annotation.path)

    def bounds_of(self, path: str) -> Times:
        """(frames + 1,) seconds of the frames of a video. Raises VideoError where it cannot be read."""
        footage = self._of(path)
        if footage is None:
            cause = self.failures.get(path, "is not there")
            raise VideoError(f"{quoted(path)} {cause}, and its annotations count frames; set data.frame_rate")
        return footage.bounds_s

    def _of(self, path: str) -> Footage | None:
        if path not in self._seen:
            self._seen[path] = self._look(path)
            self.on_look()
        return self._seen[path]

    def _look(self, path: str) -> Footage | None:
        place = self.root / path
        if not is_reachable(place):
            return None
        try:
            video = probe(place, frame_rate=self.frame_rate, frame_template=self.frame_template)
        except VideoError as error:
            self.failures[path] = str(error)
            return None
        end_s = float(video.timestamps_s[0]) + video.duration_s
        return Footage(np.append(video.timestamps_s, end_s), video.has_audio)
