"""The features of one stream for many videos: found in a store (read, or mapped from a pack), or computed just now."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.annotations import Annotation
from vidrnn.errors import MissingPathError, StoreError
from vidrnn.sequences.host_rows import HostRows
from vidrnn.sequences.inputs import gather_inputs, mean_features, running_means
from vidrnn.sequences.steps import StepChoice
from vidrnn.settings.model import ModelSettings
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.pack_reader import Pack
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.video_features import VideoFeatures

_LOOSE, _ABSENT = -1, -2


@dataclass(frozen=True)
class StreamTable:
    """Features of one stream for n videos, stacked in time.

    Attributes:
        features: (rows, D) float16 for the device of the model: the sequences one after another, or the mapped pack.
        offsets: (n,) int64 first row of each video, on the CPU.
        totals: (n,) int64 rows of each video, on the CPU; 0 where it has no such stream.
        parts: lengths of the features of several nodes in D, see `gather_inputs`.
        mirrored: the same videos seen in a mirror, None when only one view is there.
        within: the table that a subset was taken from, and (n,) int64 positions of these videos in it.
    """

    features: torch.Tensor | HostRows
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


@dataclass(frozen=True)
class FoundStream:
    """Which of n videos have features of a stream, and where.

    Attributes:
        spec: the identity of the features.
        where: the place in which they were looked for, in words.
        pack: the pack that holds some of them; None without a pack.
        places: (n,) int64 number in the pack, or a negative number for features in memory and for none at all.
        loose: position to features in memory.
    """

    spec: FeatureSpec
    where: str
    pack: Pack | None
    places: npt.NDArray[np.int64]
    loose: Mapping[int, VideoFeatures]

    @classmethod
    def in_memory(cls, spec: FeatureSpec, videos: Sequence[VideoFeatures | None]) -> "FoundStream":
        """Features of n videos that were computed just now; None for a video that has no such stream."""
        places = np.asarray([_ABSENT if video is None else _LOOSE for video in videos], dtype=np.int64)
        loose = {position: video for position, video in enumerate(videos) if video is not None}
        return cls(spec, "memory", None, places, loose)

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the video has features."""
        present: npt.NDArray[np.bool_] = self.places != _ABSENT
        return present

    def subset(self, positions: npt.NDArray[np.int64]) -> "FoundStream":
        """Some of the videos, by increasing position."""
        loose = {i: self.loose[old] for i, old in enumerate(positions.tolist()) if old in self.loose}
        return replace(self, places=self.places[positions], loose=loose)

    def timestamps_s(self, position: int) -> npt.NDArray[np.float64]:
        """(T,) seconds of a video's steps; in the pack they are looked up only now."""
        place = int(self.places[position])
        if place == _ABSENT:
            return np.zeros(0)
        if place == _LOOSE:
            return self.loose[position].timestamps_s
        assert self.pack is not None
        return self.pack.timestamps_s(place)

    def content(self, position: int) -> str | None:
        """SHA-256 of the file that a video's features came from; None where that file says nothing about the video.

        Texts and arrays say nothing: two videos may have the same caption. A damaged header gives None too: the video
        still has its name, and `vidrnn store verify` names the damage.
        """
        place = int(self.places[position])
        if place == _ABSENT or self.spec.stream in {"text", "external"}:
            return None
        if place == _LOOSE:
            return self.loose[position].source.sha256 or None
        assert self.pack is not None
        try:
            found = json.loads(self.pack.header(place))["source"]["sha256"]
        except (ValueError, KeyError, TypeError):
            return None
        return str(found) or None


def find_stream(annotations: Sequence[Annotation], folder: FeatureFolder) -> FoundStream:
    """Look up annotated videos. Raises StoreError when a feature file or the index of the pack is damaged."""
    pack, numbers = folder.packed()
    places = np.full(len(annotations), _ABSENT, dtype=np.int64)
    loose: dict[int, VideoFeatures] = {}
    for position, annotation in enumerate(annotations):
        number = numbers.get(annotation.path)
        if number is None:
            try:
                loose[position] = folder.read(annotation.path)
            except MissingPathError:
                continue
        places[position] = _LOOSE if number is None else number
    return FoundStream(folder.spec, str(folder.path), pack, places, loose)


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
            f"{annotations[int(missing[0])].path!r}; {advice}"
        )
    found = replace(found, places=np.where(wanted, found.places, _ABSENT))
    table, _ = load_table(found, annotations, device=device)
    if (other := np.flatnonzero(table.totals.numpy() != totals)).size:
        path = annotations[int(other[0])].path
        raise StoreError(
            f"the mirrored view of {path!r} has {int(table.totals[other[0]])} steps, the plain one "
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
    n, mapped, read = len(places), places >= 0, places == _LOOSE
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
            raise StoreError(f"features of {path!r} have no step; delete its feature file and extract again")
        raise StoreError(f"features of {path!r} hold nan or inf; extract again with another precision")


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
