"""What the pipeline is asked for: passes, each of which turns a video into one sequence of features.

Several passes may be made of one reading of the file. Frames that are decoded once are embedded as they are, mirrored,
and as pictures of motion. Passes that share a network share its batches.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.frames.views import Views
from vidrnn.store.source import Places
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.video_features import VideoFeatures


class Executor(Protocol):
    """What computes the features of frames; passes with the same one fill its batches together."""

    @property
    def lanes(self) -> int:
        """How many threads may call it at the same time to good effect."""

    @property
    def page_locked(self) -> bool:
        """Whether frames that lie in page-locked memory reach it faster."""

    def __call__(self, frames: torch.Tensor, views: Views) -> torch.Tensor:
        """(N, 3, S, S) uint8 to one row for each view: (R, D) float32 on the CPU."""


class Embedder(Protocol):
    """A pass over pictures: a frozen network (`vidrnn.backbones.backbone`) or something simpler."""

    @property
    def spec(self) -> FeatureSpec:
        """The identity of what it computes."""

    @property
    def preprocessing(self) -> Preprocessing:
        """From frame to what it looks at; the executor makes its `Preprocessing.turn`."""

    @property
    def executor(self) -> Executor:
        """What computes the features."""


class Alone:
    """Base of embedders that share nothing: a subclass has ``spec``, ``preprocessing`` and `embed`."""

    lanes = 1
    page_locked = False

    @property
    def executor(self) -> Executor:
        """Itself."""
        return self

    def __call__(self, frames: torch.Tensor, views: Views) -> torch.Tensor:
        """See `Executor`."""
        return self.embed(views.of(frames))

    def embed(self, frames: torch.Tensor) -> torch.Tensor:
        """(B, 3, S, S) uint8 to (B, D) float32 on the CPU."""
        raise NotImplementedError


ReadStream = Callable[[Path, Callable[[], None]], Iterator[VideoFeatures]]
"""Gives the features of one file, in the process that reads it; the second argument is called for every packet."""


ChangeSince = Callable[[VideoFeatures, Path], str | None]
"""What makes features differ from what an earlier version of the reading made of a file; None where nothing does."""


def never_changed(_made: VideoFeatures, _source: Path) -> None:
    """A `ChangeSince` for what all versions read alike."""


@dataclass(frozen=True)
class Computed:
    """A pass over something else: sound, or an array from elsewhere.

    Attributes:
        spec: the identity of what it computes.
        read: computes it, where the file is read.
        change_since: says whether an earlier version read it in another way, where the file is read.
        source_of: from a video to the file or files that decide its features. Raises VideoError without one.
    """

    spec: FeatureSpec
    read: ReadStream
    source_of: Callable[[Path], Places] = lambda video: video
    change_since: ChangeSince = never_changed


Pass = Embedder | Computed
