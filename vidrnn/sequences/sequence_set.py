"""All feature sequences of a split, in memory or mapped from a pack, and batches of them by indexing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.annotations import Annotation, LabelMap
from vidrnn.errors import MissingPathError, StoreError
from vidrnn.features.packed import Pack
from vidrnn.features.store import FeatureFolder, VideoFeatures
from vidrnn.sequences.inputs import gather_inputs, mean_features
from vidrnn.sequences.rows import RowsElsewhere
from vidrnn.sequences.steps import StepChoice
from vidrnn.sequences.targets import Targets, make_targets
from vidrnn.settings import Head, ModelSettings


@dataclass(frozen=True)
class Batch:
    """What a model is fed.

    Attributes:
        features: (B, S, inputs times D), zero beyond ``lengths``.
        lengths: (B,) int64 on the CPU.
        targets: (B, ...) per video or (B, S) per step, see `Targets`.
    """

    features: torch.Tensor
    lengths: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True)
class SequenceSet:
    """Sequences of many videos, stacked in time.

    Attributes:
        annotations: the n videos, in order.
        features: (rows, D) float16 for the device of the model: the sequences one after another, or the mapped pack.
        offsets: (n,) int64 first row of each video.
        totals: (n,) int64 rows of each video, on the CPU.
        targets: what they should be answered with.
        metadata: (n, 4) float64 width, height, frames, seconds of the source videos, for the metadata-only baseline.
        missing: annotated videos that have no features.
        mirrored: the same videos seen in a mirror, None when only one view is there.
        parts: lengths of the features of several nodes in D, see `gather_inputs`.
    """

    annotations: tuple[Annotation, ...]
    features: torch.Tensor | RowsElsewhere
    offsets: torch.Tensor
    totals: torch.Tensor
    targets: Targets
    metadata: npt.NDArray[np.float64]
    missing: tuple[str, ...] = ()
    mirrored: "SequenceSet | None" = None
    parts: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.annotations)

    @property
    def dim(self) -> int:
        """Length D of a feature vector."""
        return self.features.shape[1]

    def subset(self, positions: Sequence[int]) -> "SequenceSet":
        """Some of the videos; the features are shared, not copied."""
        chosen = torch.as_tensor(positions, dtype=torch.int64)
        return SequenceSet(
            tuple(self.annotations[position] for position in positions),
            self.features,
            self.offsets[chosen],
            self.totals[chosen],
            self.targets.subset(chosen),
            self.metadata[list(positions)],
            mirrored=self.mirrored.subset(positions) if self.mirrored is not None else None,
            parts=self.parts,
        )

    @cached_property
    def means(self) -> torch.Tensor:
        """(n, D) float32 mean over all cached steps of each video."""
        return mean_features(self.features, self.offsets, self.totals)

    def _means_of(self, positions: torch.Tensor) -> torch.Tensor:
        if isinstance(self.features, RowsElsewhere):  # the means of a million videos would fill the memory
            return mean_features(self.features, self.offsets[positions], self.totals[positions])
        return self.means[positions.to(self.features.device)]

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
            mirrored: (B,) bool, which of them are taken from the mirrored view; None takes none.
        """
        steps = self.gather(positions, choice, model)
        if mirrored is not None and mirrored.any():
            assert self.mirrored is not None
            other = StepChoice(choice.indices[mirrored], choice.lengths[mirrored])
            steps[mirrored.to(steps.device)] = self.mirrored.gather(positions[mirrored], other, model)
        return Batch(steps, choice.lengths, self.targets.of(positions, choice))

    def gather(self, positions: torch.Tensor, choice: StepChoice, model: ModelSettings) -> torch.Tensor:
        """The features of a batch alone, of this view; arguments as of `batch`."""
        return gather_inputs(
            self.features,
            offsets=self.offsets[positions],
            totals=self.totals[positions],
            means=self._means_of(positions) if "centred" in model.inputs else None,
            choice=choice,
            model=model,
            parts=self.parts,
        )


def load_sequences(
    annotations: Sequence[Annotation],
    folder: FeatureFolder,
    label_map: LabelMap,
    *,
    device: torch.device,
    head: Head = "label",
    mirrored: FeatureFolder | None = None,
) -> SequenceSet:
    """Find the features of all annotated videos: mapped where a pack holds them, else read into memory.

    On CUDA they are copied to the device when they fit into half of its free memory. Videos without features (they
    failed in extraction) are left out and listed in ``missing``.

    Args:
        annotations: the videos.
        folder: holds their features.
        label_map: order of the classes.
        device: of the model.
        head: what is answered.
        mirrored: holds the features of their mirrored view, for models that see both.

    Raises:
        StoreError: no video has features, a file is damaged, one holds nan or inf, or the mirrored view of one that
            has features is not there or has other steps.
        AnnotationError: the annotations do not fit the head, or name a class that the label map does not know.
    """
    found = _find(annotations, folder)
    if not found.annotations:
        raise StoreError(
            f"none of the {len(found.missing)} annotated videos has features in {folder.path}; "
            "run `vidrnn extract` with this config"
        )
    table = _locate(found.pack, np.array(found.places, dtype=np.int64), found.loose)
    _refuse_unusable(found.annotations, table)
    features, offsets = _place(table, mapped=len(found.loose) < len(found.annotations), device=device)
    return SequenceSet(
        tuple(found.annotations),
        features,
        torch.from_numpy(offsets),
        torch.from_numpy(table.totals),
        make_targets(found.annotations, head, label_map, found.timestamps(), device=device),
        table.metadata,
        tuple(found.missing),
        None if mirrored is None else _mirrored_set(found.annotations, mirrored, table.totals, device=device),
        folder.spec.parts,
    )


@dataclass(frozen=True)
class _Found:
    """Which videos have features, and where.

    Attributes:
        pack: of the folder, None when there is none.
        annotations: the n videos that have features.
        places: (n,) number in the pack, -1 for a feature file.
        loose: what was read from feature files, in order.
        missing: videos without features.
    """

    pack: Pack | None
    annotations: list[Annotation] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    loose: list[VideoFeatures] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def timestamps(self) -> Callable[[int], npt.NDArray[np.float64]]:
        """Number of a video to its (T,) seconds; those in the pack are looked up when they are asked for."""
        read = iter(self.loose)
        known = [None if place >= 0 else next(read).timestamps_s for place in self.places]

        def of(video: int) -> npt.NDArray[np.float64]:
            times = known[video]
            if times is None:
                assert self.pack is not None
                return self.pack.timestamps_s(self.places[video])
            return times

        return of


def _find(annotations: Sequence[Annotation], folder: FeatureFolder) -> _Found:
    pack, numbers = folder.packed()
    found = _Found(pack)
    for annotation in annotations:
        number = numbers.get(annotation.path, -1)
        if number < 0:
            try:
                found.loose.append(folder.read(annotation.path))
            except MissingPathError:
                found.missing.append(annotation.path)
                continue
        found.annotations.append(annotation)
        found.places.append(number)
    return found


def _mirrored_set(
    annotations: Sequence[Annotation], folder: FeatureFolder, totals: npt.NDArray[np.int64], *, device: torch.device
) -> SequenceSet:
    labels = LabelMap(("any",))  # its targets are never asked for
    nameless = [replace(each, label="any", labels=None, segments=None, target=None) for each in annotations]
    sequences = load_sequences(nameless, folder, labels, device=device)
    advice = "run `vidrnn extract` with features.mirrored: true"
    if sequences.missing:
        raise StoreError(
            f"{len(sequences.missing)} videos have features but no mirrored ones in {folder.path}, the first is "
            f"{sequences.missing[0]!r}; {advice}"
        )
    if (other := np.flatnonzero(sequences.totals.numpy() != totals)).size:
        path = annotations[int(other[0])].path
        raise StoreError(
            f"the mirrored view of {path!r} has {int(sequences.totals[other[0]])} steps, the plain one "
            f"{totals[other[0]]}; {advice}"
        )
    return sequences


@dataclass(frozen=True)
class _Table:
    """Where the sequences of n videos lie.

    Attributes:
        rows: (rows, D) float16 of the pack and of what was read from feature files.
        offsets: (n,) int64 first row of each video.
        totals: (n,) int64 rows.
        finite: (n,) whether all values are numbers.
        metadata: (n, 4) float64, see `SequenceSet`.
    """

    rows: npt.NDArray[np.float16]
    offsets: npt.NDArray[np.int64]
    totals: npt.NDArray[np.int64]
    finite: npt.NDArray[np.bool_]
    metadata: npt.NDArray[np.float64]


def _locate(pack: Pack | None, places: npt.NDArray[np.int64], loose: list[VideoFeatures]) -> _Table:
    """Join videos of the pack (place >= 0) and videos that were read, in the order of ``places`` (n,)."""
    n, mapped = len(places), places >= 0
    offsets, totals, finite = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.bool_)
    metadata = np.zeros((n, 4))
    rows, first = np.zeros((0, 0), np.float16), 0
    if loose:
        rows = np.concatenate([video.features for video in loose])
    if pack is not None and mapped.any():
        offsets[mapped] = pack.rows_at[places[mapped]]
        for column, name in ((totals, "rows"), (finite, "finite"), (metadata, "metadata")):
            column[mapped] = pack.columns[name][places[mapped]]
        rows, first = pack.table_with(rows) if loose else (pack.table, 0)
    if loose:
        lengths = np.array([len(video.features) for video in loose])
        offsets[~mapped] = first + lengths.cumsum() - lengths
        totals[~mapped] = lengths
        finite[~mapped] = [np.isfinite(video.features).all() for video in loose]
        facts = [video.metadata for video in loose]
        metadata[~mapped] = [(each.width, each.height, each.num_frames, each.duration_s) for each in facts]
    return _Table(rows, offsets, totals, finite, metadata)


def _refuse_unusable(annotations: Sequence[Annotation], table: _Table) -> None:
    for position in np.flatnonzero((table.totals == 0) | ~table.finite).tolist():
        path = annotations[position].path
        if not table.totals[position]:
            raise StoreError(f"features of {path!r} have no step; delete its feature file and extract again")
        raise StoreError(f"features of {path!r} hold nan or inf; extract again with another precision")


def _place(
    table: _Table, *, mapped: bool, device: torch.device
) -> tuple[torch.Tensor | RowsElsewhere, npt.NDArray[np.int64]]:
    """The rows for a device, and the first row of each video in them."""
    rows = torch.from_numpy(table.rows)
    if device.type == "cpu" or not mapped:
        return rows.to(device), table.offsets
    waiting = RowsElsewhere(rows, device)
    if int(table.totals.sum()) * table.rows[:1].nbytes > torch.cuda.mem_get_info(device)[0] // 2:
        return waiting, table.offsets
    offsets = table.totals.cumsum() - table.totals
    wanted = np.repeat(table.offsets - offsets, table.totals) + np.arange(table.totals.sum())
    return waiting.index_select(0, torch.from_numpy(wanted)), offsets
