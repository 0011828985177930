"""The verb ``evaluate``: a model file on an annotated split, with the baselines beside it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidrnn.annotations import Split, read_annotations
from vidrnn.annotations.splits import split_annotations
from vidrnn.bars import Bar, nowhere
from vidrnn.device import choose_device
from vidrnn.errors import AnnotationError
from vidrnn.evaluation.calibration import Calibration, calibrate, measure_calibration
from vidrnn.evaluation.classification import ClassificationMetrics
from vidrnn.evaluation.metrics import HEADLINES, HeadMetrics, Outputs, headline, measure_outputs
from vidrnn.evaluation.predictions import write_predictions
from vidrnn.evaluation.report import draw_confusion, draw_reliability, format_averaging, format_calibration, write_json
from vidrnn.evaluation.segmentation import ReadSteps
from vidrnn.evaluation.verdict import describe_verdict, no_better_than
from vidrnn.experiments.asked_model import as_evaluated, load_for, with_options
from vidrnn.experiments.provenance import describe_data, provenance, write_config
from vidrnn.experiments.stored_sets import name_specs, require_split
from vidrnn.experiments.variants import predict_baselines
from vidrnn.models.model_file import TrainedModel, load_model
from vidrnn.models.model_header import public_metrics
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.source_notes import note_sources
from vidrnn.settings.model import MULTILABEL_HEADS, Head
from vidrnn.settings.outputs import refuse_foreign_results
from vidrnn.settings.run import RunSettings
from vidrnn.training.predict import Answers, answer, describe_answers, predict_options

_WORTH: dict[Split, str] = {
    "train": "TRAINED ON THIS SPLIT; ",
    "val": "this split chose {what}, so its numbers are optimistic; ",
    "test": "",
}


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        metrics: of the model.
        head: what the model answers.
        baselines: name to headline on the same videos.
        protocol: how the numbers were made, in words.
        notes: lines for people: features of an earlier version, clip and video accuracy where they differ, and the
            calibration of ``label``.
        files: what was written.
        missing: annotated videos that have no features and so are not in n.
    """

    metrics: HeadMetrics
    head: Head
    baselines: dict[str, float]
    protocol: str
    notes: tuple[str, ...]
    files: tuple[Path, ...]
    missing: tuple[str, ...]


def evaluate(
    model_path: Path, settings: RunSettings, *, split: Split, output: Path, jobs: int | None = None, bar: Bar = nowhere
) -> Evaluation:
    """Score a model on a split; writes metrics.json, predictions.csv, config.yaml and, for ``label``, two pictures.

    The class order and the feature spec come from the model file alone. The trained baselines are fitted on the
    training split with the model's own settings, ``jobs`` at the same time, each with one thread (None: `usual_jobs`);
    ``bar`` shows how far they have come.

    Raises:
        AnnotationError: there is no such split, or it holds a class that the model does not know.
        StoreError: the store lacks the features that the model was trained on.
        ConfigError: ``inference`` asks for what the model does not know, see `asked_model.with_options`; or the folder
            holds such files that vidrnn did not write.
        MissingPathError, ModelFileError: see `load_model` and `TrainedModel.refuse_earlier_mirror`.
    """
    beside_model = output.resolve() == model_path.parent.resolve()  # where the configuration of the training lies
    config = () if beside_model else ("config.yaml",)
    refuse_foreign_results(output, ("metrics.json", "predictions.csv", *config, "confusion.png", "reliability.png"))
    device = choose_device(settings.training.device)
    model = with_options(load_model(model_path, device=device), settings)
    model.refuse_earlier_mirror()
    splits = split_annotations(read_annotations(settings.data), settings.data)
    load = partial(load_for, model=model, settings=settings, device=device)
    chosen = load(require_split(splits[split], split), streams=model.settings.inference.streams)
    _refuse_seen(chosen, model, settings, split=split)
    scores = _score(model, chosen, lambda: load(splits["train"]), settings, jobs=jobs, bar=bar)
    protocol = _describe(model, settings, split=split, n=scores.metrics.n)
    values: dict[str, Any] = {
        "protocol": protocol,
        "split": split,
        "head": scores.head,
        **scores.as_dict(),
        **_facts(chosen, model, model_path),
    }
    write_json(output / "metrics.json", public_metrics(values))
    _write_predictions(output / "predictions.csv", model, scores.answers.averaged, chosen)
    files = [output / name for name in ("metrics.json", "predictions.csv", *config)]
    if config:
        write_config(files[-1], as_evaluated(model.settings, settings))
    files += _draw(output, scores, chosen, split=split)
    notes = _notes(scores, chosen, model)
    return Evaluation(scores.metrics, scores.head, scores.baselines, protocol, notes, tuple(files), chosen.missing)


@dataclass(frozen=True)
class _Scores:
    """All that is measured on the videos."""

    head: Head
    answers: Answers
    metrics: HeadMetrics
    clip: float
    calibration: Calibration | None
    baselines: dict[str, float]
    not_beaten: Mapping[str, float]

    @property
    def value(self) -> float:
        return headline(self.head, self.metrics)

    def as_dict(self) -> dict[str, Any]:
        return {
            **self.metrics.as_dict(),
            "answers_per_video": len(self.answers.single),
            f"clip_{HEADLINES[self.head].name}": self.clip,
            **({} if self.calibration is None else self.calibration.as_dict()),
            "baselines": self.baselines,
            "no_better_than": list(self.not_beaten),
        }


def _score(
    model: TrainedModel,
    chosen: SequenceSet,
    load_train: Callable[[], SequenceSet],
    settings: RunSettings,
    *,
    jobs: int | None,
    bar: Bar,
) -> _Scores:
    head = model.settings.model.head
    answers = answer(model.classifier, chosen, predict_options(model.settings))
    measured = _measured_on(chosen, model)
    readers = _readers(model, chosen)
    metrics = measured(answers.averaged, bootstrap=settings.evaluation.bootstrap, readers=readers)
    clip = float(
        np.mean([headline(head, measured(outputs, bootstrap=1, readers=readers)) for outputs in answers.single])
    )
    calibration = _calibration(model, answers.averaged, chosen)
    baselines: dict[str, float] = {}
    if settings.evaluation.baselines:
        without = predict_baselines(
            load_train(), chosen, num_classes=len(model.label_map), settings=model.settings, jobs=jobs, bar=bar
        )
        baselines = {name: headline(head, measured(outputs, bootstrap=1)) for name, outputs in without.items()}
    recurrent = bool(model.settings.model.layer_names)
    not_beaten = no_better_than(head, headline(head, metrics), baselines, recurrent=recurrent)
    return _Scores(head, answers, metrics, clip, calibration, baselines, not_beaten)


def _notes(scores: _Scores, chosen: SequenceSet, model: TrainedModel) -> tuple[str, ...]:
    """Lines for people."""
    head, single, scale = scores.head, len(scores.answers.single), model.settings.inference.average
    notes = (
        *(f"note: {note}" for note in (*chosen.notes, *note_sources(chosen))),
        format_averaging(head, clip=scores.clip, video=scores.value, answers_per_video=single, scale=scale),
        "" if scores.calibration is None else format_calibration(scores.calibration.as_dict()),
        describe_verdict(head, scores.value, scores.not_beaten),
    )
    return tuple(filter(None, notes))


def _facts(chosen: SequenceSet, model: TrainedModel, model_path: Path) -> dict[str, Any]:
    """What metrics.json says of the videos and of the model."""
    return {
        "missing_features": list(chosen.missing),
        **({"lacking_streams": chosen.lacking} if chosen.lacking else {}),
        "model": str(model_path),
        **provenance(model.settings),
    }


def _draw(output: Path, scores: _Scores, chosen: SequenceSet, *, split: Split) -> list[Path]:
    """The pictures of ``label``; other heads have none."""
    metrics, calibration = scores.metrics, scores.calibration
    if not isinstance(metrics, ClassificationMetrics) or calibration is None:
        return []
    files = [output / "confusion.png", output / "reliability.png"]
    title = f"{split}: top-1 {metrics.top1:.3f}, n = {metrics.n}"
    draw_confusion(files[0], metrics, title=title)
    labels = _classes(chosen)
    draw_reliability(files[1], np.stack(scores.answers.averaged), labels, measured=calibration, title=title)
    return files


def _describe(model: TrainedModel, settings: RunSettings, *, split: Split, n: int) -> str:
    """The protocol of the result."""
    return (
        f"{describe_data(settings, name_specs(model.specs))}; split {split}, n = {n}, "
        f"{describe_answers(model.settings)}; seed {model.settings.training.seed}; "
        f"{_worth(model, split)}"
        "interval: over groups; trained baselines: same settings and seed, last epoch"
    )


def _worth(model: TrainedModel, split: Split) -> str:
    """Why the numbers of a split are too good; for the validation split, what it chose."""
    training, head = model.settings.training, model.settings.model.head
    chose = ["the epoch"] if training.select == "best" or training.patience else []
    chose += ["the temperature"] if head == "label" else ["the thresholds"] if head in MULTILABEL_HEADS else []
    return _WORTH[split].format(what=" and ".join(chose)) if split != "val" or chose else ""


def _refuse_seen(chosen: SequenceSet, model: TrainedModel, settings: RunSettings, *, split: Split) -> None:
    """Refuse test videos that the model has already seen, because the splits changed or as copies of a file."""
    seen: dict[Split, frozenset[str]] = {
        "train": frozenset(),
        "val": model.trained_on,
        "test": model.trained_on | model.chosen_on,
    }
    again = sum(not names.isdisjoint(seen[split]) for names in chosen.identities)
    if again and "shared_groups" not in settings.data.accept:
        raise AnnotationError(
            f"{again} of the {len(chosen)} {split} videos were in the training or validation split of this model, by "
            "name or by content; "
            "evaluate with the config.yaml beside the model, which holds its splits, on files that are not copies of "
            "these videos; or accept it on purpose: data.accept: [shared_groups]"
        )


def _classes(sequences: SequenceSet) -> npt.NDArray[np.int64]:
    return np.asarray(sequences.targets.per_video(sequences.totals), dtype=np.int64)


def _calibration(model: TrainedModel, outputs: Outputs, sequences: SequenceSet) -> Calibration | None:
    if model.settings.model.head != "label":
        return None
    return measure_calibration(
        np.stack(outputs),
        _classes(sequences),
        temperature=model.temperature,
        unknown_below=model.unknown_below,
    )


def _write_predictions(path: Path, model: TrainedModel, outputs: Outputs, chosen: SequenceSet) -> None:
    head = model.settings.model.head
    calibrated = [calibrate(logits, model.temperature) for logits in outputs] if head == "label" else outputs
    write_predictions(
        path,
        head=head,
        paths=[annotation.path for annotation in chosen.annotations],
        groups=[annotation.group for annotation in chosen.annotations],
        labels=model.label_map.names,
        answers=[(model.settings.training.seed, calibrated)],
        truth=chosen.targets.per_video(chosen.totals),
        thresholds=model.thresholds,
        readers=_readers(model, chosen),
    )


def _readers(model: TrainedModel, chosen: SequenceSet) -> list[ReadSteps] | None:
    return None if model.read_steps is None else [model.read_steps] * len(chosen)


def _measured_on(sequences: SequenceSet, model: TrainedModel) -> Callable[..., HeadMetrics]:
    return partial(
        measure_outputs,
        model.settings.model.head,
        truth=sequences.targets.per_video(sequences.totals),
        labels=model.label_map.names,
        groups=[annotation.group for annotation in sequences.annotations],
        thresholds=model.thresholds,
    )
