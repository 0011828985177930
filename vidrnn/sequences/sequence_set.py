"""All feature sequences of a split, and batches of them by indexing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.annotations import Annotation
from vidrnn.errors import StoreError
from vidrnn.names import quoted
from vidrnn.sequences.alignment import Grid
from vidrnn.sequences.steps import StepChoice
from vidrnn.sequences.stream_table import StreamTable
from vidrnn.sequences.targets import Targets
from vidrnn.settings.model import ModelSettings


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
        identities: fingerprints of each video, by which a model remembers it, see `vidrnn.sequences.identity`. There is
            one of its content, and one per stream, because an audio stream does not know width or frame count.
        notes: what deserves a second look, such as segments that no step lies in.
        outdated: videos of which an earlier version made features that may differ today.
        replaced: videos whose stored features are not used, because their file has changed and the new one gives none,
            with the cause.
        sourceless: videos whose features are used although their file is gone.
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
    outdated: tuple[str, ...] = ()
    replaced: Mapping[str, str] = field(default_factory=dict)
    sourceless: tuple[str, ...] = ()

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

    def in_plain_view(self) -> "SequenceSet":
        """The same videos without their mirrored view."""
        return replace(self, streams={name: replace(table, mirrored=None) for name, table in self.streams.items()})

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
            outdated=(),
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
                f"{choice.indices.shape[1]} chosen steps of {quoted(path)}; raise training.steps, or show "
                "more streams with "
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
