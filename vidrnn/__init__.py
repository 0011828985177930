"""Turn a folder of videos into an action recogniser.

The names below are all that is promised to programs; docs/python.md shows them at work. Each is imported when it is
first used, so that `import vidrnn` costs nothing.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from vidrnn.version import __version__ as __version__

if TYPE_CHECKING:
    from vidrnn.annotations import Annotation, read_annotations
    from vidrnn.api import (
        annotate,
        check,
        classify,
        crossval,
        cut,
        evaluate,
        explain,
        extract,
        load,
        load_settings,
        pretrain,
        report,
        search,
        suggest,
        train,
    )
    from vidrnn.errors import VidrnnError
    from vidrnn.inference.prediction import Prediction
    from vidrnn.inference.recogniser import Recogniser
    from vidrnn.settings.run import RunSettings
    from vidrnn.store.feature_store import FeatureStore

if sys.platform == "win32":
    raise ImportError("vidrnn needs Linux or macOS; on Windows, install it in WSL, the Windows Subsystem for Linux")

_HOMES = {
    "vidrnn.annotations": ("Annotation", "read_annotations"),
    "vidrnn.api": (
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
    ),
    "vidrnn.errors": ("VidrnnError",),
    "vidrnn.inference.prediction": ("Prediction",),
    "vidrnn.inference.recogniser": ("Recogniser",),
    "vidrnn.settings.run": ("RunSettings",),
    "vidrnn.store.feature_store": ("FeatureStore",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Annotation",
    "FeatureStore",
    "Prediction",
    "Recogniser",
    "RunSettings",
    "VidrnnError",
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
    "read_annotations",
    "report",
    "search",
    "suggest",
    "train",
]


def __getattr__(name: str) -> object:
    """Import a name when it is first asked for (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(_HOME_OF)}")
    value: object = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
