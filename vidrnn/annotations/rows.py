"""What the readers of public formats share: lines and JSON of a file, places of mistakes, words for splits, paths."""

import codecs
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vidrnn.annotations.records import Annotation, Split
from vidrnn.errors import AnnotationError, MissingPathError
from vidrnn.names import excerpt, quoted

_SPLIT_WORDS: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_ZIP = b"PK\x03\x04"  # what .xlsx and .ods are
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_OF_VIDEOS = re.compile(r"[\s_-]*(?:set|split|data|videos?|clips?)$")  # as in test_set


@contextmanager
def located(where: str) -> Iterator[None]:
    """Put ``where`` (file and line) in front of an AnnotationError that is raised inside."""
    try:
        yield
    except AnnotationError as error:
        raise AnnotationError(f"{where}: {error}") from None


@contextmanager
def of_form(where: str, form: str) -> Iterator[None]:
    """As `located`, and what a tree of another form raises inside becomes an AnnotationError too.

    Args:
        where: file, and what is read of it.
        form: what is expected.
    """
    try:
        with located(where):
            yield
    except AnnotationError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AnnotationError(f"{where}: not of the form of {form} ({type(error).__name__}: {error})") from error


def read_text(path: Path) -> str:
    """Text of a file in UTF-8, or in UTF-16 with a byte order mark; the mark is skipped.

    Raises:
        MissingPathError: there is no such file.
        AnnotationError: not UTF-8, with the line; a workbook of a spreadsheet; or a folder.
    """
    if path.is_dir():
        raise AnnotationError(f"{quoted(path)} is a folder; give the file inside it")
    try:
        with path.open("rb") as file:
            first = file.read(len(_ZIP))
            if first == _ZIP:
                raise AnnotationError(f"{quoted(path)} is a workbook or another zip; save the sheet as CSV in UTF-8")
        return path.read_text(encoding="utf-16" if first.startswith(_UTF_16) else "utf-8-sig")
    except FileNotFoundError:
        raise MissingPathError(
            f"{quoted(path)} does not exist; correct the path (a configuration gives it relative to data.root)"
        ) from None
    except UnicodeDecodeError:
        raise AnnotationError(f"{path}, {_first_not_utf8(path)} is not UTF-8; save the file as UTF-8") from None


def _first_not_utf8(path: Path) -> str:
    for line, raw in enumerate(path.read_bytes().split(b"\n"), start=1):
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            return f"line {line}: {raw[max(error.start - 20, 0) : error.start + 20]!r}"
    raise AssertionError(f"{path} changed while it was read")


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Pairs of line number (from 1) and stripped text of the lines that are not empty; at least one.

    Raises:
        MissingPathError, AnnotationError: as `read_text`; nothing but empty lines.
    """
    stripped = ((number, line.strip()) for number, line in enumerate(read_text(path).split("\n"), start=1))
    lines = [(number, line) for number, line in stripped if line]
    if not lines:
        raise AnnotationError(f"{path} is empty; give one line per entry")
    return lines


def read_json_object(path: Path) -> dict[str, object]:
    """The object of a JSON file.

    Raises:
        MissingPathError, AnnotationError: as `read_text`; not JSON, not an object, or a key that stands twice.
    """

    def unrepeated(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in pairs:
            if key in found:
                raise AnnotationError(f"{path}: key {quoted(key)} stands twice; keep one of the two")
            found[key] = value
        return found

    try:
        tree = json.loads(read_text(path), object_pairs_hook=unrepeated, parse_int=_number)
    except json.JSONDecodeError as error:
        raise AnnotationError(f"{path}, line {error.lineno}: not JSON: {error.msg}") from error
    except RecursionError:
        raise AnnotationError(f"{path}: nested too deeply to be annotations; give the JSON as published") from None
    if not isinstance(tree, dict):
        raise AnnotationError(f"{path}: expected an object in braces, got {type(tree).__name__}")
    return tree


def number_of(text: str) -> float:
    """A number as people and their programs write it; ``1_000`` is Python's own. Raises ValueError."""
    if "_" in text:
        raise ValueError(f"{excerpt(text)} is not a number")
    return float(text)


def _number(text: str) -> int | float:
    # Python refuses integers of thousands of digits, and floats of hundreds; as a float these are inf, refused later.
    return int(text) if len(text) < 16 else float(text)


def list_folder(path: Path, *, expected: str) -> Path:
    """``path`` if it is a folder; else MissingPathError saying which files were expected in it."""
    if not path.is_dir():
        raise MissingPathError(f"data.annotations: {quoted(path)} is not a folder; give the one that holds {expected}")
    return path


def split_from_word(word: str) -> Split | None:
    """``train``, ``val`` or ``test`` for the words that data sets use (``Training``, ``validate``, ``test_set``)."""
    return _SPLIT_WORDS.get(_OF_VIDEOS.sub("", word.strip().casefold()))


def fill_path(template: str, *, name: str, split: Split | None = None, label: str = "") -> str:
    """Path of a video from ``data.video_path`` or a format's own template; braces in names are left alone."""
    values = {"name": name, "split": split or "train", "label": label}
    return re.sub(r"\{(name|split|label)\}", lambda match: values[match[1]], template)


def add_once(found: dict[str, Annotation], annotation: Annotation) -> None:
    """Keep an annotation by path. Raises AnnotationError for a video that is there already."""
    before = found.setdefault(annotation.path, annotation)
    if before is not annotation:
        raise AnnotationError(
            f"video {quoted(annotation.path)} is listed twice, as {excerpt('|'.join(before.names))} ({before.split}) "
            f"and {excerpt('|'.join(annotation.names))} ({annotation.split}); keep one"
        )
