"""A folder for what is made on the way, gone at the end; after a kill the next page removes it."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX, _LOCK = "vidrnn_app_", ".lock"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder among those for temporary files, with a lock in it that is held while it is used."""
    _remove_left()
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield folder


def _remove_left() -> None:
    """Folders of pages that were killed: nobody holds their locks any more."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            with path.open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path.parent, ignore_errors=True)
        except OSError:  # in use, of somebody else, or gone meanwhile
            continue
