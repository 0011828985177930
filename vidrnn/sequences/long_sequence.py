"""One long video whose features stay on disk, as models are shown stored ones."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.annotations import Annotation
from vidrnn.errors import StoreError
from vidrnn.sequences.alignment import align, reference_of
from vidrnn.sequences.host_rows import MappedRows
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.stream_table import StreamTable
from vidrnn.sequences.targets import Targets
from vidrnn.settings.streams import Stream, in_order
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.video_features import VideoFeatures

View = tuple[str, bool]
"""A stream, and whether it is seen in a mirror."""


def long_sequence(
    specs: Sequence[FeatureSpec],
    features: Mapping[View, VideoFeatures],
    *,
    streams: Sequence[Stream],
    device: torch.device,
    causal: bool,
) -> SequenceSet:
    """A set of one video, aligned as `vidrnn.sequences.loading.join_streams` aligns it, of which nothing is read yet.

    Args:
        specs: of all streams of the model, of views that are not mirrored.
        features: the views that are there.
        streams: what the model is shown; at least one of them is there.
        device: the device of the model.
        causal: for models that do not look ahead, see `align`.

    Raises:
        StoreError: a mirrored view has other steps than the plain one.
    """
    tables = {}
    for spec in specs:
        seen = spec.stream in streams
        plain, other = (features.get((spec.stream, mirrored)) if seen else None for mirrored in (False, True))
        if plain is not None and other is not None and len(plain.timestamps_s) != len(other.timestamps_s):
            raise StoreError(
                f"its mirrored view has {len(other.timestamps_s)} steps of {spec.stream}, the plain one "
                f"{len(plain.timestamps_s)}; run `vidrnn extract` with features.mirrored: true"
            )
        mirrored_table = None if other is None else _table(spec, other, device=device)
        tables[str(spec.stream)] = _table(spec, plain, mirrored=mirrored_table, device=device)
    tables = {name: tables[name] for name in in_order(tables)}
    seconds = times_of(features, streams=streams)
    times = seconds[reference_of(seconds)]
    grid = None if len(tables) == 1 else align({name: [found] for name, found in seconds.items()}, causal=causal)[0]
    return SequenceSet(
        (Annotation("the video", "any", None, "any"),),
        tables,
        torch.tensor([len(times)]),
        Targets(torch.zeros(1, dtype=torch.int64)),
        np.zeros((1, 4)),
        grid=grid,
        hidden=frozenset(tables) - set(streams),
    )


def times_of(
    features: Mapping[View, VideoFeatures], *, streams: Sequence[Stream]
) -> dict[str, npt.NDArray[np.float64]]:
    """Stream to (T,) seconds of its steps, in canonical order; empty where the video lacks the stream."""
    there = {name: features.get((name, False)) for name in in_order(streams)}
    return {name: np.zeros(0) if video is None else video.timestamps_s for name, video in there.items()}


def _table(
    spec: FeatureSpec, video: VideoFeatures | None, *, device: torch.device, mirrored: StreamTable | None = None
) -> StreamTable:
    rows = np.zeros((0, spec.dim), np.float16) if video is None else video.features
    totals = torch.tensor([len(rows)])
    return StreamTable(MappedRows(rows, device), torch.zeros_like(totals), totals, spec.parts, mirrored)
