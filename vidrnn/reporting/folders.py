"""What a page may tell of folders: it is shown around, so paths begin in the folder that all of them share."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from vidrnn.evaluation.prediction_table import PredictionTable
from vidrnn.names import is_absolute, last_part, pure_path
from vidrnn.reporting.filmstrips import Filmstrip, Shown

_BEGINNING = r"(?:/(?=[^\s/])|~[^\s/\\]*/|[A-Za-z]:[\\/]|\\\\)"
_QUOTED = re.compile(rf"(['\"])({_BEGINNING}[^'\"\n]*)\1")
_BARE = re.compile(rf"(?<![\w.~<>/\\:-]){_BEGINNING}[^\s'\"<>|,;:()]*")
_HOMES = {"home", "users", "media", "mnt"}  # a folder in one of them is often somebody's name


def shown_paths(paths: Iterable[str]) -> dict[str, str]:
    """Absolute paths of videos to what a page shows of each: the part behind the folder that all of them share.

    Where they share none, that is the last part, and of several alike all but the first have a number. Paths that are
    relative already are left out.
    """
    given = dict.fromkeys(paths)
    whole = [path for path in given if is_absolute(path)]
    shared = _shared([pure_path(path).parent for path in whole])
    found: dict[str, str] = {}
    taken = given.keys() - set(whole)
    for path in whole:
        rest = pure_path(path).parts[shared:] if shared else (last_part(path),)
        name = plain = "/".join(rest)
        number = 1
        while name in taken:
            number += 1
            name = f"{plain} ({number})"
        taken.add(name)
        found[path] = name
    return found


def _shared(folders: Sequence[PurePath]) -> int:
    """How many parts all begin with; 0 where these are a root, or one whose folders are people's."""
    count = 0
    for parts in zip(*(folder.parts for folder in folders), strict=False):
        if len(set(parts)) > 1:
            break
        count += 1
    shared = folders[0].parts[:count] if folders else ()
    return 0 if (len(shared) < 2 and not "".join(shared).startswith("~")) or shared[-1].lower() in _HOMES else count


def without_folders(text: str, *folders: Path) -> str:
    """A text in which each absolute path is its last part.

    Args:
        text: an error, a protocol, or the like.
        folders: known ones, whose names may hold spaces; what lies in them keeps its path from there.
    """
    for folder in folders:
        if is_absolute(str(folder)):
            text = text.replace(f"{folder}/", "")
    text = _QUOTED.sub(lambda found: f"{found[1]}{last_part(found[2])}{found[1]}", text)
    return _BARE.sub(lambda found: last_part(found[0]), text)


def figures_without_folders(value: Any) -> Any:  # noqa: ANN401  what JSON can hold
    """All texts within objects and lists as `without_folders`, but for class names."""
    if isinstance(value, dict):
        return {key: inner if key == "label" else figures_without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [figures_without_folders(inner) for inner in value]
    return without_folders(value) if isinstance(value, str) else value


def table_without_folders(table: PredictionTable, shown: Mapping[str, str]) -> PredictionTable:
    """Predictions under the paths that a page shows, see `shown_paths`."""
    by_seed = {
        seed: {shown.get(path, path): video for path, video in videos.items()} for seed, videos in table.by_seed.items()
    }
    return replace(table, by_seed=by_seed)


class Places:
    """Where the videos are that a page shows by other paths.

    Args:
        shown: see `shown_paths`.
        have_moved: they lie in another folder now, and have the paths of the page there.
    """

    def __init__(self, shown: Mapping[str, str], *, have_moved: bool) -> None:
        self._shown = shown
        self._real = {} if have_moved else {name: path for path, name in shown.items()}

    def on_disk(self, wanted: Iterable[Shown]) -> list[Shown]:
        """What to decode for the clips of the page."""
        return [(self._real.get(path, path), span) for path, span in wanted]

    def on_page(self, found: Mapping[Shown, Filmstrip]) -> dict[Shown, Filmstrip]:
        """What was decoded, by the paths of the page."""
        return {
            (self._shown.get(path, path), span): replace(strip, problem=without_folders(strip.problem))
            for (path, span), strip in found.items()
        }
