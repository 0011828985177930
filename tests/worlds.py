"""Tiny feature stores with chosen sequences: no video, no decoder, no backbone."""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from vidrnn.annotations import Annotation, LabelMap
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.stream_table import StreamTable
from vidrnn.sequences.targets import Targets
from vidrnn.settings.base import validate
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.model import ModelSettings
from vidrnn.settings.run import RunSettings
from vidrnn.settings.streams import Stream
from vidrnn.settings.training import TrainingSettings
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.source import Source
from vidrnn.store.spec import FeatureSpec, sampling_values
from vidrnn.store.stream_specs import identity_of
from vidrnn.store.video_features import VideoFeatures, VideoMetadata

Array = npt.NDArray[Any]
CPU = torch.device("cpu")
ONE_NODE = FeatureSettings(nodes={"last": 1})


class Sections(NamedTuple):
    """What `load_backbone` and `load_passes` take."""

    features: FeatureSettings
    extraction: ExtractionSettings


def sections(**keys: object) -> Sections:
    """Keys of `features` and `extraction`, which have no name in common, each in its own section; on the CPU."""
    fast = {key: value for key, value in keys.items() if key in ExtractionSettings.model_fields}
    rest = {key: value for key, value in keys.items() if key not in fast}
    return Sections(validate(FeatureSettings, rest), validate(ExtractionSettings, {"device": "cpu", **fast}))


def tiny_spec(
    *, dim: int, settings: FeatureSettings | None = None, weights_digest: str = "0" * 64, stream: Stream = "rgb"
) -> FeatureSpec:
    """A spec that fits ``settings``, as if a backbone with ``dim`` features had made it."""
    settings = settings or ONE_NODE
    if (identity := identity_of(settings, stream)) is not None:
        return FeatureSpec(stream=stream, dim=dim, grid=1, weights_digest=weights_digest, **identity)
    return FeatureSpec(
        stream=stream,
        backbone=settings.backbone,
        weights=settings.weights,
        weights_digest=weights_digest,
        node="head",
        dim=dim,
        grid=1,
        preprocessing={"square": settings.square, "image_size": settings.image_size or 224},
        sampling=sampling_values(settings),
        precision=settings.precision,
    )


def video_features(sequence: Array, *, metadata: VideoMetadata | None = None, rate: float = 10) -> VideoFeatures:
    """One video's features, ``rate`` per second."""
    seconds = np.arange(len(sequence), dtype=np.float64) / rate
    facts = metadata or VideoMetadata(64, 48, len(sequence), len(sequence) / 10)
    return VideoFeatures(sequence.astype(np.float16), seconds, facts, Source(1, 2, "3"))


def fill_store(
    root: Path,
    sequences: Mapping[str, Array],
    *,
    dim: int,
    settings: FeatureSettings | None = None,
    stream: Stream = "rgb",
    rate: float = 10,
) -> FeatureFolder:
    """A store with the features of some videos, each (T, dim)."""
    folder = FeatureStore(root).create(tiny_spec(dim=dim, settings=settings, stream=stream))
    for path, sequence in sequences.items():
        content = hashlib.sha256(path.encode()).hexdigest()  # every file has its own, whatever its features are
        folder.write(path, replace(video_features(sequence, rate=rate), source=Source(1, 2, content)))
    return folder


def annotate(*rows: tuple[str, str] | tuple[str, str, str]) -> list[Annotation]:
    """Annotations without split from (path, label[, group])."""
    return [Annotation(row[0], row[1], None, row[2] if len(row) > 2 else row[0]) for row in rows]


def sequence_set(sequences: Sequence[Array], targets: Sequence[int], groups: Sequence[str] = ()) -> SequenceSet:
    """Sequences in memory, without a store."""
    labels = [f"class{target}" for target in targets]
    owners = groups or [f"video{number}" for number in range(len(targets))]
    totals = torch.tensor([len(sequence) for sequence in sequences])
    features = torch.from_numpy(np.concatenate(sequences).astype(np.float16))
    return SequenceSet(
        tuple(Annotation(f"{i}.mp4", label, None, owners[i]) for i, label in enumerate(labels)),
        {"rgb": StreamTable(features, totals.cumsum(0) - totals, totals)},
        totals,
        Targets(torch.tensor(targets)),
        np.asarray([(64.0, 48.0, len(sequence), len(sequence) / 10) for sequence in sequences]),
    )


def rgb(sequences: SequenceSet) -> StreamTable:
    """The features of a set with that one stream."""
    return sequences.streams["rgb"]


def with_rgb(sequences: SequenceSet, **changes: object) -> SequenceSet:
    """The set with other values in that table."""
    return replace(sequences, streams={"rgb": replace(rgb(sequences), **changes)})  # type: ignore[arg-type]


def order_task(number: int, *, steps: int = 8, dim: int = 6, seed: int = 0) -> tuple[list[Array], list[int]]:
    """Pairs of one sequence and the same reversed, classes 0 and 1: only the order of time tells them apart.

    Each sequence runs along one fixed direction from -1 to 1 with noise, so the average over time says nothing.
    """
    rng = np.random.default_rng(seed)
    direction = np.random.default_rng(1234).normal(size=dim)
    sequences: list[Array] = []
    for _ in range(number // 2):
        ramp = np.linspace(-1.0, 1.0, steps)[:, None] * direction
        rising = ramp + rng.normal(scale=0.2, size=(steps, dim))
        sequences += [rising, rising[::-1].copy()]
    return sequences, [0, 1] * (number // 2)


def tiny_model(**changes: object) -> ModelSettings:
    """A small GRU with nothing left to the defaults."""
    values: dict[str, object] = {
        "inputs": ["features"],
        "change_steps": 2,
        "cell": "gru",
        "nonlinearity": "tanh",
        "hidden_size": 8,
        "layers": 1,
        "bidirectional": True,
        "attention_heads": 2,
        "positions": "rotary",
        "kernel_size": 3,
        "projection": 8,
        "input_norm": True,
        "pooling": "mean",
        "pooling_heads": 1,
        "dropout": 0.0,
    }
    return validate(ModelSettings, values | changes)


def tiny_training(**changes: object) -> TrainingSettings:
    """A short fit with nothing left to the defaults."""
    values: dict[str, object] = {
        "steps": 8,
        "jitter": False,
        "epochs": 3,
        "batch_size": 8,
        "learning_rate": 0.01,
        "weight_decay": 0.01,
        "label_smoothing": 0.0,
        "class_weight": "none",
        "step_loss_weight": 0.0,
        "schedule": "one_cycle",
        "warmup_fraction": 0.1,
        "clip_norm": 1.0,
        "patience": None,
        "select": "best",
        "precision": "float32",
        "seed": 0,
        "device": "cpu",
    }
    return validate(TrainingSettings, values | changes)


def make_run(folder: Path, *, groups: int = 4, splits: bool = False, **evaluation: object) -> RunSettings:
    """Annotations and a store of the order task: each group (actor) has two videos of each of two classes.

    Args:
        folder: gets ``videos/list.csv`` and ``features``.
        groups: number of actors.
        splits: name splits: the last actor is test, the one before it val, the others train.
        evaluation: settings of that section.
    """
    rows: list[list[str]] = []
    sequences: dict[str, Array] = {}
    for group in range(groups):
        arrays, targets = order_task(4, seed=group)
        for number, (array, target) in enumerate(zip(arrays, targets, strict=True)):
            path = f"actor{group}/clip {number}.mp4"
            sequences[path] = array
            split = "train" if group < groups - 2 else ("val", "test")[group - groups + 2]
            rows.append([path, ("falls", "rises")[target], split if splits else "", f"actor{group}"])
    (folder / "videos").mkdir(parents=True)
    with (folder / "videos" / "list.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["path", "label", "split", "group"], *rows])
    fill_store(folder / "features", sequences, dim=6)
    tree = {
        "data": {"root": str(folder / "videos"), "format": "csv", "annotations": "list.csv"},
        "features": {"nodes": ONE_NODE.nodes},
        "extraction": {"store": str(folder / "features")},
        "model": tiny_model().model_dump(mode="json"),
        "training": tiny_training().model_dump(mode="json"),
        "evaluation": {"protocol": "leave_one_group_out", "seeds": 2, "baselines": True, "bootstrap": 50} | evaluation,
    }
    return validate(RunSettings, tree)


def make_search(folder: Path, *, groups: int = 5, splits: bool = True, **changes: dict[str, Any]) -> RunSettings:
    """The world of `make_run` with a small space to search; ``changes`` are sections with what differs in them."""
    tree = make_run(folder, groups=groups, splits=splits).model_dump(mode="json")
    space = {"training.learning_rate": {"low": 1e-4, "high": 0.1, "log": True}, "model.cell": ["gru", "lstm"]}
    tree["tuning"] = {"trials": 3, "space": space}
    for section, values in changes.items():
        tree[section] |= values
    return validate(RunSettings, tree)


LABELS = LabelMap(("class0", "class1"))
