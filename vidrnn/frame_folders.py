"""Which pictures of a folder are the frames of one video, and in which order: decided by their names alone."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from vidrnn.errors import VideoError
from vidrnn.names import quoted

PICTURE_SUFFIXES = frozenset(f".{name}" for name in ("bmp", "jpeg", "jpg", "pgm", "png", "ppm", "tif", "tiff", "webp"))
_NUMBERED = re.compile(r"(.*?)([0-9]{1,15})([^0-9]*)", re.DOTALL)  # the last number of a name; 15 digits are exact
_PLACEHOLDER = re.compile(r"\{(?::0?[0-9]*d?)?\}")
_SHOWN = 3  # names in an error


@dataclass(frozen=True)
class FrameFiles:
    """The pictures of one video.

    Attributes:
        paths: the N files in order of their numbers.
        numbers: the N numbers in their names, strictly increasing.
        left_out: how many other pictures lie in the folder; 0 where a template leaves them out on purpose.
    """

    paths: tuple[Path, ...]
    numbers: tuple[int, ...]
    left_out: int = 0

    @property
    def missing(self) -> int:
        """Numbers between the first and the last that no picture has."""
        return self.numbers[-1] - self.numbers[0] + 1 - len(self.numbers)


def picture_files(folder: Path) -> list[Path]:
    """The files with a picture's suffix that lie directly in a folder, by name; hidden ones are no pictures.

    macOS leaves ``._img_00001.jpg`` beside ``img_00001.jpg``, which holds no pixels. Raises OSError.
    """
    with os.scandir(folder) as entries:
        names = [
            entry.name
            for entry in entries
            if Path(entry.name).suffix.lower() in PICTURE_SUFFIXES
            and not entry.name.startswith(".")
            and entry.is_file()
        ]
    return [folder / name for name in sorted(names)]


def list_frames(folder: Path, *, template: str | None = None) -> FrameFiles:
    """The numbered pictures of a folder, in numeric order: ``frame_10`` comes after ``frame_9``.

    Args:
        folder: holds them directly.
        template: how the frames are named, as ``img_{:05}.jpg``; None where all numbered pictures are named alike.

    Raises:
        VideoError: no numbered picture, pictures of several series, or two of one number. OSError: cannot be listed.
    """
    pictures = picture_files(folder)
    form = _NUMBERED if template is None else template_form(template)
    series: defaultdict[tuple[str, ...], list[tuple[int, Path]]] = defaultdict(list)
    for path in pictures:
        if match := form.fullmatch(path.name if template is not None else path.stem):
            prefix, number, tail = match.groups()
            series[prefix, tail, path.suffix.lower()].append((int(number), path))
    if not series:
        wanted = (
            "numbered pictures such as img_00001.jpg" if template is None else f"a picture named as {quoted(template)}"
        )
        raise VideoError(
            f"is a folder without {wanted} ({len(pictures)} pictures in it); a video is a file, or a folder that holds "
            "its frames"
        )
    if len(series) > 1:
        raise VideoError(_several(series.values()))
    (found,) = series.values()
    found.sort()
    for (before, first), (after, second) in pairwise(found):
        if before == after:
            raise VideoError(f"has two pictures of number {before}: {first.name} and {second.name}; keep one")
    numbers, paths = zip(*found, strict=True)
    return FrameFiles(paths, numbers, len(pictures) - len(paths) if template is None else 0)


def template_form(template: str) -> re.Pattern[str]:
    """What names a template allows; groups are what stands before the number, the number, and what follows.

    The padding in the braces is taken as a hint: ``img_{:05}.jpg`` allows ``img_7.jpg`` too.

    Raises:
        ValueError: it is not one name with one pair of braces and a picture's suffix.
    """
    parts = _PLACEHOLDER.split(template)
    if len(parts) != 2 or "/" in template or Path(template).suffix.lower() not in PICTURE_SUFFIXES:
        raise ValueError(
            f"{quoted(template)} must be the name of a picture with the number in braces, for instance "
            f"'img_{{:05}}.jpg'"
        )
    before, after = (re.escape(part) for part in parts)
    return re.compile(f"({before})([0-9]{{1,15}})({after})")


def _several(series: Iterable[list[tuple[int, Path]]]) -> str:
    """What stands in a folder in which no series is the only one."""
    sizes = sorted(((len(pictures), min(pictures)[1].name) for pictures in series), reverse=True)
    shown = ", ".join(f"{count} as {quoted(name)}" for count, name in sizes[:_SHOWN])
    return (
        f"holds {len(sizes)} series of pictures ({shown}{' ...' if len(sizes) > _SHOWN else ''}); "
        "say which are the frames with features.frame_template, for instance 'img_{:05}.jpg'"
    )
