"""Which video, which label, which split, which group."""

from vidrnn.annotations.readers import VIDEO_SUFFIXES, read_annotations
from vidrnn.annotations.records import SPLITS, Annotation, LabelMap, Split

__all__ = ["SPLITS", "VIDEO_SUFFIXES", "Annotation", "LabelMap", "Split", "read_annotations"]
