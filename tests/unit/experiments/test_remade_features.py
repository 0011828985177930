"""A cross-validation is not continued on features that were extracted anew with other values, however near they are."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.worlds import make_run
from vidrnn.experiments import crossval, crossval_fits
from vidrnn.settings.run import RunSettings
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.pack_update import pack


class StoppedError(Exception):
    """What a test raises in the middle of a run."""


def remake(settings: RunSettings, video: str = "actor1/clip 2.mp4") -> None:
    """One value of one video differs by its last bit: another engine or another version computed it."""
    folder = FeatureStore(settings.extraction.store).find(settings.features)
    stored = folder.read(video)
    features = stored.features.copy()
    features.view("u2")[0, 0] ^= 1
    folder.write(video, replace(stored, features=features))


def count_fits(monkeypatch: pytest.MonkeyPatch, settings: RunSettings, output: Path, *, stop_after: int) -> int:
    """Cross-validate with one process; how many fits were made, at most ``stop_after``."""
    made, fit = [], crossval_fits.fit_and_predict

    def counted(*given: object, **options: object) -> object:
        if len(made) == stop_after:
            raise StoppedError
        made.append(None)
        return fit(*given, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(crossval_fits, "fit_and_predict", counted)
        with suppress(StoppedError):
            crossval.run_crossval(settings, output=output, jobs=1)
    return len(made)


@pytest.mark.parametrize(("change", "made"), [("nothing", 1), ("packed", 1), ("features", 3), ("device", 3)])
def test_a_stopped_cross_validation_keeps_fits_of_the_same_features_and_device_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, made: int
) -> None:
    """Three folds, one seed: two fits are kept, and the last one or all of them are made."""
    settings = make_run(tmp_path, groups=3, seeds=1, baselines=False)
    assert count_fits(monkeypatch, settings, tmp_path / "cv", stop_after=2) == 2
    if change == "features":
        remake(settings)
    if change == "packed":
        pack(FeatureStore(settings.extraction.store).find(settings.features), remove_files=True)
    if change == "device":
        monkeypatch.setattr(crossval, "choose_device", lambda _name: torch.device("meta"))
    assert count_fits(monkeypatch, settings, tmp_path / "cv", stop_after=9) == made
