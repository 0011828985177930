"""Settings of the section `data`: which videos there are, and what is known of them."""

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vidrnn.names import quoted
from vidrnn.settings.base import Fraction, PathSetting, Positive, Settings

Risk = Literal["shared_groups", "missing_classes", "identical_files", "near_duplicates", "metadata"]
"""What makes a number too good, or about less than it seems, and can be accepted on purpose."""
Format = Literal[
    "folder",
    "csv",
    "ucf101",
    "hmdb51",
    "kinetics",
    "pyslowfast",
    "mmaction",
    "activitynet",
    "mstcn",
    "deepethogram",
    "feral",
    "cholec80",
    "thumos14",
    "boris",
    "eaf",
    "srt",
    "vtt",
]
"""How annotations are written."""
_FRAME_FORMATS = ("mstcn", "deepethogram", "feral", "cholec80")
_FILE_FORMATS = ("activitynet", *_FRAME_FORMATS, "thumos14", "boris", "eaf", "srt", "vtt")
_OF_LABEL = ("ucf101", "hmdb51", "kinetics")  # formats of one label for each video
Media = Literal["videos", "frames", "pictures", "sounds"]


class DataSettings(Settings):
    """Which videos there are, and their labels, splits and groups."""

    root: PathSetting
    """Folder that all video paths are relative to; environment variables as ``${NAME:-default}``."""
    format: Format = "folder"
    """``folder``: ``root/<class>/*`` or ``root/<split>/<class>/*`` (``train``, ``Testing`` ...); all others read
    ``annotations``."""
    media: Media = "videos"
    """What the videos are, for ``folder`` and ``mmaction``, and where `vidrnn classify` looks into folders: ``videos``,
    files; ``frames``, folders of numbered pictures; ``pictures``, still images, each a video of one frame;
    ``sounds``, files of sound alone. The paths of other formats may be any of these."""
    annotations: str | None = None
    """File or folder relative to ``root``, needed by all formats but ``folder`` (docs/annotations.md). A CSV has the
    columns ``path`` and what the head needs (``label``; ``labels`` separated by ``|``; ``target``; or one row per
    ``start,end`` with either), then ``split``, ``group``."""
    split_number: Positive = 1
    """Which of the official splits (``ucf101``, ``hmdb51``: 1 to 3; ``mstcn``: as many as there are)."""
    frame_rate: Annotated[float, Field(gt=0.0)] | None = None
    """Rows per second of annotations with one row per frame (``mstcn``, ``deepethogram``, ``feral``, ``cholec80``): row
    k is at k / ``frame_rate`` seconds. null: 25 for ``cholec80``; the others refuse to guess."""
    tiers: tuple[str, ...] | None = None
    """Which tiers of an ``.eaf`` are read; null: all that have times of their own."""
    classes: str | None = None
    """File of class names relative to ``root`` (``pyslowfast``, ``mmaction``): one per line from 0, ``number name`` on
    every line, or JSON ``{"name": number}``; null: the numbers are the names."""
    video_path: str | None = None
    """Where a video lies below ``root``, for all formats but ``folder``, ``csv`` and lists of paths. It is made of
    ``{name}`` (without suffix), ``{split}`` and, for ``ucf101``, ``hmdb51`` and ``kinetics``, ``{label}``: for instance
    ``{split}/{name}.mp4`` or, flat, ``{name}.avi``. null: as the set is published, see docs/annotations.md."""
    group_pattern: str | None = None
    """Regular expression searched in each path; its first parenthesis is the group (all formats but ``csv``)."""
    val_fraction: Fraction = 0.2
    """Share of the training groups that become validation when the annotations name no validation split."""
    test_fraction: Fraction = 0.0
    """Share of all groups that become test when the annotations name no split at all; 0 makes no test split."""
    split_seed: int = 0
    """Seed of the two choices above, apart from ``training.seed`` so that seeds compare on equal splits."""

    accept: tuple[Risk, ...] = ()
    """What is refused unless it stands here; every result then names it. ``shared_groups``: a group on both sides.
    ``missing_classes``: a split that lacks a class. `vidrnn check` finds the others: ``identical_files``,
    ``near_duplicates``, ``metadata`` (width, height and length give the label away). docs/splitting.md explains."""

    @model_validator(mode="after")
    def _check(self) -> "DataSettings":
        if self.format == "csv" and not self.annotations:
            raise ValueError("format csv needs data.annotations, the CSV file relative to data.root")
        if self.format != "folder" and not self.annotations:
            raise ValueError(f"format {self.format} needs data.annotations, relative to data.root: docs/annotations.md")
        if self.classes is not None and self.format not in {"pyslowfast", "mmaction"}:
            raise ValueError(f"data.classes is for the formats pyslowfast and mmaction, not for {self.format}")
        if self.media != "videos" and self.format not in {"folder", "csv", "mmaction"}:
            raise ValueError(f"data.media is for the formats folder, csv and mmaction, not for {self.format}")
        if self.split_number > 3 and self.format in {"ucf101", "hmdb51"}:
            raise ValueError(f"data.split_number {self.split_number} is none of the official ones; allowed: 1, 2, 3")
        if self.frame_rate is not None and self.format not in _FRAME_FORMATS:
            raise ValueError(f"data.frame_rate is for {', '.join(_FRAME_FORMATS)}, not for {self.format}")
        if self.tiers is not None and self.format != "eaf":
            raise ValueError(f"data.tiers is for eaf, not for {self.format}")
        if self.video_path is not None:
            self._check_video_path(self.video_path)
        return self

    def _check_video_path(self, template: str) -> None:
        if self.format not in {*_OF_LABEL, *_FILE_FORMATS}:
            raise ValueError(f"data.video_path is for formats that do not name paths themselves, not for {self.format}")
        allowed = {"name", "split"} | ({"label"} if self.format in _OF_LABEL else set())
        named = set(re.findall(r"\{([^{}]*)\}", template))
        if "name" not in named or not named <= allowed:
            raise ValueError(
                f"data.video_path {quoted(template)} must hold {{name}} and no other braces than "
                + ", ".join(f"{{{brace}}}" for brace in sorted(allowed))
            )
