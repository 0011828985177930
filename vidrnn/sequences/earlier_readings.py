"""Stored features that an earlier version of vidrnn made, and that this one may make in another way."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from vidrnn.annotations import Annotation
from vidrnn.names import quoted
from vidrnn.sequences.found_stream import FoundStream
from vidrnn.store.confirmed import Confirmed
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.reader import may_differ


def find_outdated(
    annotations: Sequence[Annotation], found: Mapping[str, FoundStream], folders: Mapping[str, FeatureFolder]
) -> tuple[str, ...]:
    """Paths of the videos that `vidrnn extract` should look at once.

    Args:
        annotations: the videos.
        found: their features, by the stream.
        folders: where these were found.
    """
    paths = {path for name, folder in folders.items() for path in _in_doubt(annotations, found[name], folder)}
    return tuple(annotation.path for annotation in annotations if annotation.path in paths)


def note_outdated(paths: Sequence[str]) -> tuple[str, ...]:
    """A line about these videos for people; none without such videos."""
    if not paths:
        return ()
    line = (
        f"features of {len(paths)} videos are of an earlier version, which may have read them in another way, first "
        f"{quoted(paths[0])}; run `vidrnn extract`, which looks at these videos and makes anew what differs"
    )
    return (line,)


def _in_doubt(annotations: Sequence[Annotation], found: FoundStream, folder: FeatureFolder) -> Iterator[str]:
    readers = found.readers
    stream = folder.spec.stream
    old = [version for version in np.unique(readers).tolist() if may_differ(stream, version)]
    if not old:  # the usual case asks no manifest
        return
    with Confirmed(folder) as confirmed:
        for position in np.flatnonzero(found.present & np.isin(readers, old)).tolist():
            path = annotations[position].path
            if may_differ(stream, confirmed.reader(path, made_by=int(readers[position]))):
                yield path
