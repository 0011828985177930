"""The stored features that a configuration asks for, and the sequences of its videos."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from vidrnn.annotations import Annotation, LabelMap, Split
from vidrnn.device import choose_device
from vidrnn.errors import AnnotationError
from vidrnn.models.pretrained_file import digest_of, refuse_other_features
from vidrnn.sequences.loading import load_sequences
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.moved import as_first_written
from vidrnn.settings.run import RunSettings
from vidrnn.settings.streams import PICTURE_STREAMS, in_order
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.spec import FeatureSpec


def find_folders(features: FeatureSettings, *, store: Path) -> list[FeatureFolder]:
    """The folder of each stream in a store, in canonical order. Raises as `FeatureStore.find`."""
    there = FeatureStore(store)
    return [there.find(features, stream=stream) for stream in in_order(features.streams)]


def find_mirrored_folders(features: FeatureSettings, *, store: Path) -> list[FeatureFolder]:
    """The folder of the mirrored view of each picture stream; empty when the configuration has one view."""
    if not features.mirrored:
        return []
    there = FeatureStore(store)
    pictures = [stream for stream in in_order(features.streams) if stream in PICTURE_STREAMS]
    return [there.find_mirrored(features, stream=stream) for stream in pictures]


def name_specs(specs: Iterable[FeatureSpec]) -> str:
    """Digests for a protocol string: of one spec alone, of several with their streams."""
    several = list(specs)
    if len(several) == 1:
        return several[0].digest
    return " + ".join(f"{spec.stream} {spec.digest}" for spec in several)


def load_set(
    annotations: Sequence[Annotation], *, settings: RunSettings, folders: Sequence[FeatureFolder], label_map: LabelMap
) -> SequenceSet:
    """Sequences, both views if the configuration has them, as a model of the configuration takes them.

    Raises ModelFileError where ``training.init`` learned from other features.
    """
    if settings.training.init is not None:
        refuse_other_features(settings.training.init, {folder.spec.stream: folder.spec.digest for folder in folders})
    return load_sequences(
        annotations,
        folders,
        label_map,
        device=choose_device(settings.training.device),
        head=settings.model.head,
        mirrored=find_mirrored_folders(settings.features, store=settings.extraction.store),
        causal=not settings.model.bidirectional,
    )


def fingerprint_of(
    settings: RunSettings, train_set: SequenceSet, val_set: SequenceSet | None, folders: Sequence[FeatureFolder]
) -> str:
    """A digest of all that the fit depends on.

    Where the data lies, which device runs it and whether curves are written may change.
    """
    parts = [
        as_first_written("model", settings.model),
        as_first_written("training", settings.training, exclude={"device", "tensorboard", "init"}),
        *([f"init {digest_of(settings.training.init)}"] if settings.training.init else []),
        *(folder.spec.digest for folder in folders),
        *map(str, train_set.annotations),
        *(f"val {annotation}" for annotation in (val_set.annotations if val_set else ())),
        *(["both views"] if train_set.has_both_views else []),
    ]
    return hashlib.sha256("\n".join(parts).encode(errors="surrogatepass")).hexdigest()


def checksums_of(
    annotations: Sequence[Annotation], *, settings: RunSettings, folders: Sequence[FeatureFolder]
) -> list[str]:
    """What the stored features of some videos really are: a checksum of the values for each stream, view and video.

    Raises:
        StoreError: a feature file is damaged.
    """
    mirrored = find_mirrored_folders(settings.features, store=settings.extraction.store)
    return [str(folder.checksum(video.path)) for folder in (*folders, *mirrored) for video in annotations]


def require_split(annotations: list[Annotation], split: Split) -> list[Annotation]:
    """The videos of a split. Raises AnnotationError when it is empty, with the ways to get one."""
    if not annotations:
        raise AnnotationError(
            f"there is no {split} split: name it in the annotations, set data.{split}_fraction, or use crossval"
        )
    return annotations
