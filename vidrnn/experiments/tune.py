"""The verb ``tune``: search settings on the training split alone, validated by group inside it."""

import csv
import importlib.util
import io
import json
import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidrnn.annotations.splits import Fold
from vidrnn.atomic import write_atomically
from vidrnn.claims import Claims
from vidrnn.device import choose_device
from vidrnn.errors import ConfigError, TrainingError
from vidrnn.evaluation.metrics import HEADLINES
from vidrnn.evaluation.report import write_json
from vidrnn.experiments.provenance import provenance
from vidrnn.experiments.search_space import with_values
from vidrnn.experiments.side_by_side import in_order, side_by_side
from vidrnn.experiments.tuning_task import TuningTask, prepare
from vidrnn.models.model_header import public_metrics
from vidrnn.sequences.source_notes import note_sources
from vidrnn.settings.base import dump_yaml
from vidrnn.settings.outputs import refuse_foreign_results
from vidrnn.settings.run import RunSettings
from vidrnn.training.members import fit_members
from vidrnn.training.predict import predict_options
from vidrnn.training.validation import validate

if TYPE_CHECKING:
    from vidrnn.experiments.search import Search, Trial, TrialRecord


@dataclass(frozen=True)
class Tuning:
    """The outcome of a search so far.

    Attributes:
        records: all trials, by number.
        ranking: the complete ones, lowest validation loss first.
        untuned: the trial of the configuration itself.
        protocol: how the values were made, in words.
        has_test: whether a test split was kept apart, which can still give an honest number.
        notes: what the user should know about the space.
        missing: annotated videos of the training split without features.
        best_config: the file that `vidrnn train` takes.
    """

    records: "tuple[TrialRecord, ...]"
    ranking: "tuple[TrialRecord, ...]"
    untuned: "TrialRecord"
    protocol: str
    has_test: bool
    notes: tuple[str, ...]
    missing: tuple[str, ...]
    best_config: Path


def tune(
    settings: RunSettings,
    *,
    output: Path,
    timeout_s: float | None = None,
    jobs: int | None = None,
    on_total: Callable[[int], object] = lambda _fits: None,
    on_fold: Callable[[], object] = lambda: None,
    on_trial: "Callable[[TrialRecord], None]" = lambda _record: None,
) -> Tuning:
    """Try ``tuning.trials`` configurations, or go on with the search that ``output`` holds.

    The value of a trial is the mean over inner folds of the validation loss of the head (`validate`), whatever loss
    the trial minimises. ``training.select`` says which epoch of a fold counts. Only the training split is read.
    Writes ``search.sqlite``, and after every trial ``trials.csv``,
    ``best.yaml`` and ``tune.json``.

    Args:
        settings: the configuration; it is the first trial.
        output: folder of the search.
        timeout_s: start no further trial after so many seconds; null has no limit.
        jobs: folds of a trial that are fitted at the same time, each with one thread; None: `usual_jobs`. What is tried
            and what comes out do not depend on it.
        on_total: gets the fits from now on, done and to do, where every trial that is left has all its folds; before
            the first, and anew after each trial.
        on_fold: called after each fit that counts.
        on_trial: gets each trial when it ends.

    Raises:
        ConfigError: Optuna is not installed, the space does not fit the configuration, or the folder holds such files
            that vidrnn did not write.
        TrainingError: the configuration itself cannot be fitted, or ``output`` holds or runs another search.
        AnnotationError, StoreError, MissingPathError: see the parts.
    """
    _require_optuna()
    from vidrnn.experiments.search import Search

    until = None if timeout_s is None else time.monotonic() + timeout_s
    refuse_foreign_results(output, ("trials.csv", "best.yaml", "tune.json"))
    task, fingerprint = prepare(settings, output, jobs)
    output.mkdir(parents=True, exist_ok=True)
    with Claims(output / ".claims") as claims:  # a lock that vanishes with its process
        if not claims.take("search"):
            raise TrainingError(f"another process searches in {output}; wait for it, or use another --output")
        search = Search(
            output / "search.sqlite", space=task.space, seed=settings.training.seed, fingerprint=fingerprint
        )
        return _run_trials(task, search, until=until, on_total=on_total, on_fold=on_fold, on_trial=on_trial)


def _run_trials(
    task: TuningTask,
    search: "Search",
    *,
    until: float | None,
    on_total: Callable[[int], object],
    on_fold: Callable[[], object],
    on_trial: "Callable[[TrialRecord], None]",
) -> Tuning:
    """See `tune`; ``until`` is the time of `time.monotonic` from which on no trial begins."""
    fits, wanted = 0, task.settings.tuning.trials

    def count() -> None:
        nonlocal fits
        fits += 1
        on_fold()

    while (finished := search.finished()) < wanted:
        on_total(fits + (wanted - finished) * len(task.folds))
        if finished and until is not None and time.monotonic() >= until:
            break
        _run_trial(task, search.start_trial(), is_first=not finished, on_fold=count)
        _write(task, search)
        on_trial(search.records()[-1])
    return _write(task, search)


def _require_optuna() -> None:
    if importlib.util.find_spec("optuna") is None:
        raise ConfigError("tune needs Optuna; run `pip install 'vidrnn[tune]'`")


def _run_trial(task: TuningTask, trial: "Trial", *, is_first: bool, on_fold: Callable[[], object]) -> None:
    """Fit the folds of one trial. What cannot be fitted is a failed trial, unless it is the configuration itself.

    Folds count in their order, whichever is done first, so that the same ones are given up for any number of jobs.
    """
    try:
        settings = with_values(task.settings, trial.values, origin="these values together")
        work, device = partial(_try_fold, task, settings), choose_device(settings.training.device)
        with closing(side_by_side(work, task.folds, jobs=task.jobs, device=device)) as found:
            for number, outcome in enumerate(in_order(found), start=1):
                if isinstance(outcome, Exception):
                    raise outcome
                trial.report(*outcome)
                on_fold()
                if number < len(task.folds) and trial.is_hopeless():
                    trial.prune()
                    return
    except (ConfigError, TrainingError) as error:
        if is_first:
            raise
        trial.fail(str(error))
    else:
        trial.complete()


def _try_fold(task: TuningTask, settings: RunSettings, fold: Fold) -> tuple[float, float] | ConfigError | TrainingError:
    """What `_validate_fold` returns or raises, so that an error waits for the folds before its own."""
    try:
        return _validate_fold(task, fold, settings)
    except (ConfigError, TrainingError) as error:
        return error


def _validate_fold(task: TuningTask, fold: Fold, settings: RunSettings) -> tuple[float, float]:
    """Validation loss and headline metric of the model as it would be asked."""
    train, val, num_classes = task.sequences.subset(fold.train), task.sequences.subset(fold.test), len(task.label_map)
    training = settings.training
    seen = val if training.select == "best" else None
    result = fit_members(train, seen, num_classes=num_classes, model_settings=settings.model, settings=training)
    row = validate(result.model, val, predict_options(settings), num_classes=num_classes)
    if not math.isfinite(row["val_loss"]):
        raise TrainingError(
            f"the validation loss of {fold.name} became {row['val_loss']}; lower training.learning_rate"
        )
    return row["val_loss"], row[f"val_{HEADLINES[settings.model.head].name}"]


def _write(task: TuningTask, search: "Search") -> Tuning:
    from vidrnn.experiments.search import best_of

    records = search.records()
    ranking = best_of(records)
    best, untuned = ranking[0], min(ranking, key=lambda record: record.number)
    tuned = with_values(task.settings, best.values, origin="best trial")
    best_config = task.output / "best.yaml"
    write_atomically(best_config, dump_yaml(tuned).encode())
    table = _trials_csv(records, list(task.space.entries), name=HEADLINES[task.settings.model.head].name)
    write_atomically(task.output / "trials.csv", table.encode())
    write_json(task.output / "tune.json", public_metrics(_summary(task, records, best, untuned)))
    return Tuning(
        records=tuple(records),
        ranking=tuple(ranking),
        untuned=untuned,
        protocol=task.protocol,
        has_test=task.has_test,
        notes=(*task.notes, *task.space.notes, *note_sources(task.sequences)),
        missing=task.sequences.missing,
        best_config=best_config,
    )


def _trials_csv(records: "Sequence[TrialRecord]", keys: Sequence[str], *, name: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["number", "state", "value", f"val_{name}", "folds", *keys, "cause"])
    for record in records:
        values = [_cell(record.values.get(key)) for key in keys]
        results = [record.value, record.metric_mean, len(record.losses)]
        writer.writerow([record.number, record.outcome, *results, *values, record.cause])
    return text.getvalue()


def _cell(value: object) -> object:
    return json.dumps(value) if isinstance(value, list) else value


def _summary(
    task: TuningTask, records: "Sequence[TrialRecord]", best: "TrialRecord", untuned: "TrialRecord"
) -> dict[str, Any]:
    outcomes, name = [record.outcome for record in records], HEADLINES[task.settings.model.head].name
    return {
        "protocol": task.protocol,
        "n": len(task.sequences),
        "missing_features": list(task.sequences.missing),
        "folds": [{"name": fold.name, "n": len(fold.test)} for fold in task.folds],
        "trials": {outcome: outcomes.count(outcome) for outcome in ("complete", "pruned", "failed", "interrupted")},
        "best_trial": best.number,
        "best_value": best.value,
        f"best_val_{name}": best.metric_mean,
        "best_fold_values": list(best.losses),
        "best_values": best.values,
        "untuned_value": untuned.value,
        f"untuned_val_{name}": untuned.metric_mean,
        "untuned_fold_values": list(untuned.losses),
        **provenance(task.settings),
    }
