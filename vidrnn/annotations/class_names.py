"""Class files: which name belongs to which number."""

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from vidrnn.annotations.rows import read_json_object, read_lines
from vidrnn.errors import AnnotationError
from vidrnn.names import excerpt, quoted

_NO_LETTERS = re.compile(r"(?<!\d)[\s_-]+|[\s_-]+(?!\d)")  # "walk 2" is "walk2", but "1-1" is not "11"
_UNSEEN = frozenset({"Cc", "Cf"})  # Unicode's categories of controls and of formats, such as a space of no width
_MISSING = frozenset({"nan", "null", "none", "n/a", "na", "#n/a", "#name?", "#value!", "undefined", "?", "-"})
_NUMBERED = re.compile(r"(\d{1,9})[\s,]+(.+)")


def read_class_names(path: Path) -> dict[int, str]:
    """Read number to name from any of three forms.

    A name per line, numbered from 0; ``number name`` on every line, as UCF101's ``classInd.txt``; or, in a file named
    ``.json``, an object ``{"name": number}``.

    Raises:
        MissingPathError: there is no such file.
        AnnotationError: something else in place of a number, a number twice, or two spellings of one name.
    """
    if path.suffix.lower() == ".json":
        rows = [(f"{path}, {quoted(name)}", number, name) for name, number in read_json_object(path).items()]
    else:
        lines = read_lines(path)
        matches = [_NUMBERED.fullmatch(text) for _, text in lines]
        # Only when all lines are numbered are the numbers no part of the names ("10 m sprint").
        numbered = all(matches)
        rows = [
            (
                f"{path}, line {line}",
                int(match[1]) if numbered and match else at,
                match[2] if numbered and match else text,
            )
            for at, ((line, text), match) in enumerate(zip(lines, matches, strict=True))
        ]
    names: dict[int, str] = {}
    for where, number, name in rows:
        if not isinstance(number, int) or isinstance(number, bool):
            raise AnnotationError(f"{where}: number {excerpt(number)} is not a whole number; write {{name: number}}")
        if number in names:
            raise AnnotationError(
                f"{where}: number {number} is {quoted(names[number])} already; give each class its own"
            )
        # PySlowFast's files for Kinetics carry quotes within the names.
        names[number] = name.strip().strip('"')
    refuse_twin_names(names.values(), where=str(path))
    return names


def refuse_twin_names(names: Iterable[str], *, where: str) -> None:
    """Refuse names that `find_twin_names` finds alike: they would be two classes.

    Raises:
        AnnotationError: with both spellings.
    """
    for before, name in find_twin_names(names):
        raise AnnotationError(f"{where}: {quoted(before)} and {quoted(name)} look like one class; use one spelling")


def find_twin_names(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Names that differ in case, spaces, hyphens, underscores or what prints nothing from an earlier one.

    As (earlier, name). Pages of the web and word processors leave characters without width behind.
    """
    spelling: dict[str, str] = {}
    for name in names:
        printed = "".join(character for character in name if unicodedata.category(character) not in _UNSEEN)
        before = spelling.setdefault(_NO_LETTERS.sub("", printed).casefold(), name)
        if before != name:
            yield before, name


def doubtful_names(names: Iterable[str]) -> Iterator[str]:
    """Notes on names that a spreadsheet or a program may have made: one number in several spellings, missing values."""
    spellings: defaultdict[float, list[str]] = defaultdict(list)
    for name in sorted(set(names)):
        if name.casefold() in _MISSING:
            yield f"class {quoted(name)} looks like a missing value; if it is one, leave these videos out"
            continue
        try:
            number = float(name)
        except ValueError:
            continue
        if math.isfinite(number):
            spellings[number].append(name)
    for several in spellings.values():
        if len(several) > 1:
            listed = ", ".join(map(quoted, several[:-1])) + f" and {quoted(several[-1])}"
            yield f"{listed} are one number, but {len(several)} classes; if they are meant as one, use one spelling"


def name_of(number: int, names: dict[int, str] | None) -> str:
    """Name of a class number; the number itself where there is no class file.

    Raises:
        AnnotationError: a number outside the class file.
    """
    if names is None:
        return str(number)
    if number not in names:
        raise AnnotationError(
            f"label {number} is not among the {len(names)} classes numbered {min(names)} to {max(names)}. A class file "
            "without numbers counts from 0; for labels that count from 1, write 'number name' on each of its lines"
        )
    return names[number]
