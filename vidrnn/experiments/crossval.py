"""Cross-validation: every video is tested once per seed by a model that never saw its group."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from vidrnn.annotations import LabelMap, read_annotations
from vidrnn.annotations.splits import Fold, make_folds
from vidrnn.device import choose_device
from vidrnn.evaluation.classification import ClassificationMetrics
from vidrnn.evaluation.metrics import HEADLINES
from vidrnn.evaluation.predictions import write_predictions
from vidrnn.evaluation.report import draw_confusion, write_json
from vidrnn.experiments.crossval_fits import Fits, make_all, seeds_of_fits
from vidrnn.experiments.crossval_metrics import Measured, measure
from vidrnn.experiments.crossval_result import CrossValidation
from vidrnn.experiments.finished_fits import FinishedFits
from vidrnn.experiments.mirror_choice import choose_mirrored, number_of_fits
from vidrnn.experiments.provenance import describe_data, provenance, versions, write_config
from vidrnn.experiments.side_by_side import usual_jobs
from vidrnn.experiments.stored_sets import checksums_of, find_folders, fingerprint_of, load_set, name_specs
from vidrnn.models.model_header import public_metrics
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.source_notes import note_sources
from vidrnn.sequences.targets import label_map_of
from vidrnn.settings.moved import as_first_written
from vidrnn.settings.outputs import refuse_foreign_results
from vidrnn.settings.run import RunSettings
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.training.curves import curves_below, require_tensorboard
from vidrnn.training.predict import describe_answers


def crossvalidate(
    sequences: SequenceSet,
    folds: Sequence[Fold],
    *,
    label_map: LabelMap,
    settings: RunSettings,
    protocol: str,
    jobs: int = 1,
    finished: FinishedFits | None = None,
    curves: Path | None = None,
    on_fit: Callable[[], None] = lambda: None,
) -> CrossValidation:
    """Fit and test every fold for every seed, and the baselines on the same cuts.

    Args:
        sequences: all videos; folds hold positions in it.
        folds: disjoint test sides that together cover all videos.
        label_map: class order.
        settings: model, training and evaluation.
        protocol: goes into the result.
        jobs: fits at the same time, see `side_by_side`; the result is the same for any number.
        finished: fits of an earlier run that was stopped; those that are made now are kept there.
        curves: folder for the curves of the fits, see `Fits`; None writes none.
        on_fit: called after each fit, for a progress bar.
    """
    mirrored = _mirrored(
        sequences, folds, settings, num_classes=len(label_map), jobs=jobs, finished=finished, on_fit=on_fit
    )
    made = make_all(
        Fits(sequences, folds, len(label_map), settings, curves, mirrored), jobs=jobs, finished=finished, on_fit=on_fit
    )
    measured = Measured(sequences, label_map, settings)
    return measure(made, measured, sequences, folds, settings, protocol=protocol, mirrored=mirrored)


def _mirrored(
    sequences: SequenceSet,
    folds: Sequence[Fold],
    settings: RunSettings,
    *,
    num_classes: int,
    jobs: int,
    finished: FinishedFits | None,
    on_fit: Callable[[], None],
) -> tuple[bool, ...]:
    """For each fold what its training side chooses, where that is asked for."""
    if settings.features.mirrored != "auto" or not sequences.has_both_views:
        return ()
    sets = [sequences.subset(fold.train) for fold in folds]
    choices = choose_mirrored(sets, settings, num_classes=num_classes, jobs=jobs, finished=finished, on_fit=on_fit)
    return tuple(choice.mirrored for choice in choices)


def run_crossval(
    settings: RunSettings,
    *,
    output: Path,
    jobs: int | None = None,
    on_total: Callable[[int], None] = lambda _fits: None,
    on_fit: Callable[[], None] = lambda: None,
    on_note: Callable[[str], object] = lambda _note: None,
) -> CrossValidation:
    """Cross-validate on stored features; writes crossval.json, predictions.csv, config.yaml, maybe confusion.png.

    One that was stopped goes on where it was, when it is run again on the same data with the same settings.

    Args:
        settings: the configuration.
        output: folder of the results.
        jobs: fits at the same time, each with one thread; None: `usual_jobs`. The numbers do not depend on it.
        on_total: gets the number of fits before the first.
        on_fit: called after each fit.
        on_note: gets what deserves a second look before the first fit.

    Raises:
        AnnotationError, StoreError, MissingPathError: see the parts.
        ConfigError: TensorBoard is asked for and not installed, or the folder holds such files that vidrnn did not
            write.
    """
    require_tensorboard(settings.training)
    refuse_foreign_results(output, ("crossval.json", "predictions.csv", "config.yaml", "confusion.png"))
    sequences, label_map, folders = _load(settings, on_note)
    folds = make_folds(sequences.annotations, settings.evaluation, root=settings.data.root, accept=settings.data.accept)
    on_total(_number_of_fits(sequences, folds, settings))
    finished = FinishedFits(output, _fingerprint(settings, sequences, folders))
    result = crossvalidate(
        sequences,
        folds,
        label_map=label_map,
        settings=settings,
        protocol=_protocol(settings, folders, num_folds=len(folds)),
        jobs=usual_jobs(choose_device(settings.training.device)) if jobs is None else jobs,
        finished=finished,
        curves=curves_below(output, settings.training),
        on_fit=on_fit,
    )
    output.mkdir(parents=True, exist_ok=True)
    _write(result, sequences, label_map, settings, output)
    finished.clear()
    return result


def _load(settings: RunSettings, on_note: Callable[[str], object]) -> tuple[SequenceSet, LabelMap, list[FeatureFolder]]:
    notes: list[str] = []
    annotations = read_annotations(settings.data, notes)
    folders = find_folders(settings.features, store=settings.extraction.store)
    label_map = label_map_of(annotations, settings.model.head)
    sequences = load_set(annotations, settings=settings, folders=folders, label_map=label_map)
    for note in (*notes, *sequences.notes, *note_sources(sequences)):
        on_note(note)
    return sequences, label_map, folders


def _number_of_fits(sequences: SequenceSet, folds: Sequence[Fold], settings: RunSettings) -> int:
    """All fits of a cross-validation, with the fits by which each fold chooses its views."""
    number = len(folds) * sum(map(len, seeds_of_fits(settings).values()))
    if settings.features.mirrored == "auto" and sequences.has_both_views:
        number += number_of_fits([sequences.subset(fold.train) for fold in folds], settings)
    return number


def _write(
    result: CrossValidation, sequences: SequenceSet, label_map: LabelMap, settings: RunSettings, output: Path
) -> None:
    """The files of a result."""
    lacking = {"lacking_streams": sequences.lacking} if sequences.lacking else {}
    write_json(output / "crossval.json", public_metrics(result.as_dict() | lacking | provenance(settings)))
    write_config(output / "config.yaml", settings)
    write_predictions(
        output / "predictions.csv",
        head=result.head,
        paths=[annotation.path for annotation in sequences.annotations],
        groups=[annotation.group for annotation in sequences.annotations],
        labels=label_map.names,
        answers=zip(result.seeds, result.outputs["model"], strict=True),
        truth=sequences.targets.per_video(sequences.totals),
        readers=result.readers,
    )
    first, seed = result.pooled[0], result.seeds[0]
    if isinstance(first, ClassificationMetrics):
        draw_confusion(output / "confusion.png", first, title=f"top-1 {first.top1:.3f}, n = {first.n}, seed {seed}")


def _protocol(settings: RunSettings, folders: Sequence[FeatureFolder], *, num_folds: int) -> str:
    """How the number is made, in words."""
    fits = seeds_of_fits(settings)
    others = next((seeds for variant, seeds in fits.items() if variant != "model"), fits["model"])
    of_baselines = "" if others == fits["model"] else f" (trained baselines {', '.join(map(str, others))})"
    return (
        f"{describe_data(settings, name_specs(folder.spec for folder in folders))}; {settings.evaluation.protocol}, "
        f"{num_folds} folds, every video tested once per seed, {describe_answers(settings)}; "
        "no validation, last epoch; "
        f"seeds {', '.join(map(str, fits['model']))}{of_baselines}; "
        f"{HEADLINES[settings.model.head].name}_mean and _std (n - 1) over seeds of the value pooled over folds"
    )


def _fingerprint(settings: RunSettings, sequences: SequenceSet, folders: Sequence[FeatureFolder]) -> str:
    """Everything that the predictions of every fit depend on.

    Features of one spec that other code or another engine made may differ in their last digits, and other hardware
    rounds differently. So the values of the features count, and the device.
    """
    device = choose_device(settings.training.device)
    hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    contents = [" ".join(sorted(identities)) for identities in sequences.identities]
    fitted = fingerprint_of(settings, sequences, None, folders)
    inference = as_first_written("inference", settings.inference)
    features = checksums_of(sequences.annotations, settings=settings, folders=folders)
    return "\n".join((*versions().values(), hardware, fitted, inference, *contents, *features))
