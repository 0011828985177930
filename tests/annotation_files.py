"""Annotation files of public formats, and what reading them is refused with."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from vidrnn.annotations import read_annotations
from vidrnn.errors import VidrnnError
from vidrnn.settings.base import validate
from vidrnn.settings.data import DataSettings


def data_settings(root: Path, kind: str, annotations: str, **settings: object) -> DataSettings:
    return validate(DataSettings, {"root": str(root), "format": kind, "annotations": annotations} | settings)


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def refused(settings: DataSettings, kind: type[VidrnnError] = VidrnnError) -> str:
    """The whole message, with the root written as ROOT."""
    with pytest.raises(kind) as caught:
        read_annotations(settings)
    return str(caught.value).replace(str(settings.root), "ROOT")
