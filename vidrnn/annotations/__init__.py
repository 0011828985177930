"""Which video, which label, which split, which group."""

from vidrnn.annotations.folders import find_media
from vidrnn.annotations.readers import read_annotations
from vidrnn.annotations.records import BACKGROUND, SPLITS, UNKNOWN, Annotation, LabelMap, Segment, Split
from vidrnn.annotations.segments import covered
from vidrnn.annotations.suffixes import VIDEO_SUFFIXES

__all__ = [
    "BACKGROUND",
    "SPLITS",
    "UNKNOWN",
    "VIDEO_SUFFIXES",
    "Annotation",
    "LabelMap",
    "Segment",
    "Split",
    "covered",
    "find_media",
    "read_annotations",
]
