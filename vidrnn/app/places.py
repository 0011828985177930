"""The folders that were given: no file outside of them is ever opened."""

import os
from dataclasses import dataclass
from pathlib import Path

from vidrnn.annotations import find_media
from vidrnn.errors import MissingPathError
from vidrnn.names import quoted


@dataclass(frozen=True)
class Places:
    """Folders that may be read.

    Attributes:
        folders: as they were given.
        bases: what relative names may begin in as well; what they lead to must lie below a folder all the same.
    """

    folders: tuple[Path, ...]
    bases: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        """Raises MissingPathError for what is no folder."""
        for folder in self.folders:
            if not folder.is_dir():
                raise MissingPathError(f"{quoted(folder)} is no folder; give folders that hold videos")

    @property
    def root(self) -> Path | None:
        """What names of clips are relative to; None where there are several folders: then names are absolute."""
        return self.folders[0] if len(self.folders) == 1 else None

    def names(self) -> list[str]:
        """All videos below the folders, sorted: relative to the only folder, or absolute. Links out are left out."""
        found: dict[str, None] = {}
        for folder in self.folders:
            inside = {folder: True}  # a folder below may be a link, and may lead out
            for path in find_media(folder, "videos"):
                above = path.parent
                if above not in inside:
                    inside[above] = _is_below(above, folder)
                if inside[above] and not (path.is_symlink() and not _is_below(path, folder)):
                    found[str(path.relative_to(folder) if self.root else path.absolute())] = None
        return list(found)

    def find(self, name: str) -> Path | None:
        """The regular file of that name below a folder, without links; None where there is none.

        A name may come from a file that anybody wrote, such as predictions.csv. So what counts is where it leads:
        ``..`` and links that end outside of the folders find nothing.
        """
        if "\0" in name:
            return None
        for base in (*self.folders, *self.bases):
            try:
                place = (base / name).resolve(strict=True)
                if any(_is_below(place, folder) for folder in self.folders) and place.is_file():
                    return place
            except (OSError, RuntimeError):  # not there, may not be looked at, or a circle of links
                continue
        return None

    def name_of(self, name: str) -> str:
        """A name as `names` has it, of one that begins elsewhere; what is not found keeps its own."""
        place = self.find(name)
        if place is None:
            return name
        if self.root is None:
            return str(place)
        return str(place.relative_to(os.path.realpath(self.root)))


def _is_below(place: Path, folder: Path) -> bool:
    return Path(os.path.realpath(place)).is_relative_to(os.path.realpath(folder))  # circles of links end there
