"""The stream ``text`` before it is embedded: what is written of a video, and when."""

from dataclasses import dataclass
from pathlib import Path

from vidrnn.annotations.subtitles import find_cues
from vidrnn.errors import AbsentStreamError, VideoError
from vidrnn.settings.streams import TextSettings

_MOST_BYTES = 10_000_000  # an encoder would be at it for hours, so it is no text about a video


@dataclass(frozen=True)
class Passage:
    """Something that is said or written.

    Attributes:
        time_s: in seconds since the start of the file. A text of the whole video has 0, a cue the middle of its time on
            the screen. So the cue nearest to a picture is the one that is shown with it.
        text: not empty.
    """

    time_s: float
    text: str


@dataclass(frozen=True)
class Document:
    """All passages of one video, each later than the one before, and what a reader of the report should know."""

    passages: tuple[Passage, ...]
    notes: tuple[str, ...] = ()


def whole_document(text: str) -> Document:
    """One passage. Raises AbsentStreamError when there are only blanks."""
    plain = " ".join(text.split())
    if not plain:
        raise AbsentStreamError("has an empty text")
    return Document((Passage(0.0, plain),))


def read_document(content: bytes, settings: TextSettings) -> Document:
    """Understand a text file.

    Raises:
        AbsentStreamError: nothing is written in it.
        VideoError: no text, or subtitles without a cue; with the cause.
    """
    text, notes = decode_text(content)
    if settings.source == "txt":
        return Document(whole_document(text).passages, notes)
    if not text.strip():
        raise AbsentStreamError("has an empty text")
    cues: dict[float, list[str]] = {}
    for cue in find_cues(text):
        cues.setdefault((cue.start_s + max(cue.start_s, cue.end_s)) / 2, []).append(cue.text)
    if not cues:
        raise VideoError(f"its .{settings.source} file has no cue such as '00:00:01,000 --> 00:00:02,000'")
    joined = ((time_s, " ".join(" ".join(words).split())) for time_s, words in sorted(cues.items()))
    passages = tuple(Passage(time_s, words) for time_s, words in joined if words)
    if not passages:
        raise AbsentStreamError("has subtitles without words")
    return Document(passages, notes)


def decode_text(content: bytes) -> tuple[str, tuple[str, ...]]:
    """Bytes to text: by its byte order mark, else UTF-8, else UTF-16 where every other byte is 0, else Windows-1252.

    Returns:
        The text, and a note when its encoding was guessed.

    Raises:
        VideoError: it is too long, or no text at all.
    """
    if len(content) > _MOST_BYTES:
        raise VideoError(f"its text has {len(content)} bytes; at most {_MOST_BYTES} are read")
    marked = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text, guess = content.decode("utf-16" if marked else "utf-8-sig"), ""
        if "\0" in text:  # valid UTF-8, but hardly meant as it
            text, guess = _utf_16(content)
    except UnicodeDecodeError:
        text, guess = _utf_16(content) if b"\0" in content else _western(content)
    if "\0" in text:
        raise VideoError("its text holds zero bytes, so it is no text; save it as UTF-8")
    return text, ((f"its text is not UTF-8; read as {guess}",) if guess else ())


def _utf_16(content: bytes) -> tuple[str, str]:
    """Every other byte of Western letters is 0: the second one where the small end comes first."""
    name = "utf-16-le" if content[1::2].count(0) >= content[::2].count(0) else "utf-16-be"
    try:
        return content.decode(name), name.upper()
    except UnicodeDecodeError as error:
        raise VideoError(f"its text is in no known encoding ({error.reason}); save it as UTF-8") from error


def _western(content: bytes) -> tuple[str, str]:
    try:
        return content.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError:  # five bytes mean nothing there
        return content.decode("latin-1"), "Latin-1"


def text_file(path: Path) -> bytes:
    """Contents of a text file. Raises AbsentStreamError when there is none, VideoError when it cannot be read."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise VideoError(f"its text {path} is no file but a folder, a pipe or a device; give a file")
        return path.read_bytes()
    except FileNotFoundError:
        raise AbsentStreamError(f"has no text at {path}") from None
    except OSError as error:
        raise VideoError(f"its text {path} cannot be read: {error.strerror}") from error
