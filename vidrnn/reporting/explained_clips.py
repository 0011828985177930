"""Which moments count, for the clips that stand on the page of a run: from its model and the stored features."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vidrnn.annotations import read_annotations
from vidrnn.device import choose_device
from vidrnn.errors import VidrnnError
from vidrnn.experiments.explained_split import load_videos
from vidrnn.experiments.provenance import config_digest
from vidrnn.models.model_file import TrainedModel, load_model
from vidrnn.reporting.clips import Clip
from vidrnn.reporting.folders import without_folders
from vidrnn.reporting.importance_view import ImportanceView, view_of
from vidrnn.reporting.run_folder import Run
from vidrnn.settings.model import STEP_HEADS
from vidrnn.settings.run import RunSettings

LONGEST_S = 4.0
"""Seconds that all clips of a page may take together."""


@dataclass(frozen=True)
class ExplainedClips:
    """What counts in the clips of a page.

    Attributes:
        views: of the clips that could be explained.
        problem: why the others could not.
    """

    views: Mapping[Clip, ImportanceView] = field(default_factory=dict)
    problem: str = ""


def explain_clips(run: Run, clips: Sequence[Clip], *, model: Path | None) -> ExplainedClips:
    """Explain what was said of whole videos; where that cannot be, say why. Needs no video.

    Args:
        run: the result.
        clips: of the page.
        model: that made the predictions; None: that of the training in whose folder the result lies.
    """
    if not clips or run.verb == "predictions":
        return ExplainedClips()
    if run.verb == "crossval":
        return ExplainedClips(
            problem="Which moments count: a cross-validation keeps no models; `vidrnn explain` asks a trained one."
        )
    if run.head in STEP_HEADS:
        return ExplainedClips(problem="Which moments count: a model that answers step by step says itself when.")
    if run.settings is None or (place := model or _model_of(run.folder)) is None:
        return ExplainedClips(
            problem="Which moments count: the model is not in the folder above; `vidrnn report --model FILE` names it."
        )
    try:
        return _explained(run, run.settings, load_model(place, device=choose_device("cpu")), clips)
    except (VidrnnError, OSError) as error:
        return ExplainedClips(problem=f"Which moments count cannot be said: {without_folders(str(error), run.folder)}")


def _explained(run: Run, settings: RunSettings, model: TrainedModel, clips: Sequence[Clip]) -> ExplainedClips:
    real = {shown: path for path, shown in run.shown_paths.items()}
    wanted = {real.get(clip.path, clip.path) for clip in clips}
    annotations = [annotation for annotation in read_annotations(settings.data) if annotation.path in wanted]
    if not annotations:
        return ExplainedClips(problem="Which moments count: the annotations no longer name these videos.")
    videos = load_videos(annotations, model, settings, device=choose_device("cpu"))
    if run.figures.get("config_digest") not in (None, config_digest(videos.model.settings)):
        return ExplainedClips(problem="Which moments count: the model is another than the one that was evaluated.")
    positions = {path: number for number, path in enumerate(videos.paths)}
    classes = set(videos.model.label_map.names)
    views: dict[Clip, ImportanceView] = {}
    began_s, problem = time.monotonic(), ""
    for clip in clips:
        position = positions.get(real.get(clip.path, clip.path))
        if position is None or clip.span is not None:
            continue
        if time.monotonic() - began_s > LONGEST_S:
            problem = (
                f"Which moments count: the first {len(views)} clips took {LONGEST_S:g} s; `vidrnn explain` does all."
            )
            break
        asked = next((name for name in (clip.predicted, clip.truth) if name in classes), None)
        views[clip] = view_of(videos.explain(position, label=asked))
    return ExplainedClips(views, problem)


def _model_of(folder: Path) -> Path | None:
    """The model of an evaluation: that of the training in whose folder it lies."""
    places = [folder / "model.safetensors", folder.parent / "model.safetensors"]
    return next((place for place in places if place.is_file()), None)
