"""Documents for ELAN: a file per video, a tier per class (schema EAF 3.0)."""

import os
from collections.abc import Sequence
from datetime import datetime
from mimetypes import guess_type
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree as ET

from vidrnn.annotations.records import Annotation, Segment
from vidrnn.annotations.writing import Writing, file_names

_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_TYPE = "default-lt"  # what ELAN calls it in a new document


def write_eaf(annotations: Sequence[Annotation], writing: Writing) -> None:
    """An ``.eaf`` per video, in folders as the videos. Times are whole milliseconds, as ELAN has them."""
    names = file_names(annotations, flat=False)
    for annotation in annotations:
        path = writing.output / f"{names[annotation.path]}.eaf"
        document = _document(annotation, annotation.source(writing.root).resolve(), path.resolve())
        ET.indent(document)
        writing.write(
            path, '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(document, encoding="unicode") + "\n"
        )


def _document(annotation: Annotation, video: Path, path: Path) -> ET.Element:
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    root = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "vidrnn",
            "DATE": now,
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": _XSI,
            "xsi:noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    header = ET.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    relative = _as_elan(os.path.relpath(video, path.parent))
    ET.SubElement(
        header,
        "MEDIA_DESCRIPTOR",
        {
            "MEDIA_URL": video.as_uri(),
            "MIME_TYPE": guess_type(video.name)[0] or "unknown",
            "RELATIVE_MEDIA_URL": f"./{relative}",
        },
    )
    segments = sorted(annotation.segments or (), key=lambda segment: segment.label)
    # A slot for each end: where two annotations share one, ELAN moves both.
    ends = [(round(time_s * 1000), at, end) for at, segment in enumerate(segments) for end, time_s in _ends(segment)]
    order = ET.SubElement(root, "TIME_ORDER")
    slots: dict[tuple[int, int], str] = {}
    for number, (time, at, end) in enumerate(sorted(ends), start=1):
        slots[at, end] = f"ts{number}"
        ET.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slots[at, end], "TIME_VALUE": str(time)})
    tiers: dict[str, ET.Element] = {}
    for at, segment in enumerate(segments):
        if segment.label not in tiers:
            attributes = {"LINGUISTIC_TYPE_REF": _TYPE, "TIER_ID": segment.label}
            tiers[segment.label] = ET.SubElement(root, "TIER", attributes)
        attributes = {"ANNOTATION_ID": f"a{at + 1}", "TIME_SLOT_REF1": slots[at, 1], "TIME_SLOT_REF2": slots[at, 2]}
        outer = ET.SubElement(tiers[segment.label], "ANNOTATION")
        ET.SubElement(ET.SubElement(outer, "ALIGNABLE_ANNOTATION", attributes), "ANNOTATION_VALUE").text = segment.label
    ET.SubElement(header, "PROPERTY", {"NAME": "lastUsedAnnotationId"}).text = str(len(segments))
    ET.SubElement(
        root,
        "LINGUISTIC_TYPE",
        {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": _TYPE, "TIME_ALIGNABLE": "true"},
    )
    return root


def _as_elan(path: str) -> str:
    """A path as ELAN writes it, as it is, but for what would be read as something else, or is not UTF-8."""
    return "".join(quote(os.fsencode(char)) if char == "%" or "\ud800" <= char <= "\udfff" else char for char in path)


def _ends(segment: Segment) -> tuple[tuple[int, float], tuple[int, float]]:
    return (1, segment.start_s), (2, segment.end_s)
