"""What belongs to new videos but is not in them: their texts and arrays."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidrnn.annotations.csv_file import read_rows
from vidrnn.errors import AnnotationError, ConfigError, MissingPathError
from vidrnn.names import quoted
from vidrnn.settings.features import FeatureSettings
from vidrnn.store.spec import FeatureSpec

ANYWHERE = Path("/")  # videos are given by absolute paths
_OTHER_COLUMNS = ("label", "labels", "target", "start", "end", "split", "group")  # of annotations, not looked at


@dataclass(frozen=True)
class SideFiles:
    """Where the texts and arrays of new videos are.

    Attributes:
        texts: absolute path of a video to its text, for models that read a column of the annotations.
        text_folder, arrays: absolute folders, in which files lie as the videos lie below ``root``; without a
            ``text_folder`` text files are beside the videos.
        root: absolute folder of the videos.
    """

    texts: Mapping[Path, str] | None = None
    text_folder: Path | None = None
    arrays: Path | None = None
    root: Path = ANYWHERE

    def refuse_unfit(self, settings: FeatureSettings) -> None:
        """Raise ConfigError when a model of these feature settings lacks something here, or has no use for it."""
        texts = "text" in settings.streams
        column, external = texts and settings.text.source == "column", "external" in settings.streams
        if column and self.texts is None:
            raise ConfigError("the model reads texts: give --texts FILE, a CSV with the columns path,text")
        if not column and self.texts is not None:
            kind = f"files ending in .{settings.text.source}: give their folder" if texts else "no texts: leave it out"
            raise ConfigError(f"--texts FILE, but the model reads {kind}")
        if not texts and self.text_folder is not None:
            raise ConfigError("--texts FOLDER, but the model reads no texts: leave it out")
        if external and self.arrays is None:
            raise ConfigError(
                f"the model reads arrays ({quoted(settings.external.chosen_name)}): give --arrays FOLDER. It holds an "
                "array for each new video, in the same sub-folder and under the same name with "
                f"{settings.external.suffix}"
            )
        if not external and self.arrays is not None:
            raise ConfigError("--arrays FOLDER, but the model reads no arrays: leave it out")

    def applied_to(self, settings: FeatureSettings, specs: Sequence[FeatureSpec]) -> FeatureSettings:
        """The settings of a training with the places of the new files; the specs stay as they are."""
        text = settings.text.model_copy(update={"folder": self.text_folder})
        external = settings.external
        for spec in specs:
            if spec.stream == "text":
                text = text.model_copy(update={"name": spec.preprocessing.get("name", "")})
            if spec.stream == "external":
                place = {"folder": self.arrays, "name": spec.backbone, "dim": spec.dim}
                external = external.model_copy(update=place)
        return settings.model_copy(update={"text": text, "external": external})


def find_side_files(
    paths: Sequence[Path], videos: Sequence[Path], *, texts: Path | Mapping[Path, str] | None, arrays: Path | None
) -> SideFiles:
    """What ``--texts`` and ``--arrays`` say of the videos that were found below the paths.

    Args:
        paths: as the user gave them.
        videos: found there.
        texts: a CSV ``path,text`` or one of annotations, with paths relative to it; a folder of text files; or the
            texts themselves, by path.
        arrays: a folder.

    Raises:
        MissingPathError: there is no such file or folder. AnnotationError: a wrong header, or a video listed twice.
        ConfigError: a folder is given, and the videos are not in one.
    """
    text_folder, known = None, None
    if isinstance(texts, Path):
        if not texts.exists():
            raise MissingPathError(f"--texts {quoted(texts)} does not exist; give a CSV path,text or a folder of texts")
        text_folder, known = (texts, None) if texts.is_dir() else (None, _read_texts(texts))
    elif texts is not None:
        known = {absolute(path): text for path, text in texts.items()}
    if arrays is not None and not arrays.is_dir():
        raise MissingPathError(f"--arrays {quoted(arrays)} is not a folder")
    if text_folder is None and arrays is None:
        return SideFiles(known)
    found = set(videos)
    roots = {absolute(path.parent if path in found else path) for path in paths}
    if len(roots) > 1:
        raise ConfigError(
            f"{', '.join(sorted(map(str, roots)))}: with a folder of texts or arrays, whose files lie as the videos "
            "do, give one folder of videos, or files of one folder"
        )
    return SideFiles(
        known,
        text_folder=None if text_folder is None else absolute(text_folder),
        arrays=None if arrays is None else absolute(arrays),
        root=roots.pop(),
    )


def _read_texts(path: Path) -> dict[Path, str]:
    texts: dict[Path, str] = {}
    for line, row in read_rows(path, required=("path", "text"), optional=_OTHER_COLUMNS):
        video = absolute(path.parent / row["path"])
        if video in texts:
            raise AnnotationError(f"{path}, line {line}: {quoted(row['path'])} is listed twice; keep one row")
        texts[video] = row["text"]
    return texts


def absolute(path: Path) -> Path:
    """Without ``..``, which annotations do not allow, and without following links."""
    return Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow links
