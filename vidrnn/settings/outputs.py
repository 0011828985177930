"""What may lie where a verb writes: what vidrnn wrote is replaced, anything else is refused and stays."""

import os
from collections.abc import Iterable
from pathlib import Path

from vidrnn.errors import ConfigError
from vidrnn.json_text import parse_json
from vidrnn.names import listed, quoted

_TENSORS = b'{"__metadata__":{"vidrnn_'  # how safetensors of vidrnn begin, after the length of their header
_LENGTH = 8
_RECORDS = ("*.safetensors", "metrics.json", "crossval.json", "tune.json", "explanation.json")
"""Files of results that tell by themselves who wrote them; one of them is in each folder of results."""


def refuse_foreign(path: Path, *, is_ours: bool, what: str) -> None:
    """Refuse to replace a file that is there and not ours. Raises ConfigError.

    Args:
        path: the ``--output``.
        is_ours: whether vidrnn wrote what is there, or nothing is.
        what: it is, after the words ``is there and``.
    """
    if not is_ours:
        raise ConfigError(f"--output {quoted(path)} is there and {what}; name another --output, or move it away")


def refuse_unwritable(folder: Path, *, option: str = "--output") -> None:
    """Refuse a folder in which nothing can be written, before hours are spent on what goes there.

    Args:
        folder: it need not be there.
        option: that names it.

    Raises:
        ConfigError: it, or what it would be made in, is a file or cannot be written.
    """
    place = folder.absolute()
    there = next(found for found in (place, *place.parents) if os.path.lexists(found))
    if not there.is_dir():
        raise ConfigError(f"{option} {quoted(folder)}: {quoted(there)} is no folder; name another {option}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{option} {quoted(folder)}: nothing can be written to {quoted(there)}; name another {option}"
        )


def refuse_foreign_results(folder: Path, names: Iterable[str]) -> None:
    """Refuse a folder in which files of these names would be replaced and vidrnn did not write them.

    And one in which nothing can be written.

    Model files, checkpoints and the JSON of results tell who wrote them. Tables, pictures and configurations do not:
    they count as written by vidrnn where one of the others, or a search, lies beside them and is.

    Args:
        folder: of the results; it need not be there.
        names: of the files that may be written, or patterns of them.

    Raises:
        ConfigError: such a file is there, or see `refuse_unwritable`. OSError: it cannot be read.
    """
    refuse_unwritable(folder)
    has_record = any(map(_tells_ours, _found(folder, _RECORDS))) or (folder / "search.sqlite").is_file()
    there = _found(folder, names)
    foreign = [path.name for path in there if not (_tells_ours(path) if _can_tell(path) else has_record)]
    if foreign:
        raise ConfigError(
            f"--output {quoted(folder)} holds files that would be replaced, and vidrnn did not write them: "
            f"{listed(foreign)}; name another --output, or move them away"
        )


def _found(folder: Path, names: Iterable[str]) -> list[Path]:
    return [path for name in names for path in sorted(folder.glob(name))]


def _can_tell(path: Path) -> bool:
    return path.suffix in {".json", ".safetensors"}


def _tells_ours(path: Path) -> bool:
    """Whether a file that can tell says that vidrnn wrote it."""
    if not path.is_file():
        return False
    if path.suffix == ".safetensors":
        with path.open("rb") as file:
            return file.read(_LENGTH + len(_TENSORS))[_LENGTH:] == _TENSORS
    try:
        tree = parse_json(path.read_bytes())
    except ValueError:
        return False
    return isinstance(tree, dict) and "config_digest" in tree
