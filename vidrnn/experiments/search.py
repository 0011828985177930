"""The memory of a search and the choice of what to try next, with Optuna; the only module that imports it."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import optuna
from optuna.trial import FrozenTrial, TrialState
from pydantic import JsonValue
from sqlalchemy.exc import SQLAlchemyError

from vidrnn.errors import TrainingError
from vidrnn.experiments.search_space import SearchSpace
from vidrnn.settings.tuning import SearchRange

TrialOutcome = Literal["complete", "pruned", "failed", "interrupted"]
_NAME = "vidrnn"
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
_OUTCOMES: dict[TrialState, TrialOutcome] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "interrupted",
}


@dataclass(frozen=True)
class TrialRecord:
    """One configuration that was tried.

    Attributes:
        number: counted from 0, also over those that were interrupted.
        outcome: ``complete``; ``pruned`` after some folds; ``failed`` (it cannot be fitted); ``interrupted``.
        values: dotted key to value.
        losses: validation loss of each fold that was fitted.
        metrics: headline metric of each of them on validation.
        cause: why it failed.
    """

    number: int
    outcome: TrialOutcome
    values: dict[str, JsonValue]
    losses: tuple[float, ...]
    metrics: tuple[float, ...]
    cause: str | None

    @property
    def value(self) -> float | None:
        """Mean validation loss over the folds that were fitted; a pruned trial has fewer of them."""
        return sum(self.losses) / len(self.losses) if self.losses else None

    @property
    def metric_mean(self) -> float | None:
        """Mean validation accuracy over the same folds."""
        return sum(self.metrics) / len(self.metrics) if self.metrics else None


class Trial:
    """A trial that is under way."""

    def __init__(self, study: optuna.Study, trial: optuna.Trial, space: SearchSpace) -> None:
        self._study = study
        self._trial = trial
        self._losses: list[float] = []
        self._metrics: list[float] = []
        self.values = {key: _suggest(trial, key, space) for key in space.entries}

    def report(self, loss: float, metric: float) -> None:
        """Keep what a fold gave."""
        self._losses.append(loss)
        self._trial.set_user_attr("losses", self._losses)
        self._metrics.append(metric)
        self._trial.set_user_attr("metrics", self._metrics)
        self._trial.report(self._mean(), step=len(self._losses))

    def is_hopeless(self) -> bool:
        """Whether its mean so far is above the median of the complete trials after as many folds."""
        return self._trial.should_prune()

    def complete(self) -> None:
        """All folds are done."""
        self._study.tell(self._trial, self._mean())

    def prune(self) -> None:
        """The other folds are not worth their time."""
        self._study.tell(self._trial, state=TrialState.PRUNED)

    def fail(self, cause: str) -> None:
        """It cannot be fitted. Pruned for Optuna, whose sampler then keeps away from it; failed ones it ignores."""
        self._trial.set_user_attr("cause", cause)
        self._study.tell(self._trial, state=TrialState.PRUNED)

    def _mean(self) -> float:
        return sum(self._losses) / len(self._losses)


class Search:
    """A search that goes on where an earlier process left it.

    Each trial has a sampler of its own, seeded with the number of finished trials before it. So what it tries depends
    on these alone: a search that was killed and started again tries what an undisturbed one would have tried.

    Args:
        path: file of the search, made where it is missing.
        space: what to choose from.
        seed: of the sampler.
        fingerprint: of all that a trial's value depends on.

    Raises:
        TrainingError: the file is damaged or belongs to another search.
    """

    def __init__(self, path: Path, *, space: SearchSpace, seed: int, fingerprint: str) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self._seed = seed
        try:
            self._study = optuna.create_study(
                storage=_storage(path),
                study_name=_NAME,
                load_if_exists=True,
                # The first folds of five trials show what is usual; before, nothing is given up.
                pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
            )
        except (SQLAlchemyError, optuna.exceptions.OptunaError) as error:
            raise TrainingError(f"{path} is not the file of a search ({error}); use another --output") from error
        if self._study.user_attrs.get("fingerprint", fingerprint) != fingerprint:
            raise TrainingError(
                f"{path} belongs to another configuration, other features or another space; "
                "search into another --output, or delete the folder"
            )
        self._study.set_user_attr("fingerprint", fingerprint)
        for trial in self._study.get_trials(states=(TrialState.RUNNING,)):
            self._study.tell(trial.number, state=TrialState.FAIL)

    def finished(self) -> int:
        """How many trials need not be tried again."""
        return len(self._study.get_trials(deepcopy=False, states=_FINISHED))

    def start_trial(self) -> Trial:
        """Choose what to try next; the configuration itself comes first."""
        finished = self.finished()
        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if not finished and not waiting:
            self._study.enqueue_trial(
                {key: _coded(self._space, key, value) for key, value in self._space.configured.items()}
            )
        self._study.sampler = optuna.samplers.TPESampler(seed=self._seed + finished, constant_liar=False)
        return Trial(self._study, self._study.ask(), self._space)

    def records(self) -> list[TrialRecord]:
        """All trials but the one under way, by number."""
        trials = self._study.get_trials(deepcopy=False, states=tuple(_OUTCOMES))
        return [_record(trial, self._space) for trial in trials]


def best_of(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The complete trials, lowest validation loss first."""
    complete = [record for record in records if record.outcome == "complete"]
    return sorted(complete, key=lambda record: (sum(record.losses), record.number))


def _storage(path: Path) -> optuna.storages.RDBStorage:
    """SQLite: a process that is killed leaves neither half a line nor a lock.

    Optuna's journal file may keep half of its last line, which makes the next one unreadable. Its lock is a link that
    stays and holds up the next process for 30 s. The connection is made here because a path may hold characters
    that mean something in a database's address.
    """
    return optuna.storages.RDBStorage("sqlite://", engine_kwargs={"creator": lambda: sqlite3.connect(path, timeout=60)})


def _coded(space: SearchSpace, key: str, value: JsonValue) -> JsonValue:
    """Optuna takes only plain values as choices; JSON covers lists too."""
    return value if isinstance(space.entries[key], SearchRange) else json.dumps(value)


def _suggest(trial: optuna.Trial, key: str, space: SearchSpace) -> JsonValue:
    entry = space.entries[key]
    if not isinstance(entry, SearchRange):
        value: JsonValue = json.loads(trial.suggest_categorical(key, [json.dumps(choice) for choice in entry]))
        return value
    if space.is_whole(key):
        return trial.suggest_int(key, int(entry.low), int(entry.high), step=int(entry.step or 1), log=entry.log)
    return trial.suggest_float(key, entry.low, entry.high, step=entry.step, log=entry.log)


def _record(trial: FrozenTrial, space: SearchSpace) -> TrialRecord:
    known = trial.user_attrs
    coded = {key: not isinstance(space.entries[key], SearchRange) for key in trial.params}
    return TrialRecord(
        number=trial.number,
        outcome="failed" if "cause" in known else _OUTCOMES[trial.state],
        values={key: json.loads(value) if coded[key] else value for key, value in trial.params.items()},
        losses=tuple(known.get("losses", ())),
        metrics=tuple(known.get("metrics", ())),
        cause=known.get("cause"),
    )
