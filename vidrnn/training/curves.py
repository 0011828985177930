"""The curves of a fit for TensorBoard, where ``training.tensorboard`` asks for them."""

import importlib.util
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vidrnn.errors import ConfigError
from vidrnn.settings.model import ModelSettings
from vidrnn.settings.training import TrainingSettings

FOLDER = "tensorboard"
"""Its name in the folder of a run."""
_SPLITS = ("train", "val")
_NO_CURVES = ("epoch", "member")


def require_tensorboard(settings: TrainingSettings) -> None:
    """Raises ConfigError where the settings ask for curves and TensorBoard is not installed."""
    if settings.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise ConfigError("training.tensorboard: true needs TensorBoard; run `pip install 'vidrnn[tensorboard]'`")


def curves_below(output: Path, settings: TrainingSettings) -> Path | None:
    """Where the curves of a run go; None where the settings ask for none."""
    return output / FOLDER if settings.tensorboard else None


class Curves:
    """Writes the rows of a log as curves over the epochs.

    Every start of a fit writes all rows again, also the rows of a checkpoint, and marks them as a restart: TensorBoard
    then drops what an earlier start wrote. So a fit that was killed and goes on has each epoch once, and so has one
    that begins anew in the same folder.

    Args:
        folder: of the event files.
        hyperparameters: name to value, for TensorBoard's table of runs.
        history: rows of the epochs that a checkpoint holds.
    """

    def __init__(
        self, folder: Path, hyperparameters: Mapping[str, str | float | bool], history: Sequence[Mapping[str, float]]
    ) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        self._writer = SummaryWriter(str(folder), purge_step=0)
        self._hyperparameters: Mapping[str, str | float | bool] | None = hyperparameters
        seen_s = time.time() - sum(row.get("seconds", 0.0) for row in history)
        for row in history:  # as if there had been no stop
            seen_s += row.get("seconds", 0.0)
            self.add(row, seen_s)

    def add(self, row: Mapping[str, float], seen_s: float | None = None) -> None:
        """Write one epoch.

        Args:
            row: as in log.csv.
            seen_s: when it ended, in seconds since 1970; None: now.
        """
        named = {tag_of(name): value for name, value in row.items() if name not in _NO_CURVES}
        if self._hyperparameters is not None:
            self._write_hyperparameters(self._hyperparameters, named)
            self._hyperparameters = None
        for tag, value in named.items():
            self._writer.add_scalar(tag, value, int(row["epoch"]), walltime=seen_s)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()

    def _write_hyperparameters(
        self, hyperparameters: Mapping[str, str | float | bool], curves: Mapping[str, float]
    ) -> None:
        """Into the same folder: the writer's own way would make a run of its own for them."""
        from torch.utils.tensorboard.summary import hparams

        events: Any = self._writer.file_writer  # torch's own type says None
        for summary in hparams(dict(hyperparameters), dict(curves)):  # type: ignore[no-untyped-call]
            events.add_summary(summary)


@contextmanager
def open_curves(
    folder: Path | None,
    *,
    model_settings: ModelSettings,
    settings: TrainingSettings,
    history: Sequence[Mapping[str, float]],
) -> Iterator[Curves | None]:
    """The curves of a fit until the block ends; None without a folder."""
    if folder is None:
        yield None
        return
    curves = Curves(folder, _hyperparameters(model_settings, settings), history)
    try:
        yield curves
    finally:
        curves.close()


def tag_of(name: str) -> str:
    """A column of log.csv as a curve: ``val_loss`` is ``loss/val``, so that one chart holds both splits."""
    for split in _SPLITS:
        if name.startswith(f"{split}_"):
            return f"{name.removeprefix(f'{split}_')}/{split}"
    return name.replace("norm_", "norm/")


def _hyperparameters(model: ModelSettings, training: TrainingSettings) -> dict[str, str | float | bool]:
    trees = {"model": model.model_dump(mode="json"), "training": training.model_dump(mode="json")}
    flat = {f"{section}.{key}": value for section, tree in trees.items() for key, value in tree.items()}
    return {key: value if isinstance(value, str | int | float) else json.dumps(value) for key, value in flat.items()}
