"""Which moments count, for the clips that stand on the page of a run: from its model and the stored features."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vidrnn.annotations import read_annotations
from vidrnn.annotations.splits import split_annotations
from vidrnn.device import choose_device
from vidrnn.errors import VidrnnError
from vidrnn.experiments.explained_split import load_training, load_videos
from vidrnn.experiments.provenance import config_digest
from vidrnn.explanation.explanation import Explanation
from vidrnn.explanation.nearest import TrainingVideos
from vidrnn.models.model_file import TrainedModel, load_model
from vidrnn.names import is_absolute
from vidrnn.reporting.clips import Clip
from vidrnn.reporting.folders import without_folders
from vidrnn.reporting.run_folder import Run
from vidrnn.settings.model import STEP_HEADS
from vidrnn.settings.run import RunSettings

LONGEST_S = 4.0
"""Seconds that all clips of a page may take together."""

MOST_TRAINING = 1000
"""Training videos among which those that are most alike are looked for."""
_NEIGHBOURS = 2  # of a clip
_SAME_SCORE = 0.01  # on a GPU and on a CPU they differ by less
_ANOTHER = "Which moments count: the model is another than the one that was evaluated."


@dataclass(frozen=True)
class ExplainedClips:
    """What counts in the clips of a page.

    Attributes:
        explanations: of the clips that could be explained.
        problem: why the others could not.
    """

    explanations: Mapping[Clip, Explanation] = field(default_factory=dict)
    problem: str = ""

    @property
    def alike(self) -> list[Clip]:
        """The training videos that are named, as clips; those with absolute paths, which tell folders, left out."""
        neighbours = [one for made in self.explanations.values() for one in made.nearest if not is_absolute(one.path)]
        return [Clip(one.path, one.known, one.known, True, None, 0.0) for one in neighbours]


def explain_clips(run: Run, clips: Sequence[Clip], *, model: Path | None) -> ExplainedClips:
    """Explain what was said of whole videos; where that cannot be, say why. Needs no video.

    Args:
        run: the result.
        clips: of the page.
        model: that made the predictions; None: the model of the training in whose folder the result lies.
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
        return ExplainedClips(problem=_ANOTHER)
    videos = replace(videos, training=_training_of(videos.model, settings))
    positions = {path: number for number, path in enumerate(videos.paths)}
    classes = set(videos.model.label_map.names)
    made: dict[Clip, Explanation] = {}
    began_s, problem = time.monotonic(), ""
    for clip in clips:
        position = positions.get(real.get(clip.path, clip.path))
        if position is None or clip.span is not None:
            continue
        if time.monotonic() - began_s > LONGEST_S:
            problem = (
                f"Which moments count: the first {len(made)} clips took {LONGEST_S:g} s; `vidrnn explain` does all."
            )
            break
        asked = next((name for name in (clip.predicted, clip.truth) if name in classes), None)
        explanation = videos.explain(position, label=asked)
        if run.head == "label" and asked == clip.predicted and _differs(explanation.score, clip.score):
            return ExplainedClips(problem=_ANOTHER)
        made[clip] = replace(explanation, nearest=explanation.nearest[:_NEIGHBOURS])
    return ExplainedClips(made, problem)


def _differs(score: float, evaluated: float | None) -> bool:
    """Whether a model answers otherwise than in the result: weights of other epochs have the same configuration."""
    return evaluated is not None and abs(score - evaluated) > _SAME_SCORE


def _training_of(model: TrainedModel, settings: RunSettings) -> TrainingVideos | None:
    """The videos that the model learned from; None where they are too many for a page, or not in the store."""
    try:
        if len(split_annotations(read_annotations(settings.data), settings.data)["train"]) > MOST_TRAINING:
            return None
        return load_training(model, settings, device=choose_device("cpu"))
    except (VidrnnError, OSError):
        return None


def _model_of(folder: Path) -> Path | None:
    """The model of the training in whose folder an evaluation lies."""
    places = [folder / "model.safetensors", folder.parent / "model.safetensors"]
    return next((place for place in places if place.is_file()), None)
