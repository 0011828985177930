"""What a search for settings works on: the training split in inner folds, and the space of values."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidrnn.annotations import Annotation, LabelMap, Split, read_annotations
from vidrnn.annotations.splits import Fold, refuse_one_class, split_annotations
from vidrnn.device import choose_device
from vidrnn.experiments.inner_folds import inner_folds
from vidrnn.experiments.mirror_choice import settle
from vidrnn.experiments.provenance import describe_data
from vidrnn.experiments.search_space import SearchSpace, search_space
from vidrnn.experiments.side_by_side import usual_jobs
from vidrnn.experiments.stored_sets import find_folders, fingerprint_of, load_set, name_specs
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.targets import label_map_of
from vidrnn.settings.moved import as_first_written
from vidrnn.settings.run import RunSettings
from vidrnn.store.feature_folder import FeatureFolder


@dataclass(frozen=True)
class TuningTask:
    """What stays the same in all trials."""

    settings: RunSettings
    output: Path
    sequences: SequenceSet
    folds: list[Fold]
    label_map: LabelMap
    space: SearchSpace
    protocol: str
    has_test: bool
    jobs: int
    notes: tuple[str, ...]


def prepare(settings: RunSettings, output: Path, jobs: int | None) -> tuple[TuningTask, str]:
    """The task of a search, and the fingerprint that tells it from others.

    Args:
        settings: the configuration.
        output: folder of the search.
        jobs: folds of a trial that are fitted at the same time; None: `usual_jobs`.

    Raises:
        ConfigError: the space does not fit the configuration.
        AnnotationError, StoreError, MissingPathError: see the parts.
    """
    annotations = read_annotations(settings.data)
    refuse_one_class(annotations)
    splits = split_annotations(annotations, settings.data)
    space = search_space(settings)
    folders = find_folders(settings.features, store=settings.extraction.store)
    label_map = label_map_of(splits["train"], settings.model.head)
    sequences = load_set(splits["train"], settings=settings, folders=folders, label_map=label_map)
    settled = settle(settings, sequences, None, num_classes=len(label_map), jobs=jobs)
    settings, sequences = settled.settings, settled.train_set
    folds = inner_folds(sequences.annotations, settings, wanted=settings.tuning.folds, who="tune")
    task = TuningTask(
        settings=settings,
        output=output,
        sequences=sequences,
        folds=folds,
        label_map=label_map,
        space=space,
        protocol=_protocol(settings, splits, sequences, folds, folders),
        has_test=bool(splits["test"]),
        jobs=usual_jobs(choose_device(settings.training.device)) if jobs is None else jobs,
        notes=settled.notes,
    )
    return task, _fingerprint(task, folders)


def _fingerprint(task: TuningTask, folders: Sequence[FeatureFolder]) -> str:
    """A digest of all that a trial's value and the choice of the next depend on; the number of trials may change."""
    parts = [
        fingerprint_of(task.settings, task.sequences, None, folders),
        task.settings.tuning.model_dump_json(exclude={"trials", "folds"}),
        as_first_written("inference", task.settings.inference),
        *(f"{fold.name} {','.join(map(str, fold.test))}" for fold in task.folds),
    ]
    return hashlib.sha256("\n".join(parts).encode(errors="surrogatepass")).hexdigest()


def _protocol(
    settings: RunSettings,
    splits: Mapping[Split, Sequence[Annotation]],
    sequences: SequenceSet,
    folds: Sequence[Fold],
    folders: Sequence[FeatureFolder],
) -> str:
    specs = name_specs(folder.spec for folder in folders)
    groups = len({annotation.group for annotation in sequences.annotations})
    kept_apart = " and ".join(f"{len(splits[name])} {name} videos" for name in ("val", "test") if splits[name])
    honest = "" if splits["test"] else "; without a test split, so is crossval on these videos afterwards"
    epoch = "epoch with the lowest of them" if settings.training.select == "best" else "last epoch"
    return (
        f"{describe_data(settings, specs)}; training split only ({len(sequences)} videos of {groups} "
        f"groups; not read: {kept_apart or 'none, there is no other split'}), {len(folds)} folds by group; value is "
        f"the validation loss of the {epoch}, mean over folds; seed {settings.training.seed}; the best of many trials "
        f"on the same folds, so its value is optimistic{honest}"
    )
