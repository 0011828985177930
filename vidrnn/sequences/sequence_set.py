"""All feature sequences of a split, and batches of them by indexing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.annotations import Annotation, LabelMap
from vidrnn.errors import AnnotationError, StoreError
from vidrnn.sequences.alignment import Grid, align
from vidrnn.sequences.identity import identify, identify_content
from vidrnn.sequences.steps import StepChoice
from vidrnn.sequences.stream_table import FoundStream, StreamTable, find_stream, load_table
from vidrnn.sequences.targets import Targets, Timestamps, make_targets
from vidrnn.sequences.unmet_segments import UnmetSegments, find_unmet
from vidrnn.settings.model import FRAMEWISE_HEADS, Head, ModelSettings
from vidrnn.settings.streams import in_order
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.spec import FeatureSpec


@dataclass(frozen=True)
class Batch:
    """What a model is fed.

    Attributes:
        features: (B, S, inputs times D), zero beyond ``lengths``; of several streams one after the other, in their
            canonical order, zero where a stream shows nothing.
        lengths: (B,) int64 on the CPU.
        targets: (B, ...) per video or (B, S) per step, see `Targets`.
        present: (B, S, streams) bool on the device of ``features``, which stream shows something; None for one stream.
        widths: channels of each stream in ``features``.
    """

    features: torch.Tensor
    lengths: torch.Tensor
    targets: torch.Tensor
    present: torch.Tensor | None = None
    widths: tuple[int, ...] = ()


@dataclass(frozen=True)
class SequenceSet:
    """Sequences of many videos.

    Attributes:
        annotations: the n videos, in order.
        streams: name to features of a stream, in canonical order.
        totals: (n,) int64 steps of each video, on the CPU: steps of its one stream, or of the grid.
        targets: what they should be answered with.
        metadata: (n, 4) float64 width, height, frames, seconds of the source videos, for the metadata-only baseline.
        missing: annotated videos that have no features in any stream.
        grid: aligns the streams; None when there is one.
        hidden: streams that batches do not show.
        identities: fingerprints of each video, by which a model remembers it, see `vidrnn.sequences.identity`: one of
            its content, and one per stream, because an audio stream does not know width or frame count.
        notes: what deserves a second look, such as segments that no step lies in.
    """

    annotations: tuple[Annotation, ...]
    streams: Mapping[str, StreamTable]
    totals: torch.Tensor
    targets: Targets
    metadata: npt.NDArray[np.float64]
    missing: tuple[str, ...] = ()
    grid: Grid | None = None
    hidden: frozenset[str] = frozenset()
    identities: tuple[frozenset[str], ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.annotations)

    @property
    def dims(self) -> dict[str, int]:
        """Length D of a feature vector of each stream."""
        return {name: table.dim for name, table in self.streams.items()}

    @property
    def device(self) -> torch.device:
        """Where batches are put."""
        return next(iter(self.streams.values())).features.device

    @property
    def has_both_views(self) -> bool:
        """Whether the videos can be seen in a mirror."""
        return any(table.mirrored is not None for table in self.streams.values())

    @property
    def lacking(self) -> dict[str, int]:
        """Number of videos without each stream; empty when there is one stream."""
        if self.grid is None:
            return {}
        return {name: int((table.totals == 0).sum()) for name, table in self.streams.items()}

    def showing(self, streams: Sequence[str] | None) -> "SequenceSet":
        """The same steps with only some of the streams to be seen; None shows what is there."""
        if streams is None or self.grid is None:
            return self
        return replace(self, hidden=self.hidden | (set(self.streams) - set(streams)))

    def subset(self, positions: Sequence[int]) -> "SequenceSet":
        """Some of the videos; the features are shared, not copied."""
        chosen = torch.as_tensor(positions, dtype=torch.int64)
        return replace(
            self,
            annotations=tuple(self.annotations[position] for position in positions),
            streams={name: table.subset(chosen) for name, table in self.streams.items()},
            totals=self.totals[chosen],
            targets=self.targets.subset(chosen),
            metadata=self.metadata[list(positions)],
            missing=(),
            grid=None if self.grid is None else self.grid.subset(chosen),
            identities=tuple(self.identities[position] for position in positions) if self.identities else (),
        )

    def batch(
        self,
        positions: torch.Tensor,
        choice: StepChoice,
        model: ModelSettings,
        *,
        mirrored: torch.Tensor | None = None,
    ) -> Batch:
        """Gather what a model sees of some videos.

        Args:
            positions: (B,) int64 videos.
            choice: which steps of each, from `choose_steps` on ``totals[positions]``.
            model: says what a step shows.
            mirrored: (B,) bool, which of them are taken from the mirrored view; None takes none. Streams without such
                a view stay as they are.

        Raises:
            StoreError: the streams that are shown have nothing at any chosen step of some video.
        """
        targets = self.targets.of(positions, choice)
        if self.grid is None:
            ((name, table),) = self.streams.items()
            steps = table.gather(positions, choice, model.of_stream(name), mirrored=mirrored)
            return Batch(steps, choice.lengths, targets)
        parts = [self._part(name, positions, choice, model, mirrored=mirrored) for name in self.streams]
        present = torch.stack([shown for _, shown in parts], dim=2)
        if not bool((seen := present.flatten(1).any(1)).all()):
            path = self.annotations[int(positions[~seen][0])].path
            raise StoreError(
                f"none of the streams {', '.join(set(self.streams) - self.hidden)} shows anything at the "
                f"{choice.indices.shape[1]} chosen steps of {path!r}; raise training.steps, or show more streams with "
                "inference.streams"
            )
        features = torch.cat([steps for steps, _ in parts], dim=2)
        widths = tuple(steps.shape[2] for steps, _ in parts)
        return Batch(features, choice.lengths, targets, present.to(features.device), widths)

    def _part(
        self,
        name: str,
        positions: torch.Tensor,
        choice: StepChoice,
        model: ModelSettings,
        *,
        mirrored: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, S, C) what one of several streams shows, zero elsewhere, and (B, S) bool on the CPU where it does."""
        table, stream_model = self.streams[name], model.of_stream(name)
        shape, device = (*choice.indices.shape, len(stream_model.inputs) * table.dim), table.features.device
        if name in self.hidden:
            return torch.zeros(shape, device=device), torch.zeros(shape[:2], dtype=torch.bool)
        assert self.grid is not None
        indices = self.grid.stream_steps(name, positions, choice)
        there = (shown := indices >= 0).any(1)  # the others may have no row at all
        if not bool(there.any()):
            return torch.zeros(shape, device=device), shown
        views = None if mirrored is None or table.mirrored is None else mirrored[there]
        chosen = StepChoice(indices[there].clamp(min=0), choice.lengths[there])
        steps = table.gather(positions[there], chosen, stream_model, mirrored=views)
        inside = torch.arange(shape[1]) < choice.lengths.unsqueeze(1)
        if not torch.equal(shown, inside):  # else what lies beyond the lengths is zero already
            steps = steps.masked_fill_(~shown[there].to(device).unsqueeze(2), 0.0)
        if not bool(there.all()):
            steps = torch.zeros(shape, device=device).index_copy_(0, there.nonzero()[:, 0].to(device), steps)
        return steps, shown


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
        AnnotationError: the annotations do not fit the head, name a class that the label map lacks, or have too many
            segments without a step: most of them, or all of a class.
    """
    places, others = _by_stream(folders), _by_stream(mirrored or ())
    return join_streams(
        annotations,
        {name: find_stream(annotations, folder) for name, folder in places.items()},
        label_map,
        device=device,
        head=head,
        mirrored={name: find_stream(annotations, others[name]) for name in places if name in others},
        unseen=unseen,
        causal=causal,
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
    others = mirrored or {}
    present = np.any([stream.present for stream in found.values()], axis=0)
    if not present.any():
        raise StoreError(
            f"none of the {len(annotations)} annotated videos has features in "
            f"{' or '.join(stream.where for stream in found.values())}; run `vidrnn extract` with this config"
        )
    kept = np.flatnonzero(present)
    videos = [annotations[position] for position in kept.tolist()]
    found = {name: stream.subset(kept) for name, stream in found.items()}
    others = {name: stream.subset(kept) for name, stream in others.items()}
    loaded = {
        name: load_table(stream, videos, device=device, mirrored=others.get(name)) for name, stream in found.items()
    }
    tables = {name: table for name, (table, _) in loaded.items()}
    metadata, identities = _known_facts(videos, [(stream, loaded[name][1]) for name, stream in found.items()])
    tables |= {spec.stream: _empty(spec, len(videos), device=device) for spec in unseen}
    grid, totals, times = _timing(found, tables, causal=causal)
    unmet = find_unmet(videos, times, metadata) if head in FRAMEWISE_HEADS else UnmetSegments()
    if unmet.refusal:
        raise AnnotationError(unmet.refusal)
    return SequenceSet(
        tuple(videos),
        {name: tables[name] for name in in_order(tables)},
        totals,
        make_targets(videos, head, label_map, times, device=device),
        metadata,
        tuple(annotations[position].path for position in np.flatnonzero(~present).tolist()),
        grid,
        frozenset(spec.stream for spec in unseen),
        identities,
        (unmet.note,) if unmet.note else (),
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
