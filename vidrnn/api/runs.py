"""Annotations, features and whole runs: what a configuration asks for."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vidrnn.api.decoders import AnyPath, warm_up

if TYPE_CHECKING:
    from vidrnn.annotations import Split
    from vidrnn.experiments.crossval_result import CrossValidation
    from vidrnn.experiments.evaluate import Evaluation
    from vidrnn.experiments.pretrain import Pretraining
    from vidrnn.experiments.train import TrainingRun
    from vidrnn.extraction.extract import Report
    from vidrnn.preflight.inspect import Inspection
    from vidrnn.reporting.options import WrittenReport
    from vidrnn.settings.run import RunSettings


def load_settings(config: AnyPath, overrides: Sequence[str] = ()) -> "RunSettings":
    """Read a configuration.

    Args:
        config: a YAML file.
        overrides: ``section.key=value``, as for ``--set`` on the command line.

    Raises:
        ConfigError: it is not valid; each wrong value is named. MissingPathError: there is no such file.
    """
    from vidrnn.settings.base import load
    from vidrnn.settings.run import RunSettings

    return load(RunSettings, Path(config), overrides)


def check(settings: "RunSettings", *, quick: bool = False) -> "Inspection":
    """Look before anything runs, as ``vidrnn check`` does; time and disk of the extraction are not among it.

    Args:
        settings: the configuration.
        quick: decode nothing.

    Returns:
        What there is (``lines``) and what deserves attention (``findings``).

    Raises:
        AnnotationError, ConfigError, MissingPathError: the annotations cannot be used. OSError: the store cannot be
            written.
    """
    if not quick:
        warm_up()
    from vidrnn.annotations import read_annotations
    from vidrnn.preflight.inspect import inspect
    from vidrnn.sequences.targets import label_map_of

    annotations = read_annotations(settings.data)
    if annotations:
        label_map_of(annotations, settings.model.head)  # raises where they do not fit, before anything is decoded
    return inspect(annotations, settings, quick=quick)


def extract(settings: "RunSettings", *, retry_failed: bool = False) -> "Report":
    """Videos to features in the store; finished ones are reused, failures are in the report.

    Args:
        settings: the configuration.
        retry_failed: also try videos that failed before and have not changed.

    Returns:
        For each stream and view its folder in the store and what became of the videos; ``report.whole`` is the sum.

    Raises:
        AnnotationError, ConfigError, WeightsError: nothing was extracted. OSError: the store cannot be written.
    """
    warm_up()
    from vidrnn.annotations import read_annotations
    from vidrnn.streams.extract_all import extract_all
    from vidrnn.streams.passes import all_passes

    features, extraction, root = settings.features, settings.extraction, settings.data.root
    annotations = read_annotations(settings.data)
    passes = all_passes(annotations, root=root, features=features, extraction=extraction)
    return extract_all(
        annotations, passes, root=root, features=features, extraction=extraction, retry_failed=retry_failed
    )


def pretrain(
    settings: "RunSettings",
    *,
    output: AnyPath,
    mask_share: float = 0.4,
    mask_span: int = 4,
    val_fraction: float = 0.1,
    resume: bool = False,
    on_total: Callable[[int], object] = lambda _epochs: None,
    on_epoch: Callable[[dict[str, float]], object] = lambda _row: None,
    on_note: Callable[[str], object] = lambda _note: None,
) -> "Pretraining":
    """Fit the layers over time on stored features without labels, as ``vidrnn pretrain`` does.

    ``training.init`` then starts from the weights. See docs/label_less.md.

    Args:
        settings: the configuration.
        output: folder for weights and records.
        mask_share: share of the steps that are hidden and predicted.
        mask_span: steps of a stretch that is hidden.
        val_fraction: share of the groups that chooses the epoch.
        resume: continue from the checkpoint in the folder.
        on_total: called with the number of epochs.
        on_epoch: called with each row of the log.
        on_note: called with what deserves a second look.

    Raises:
        ConfigError: an option is not allowed, or the model cannot be pretrained. StoreError, MissingPathError: there
            are no features. TrainingError: the loss is not finite. OSError: the output cannot be written.
    """
    from vidrnn.experiments.pretrain import pretrain as run
    from vidrnn.training.masking import Masking

    return run(
        settings,
        output=Path(output),
        masking=Masking(mask_share, mask_span),
        val_fraction=val_fraction,
        resume=resume,
        on_total=on_total,
        on_epoch=on_epoch,
        on_note=on_note,
    )


def train(settings: "RunSettings", *, output: AnyPath, resume: bool = False) -> "TrainingRun":
    """Features in the store to a trained model in the run folder ``output``, as ``vidrnn train`` does.

    Args:
        settings: the configuration.
        output: folder for the model and its figures.
        resume: continue from the checkpoint that is there.

    Raises:
        AnnotationError, StoreError, MissingPathError, TrainingError: see `vidrnn.experiments.train.train`.
    """
    from vidrnn.experiments.train import train as train_run

    return train_run(settings, output=Path(output), resume=resume)


def crossval(settings: "RunSettings", *, output: AnyPath, jobs: int | None = None) -> "CrossValidation":
    """Cross-validate by group over several seeds, with the baselines beside it, as ``vidrnn crossval`` does.

    Args:
        settings: the configuration.
        output: folder for the results.
        jobs: fits at the same time, each with one thread; None: one per core. The numbers do not depend on it.

    Raises:
        AnnotationError, StoreError, MissingPathError: see `vidrnn.experiments.crossval.run_crossval`.
    """
    from vidrnn.experiments.crossval import run_crossval

    return run_crossval(settings, output=Path(output), jobs=jobs)


def evaluate(
    model: AnyPath, settings: "RunSettings", *, output: AnyPath, split: "Split" = "test", jobs: int | None = None
) -> "Evaluation":
    """Score a model on a split, with the baselines beside it, as ``vidrnn evaluate`` does.

    Args:
        model: a model.safetensors.
        settings: the configuration, whose store holds the features of the split.
        output: folder for the results.
        split: ``train``, ``val`` or ``test``.
        jobs: baselines that are fitted at the same time, each with one thread; None: one per core. The numbers do not
            depend on it.

    Raises:
        AnnotationError, ConfigError, StoreError, ModelFileError, MissingPathError: see
            `vidrnn.experiments.evaluate.evaluate`.
    """
    from vidrnn.annotations.records import as_split
    from vidrnn.experiments.evaluate import evaluate as evaluate_model

    return evaluate_model(Path(model), settings, split=as_split(split), output=Path(output), jobs=jobs)


def report(
    run: AnyPath,
    *,
    output: AnyPath | None = None,
    videos: AnyPath | None = None,
    clips: int = 150,
    model: AnyPath | None = None,
) -> "WrittenReport":
    """Write the report of a run as one HTML page, as ``vidrnn report`` does.

    Args:
        run: a folder that ``crossval``, ``evaluate`` or ``train`` wrote; or a file of ``compare`` or ``classify``.
        output: the page; None: ``report.html`` in the folder, ``NAME.report.html`` beside a file.
        videos: folder that the paths of the videos begin in; None: as the configuration of the run says.
        clips: most clips that are shown as filmstrips.
        model: that made the predictions, to show which moments count; None: the model in the folder above the run.

    Raises:
        MissingPathError: there is nothing that can be reported. ConfigError: the file is of another kind. OSError: the
            page cannot be written.
    """
    warm_up()
    from vidrnn.reporting.options import ReportOptions
    from vidrnn.reporting.report import write_report

    options = ReportOptions(
        videos=None if videos is None else Path(videos), clips=clips, model=None if model is None else Path(model)
    )
    return write_report(Path(run), output=None if output is None else Path(output), options=options)
