"""Where converted networks are kept; it imports nothing, so that whoever only looks need not wait for PyTorch."""

import os
from pathlib import Path


def cache_folder() -> Path | None:
    """``$VIDRNN_CACHE``, else ``vidrnn`` in the user's cache folder; None where the user has no home."""
    if chosen := os.environ.get("VIDRNN_CACHE"):
        return Path(chosen)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "vidrnn"
    except RuntimeError:
        return None
