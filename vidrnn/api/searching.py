"""Moments in feature stores that are like a moment of a video."""

import hashlib
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from vidrnn.api.decoders import AnyPath, warm_up
from vidrnn.bars import Bar, nowhere
from vidrnn.errors import ConfigError

if TYPE_CHECKING:
    from vidrnn.retrieval.index import Moment
    from vidrnn.settings.run import RunSettings


def search(
    like: str,
    stores: AnyPath | Iterable[AnyPath] = (),
    *,
    settings: "RunSettings | None" = None,
    model: AnyPath | None = None,
    count: int = 10,
    window_s: float = 4.0,
    index: AnyPath | None = None,
    update: bool = True,
    bar: Bar = nowhere,
) -> "list[tuple[Path, Moment]]":
    """The stored moments that are most like a video, or a moment of it, as ``vidrnn search`` does.

    See docs/label_less.md.

    Args:
        like: ``clip.mp4`` or ``clip.mp4@1.5-4``, in seconds; a path as in the store or of a file.
        stores: where to look; none: the store of the configuration.
        settings: name the features that are compared, and how to make the features of a video that is in no store.
        model: a model.safetensors whose pooled states are compared, in place of descriptors of the features.
        count: most moments.
        window_s: length of the moments in long videos.
        index: folder of the index of a single store; None: below the store.
        update: bring the index up to date first; else it is searched as it is.
        bar: shows how far the index has come.

    Returns:
        Each moment with its store, the most alike first.

    Raises:
        ConfigError: nothing says what to compare. MissingPathError: there is no such video, store or index.
        StoreError: features are not there, or the index is made of something else. VideoError: the video cannot be
            read. OSError: the index cannot be written.
    """
    warm_up()
    from vidrnn.device import choose_device
    from vidrnn.inference.search import Asked, Query
    from vidrnn.inference.search import search as search_stores
    from vidrnn.models.model_file import load_model

    places = [Path(store) for store in ([stores] if isinstance(stores, str | PathLike) else stores)]
    if not places:
        if settings is None:
            raise ConfigError("search needs a store, or a configuration that names one; give one of the two")
        places = [settings.extraction.store]
    trained = None if model is None else load_model(Path(model), device=choose_device("auto"))
    digest = ""
    if model is not None:
        with Path(model).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    return search_stores(
        Query.of(like),
        places,
        Asked(settings, trained, digest, window_s),
        count=count,
        index=None if index is None else Path(index),
        update=update,
        bar=bar,
    )
