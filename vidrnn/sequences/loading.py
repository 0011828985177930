"""Annotated videos and their features to a `SequenceSet`, aligned where there are several streams."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.annotations import Annotation, LabelMap
from vidrnn.annotations.lengths import describe_lengths
from vidrnn.errors import AnnotationError, StoreError
from vidrnn.names import quoted
from vidrnn.sequences.alignment import Grid, align
from vidrnn.sequences.earlier_readings import find_outdated
from vidrnn.sequences.found_stream import FoundStream, find_stream
from vidrnn.sequences.identity import identify, identify_content
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.stream_table import StreamTable, load_table
from vidrnn.sequences.targets import Timestamps, describe_unlabelled, make_targets
from vidrnn.sequences.unmet_segments import UnmetSegments, find_unmet
from vidrnn.settings.model import FRAMEWISE_HEADS, Head
from vidrnn.settings.streams import in_order
from vidrnn.stages import stage
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.spec import FeatureSpec


@stage("load features")
def load_sequences(
    annotations: Sequence[Annotation],
    folders: FeatureFolder | Sequence[FeatureFolder],
    label_map: LabelMap,
    *,
    device: torch.device,
    head: Head = "label",
    mirrored: FeatureFolder | Sequence[FeatureFolder] | None = None,
    unseen: Sequence[FeatureSpec] = (),
    causal: bool = False,
) -> SequenceSet:
    """Find the features of all annotated videos: mapped where a pack holds them, else read into memory.

    Videos without features in any stream (they failed in extraction) are left out and listed in ``missing``.

    Args:
        annotations: the videos.
        folders: hold their features, one per stream.
        label_map: order of the classes.
        device: the device of the model.
        head: what is answered.
        mirrored: hold the features of their mirrored view, for models that see both.
        unseen: further streams of a model that is to answer without them.
        causal: for models that do not look ahead, see `align`.

    Raises:
        StoreError: no video has features, or see `load_table`.
        AnnotationError: the annotations do not fit the head or name a class that the label map lacks. Or too many
            segments have no step: most of them, or all of a class.
    """
    places, others = _by_stream(folders), _by_stream(mirrored or ())
    found = {name: find_stream(annotations, folder) for name, folder in places.items()}
    sequences = join_streams(
        annotations,
        found,
        label_map,
        device=device,
        head=head,
        mirrored={name: find_stream(annotations, others[name]) for name in places if name in others},
        unseen=unseen,
        causal=causal,
    )
    return replace(
        sequences,
        outdated=find_outdated(annotations, found, places),
        replaced=_replaced(found),
        sourceless=tuple(dict.fromkeys(path for stream in found.values() for path in stream.sourceless)),
    )


def join_streams(
    annotations: Sequence[Annotation],
    found: Mapping[str, FoundStream],
    label_map: LabelMap,
    *,
    device: torch.device,
    head: Head = "label",
    mirrored: Mapping[str, FoundStream] | None = None,
    unseen: Sequence[FeatureSpec] = (),
    causal: bool = False,
) -> SequenceSet:
    """The sequences of all annotated videos from what was found of each stream, aligned where there are several.

    Args:
        annotations: the videos.
        found: stream to features of these videos, in canonical order.
        label_map: order of the classes.
        device: the device of the model.
        head: what is answered.
        mirrored: stream to the mirrored view of these videos, for models that see both.
        unseen: further streams of a model that is to answer without them.
        causal: for models that do not look ahead, see `align`.

    Raises:
        StoreError, AnnotationError: as `load_sequences`.
    """
    present = np.any([stream.present for stream in found.values()], axis=0)
    if not present.any():
        raise StoreError(_nothing_found(annotations, found))
    kept = np.flatnonzero(present)
    videos = [annotations[position] for position in kept.tolist()]
    found = {name: stream.subset(kept) for name, stream in found.items()}
    others = {name: stream.subset(kept) for name, stream in (mirrored or {}).items()}
    tables, metadata, identities = _load_tables(found, others, videos, unseen, device=device)
    grid, totals, times = _timing(found, tables, causal=causal)
    unmet = _unmet(videos, times, metadata, head)
    targets = make_targets(videos, head, label_map, times, device=device)
    notes = unmet.note, describe_unlabelled(videos, targets), describe_lengths(videos, metadata[:, 3].tolist())
    return SequenceSet(
        tuple(videos),
        {name: tables[name] for name in in_order(tables)},
        totals,
        targets,
        metadata,
        tuple(annotations[position].path for position in np.flatnonzero(~present).tolist()),
        grid,
        frozenset(spec.stream for spec in unseen),
        identities,
        tuple(filter(None, notes)),
    )


def _load_tables(
    found: Mapping[str, FoundStream],
    others: Mapping[str, FoundStream],
    videos: Sequence[Annotation],
    unseen: Sequence[FeatureSpec],
    *,
    device: torch.device,
) -> tuple[dict[str, StreamTable], npt.NDArray[np.float64], tuple[frozenset[str], ...]]:
    """The table of each stream, with its mirrored view where ``others`` has it, empty ones for ``unseen`` streams.

    Then what `_known_facts` gives.
    """
    loaded = {
        name: load_table(stream, videos, device=device, mirrored=others.get(name)) for name, stream in found.items()
    }
    tables = {name: table for name, (table, _) in loaded.items()}
    tables |= {spec.stream: _empty(spec, len(videos), device=device) for spec in unseen}
    return tables, *_known_facts(videos, [(stream, loaded[name][1]) for name, stream in found.items()])


def _unmet(
    videos: Sequence[Annotation], times: Timestamps, metadata: npt.NDArray[np.float64], head: Head
) -> UnmetSegments:
    """Segments that no step lies in; raises AnnotationError where these are too many."""
    unmet = find_unmet(videos, times, metadata) if head in FRAMEWISE_HEADS else UnmetSegments()
    if unmet.refusal:
        raise AnnotationError(unmet.refusal)
    return unmet


def _replaced(found: Mapping[str, FoundStream]) -> dict[str, str]:
    """The videos whose stored features are of an earlier file, and why the new one gave none."""
    return {path: cause for stream in found.values() for path, cause in stream.replaced.items()}


def _nothing_found(annotations: Sequence[Annotation], found: Mapping[str, FoundStream]) -> str:
    places = " or ".join(stream.where for stream in found.values())
    why = [
        f"; the file of {quoted(path)} has changed and the new one gave none: {cause}"
        for path, cause in _replaced(found).items()
    ]
    return (
        f"none of the {len(annotations)} annotated videos has features in {places}{''.join(why[:1])}; "
        "run `vidrnn extract` with this config"
    )


def _timing(
    found: Mapping[str, FoundStream], tables: Mapping[str, StreamTable], *, causal: bool
) -> tuple[Grid | None, torch.Tensor, Timestamps]:
    """What aligns several streams, the number of steps of each video (n,), and the times of their steps in seconds."""
    first, totals = next(iter(found.values())), tables[next(iter(found))].totals
    if len(tables) == 1:
        return None, totals, first.timestamps_s
    seconds = {name: [stream.timestamps_s(i) for i in range(len(totals))] for name, stream in found.items()}
    grid, grids = align(seconds, causal=causal)
    return grid, torch.tensor([len(steps) for steps in grids]), grids.__getitem__


def _known_facts(
    annotations: Sequence[Annotation],
    accounts: Sequence[tuple[FoundStream, npt.NDArray[np.float64]]],
) -> tuple[npt.NDArray[np.float64], tuple[frozenset[str], ...]]:
    """Metadata and identities of n videos, from what each stream has of them and knows of them (n, 4).

    The metadata of a video come from the first stream that it has.
    """
    metadata = np.zeros((len(annotations), 4))
    identities: list[set[str]] = [set() for _ in annotations]
    for stream, facts in reversed(accounts):
        metadata[stream.present] = facts[stream.present]
        for position in np.flatnonzero(stream.present).tolist():
            identities[position].add(identify(annotations[position].path, facts[position].tolist()))
            if (content := stream.content(position)) is not None:
                identities[position].add(identify_content(content))
    return metadata, tuple(map(frozenset, identities))


def _by_stream(folders: FeatureFolder | Sequence[FeatureFolder]) -> dict[str, FeatureFolder]:
    several = [folders] if isinstance(folders, FeatureFolder) else folders
    named = {folder.spec.stream: folder for folder in several}
    assert len(named) == len(several), "one folder per stream"
    return {name: named[name] for name in in_order(named)}


def _empty(spec: FeatureSpec, n: int, *, device: torch.device) -> StreamTable:
    nothing = torch.zeros(n, dtype=torch.int64)
    return StreamTable(torch.zeros((0, spec.dim), dtype=torch.float16, device=device), nothing, nothing, spec.parts)
