"""Files that are there whole or not at all, also after a kill or a power loss."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing_path(path: Path) -> Iterator[Path]:
    """The name of a file to write beside ``path``, for writers that open files themselves.

    At the end it is flushed to disk and renamed over ``path``. Raises OSError (disk full, read-only) with the name of
    ``path`` and leaves no part behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno is None or error.filename not in {None, str(temporary)}:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):  # where nothing can be written, nothing is left
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """As `replacing_path`, with the file open for writing."""
    with replacing_path(path) as temporary, temporary.open("wb") as file:
        yield file


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside ``path``, flush to disk, rename over it. Raises OSError and leaves no part behind."""
    with replacing(path) as file:
        file.write(content)
