"""The verb ``train``: configuration and store in, a run folder out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vidrnn.annotations import Annotation, LabelMap, Split, read_annotations
from vidrnn.annotations.splits import refuse_one_class, split_annotations
from vidrnn.bars import Bar, nowhere
from vidrnn.evaluation.metrics import headline, measure_outputs
from vidrnn.evaluation.report import write_json, write_log
from vidrnn.evaluation.verdict import WITHOUT_RECURRENCE, describe_verdict, no_better_than
from vidrnn.experiments.mirror_choice import Settled, settle
from vidrnn.experiments.model_calibration import check_unknown
from vidrnn.experiments.provenance import describe_data, provenance, versions, write_config
from vidrnn.experiments.selected_weights import save_others, with_figures
from vidrnn.experiments.stored_sets import find_folders, fingerprint_of, load_set, name_specs
from vidrnn.experiments.variants import fit_and_predict, predict_without_pixels, trained_baselines
from vidrnn.models.ensemble import Model
from vidrnn.models.model_file import TrainedModel, save_model
from vidrnn.models.model_header import public_metrics
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.source_notes import note_sources
from vidrnn.sequences.targets import label_map_of
from vidrnn.settings.outputs import refuse_foreign_results
from vidrnn.settings.run import RunSettings
from vidrnn.settings.training import TrainingSettings
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.training.checkpoint import History
from vidrnn.training.convergence import Convergence, judge_convergence
from vidrnn.training.curves import curves_below, require_tensorboard
from vidrnn.training.fit import Checkpointing
from vidrnn.training.members import fit_members, own_checkpoint
from vidrnn.training.predict import predict, predict_options
from vidrnn.training.segments import learn_segments

_RECORDS = ("model.safetensors", "config.yaml", "log.csv", "metrics.json")


@dataclass(frozen=True)
class TrainingRun:
    """What `train` made.

    Attributes:
        model: with the selected weights.
        history: one row per epoch.
        metrics: the content of metrics.json.
        convergence: how the training loss went, and whether the fit had converged.
        verdict: says when the model is no better than an answer without learning or without recurrence; else empty.
        files: what was written, but for the curves that ``training.tensorboard`` asks for.
    """

    model: TrainedModel
    history: list[dict[str, float]]
    metrics: dict[str, Any]
    convergence: Convergence
    verdict: str
    files: tuple[Path, ...]


def train(
    settings: RunSettings,
    *,
    output: Path,
    resume: bool = False,
    on_total: Callable[[int], None] = lambda _epochs: None,
    on_epoch: Callable[[dict[str, float]], None] = lambda _row: None,
    on_note: Callable[[str], object] = lambda _note: None,
    bar: Bar = nowhere,
) -> TrainingRun:
    """Train on the stored features of the training split, choosing the epoch on the validation split.

    Writes ``model.safetensors`` (the selected weights), ``best.safetensors``, ``last.safetensors``, ``config.yaml``,
    ``log.csv``, ``metrics.json`` and the checkpoint that ``resume`` continues from.

    Raises:
        AnnotationError, StoreError, MissingPathError, TrainingError: see the parts; nothing computed before is lost.
        ConfigError: TensorBoard is asked for and not installed, or the folder holds such files that vidrnn did not
            write.
    """
    require_tensorboard(settings.training)
    refuse_foreign_results(output, (*_RECORDS, "last.safetensors", "best.safetensors", "checkpoint*.safetensors"))
    splits, folders, label_map, settled = _load(settings, on_note)
    settings, train_set, val_set = settled.settings, settled.train_set, settled.val_set
    output.mkdir(parents=True, exist_ok=True)
    on_total(settings.training.epochs_of(len(train_set)))
    fingerprint = fingerprint_of(settings, train_set, val_set, folders)
    checkpointing = Checkpointing(output / "checkpoint.safetensors", fingerprint, resume)
    result = fit_members(
        train_set,
        val_set,
        num_classes=len(label_map),
        model_settings=settings.model,
        settings=settings.training,
        checkpointing=checkpointing,
        curves=curves_below(output, settings.training),
        on_epoch=on_epoch,
    )
    metrics = _training_metrics(settings, train_set, val_set, splits, folders) | settled.figures
    figures, verdict = _beside(settings, result.model, train_set, val_set, num_classes=len(label_map), bar=bar)
    model = _as_trained(result.model, settings, train_set, val_set, label_map, folders, metrics)
    others = save_others(model, result, val_set, output)
    model = with_figures(model, result.model, result.epochs, result.history, val_set)
    convergence = judge_convergence(result.history)
    figures |= {"updates": convergence.updates, "converged": convergence.converged}
    model = replace(model, metrics=model.metrics | figures)
    written = _write(model, result.history, settings, output)
    states = [own_checkpoint(checkpointing, number).path for number in range(settings.training.members)]
    files = (written[0], *others, *written[1:], *states)
    return TrainingRun(model, result.history, model.metrics, convergence, verdict, files)


def _load(
    settings: RunSettings, on_note: Callable[[str], object]
) -> tuple[dict[Split, list[Annotation]], list[FeatureFolder], LabelMap, Settled]:
    """The splits, the folders of their features, the classes, and the sets with what the training split chose."""
    notes: list[str] = []
    annotations = read_annotations(settings.data, notes)
    refuse_one_class(annotations)
    splits = split_annotations(annotations, settings.data)
    folders = find_folders(settings.features, store=settings.extraction.store)
    label_map = label_map_of(splits["train"], settings.model.head)
    load = partial(load_set, settings=settings, folders=folders, label_map=label_map)
    check_unknown(settings, splits["val"], label_map)
    train_set, val_set = load(splits["train"]), load(splits["val"]) if splits["val"] else None
    settled = settle(settings, train_set, val_set, num_classes=len(label_map))
    train_set, val_set = settled.train_set, settled.val_set
    of_sets = (*train_set.notes, *(val_set.notes if val_set else ()), *note_sources(train_set, val_set))
    for note in (*notes, *of_sets, *settled.notes):
        on_note(note)
    return splits, folders, label_map, settled


def _as_trained(
    classifier: Model,
    settings: RunSettings,
    train_set: SequenceSet,
    val_set: SequenceSet | None,
    label_map: LabelMap,
    folders: Sequence[FeatureFolder],
    metrics: dict[str, Any],
) -> TrainedModel:
    """The model with all that goes into its file, but what follows from its weights."""
    return TrainedModel(
        classifier,
        label_map,
        folders[0].spec,
        settings,
        metrics,
        versions(),
        trained_on=frozenset[str]().union(*train_set.identities),
        chosen_on=frozenset[str]().union(*val_set.identities) if val_set else frozenset(),
        others=tuple(folder.spec for folder in folders[1:]),
        decoder=learn_segments(train_set, settings.model.head, num_classes=len(label_map)),
        clip_s=_clip_length(train_set),
    )


def _clip_length(train_set: SequenceSet) -> float | None:
    """Median seconds of the training videos; None where none has a length, such as still images."""
    seconds = train_set.metadata[:, 3]
    return round(float(np.median(seconds[seconds > 0])), 3) if (seconds > 0).any() else None


def _write(model: TrainedModel, history: History, settings: RunSettings, output: Path) -> tuple[Path, ...]:
    """Write the model and its records, and give their paths.

    Called after the fit: a refused ``--resume`` must leave the folder of another run as it is.
    """
    files = tuple(output / name for name in _RECORDS)
    save_model(model, files[0])
    write_config(files[1], settings)
    write_log(files[2], history)
    write_json(files[3], public_metrics(model.metrics))
    return files


def _beside(
    settings: RunSettings,
    model: Model,
    train_set: SequenceSet,
    val_set: SequenceSet | None,
    *,
    num_classes: int,
    bar: Bar,
) -> tuple[dict[str, Any], str]:
    """The baselines that tell whether anything was learned, and the verdict.

    Measured on the validation videos. Without these it is measured on the training videos, and without the fitted
    baselines, about which training videos say nothing.
    """
    head, videos = settings.model.head, train_set if val_set is None else val_set
    answers = predict_without_pixels(train_set, videos, head=head, num_classes=num_classes)
    if val_set is not None and settings.evaluation.baselines:
        variants = [variant for variant in trained_baselines(settings.model) if variant in WITHOUT_RECURRENCE]
        with bar(total=len(variants), desc="baselines", unit="fit") as shown:
            for variant in variants:
                answers[variant] = fit_and_predict(
                    variant, train_set, val_set, num_classes=num_classes, settings=settings, seed=settings.training.seed
                ).averaged
                shown.update()
    answers["model"] = [output.numpy() for output in predict(model, videos, predict_options(settings))]
    measured = {
        name: headline(
            head,
            measure_outputs(
                head,
                outputs,
                videos.targets.per_video(videos.totals),
                labels=[str(number) for number in range(num_classes)],
                groups=[annotation.group for annotation in videos.annotations],
                bootstrap=1,
            ),
        )
        for name, outputs in answers.items()
    }
    value = measured.pop("model")
    not_beaten = no_better_than(head, value, measured, recurrent=bool(settings.model.layer_names))
    where = "train" if val_set is None else "val"
    figures = {f"{where}_baselines": measured, "no_better_than": list(not_beaten)}
    return figures, describe_verdict(head, value, not_beaten)


def _training_metrics(
    settings: RunSettings,
    train_set: SequenceSet,
    val_set: SequenceSet | None,
    splits: dict[Split, list[Annotation]],
    folders: Sequence[FeatureFolder],
) -> dict[str, Any]:
    specs = name_specs(folder.spec for folder in folders)
    missing = train_set.missing + (val_set.missing if val_set else ())
    return {
        "protocol": f"{describe_data(settings, specs)}; {describe_choice(settings.training, val_set is not None)}; "
        f"seed {settings.training.seed}",
        "n": {split: len(members) for split, members in splits.items()},
        "missing_features": list(missing),
        **({"lacking_streams": train_set.lacking} if train_set.lacking else {}),
        **provenance(settings),
    }


def describe_choice(training: TrainingSettings, validated: bool) -> str:
    """What chose the epoch, in words; numbers on the validation split are too good where that split chose it."""
    if not validated:
        return "no validation split, last epoch"
    if training.select == "best":
        return "epoch chosen on the validation split, so val numbers are optimistic"
    if training.patience:
        return "last epoch, and the validation split decided when to stop, so val numbers are optimistic"
    return "last epoch, not chosen on the validation split"
