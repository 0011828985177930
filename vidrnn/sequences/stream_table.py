"""The features of one stream for many videos, stacked in time or mapped from a pack."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.annotations import Annotation
from vidrnn.errors import StoreError
from vidrnn.names import quoted
from vidrnn.sequences.found_stream import ABSENT, LOOSE, FoundStream
from vidrnn.sequences.host_rows import HostRows, Rows
from vidrnn.sequences.inputs import gather_inputs, mean_features, running_means
from vidrnn.sequences.steps import StepChoice
from vidrnn.settings.model import ModelSettings


@dataclass(frozen=True)
class StreamTable:
    """Features of one stream for n videos, stacked in time.

    Attributes:
        features: (rows, D) float16 for the device of the model: the sequences one after another, or the mapped pack, or
            one long video.
        offsets: (n,) int64 first row of each video, on the CPU.
        totals: (n,) int64 rows of each video, on the CPU; 0 where it has no such stream.
        parts: lengths of the features of several nodes in D, see `gather_inputs`.
        mirrored: the same videos seen in a mirror, None when only one view is there.
        within: the table that a subset was taken from, and (n,) int64 positions of these videos in it.
    """

    features: Rows
    offsets: torch.Tensor
    totals: torch.Tensor
    parts: tuple[int, ...] = ()
    mirrored: "StreamTable | None" = None
    within: "tuple[StreamTable, torch.Tensor] | None" = None

    @property
    def dim(self) -> int:
        """Length D of a feature vector."""
        return self.features.shape[1]

    def subset(self, positions: torch.Tensor) -> "StreamTable":
        """Some of the videos, (m,) int64; the features are shared, not copied."""
        other = self.mirrored.subset(positions) if self.mirrored is not None else None
        offsets, totals = self.offsets[positions], self.totals[positions]
        return replace(self, offsets=offsets, totals=totals, mirrored=other, within=(self, positions))

    @cached_property
    def means(self) -> torch.Tensor:
        """(n, D) float32 mean over all cached steps of each video, computed once for all subsets of a table."""
        if self.within is not None:
            table, positions = self.within
            return table.means[positions.to(self.features.device)]
        return mean_features(self.features, self.offsets, self.totals)

    def _means_of(self, positions: torch.Tensor, choice: StepChoice, *, causal: bool) -> torch.Tensor:
        if causal:
            return running_means(self.features, self.offsets[positions], choice)
        if isinstance(self.features, HostRows):  # the means of a million videos would fill the memory
            return mean_features(self.features, self.offsets[positions], self.totals[positions])
        return self.means[positions.to(self.features.device)]

    def gather(
        self,
        positions: torch.Tensor,
        choice: StepChoice,
        model: ModelSettings,
        *,
        mirrored: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """What a model sees of some videos.

        Args:
            positions: (B,) int64 videos.
            choice: which steps of each.
            model: its ``inputs`` say what a step shows.
            mirrored: (B,) bool, which of them are taken from the mirrored view; None takes none.

        Returns:
            (B, S, inputs times D) float32 on the device of ``features``, zero beyond the lengths.
        """
        steps = gather_inputs(
            self.features,
            offsets=self.offsets[positions],
            totals=self.totals[positions],
            means=self._means_of(positions, choice, causal=not model.bidirectional)
            if "centred" in model.inputs
            else None,
            choice=choice,
            model=model,
            parts=self.parts,
        )
        if mirrored is not None and mirrored.any():
            assert self.mirrored is not None
            other = StepChoice(choice.indices[mirrored], choice.lengths[mirrored])
            steps[mirrored.to(steps.device)] = self.mirrored.gather(positions[mirrored], other, model)
        return steps


def load_table(
    found: FoundStream,
    annotations: Sequence[Annotation],
    *,
    device: torch.device,
    mirrored: FoundStream | None = None,
) -> tuple[StreamTable, npt.NDArray[np.float64]]:
    """The table of one stream.

    On CUDA mapped features are copied to the device when they fit into half of its free memory.

    Args:
        found: the stream of n videos.
        annotations: the n videos.
        device: the device of the model.
        mirrored: the mirrored view of the same videos, for models that see both.

    Returns:
        The table, and (n, 4) width, height, frames, seconds of the videos that have the stream.

    Raises:
        StoreError: a file is damaged or holds nan or inf, or the mirrored view of a video that has features is not
            there or has other steps.
    """
    table = _locate(found)
    _refuse_unusable(annotations, found, table)
    features, offsets = _place(table, mapped=bool((found.places >= 0).any()), device=device)
    other = None
    if mirrored is not None:
        other = _mirrored_table(annotations, found.present, mirrored, table.totals, device=device)
    totals = torch.from_numpy(table.totals)
    return StreamTable(features, torch.from_numpy(offsets), totals, found.spec.parts, other), table.metadata


def _mirrored_table(
    annotations: Sequence[Annotation],
    wanted: npt.NDArray[np.bool_],
    found: FoundStream,
    totals: npt.NDArray[np.int64],
    *,
    device: torch.device,
) -> StreamTable:
    advice = "run `vidrnn extract` with features.mirrored: true"
    if (missing := np.flatnonzero(wanted & ~found.present)).size:
        raise StoreError(
            f"{missing.size} videos have features but no mirrored ones in {found.where}, the first is "
            f"{quoted(annotations[int(missing[0])].path)}; {advice}"
        )
    found = replace(found, places=np.where(wanted, found.places, ABSENT))
    table, _ = load_table(found, annotations, device=device)
    if (other := np.flatnonzero(table.totals.numpy() != totals)).size:
        path = annotations[int(other[0])].path
        raise StoreError(
            f"the mirrored view of {quoted(path)} has {int(table.totals[other[0]])} steps, the plain one "
            f"{totals[other[0]]}; {advice}"
        )
    return table


@dataclass(frozen=True)
class _Located:
    """Where the sequences of n videos lie.

    Attributes:
        rows: (rows, D) float16 of the pack and of what was read from feature files.
        offsets: (n,) int64 first row of each video.
        totals: (n,) int64 rows.
        finite: (n,) whether all values are numbers.
        metadata: (n, 4) float64, see `load_table`.
    """

    rows: npt.NDArray[np.float16]
    offsets: npt.NDArray[np.int64]
    totals: npt.NDArray[np.int64]
    finite: npt.NDArray[np.bool_]
    metadata: npt.NDArray[np.float64]


def _locate(found: FoundStream) -> _Located:
    """Join videos of the pack and videos that were read; a video without features has 0 rows."""
    places, pack = found.places, found.pack
    n, mapped, read = len(places), places >= 0, places == LOOSE
    loose = [found.loose[position] for position in np.flatnonzero(read).tolist()]
    offsets, totals, finite = np.zeros(n, np.int64), np.zeros(n, np.int64), np.ones(n, np.bool_)
    metadata = np.zeros((n, 4))
    rows, first = np.zeros((0, found.spec.dim), np.float16), 0
    if loose:
        rows = np.concatenate([video.features for video in loose])
    if pack is not None and mapped.any():
        offsets[mapped] = pack.rows_at[places[mapped]]
        for column, name in ((totals, "rows"), (finite, "finite"), (metadata, "metadata")):
            column[mapped] = pack.columns[name][places[mapped]]
        rows, first = pack.table_with(rows) if loose else (pack.table, 0)
    if loose:
        lengths = np.array([len(video.features) for video in loose])
        offsets[read] = first + lengths.cumsum() - lengths
        totals[read] = lengths
        finite[read] = [np.isfinite(video.features).all() for video in loose]
        metadata[read] = [
            (facts.width, facts.height, facts.num_frames, facts.duration_s)
            for facts in (video.metadata for video in loose)
        ]
    return _Located(rows, offsets, totals, finite, metadata)


def _refuse_unusable(annotations: Sequence[Annotation], found: FoundStream, table: _Located) -> None:
    for position in np.flatnonzero(found.present & ((table.totals == 0) | ~table.finite)).tolist():
        path = annotations[position].path
        if not table.totals[position]:
            raise StoreError(f"features of {quoted(path)} have no step; delete its feature file and extract again")
        raise StoreError(f"features of {quoted(path)} hold nan or inf; extract again with another precision")


def _place(
    table: _Located, *, mapped: bool, device: torch.device
) -> tuple[torch.Tensor | HostRows, npt.NDArray[np.int64]]:
    """The rows for a device, and the first row of each video in them."""
    rows = torch.from_numpy(table.rows)
    if device.type == "cpu" or not mapped:
        return rows.to(device), table.offsets
    waiting = HostRows(rows, device)
    if int(table.totals.sum()) * table.rows[:1].nbytes > torch.cuda.mem_get_info(device)[0] // 2:
        return waiting, table.offsets
    offsets = table.totals.cumsum() - table.totals
    wanted = np.repeat(table.offsets - offsets, table.totals) + np.arange(table.totals.sum())
    return waiting.index_select(0, torch.from_numpy(wanted)), offsets
