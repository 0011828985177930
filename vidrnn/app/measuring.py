"""Cross-validation with the labels of the page, on cached features: what the corrections did to the honest number.

`vidrnn crossval` runs in a process of its own, so that the page answers meanwhile.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidrnn.annotations import Annotation
from vidrnn.app.exporting import export
from vidrnn.errors import ConfigError
from vidrnn.evaluation.prediction_table import read_table
from vidrnn.names import quoted
from vidrnn.settings.base import dump_yaml
from vidrnn.settings.run import RunSettings

_KEPT = ("root", "media", "accept", "val_fraction", "test_fraction", "split_seed")  # the CSV tells the rest


@dataclass(frozen=True)
class Measured:
    """One cross-validation.

    Attributes:
        figures: the content of crossval.json.
        predicted: video to the class that was predicted by a model that did not see it.
        labels: video to label, as they were then.
    """

    figures: dict[str, Any]
    predicted: dict[str, str]
    labels: dict[str, str]

    def accuracy_with(self, labels: dict[str, str]) -> float | None:
        """The same answers against other labels, over the videos that have one; None where none has."""
        shared = [path for path in self.predicted if path in labels]
        return sum(self.predicted[path] == labels[path] for path in shared) / len(shared) if shared else None


class Measuring:
    """One cross-validation at a time, of one seed; each is compared with the one before.

    The first one is compared with the labels that were there before anybody said anything.

    Args:
        settings: whose store holds the features, and whose protocol is kept.
        known: the annotations that were there.
        scratch: a folder for the results.

    Raises:
        ConfigError: the head is another than ``label``.
    """

    def __init__(self, settings: RunSettings, known: Sequence[Annotation], scratch: Path) -> None:
        if settings.model.head != "label":
            raise ConfigError(
                f"the page measures models of head 'label', and the configuration says {settings.model.head!r}"
            )
        self._settings, self._known, self._scratch = settings, list(known), scratch
        self._last: Measured | None = None
        self._count = 0
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._closed = False
        self._state: dict[str, Any] = {"running": False}

    def start(self, annotations: Sequence[Annotation], *, baselines: bool) -> None:
        """Begin with these labels, and maybe with the baselines that have to be trained, which takes far longer.

        Raises:
            ConfigError: the one before still runs.
        """
        with self._lock:
            if self._state["running"]:
                raise ConfigError("a cross-validation is running; wait for its figures")
            self._state = {"running": True, "since": time.monotonic()}
        threading.Thread(target=self._work, args=(list(annotations), baselines), daemon=True).start()

    def state(self) -> dict[str, Any]:
        """``running`` and ``since_s``; else ``error``, or ``figures`` as `_compare` gives them, or neither."""
        with self._lock:
            state = dict(self._state)
        if state["running"]:
            state["since_s"] = time.monotonic() - state.pop("since")
        return state

    def close(self) -> None:
        """End what is running."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()

    def _work(self, annotations: list[Annotation], baselines: bool) -> None:
        """Body of the thread."""
        try:
            if self._last is None and self._known:
                self._last = self._measure(self._known, baselines)
            before, self._last = self._last, self._measure(annotations, baselines)
            found = {"running": False, "figures": _compare(before, self._last)}
        except Exception as error:  # noqa: BLE001  whatever it is, the page must hear of it
            found = {"running": False, "error": str(error)}
        with self._lock:
            self._state = found

    def _measure(self, annotations: list[Annotation], baselines: bool) -> Measured:
        self._count += 1
        folder = self._scratch / f"crossval{self._count}"
        folder.mkdir()
        csv = export(annotations, "csv", folder, root=self._settings.data.root).path
        data = {name: value for name, value in self._settings.data.model_dump().items() if name in _KEPT}
        changed = type(self._settings.data)(**data, format="csv", annotations=str(csv))
        evaluation = self._settings.evaluation.model_copy(update={"seeds": 1, "baselines": baselines})
        settings = self._settings.model_copy(update={"data": changed, "evaluation": evaluation})
        (folder / "config.yaml").write_text(dump_yaml(settings), encoding="utf-8")
        arguments = ["--config", str(folder / "config.yaml"), "--output", str(folder / "result")]
        self._run([sys.executable, "-m", "vidrnn", "crossval", *arguments])
        table = read_table(folder / "result")
        predicted = {path: video.rows[0]["predicted"] for path, video in table.by_seed[table.seeds[0]].items()}
        figures = json.loads((folder / "result" / "crossval.json").read_text(encoding="utf-8"))
        return Measured(figures, predicted, {one.path: one.label for one in annotations})

    def _run(self, command: list[str]) -> None:
        """Raises ConfigError with what the command said."""
        with self._lock:
            if self._closed:
                raise ConfigError("the page was closed")
            self._process = subprocess.Popen(  # noqa: S603  vidrnn itself
                command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
            )
        _, said = self._process.communicate()
        if self._process.returncode:
            lines = [line for line in said.splitlines() if line.strip()] or [f"exit code {self._process.returncode}"]
            raise ConfigError(lines[-1].removeprefix("error: "))


def _compare(before: Measured | None, after: Measured) -> dict[str, Any]:
    """Both results, and between them the earlier answers against the later labels: that much is no learning."""
    changed = (
        [] if before is None else [path for path, label in after.labels.items() if before.labels.get(path) != label]
    )
    return {
        "n": after.figures["n"],
        "protocol": after.figures["protocol"],
        "changed": len(changed),
        "before": None if before is None else _shown(before.figures),
        "same_answers": None if before is None else before.accuracy_with(after.labels),
        "after": _shown(after.figures),
    }


def _shown(figures: dict[str, Any]) -> dict[str, Any]:
    return {"top1": figures["top1_mean"], "interval": figures.get("top1_interval"), "baselines": figures["baselines"]}


def measuring_for(
    settings: RunSettings | None, known: Sequence[Annotation], scratch: Path, *, root: Path | None
) -> tuple[Measuring | None, list[str]]:
    """Where a configuration allows it; else why not, where there is one."""
    if settings is None:
        return None, []
    if root is None or root.resolve() != settings.data.root.resolve():
        where = "several folders" if root is None else quoted(root)
        return None, [
            f"labels cannot be measured: they are of {where}, and the features of {quoted(settings.data.root)}"
        ]
    try:
        return Measuring(settings, known, scratch), []
    except ConfigError as error:
        return None, [str(error)]
