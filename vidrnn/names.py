r"""Names of files in any encoding, written as UTF-8: one reversible escape, used wherever a name goes into a text file.

File systems hold bytes. Where a name is not UTF-8, Python gives its other bytes as lone surrogates (PEP 383), which a
file in UTF-8 cannot hold. `writable` writes such a byte as ``\xe9``. Where a name already looks like that, its
backslashes are doubled, so that `original` gives every name back. All other names stay as they are.
"""

import codecs
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

_SURROGATE = re.compile(r"(\\*)([\ud800-\udfff])")
_LIKE_ESCAPE = re.compile(r"(\\+)(?=x[89a-f][0-9a-f]|ud[89a-f][0-9a-f]{2})")
_ESCAPED = re.compile(r"(\\+)(x[89a-f][0-9a-f]|ud[89a-f][0-9a-f]{2})")
_REFUSED = re.compile(r"[\x00-\x1f\x7f<>:\"/\\|?*~]")
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}
_SHOWN = 200  # characters of what stands in a file
_LISTED = 20  # names in a message
_LONGEST = 100  # bytes; file systems take 143 or more, and something is put behind
_BYTES_FROM = 0xDC00  # a byte is this and its value
_ABSOLUTE = re.compile(r"/|~|[A-Za-z]:[\\/]|\\\\")
CONSOLE_ERRORS = "vidrnn_names"
"""Name of the error handler that shows such bytes in what is printed."""


def writable(name: str) -> str:
    r"""A name as text that UTF-8 can hold: ``caf\xe9.mp4`` for a byte E9."""
    doubled = _LIKE_ESCAPE.sub(lambda found: 2 * found[1], name)
    return _SURROGATE.sub(lambda found: 2 * found[1] + _escape(found[2]), doubled)


def original(text: str) -> str:
    """Inverse of `writable`."""
    return _ESCAPED.sub(lambda found: len(found[1]) // 2 * "\\" + _unescape(found[2], len(found[1])), text)


def writable_values(value: Any) -> Any:  # noqa: ANN401  what JSON can hold
    """All texts within objects and lists as `writable`; keys stay, since they are never people's names."""
    if isinstance(value, Mapping):
        return {key: writable_values(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [writable_values(inner) for inner in value]
    return writable(value) if isinstance(value, str) else value


def quoted(name: object) -> str:
    r"""A name between quotes and in one line, for what people read; all else as `writable`: ``'caf\xe9.mp4'``."""
    text = "".join(sign if sign.isprintable() else _printable(sign) for sign in writable(str(name)))
    return f'"{text}"' if "'" in text and '"' not in text else f"'{text}'"


def excerpt(content: object) -> str:
    """What stands in a file, as Python shows it, for people: of a long text its beginning, and how long it is."""
    shown = repr(content)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]} ... ({len(shown)} characters)"


def listed(names: Iterable[object]) -> str:
    """Several names, each `quoted`, as a list is printed: of many the first, and how many more there are."""
    found = list(names)
    more = f", ... and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return f"[{', '.join(map(quoted, found[:_LISTED]))}{more}]"


def file_name(text: str) -> str:
    r"""A name for a file or folder that every file system takes, the same for the same text.

    What some system refuses (``< > : " / \ | ? * ~``, control characters, dots and spaces at the end, names of devices,
    more than 100 bytes) is replaced or cut off. A name that was changed ends with six digits of the text's digest, so
    that two texts never share one.
    """
    text = unicodedata.normalize("NFC", writable(text))
    plain = _REFUSED.sub("_", text).strip(" .")
    if plain.split(".", 1)[0].upper() in _DEVICES:
        plain = f"_{plain}"
    plain = plain.encode()[:_LONGEST].decode(errors="ignore")
    if plain and plain == text:
        return plain
    return f"{plain}~{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def is_absolute(path: str) -> bool:
    """Whether it begins as an absolute path does on any system, or in somebody's home."""
    return _ABSOLUTE.match(path) is not None


def pure_path(path: str) -> PurePath:
    """An absolute path of any system as its parts; one of POSIX may hold backslashes, as `writable` writes them."""
    return PurePosixPath(path) if path[:1] == "/" or (path[:1] == "~" and "/" in path) else PureWindowsPath(path)


def last_part(path: str) -> str:
    """The name behind an absolute path, without the folders, which are nobody's business; anything else as it is."""
    return pure_path(path).name or "." if is_absolute(path) else path


def of_windows(names: Iterable[str]) -> str:
    """What to do about names that are not found, where one looks like a path of Windows; empty where none does."""
    shown = next((name for name in names if "\\" in name), None)
    return "" if shown is None else f"; folders are separated by / and not by the backslashes of {quoted(shown)}"


def of_unicode(path: Path) -> str:
    """What to do about a path that is not found, where its letters lie there in another form; else empty.

    An accent may be part of its letter (NFC) or follow it (NFD), and most file systems tell the two apart.
    """
    try:
        while not path.parent.exists():
            path = path.parent
        if path.name.isascii():
            return ""
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:  # may not be looked at
        return ""
    wanted = unicodedata.normalize("NFC", path.name)
    if all(unicodedata.normalize("NFC", name) != wanted for name in names):
        return ""
    return (
        f"; a name that looks like {quoted(path.name)} is there, with its accents in another form of Unicode (NFC or "
        "NFD): copy it from a listing of the folder"
    )


def _escape(surrogate: str) -> str:
    value = ord(surrogate) - _BYTES_FROM
    return f"\\x{value:02x}" if 0x80 <= value <= 0xFF else f"\\u{ord(surrogate):04x}"


def _printable(sign: str) -> str:
    """A sign that no screen shows; not as `_escape` has bytes, which are another thing."""
    return f"\\u{ord(sign):04x}" if 0x80 <= ord(sign) <= 0xFF else repr(sign)[1:-1]


def _unescape(code: str, backslashes: int) -> str:
    if backslashes % 2 == 0:
        return code
    return chr((_BYTES_FROM if code[0] == "x" else 0) + int(code[1:], 16))


def _show(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    found = error.object[error.start : error.end]
    return "".join(_escape(sign) if "\ud800" <= sign <= "\udfff" else "?" for sign in found), error.end


codecs.register_error(CONSOLE_ERRORS, _show)
