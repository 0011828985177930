"""ELAN's .eaf: annotations on tiers (EAF 2.0 to 3.0, Max Planck Institute for Psycholinguistics)."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

from vidrnn.annotations.annotation_files import find_files
from vidrnn.annotations.class_names import refuse_twin_names
from vidrnn.annotations.eaf_times import find_times
from vidrnn.annotations.records import Annotation, Segment, plain_path
from vidrnn.annotations.rows import fill_path, located, of_form, read_text
from vidrnn.annotations.segments import join_equal
from vidrnn.errors import AnnotationError
from vidrnn.names import quoted
from vidrnn.settings.data import DataSettings

_KINDS = {"milliseconds": 0.001}
_OF_OTHERS = "REF_ANNOTATION"


def read_eaf(settings: DataSettings, notes: list[str]) -> list[Annotation]:
    """Read the ``.eaf`` files in the folder ``data.annotations``, at any depth, or one.

    The label is the value of an annotation. Only the tiers in ``data.tiers`` are read, or else all tiers that have
    times of their own. Annotations of a named tier that refer to others have their times, see `find_times`. Those of
    one label that overlap become one. The video is the first media file that the document links; with
    ``data.video_path`` it is named as the document. It is a group of its own.

    ``notes`` gets how many annotations were left out, and how many lie between others. Left out are annotations that
    are empty or have no time, and annotations of tiers that were not named and refer to others.

    Raises:
        MissingPathError: there is nothing at that path.
        AnnotationError: no such file, no XML of ELAN, no such tier, a named tier whose annotations have no time, an end
            before its start, or two spellings of one label.
    """
    found: list[Annotation] = []
    counts = Counter[str]()
    for file, name in find_files(settings, ".eaf"):
        document = _parse(file)
        with of_form(str(file), "a document of ELAN"):
            segments = _segments(document, settings.tiers, counts)
        path = _path_of(document, file, name, settings)
        found.append(Annotation(path, "", None, path, segments=join_equal(segments)))
    if number := counts["left out"]:
        notes.append(
            f"{settings.annotations}: {number} annotations were left out, for they have no words or no times of "
            "their own"
        )
    if number := counts["between"]:
        notes.append(
            f"{settings.annotations}: {number} annotations begin or end at a slot without a time, which was taken "
            "evenly between its neighbours, as ELAN shows it"
        )
    refuse_twin_names(
        sorted({name for annotation in found for name in annotation.names}), where=str(settings.annotations)
    )
    return found


def _parse(file: Path) -> ET.Element:
    text = read_text(file)
    # ELAN writes none; entities are how a small file becomes a large one.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise AnnotationError(f"{file} declares a document type, which ELAN does not write; save it from ELAN")
    try:
        document = ET.fromstring(text)  # noqa: S314
    except ET.ParseError as error:
        raise AnnotationError(f"{file}, line {error.position[0]}: no XML: {error}") from None
    if document.tag != "ANNOTATION_DOCUMENT":
        raise AnnotationError(f"{file}: <{document.tag}>; expected <ANNOTATION_DOCUMENT>, as ELAN writes it")
    return document


def _segments(document: ET.Element, tiers: tuple[str, ...] | None, counts: Counter[str]) -> list[Segment]:
    header = document.find("HEADER")
    unit = "milliseconds" if header is None else header.get("TIME_UNITS", "milliseconds")
    if unit not in _KINDS:
        raise AnnotationError(f"TIME_UNITS {unit!r} is unknown; allowed: {', '.join(_KINDS)}")
    there = {tier.get("TIER_ID", ""): tier for tier in document.iter("TIER")}
    if tiers is not None and (absent := [name for name in tiers if name not in there]):
        raise AnnotationError(
            f"data.tiers: there is no tier {quoted(absent[0])}; there are {', '.join(map(quoted, there))}"
        )
    times, found = find_times(document), []
    for name, tier in there.items():
        if tiers is not None and name not in tiers:
            continue
        worded = [annotation for annotation in _annotations(tier) if _words(annotation)]
        if tiers is not None and worded and not any(_number(annotation) in times.spans for annotation in worded):
            raise AnnotationError(
                f"data.tiers: none of the {len(worded)} annotations of tier {quoted(name)} has a time"
            )
        counts["left out"] -= len(worded)
        counts["left out"] += sum(1 for _ in _annotations(tier))
        for annotation in worded:
            number, is_other = _number(annotation), annotation.tag == _OF_OTHERS
            start, end = times.spans.get(number, (0.0, 0.0))
            if start == end or (is_other and tiers is None):
                counts["left out"] += 1
                continue
            counts["between"] += number in times.between
            with located(f"tier {quoted(name)}, annotation {number}"):
                start_s, end_s = round(start * _KINDS[unit], 3), round(end * _KINDS[unit], 3)
                found.append(Segment(start_s, end_s, _words(annotation)))
    return found


def _annotations(tier: ET.Element) -> Iterator[ET.Element]:
    return (element for element in tier.iter() if element.tag in {"ALIGNABLE_ANNOTATION", _OF_OTHERS})


def _number(annotation: ET.Element) -> str:
    return annotation.get("ANNOTATION_ID", "")


def _words(annotation: ET.Element) -> str:
    return " ".join((annotation.findtext("ANNOTATION_VALUE") or "").split())


def _path_of(document: ET.Element, file: Path, name: str, settings: DataSettings) -> str:
    if settings.video_path is not None:
        return fill_path(settings.video_path, name=name)
    root = settings.root.resolve()
    for place in _media(document, file):
        resolved = place.resolve()
        if resolved.is_relative_to(root):
            return plain_path(resolved.relative_to(root).as_posix())
    raise AnnotationError(
        f"{file}: links no media file below {settings.root}; say with data.video_path where its video lies, for "
        "instance '{name}.mp4'"
    )


def _media(document: ET.Element, file: Path) -> Iterator[Path]:
    """Places that the document names: beside it, then where it once was, then its name beside the document."""
    for medium in document.iter("MEDIA_DESCRIPTOR"):
        relative, whole = medium.get("RELATIVE_MEDIA_URL", ""), medium.get("MEDIA_URL", "")
        if relative:
            yield file.parent / _path_in(relative)
        if whole:
            path = _path_in(whole)
            yield Path(path)
            yield file.parent / (PureWindowsPath(path).name or PurePosixPath(path).name)


def _path_in(url: str) -> str:
    """The path of a URL as ELAN has it: names stand in it as they are, also with # and ?; others encode them."""
    return unquote(urlsplit(url.replace("#", "%23").replace("?", "%3F")).path, errors="surrogateescape")
