"""Puts videos into a folder for each label, by what `vidrnn classify` wrote. Nothing is overwritten or removed."""

import filecmp
import hashlib
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from vidrnn.errors import ConfigError
from vidrnn.inference.prediction import Prediction
from vidrnn.names import file_name, quoted
from vidrnn.settings.model import Head
from vidrnn.settings.outputs import refuse_unwritable

Outcome = Literal["put", "there", "failed", "gone"]
_LONGEST = 240  # bytes of a name; file systems take 255


def refuse_unsortable(head: Head, folder: Path, paths: Sequence[Path]) -> None:
    """Refuse what cannot be sorted, before anything runs.

    Args:
        head: what the model answers.
        folder: that gets a folder for each label.
        paths: where videos are looked for.

    Raises:
        ConfigError: the head gives no label per video; nothing can be written to the folder; or it lies where videos
            are looked for, and the next run would take the sorted ones for new.
    """
    if head != "label":
        raise ConfigError(
            f"--sort-into needs one label per video, and the model answers with head {head!r}; leave it out, or cut "
            "the segments into clips with `vidrnn cut`"
        )
    refuse_unwritable(folder, option="--sort-into")
    inside = next((path for path in paths if path.is_dir() and folder.resolve().is_relative_to(path.resolve())), None)
    if inside is not None:
        raise ConfigError(
            f"--sort-into {quoted(folder)} lies in {quoted(inside)}, where videos are looked for; name a folder "
            "elsewhere"
        )


def sort_videos(
    predictions: Iterable[Prediction],
    folder: Path,
    *,
    copy: bool,
    on_video: Callable[[], object] = lambda: None,
) -> Counter[Outcome]:
    """Link or copy each video into ``folder/<label>/``; a second run finds all there.

    A video keeps its name. Where another video has that name already, six digits of where it comes from are put behind.
    Labels become names of folders by `vidrnn.names.file_name`.

    Args:
        predictions: of a model of head ``label``.
        folder: made where it is missing.
        copy: copies; else symbolic links to absolute paths.
        on_video: called after each.

    Returns:
        How many were ``put`` there now, were ``there`` already, had ``failed`` (left out) and are ``gone`` (the video
        is no longer where it was).

    Raises:
        OSError: the folder cannot be written.
    """
    outcomes: Counter[Outcome] = Counter()
    for prediction in predictions:
        outcomes[_sort(prediction, folder, copy=copy)] += 1
        on_video()
    return outcomes


def _sort(prediction: Prediction, folder: Path, *, copy: bool) -> Outcome:
    if prediction.label is None:
        return "failed"
    video = Path(os.path.abspath(prediction.path))  # noqa: PTH100  a link that was given stays a link
    if not video.exists():
        return "gone"
    place = folder / file_name(prediction.label)
    place.mkdir(parents=True, exist_ok=True)
    for name in (video.name, _other_name(video)):
        target = place / name
        if _is_the_same(target, video):
            return "there"
        if not os.path.lexists(target):
            _copy(video, target) if copy else target.symlink_to(video)
            return "put"
    raise FileExistsError(
        f"{quoted(place / video.name)} and {quoted(target)} are there and hold other things; name another --sort-into"
    )


def _other_name(video: Path) -> str:
    """The name with six digits of the folder that it comes from."""
    digits = hashlib.sha256(os.fsencode(video.parent)).hexdigest()[:6]
    room = _LONGEST - len(os.fsencode(video.suffix)) - len(digits)
    return f"{os.fsdecode(os.fsencode(video.stem)[:room])}~{digits}{video.suffix}"


def _is_the_same(target: Path, video: Path) -> bool:
    """Whether a link leads to the video, or a copy holds what it holds."""
    if target.is_symlink():
        return os.path.realpath(target) == os.path.realpath(video)  # one that leads nowhere is another's
    if target.is_dir() and video.is_dir():
        names = {path.relative_to(video) for path in video.rglob("*") if path.is_file()}
        if names != {path.relative_to(target) for path in target.rglob("*") if path.is_file()}:
            return False
        return all(_is_the_same_file(target / name, video / name) for name in names)
    return target.is_file() and video.is_file() and _is_the_same_file(target, video)


def _is_the_same_file(one: Path, other: Path) -> bool:
    """By content: cameras and archives give other videos of one name the same size and time."""
    return filecmp.cmp(one, other, shallow=False)


def _copy(video: Path, target: Path) -> None:
    """A copy that is whole or not there, and never in the place of something else."""
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        if video.is_dir():
            shutil.copytree(video, part)
            part.rename(target)  # fails where a folder with something in it is there
        else:
            shutil.copy2(video, part)
            target.touch(exist_ok=False)  # fails where something has come in between
            part.replace(target)
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
