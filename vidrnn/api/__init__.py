"""The verbs as functions, for notebooks and programs: `import vidrnn` gives them. Imports nothing heavy.

Each takes paths as text or as `pathlib.Path`, raises `VidrnnError` for what it refuses, and prints nothing.
"""

from vidrnn.api.explaining import explain
from vidrnn.api.runs import check, crossval, evaluate, extract, load_settings, pretrain, report, train
from vidrnn.api.searching import search
from vidrnn.api.suggesting import suggest
from vidrnn.api.videos import annotate, classify, cut, load

__all__ = [
    "annotate",
    "check",
    "classify",
    "crossval",
    "cut",
    "evaluate",
    "explain",
    "extract",
    "load",
    "load_settings",
    "pretrain",
    "report",
    "search",
    "suggest",
    "train",
]
