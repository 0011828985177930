"""An index brought up to date with a store: what is new is added, what has changed is made anew, what is gone goes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from vidrnn.bars import Bar, nowhere
from vidrnn.retrieval.index import MomentIndex, Origin, read_index
from vidrnn.retrieval.moments import Streams, cut, moments_of
from vidrnn.sequences.descriptors import FITTED, Floats, Raw, RawStreams, Space
from vidrnn.stages import stage
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.video_features import VideoFeatures

ByModel = Callable[[Sequence[Streams]], Floats]
"""Gives (n, F) vectors of length 1 for n moments."""
_AT_ONCE = 64  # videos whose vectors are made together


@stage("bring the index up to date")
def up_to_date(
    place: Path,
    origin: Origin,
    folders: Mapping[str, FeatureFolder],
    *,
    by_model: ByModel | None = None,
    bar: Bar = nowhere,
) -> MomentIndex:
    """The index of a store as it is now, written where something changed.

    The space is fitted to the first videos, and fitted anew, and all vectors with it, where there are twice as many as
    it was fitted to, until it was fitted to `FITTED`.

    Args:
        place: folder of the index.
        origin: what its vectors are made of.
        folders: stream to where its features are.
        by_model: gives the vectors; None: descriptors of the features.
        bar: shows how far it has come.

    Raises:
        StoreError: index or store are damaged, or the index is made of something else. OSError: it cannot be written.
    """
    paths = sorted({path for folder in folders.values() for path in folder.videos()})
    states = {path: _state(path, folders) for path in paths}
    index = read_index(place, origin)
    if index is not None and by_model is None and min(len(paths), FITTED) >= 2 * max(index.fitted, 1):
        index = None
    if index is None:
        space, fitted = (None, len(paths)) if by_model else _fitted(paths, folders, origin.window_s)
        index = MomentIndex(origin, space, fitted)
    before = len(index.paths)
    index.keep(
        np.array(
            [
                states.get(path) == state
                for path, state in zip(index.paths, map(tuple, index.states.tolist()), strict=True)
            ],
            dtype=bool,
        )
    )
    there = set(index.paths)
    missing = [path for path in paths if path not in there]
    if not missing and before == len(index.paths) and before:
        return index
    with bar(total=len(missing), desc="index", unit="video") as shown:
        for start in range(0, len(missing), _AT_ONCE):
            chunk = missing[start : start + _AT_ONCE]
            _add(index, chunk, states, folders, by_model)
            shown.update(len(chunk))
    index.write(place)
    return index


def _add(
    index: MomentIndex,
    paths: Sequence[str],
    states: Mapping[str, tuple[int, ...]],
    folders: Mapping[str, FeatureFolder],
    by_model: ByModel | None,
) -> None:
    rows: list[tuple[int, float, float]] = []
    parts: list[Streams] = []
    for number, path in enumerate(paths):
        for (start_s, end_s), part in _moments(read_streams(path, folders), index.origin.window_s):
            rows.append((number, start_s, end_s))
            parts.append(part)
    if not rows:
        return
    vectors = by_model(parts) if by_model else vectors_in(index.space, parts)
    kept = np.isfinite(vectors).all(axis=1)
    moments = np.array(rows, dtype=np.float64)[kept]
    index.add(paths, np.array([states[path] for path in paths], dtype=np.int64), moments, vectors[kept])


def read_streams(path: str, folders: Mapping[str, FeatureFolder]) -> dict[str, VideoFeatures]:
    """What a store has of a video, mapped and not read; empty where it has nothing. Raises StoreError."""
    made = {stream: folder.mapped(path) for stream, folder in folders.items()}
    return {stream: video for stream, video in made.items() if video is not None and len(video.features)}


def raw_of(streams: Streams) -> RawStreams:
    """What is known of a moment."""
    return {stream: Raw.of(video.features) for stream, video in streams.items()}


def vectors_in(space: Space | None, parts: Sequence[Streams]) -> Floats:
    """(n, d) vectors of n moments in a space."""
    assert space is not None, "an index without a model has one"
    return space.vectors([raw_of(part) for part in parts])


def _moments(streams: Streams, window_s: float) -> Iterator[tuple[tuple[float, float], Streams]]:
    """Start and end of each moment of a video, by the first of its streams, and what is there of it."""
    if not streams:
        return
    first = next(iter(streams.values()))
    for start_s, end_s in moments_of(first.timestamps_s, window_s=window_s):
        if part := cut(streams, start_s, end_s):
            yield (start_s, end_s), part


def _fitted(paths: Sequence[str], folders: Mapping[str, FeatureFolder], window_s: float) -> tuple[Space | None, int]:
    """A space fitted to moments of videos that are spread evenly over all, and how many videos these are."""
    chosen = np.linspace(0, len(paths) - 1, min(FITTED, len(paths))).astype(int).tolist()
    found: list[RawStreams] = []
    for place in chosen:
        raws = [raw_of(part) for _, part in _moments(read_streams(paths[place], folders), window_s)]
        found += raws[:: max(1, len(raws) // 4)]  # a long video does not decide alone
    finite = [raw for raw in found if all(np.isfinite(one.shown).all() for one in raw.values())]
    return (Space.of(finite) if finite else None), len(chosen)


def _state(path: str, folders: Mapping[str, FeatureFolder]) -> tuple[int, ...]:
    found: list[int] = []
    for folder in folders.values():
        found += folder.state_of(path) or (-1, -1, -1)
    return tuple(found)
