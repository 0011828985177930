"""The verb ``classify``: new videos to labels, one row per video, with the model's own preprocessing and sampling."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from vidrnn.annotations import VIDEO_SUFFIXES
from vidrnn.errors import ConfigError, MissingPathError, ModelFileError
from vidrnn.features.backbones import Backbone, load_backbone
from vidrnn.features.decode_worker import Failure, Job
from vidrnn.features.pipeline import embed_videos
from vidrnn.features.spec import FeatureSpec
from vidrnn.features.store import VideoFeatures
from vidrnn.models.model_file import TrainedModel
from vidrnn.sequences.inputs import gather_inputs, mean_features
from vidrnn.sequences.steps import choose_steps
from vidrnn.settings import FeatureSettings

TOP_K = 5
COLUMNS = ("path", "status", "label", "score", "top_k", "error")


@dataclass(frozen=True)
class Prediction:
    """The answer for one video.

    Attributes:
        path: as found on disk.
        status: ``ok`` or ``failed``.
        label: the most likely class; None when failed.
        score: its probability.
        top_k: the most likely classes with their probabilities, best first.
        error: the cause when failed.
    """

    path: str
    status: str
    label: str | None = None
    score: float | None = None
    top_k: tuple[tuple[str, float], ...] = ()
    error: str | None = None


def find_videos(paths: Sequence[Path]) -> list[Path]:
    """Files as they are given, and all videos below folders, sorted; each once.

    Raises:
        MissingPathError: a path does not exist, or there is no video at all.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise MissingPathError(f"{str(path)!r} does not exist; give video files or folders")
        if path.is_dir():
            inside = (file for file in sorted(path.rglob("*")) if file.suffix.lower() in VIDEO_SUFFIXES)
            found.update(dict.fromkeys(file for file in inside if not file.name.startswith(".")))
        else:
            found[path] = None
    if not found:
        raise MissingPathError(
            f"no video below {', '.join(map(str, paths))}; known suffixes: {' '.join(sorted(VIDEO_SUFFIXES))}"
        )
    return list(found)


def backbone_of(model: TrainedModel, settings: FeatureSettings) -> Backbone:
    """The backbone that a model's features came from.

    Args:
        model: holds the spec.
        settings: the model's feature settings, with device, batch size, workers and weights path as needed here.

    Raises:
        ModelFileError: the backbone here computes other features (other weights or versions).
    """
    backbone = load_backbone(settings)
    if backbone.spec.digest != model.spec.digest:
        raise ModelFileError(
            f"the model takes features of spec {model.spec.digest}, but {settings.backbone} here gives "
            f"{backbone.spec.digest} ({_difference(model.spec, backbone.spec)}); use the same weights as in training"
        )
    return backbone


def _difference(wanted: FeatureSpec, here: FeatureSpec) -> str:
    fields = vars(wanted)
    return ", ".join(
        f"{name}: {fields[name]!r}, here {value!r}"
        for name, value in vars(here).items()
        if fields.get(name) != value and name != "digest"
    )


def classify(
    videos: Iterable[Path], model: TrainedModel, backbone: Backbone, *, settings: FeatureSettings
) -> Iterator[Prediction]:
    """Classify videos; each gives one prediction, in the order in which they finish, and a bad one costs only itself.

    Args:
        videos: files.
        model: the classifier.
        backbone: from `backbone_of`.
        settings: batch size, number of decoders and their limits.
    """
    jobs = (Job(str(video), video) for video in videos)
    for path, result in embed_videos(jobs, backbone, settings=settings):
        if isinstance(result, Failure):
            yield Prediction(path, "failed", error=result.cause)
        else:
            yield _predict(path, result, model)


@torch.inference_mode()
def _predict(path: str, video: VideoFeatures, model: TrainedModel) -> Prediction:
    choice = choose_steps(torch.tensor([len(video.features)]), model.settings.training.steps)
    device = next(model.classifier.parameters()).device
    features = torch.from_numpy(video.features).to(device)
    offsets, totals = torch.zeros(1, dtype=torch.int64), torch.tensor([len(features)])
    steps = gather_inputs(
        features,
        offsets=offsets,
        totals=totals,
        means=mean_features(features, offsets, totals),
        choice=choice,
        model=model.settings.model,
    )
    probabilities = model.classifier(steps, choice.lengths)[0].double().softmax(0).cpu()
    scores, classes = probabilities.topk(min(TOP_K, len(model.label_map)))
    top_k = tuple((model.label_map.names[int(c)], float(s)) for s, c in zip(scores, classes, strict=True))
    return Prediction(path, "ok", top_k[0][0], top_k[0][1], top_k)


class PredictionWriter:
    """Writes rows as they come, so that a stop loses nothing. Context manager.

    Raises:
        ConfigError: the file's suffix is neither .csv nor .jsonl.
    """

    def __init__(self, path: Path, *, append: bool = False) -> None:
        if path.suffix not in {".csv", ".jsonl"}:
            raise ConfigError(f"--output {str(path)!r}: give a file that ends in .csv or .jsonl")
        self._path = path
        self._append = append and path.exists()
        self._file: IO[str] | None = None

    def __enter__(self) -> Callable[[Prediction], None]:
        """Open the file and return the function that writes a row."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a" if self._append else "w", newline="", encoding="utf-8")
        if self._path.suffix == ".csv" and not self._append:
            csv.writer(self._file).writerow(COLUMNS)
        return self._write

    def __exit__(self, *_error: object) -> None:
        """Close the file."""
        assert self._file is not None
        self._file.close()

    def _write(self, prediction: Prediction) -> None:
        assert self._file is not None
        if self._path.suffix == ".jsonl":
            row: dict[str, Any] = vars(prediction) | {"top_k": [list(pair) for pair in prediction.top_k]}
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        else:
            top_k = "|".join(f"{label}:{score:.6f}" for label, score in prediction.top_k)
            score = "" if prediction.score is None else f"{prediction.score:.6f}"
            csv.writer(self._file).writerow(
                [
                    prediction.path,
                    prediction.status,
                    prediction.label or "",
                    score,
                    top_k,
                    prediction.error or "",
                ]
            )
        self._file.flush()


def finished_paths(path: Path) -> set[str]:
    """Videos that an earlier, interrupted run has already answered; empty when there is no file."""
    if not path.exists():
        return set()
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            rows = [json.loads(line) for line in file if line.endswith("}\n")]
        else:
            rows = list(csv.DictReader(file))
    return {row["path"] for row in rows if row.get("status") == "ok"}
