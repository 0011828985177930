"""Labels as files: the CSV that vidrnn trains from, and the formats of other programs."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vidrnn.annotations import Annotation
from vidrnn.annotations.writers import write_annotations
from vidrnn.annotations.writing import Writing
from vidrnn.app.clips import Clips
from vidrnn.app.label_log import Said
from vidrnn.preflight.footage import FootageFinder

_SUFFIXES = {
    "csv": ".csv",
    "activitynet": ".json",
    "activitynet_results": ".json",
    "boris": ".boris",
    "feral": ".json",
    "thumos14": "",
    "mstcn": "",
    "deepethogram": "",
    "cholec80": "",
    "eaf": "",
    "srt": "",
    "vtt": "",
}
FORMATS = tuple(_SUFFIXES)
"""Names in `vidrnn.annotations.writers`; formats without a suffix are folders, which become a .zip."""


@dataclass(frozen=True)
class Exported:
    """A file to take away, and what its format has no place for."""

    path: Path
    notes: tuple[str, ...]


def annotations_of(clips: Clips, said: dict[str, Said], known: Sequence[Annotation]) -> list[Annotation]:
    """What is known of videos after all corrections.

    Args:
        clips: of the page.
        said: what people said there.
        known: annotations from before, with their splits and groups; a label that was corrected takes the place of
            theirs. Empty: what predictions.csv tells is known.
    """
    before = {annotation.path: annotation for annotation in known} or {
        name: Annotation(name, label, None, clips.answers.groups.get(name, name))
        for name, label in clips.answers.truths.items()
    }
    found = dict(before)
    for name, what in said.items():
        old = before.get(name, Annotation(name, "", None, name, segments=()))
        if what.segments is not None:
            found[name] = replace(old, label="", labels=None, target=None, segments=what.segments, unlabelled=())
        elif what.label is not None:
            found[name] = replace(old, label=what.label, labels=None, target=None, segments=None, unlabelled=())
    if not all(annotation.split for annotation in found.values()):  # in every row or in none
        return [replace(annotation, split=None) for annotation in found.values()]
    return list(found.values())


def export(annotations: Sequence[Annotation], kind: str, folder: Path, *, root: Path) -> Exported:
    """Write annotations in a format into an empty folder.

    Raises:
        AnnotationError, ConfigError: see `write_annotations`. OSError: the folder cannot be written.
    """
    output = folder / f"labels{_SUFFIXES.get(kind, '')}"
    finder = FootageFinder(root)
    writing = Writing(output, root, finder.find, overwrite=True)
    write_annotations(annotations, kind, writing)
    notes = [f"{kind} has no place for {number} {name}" for name, number in writing.losses.items() if number]
    notes += [f"{path}: {cause}; taken as not there" for path, cause in finder.failures.items()]
    if output.is_dir():
        output = Path(shutil.make_archive(str(folder / f"labels_{kind}"), "zip", output))
    return Exported(output, tuple(notes))
