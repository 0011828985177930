"""Subtitles as annotations: the words of a cue are its label (SubRip's .srt, W3C's WebVTT)."""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vidrnn.annotations.annotation_files import find_files, video_of
from vidrnn.annotations.class_names import refuse_twin_names
from vidrnn.annotations.records import Annotation, Segment
from vidrnn.annotations.rows import located, read_text
from vidrnn.annotations.segments import join_equal
from vidrnn.errors import AnnotationError
from vidrnn.settings.data import DataSettings

_CLOCK = r"(?:(\d+):)?(\d+):(\d+)[.,](\d{1,3})"
_TIMING = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}")
_MARKUP = re.compile(r"<[^>]*>|\{\\[^}]*\}")  # <i>, <v Name>, <00:01.000>; {\an8}


@dataclass(frozen=True)
class Cue:
    """What subtitles show at a time.

    Attributes:
        line: of its times in the file, from 1.
        start_s, end_s: seconds, as they stand.
        text: its words without marks, on one line; may be empty.
    """

    line: int
    start_s: float
    end_s: float
    text: str


def find_cues(text: str) -> Iterator[Cue]:
    """Cues of SubRip or WebVTT, in the order of the file: a line with times, then words up to an empty line.

    A line with times among the words begins the next cue. A number before it belongs to the next cue where this one has
    a number too.
    """
    lines = [*text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]
    at = 0
    while at < len(lines):
        timing = _TIMING.match(lines[at])
        if timing is None:
            at += 1
            continue
        end = next(number for number in range(at + 1, len(lines)) if _ends_cue(lines[number]))
        is_joined = bool(lines[end].strip()) and end > at + 1 and _is_number(lines[end - 1])
        last = end - 1 if is_joined and at > 0 and _is_number(lines[at - 1]) else end
        words = html.unescape(_MARKUP.sub("", " ".join(lines[at + 1 : last])))
        yield Cue(at + 1, _seconds(timing.groups()[:4]), _seconds(timing.groups()[4:]), " ".join(words.split()))
        at = end


def _ends_cue(line: str) -> bool:
    return not line.strip() or _TIMING.match(line) is not None


def _is_number(line: str) -> bool:
    return line.strip().isdecimal()


def _seconds(clock: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (part or "0" for part in clock)
    return 3600.0 * int(hours) + 60.0 * int(minutes) + int(seconds) + int(fraction.ljust(3, "0")) / 1000


def read_subtitles(settings: DataSettings, notes: list[str]) -> list[Annotation]:
    """Read files that end in ``.srt`` or ``.vtt`` as ``data.format`` says, in the folder ``data.annotations``, or one.

    A video is named as its file is, with ``.mp4`` where no suffix of a video stands before, and is a group of its own.
    Cues of one label that overlap become one. ``notes`` gets how many have no words, or no length; they are left out.

    Raises:
        MissingPathError: there is nothing at that path.
        AnnotationError: no such file, one without a cue but with words, a cue that ends before it starts, or two
            spellings of one label.
    """
    found: list[Annotation] = []
    left_out: list[str] = []
    for file, name in find_files(settings, f".{settings.format}"):
        text = read_text(file)
        segments: list[Segment] = []
        cues = list(find_cues(text))
        if not cues and text.strip() not in {"", "WEBVTT"}:
            raise AnnotationError(f"{file} has no cue such as '00:00:01,000 --> 00:00:02,000'")
        for cue in cues:
            if not cue.text or cue.start_s == cue.end_s:
                left_out.append(f"{file}, line {cue.line}")
                continue
            with located(f"{file}, line {cue.line}"):
                segments.append(Segment(cue.start_s, cue.end_s, cue.text))
        path = video_of(settings, name)
        found.append(Annotation(path, "", None, path, segments=join_equal(segments)))
    if left_out:
        notes.append(f"{len(left_out)} cues have no words or no length and were left out, the first in {left_out[0]}")
    refuse_twin_names(
        sorted({name for annotation in found for name in annotation.names}), where=str(settings.annotations)
    )
    return found
