"""The verb ``classify``: new videos to answers, with the model's own preprocessing and sampling."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from vidrnn.annotations import Annotation
from vidrnn.backbones.backbone import Backbone, load_backbone
from vidrnn.errors import ModelFileError
from vidrnn.extraction.jobs import Failure, Job
from vidrnn.extraction.pipeline import embed_passes
from vidrnn.inference.answer_file import Prediction
from vidrnn.inference.answers import Clock, answers_of
from vidrnn.models.model_file import TrainedModel
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.stream_table import StreamTable
from vidrnn.sequences.targets import Targets
from vidrnn.settings.features import FeatureSettings
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.video_features import VideoFeatures
from vidrnn.training.predict import asking_of, predict

SHORT_FLOATS = frozenset({"float16", "bfloat16"})


def backbone_of(model: TrainedModel, settings: FeatureSettings) -> Backbone:
    """The backbone that a model's features came from.

    Args:
        model: holds the spec.
        settings: the model's feature settings, with device, batch size, workers, weights path and rate of frame folders
            as needed here.

    Raises:
        ModelFileError: the backbone here computes other features (other weights or versions).
    """
    backbone = load_backbone(settings)
    refuse_other(backbone.spec, model.spec.at_frame_rate(settings.frame_rate))
    return backbone


def refuse_other(here: FeatureSpec, wanted: FeatureSpec) -> None:
    """Raise ModelFileError when features that are computed here are not those that a model takes.

    Features in float32 serve a model that learned from those of a GPU in a short float: they are the more exact ones.
    """
    if here.precision == "float32" and wanted.precision in SHORT_FLOATS:
        wanted = replace(wanted, precision=here.precision)
    if here.digest != wanted.digest:
        raise ModelFileError(
            f"the model takes features of spec {wanted.digest}, but {here.backbone} here gives {here.digest} "
            f"({_difference(wanted, here)}); use the same weights as in training"
        )


def _difference(wanted: FeatureSpec, here: FeatureSpec) -> str:
    fields = vars(wanted)
    return ", ".join(
        f"{name}: {fields[name]!r}, here {value!r}"
        for name, value in vars(here).items()
        if fields.get(name) != value and name != "digest"
    )


def classify(
    videos: Iterable[Path], model: TrainedModel, backbone: Backbone, *, settings: FeatureSettings
) -> Generator[Prediction, None, None]:
    """Classify videos; each gives one prediction, in the order in which they finish, and a bad one costs only itself.

    Args:
        videos: files, and folders of frames.
        model: the classifier.
        backbone: from `backbone_of`.
        settings: batch size, number of decoders and their limits.
    """
    both = model.settings.features.mirrored and model.settings.inference.views == "both"
    passes = [backbone, backbone.mirrored()] if both else [backbone]
    jobs = (Job(str(video), video, tuple(range(len(passes)))) for video in videos)
    with closing(embed_passes(jobs, passes, settings=settings)) as results:
        for path, found in results:
            seen = [view for view in found.values() if not isinstance(view, Failure)]
            if failure := next((view for view in found.values() if isinstance(view, Failure)), None):
                yield Prediction(path, "failed", error=failure.cause)
            elif not all(np.isfinite(view.features).all() for view in seen):
                yield Prediction(path, "failed", error="its features hold nan or inf; use another features.precision")
            else:
                yield _predict(path, seen, model)


def _predict(path: str, views: Sequence[VideoFeatures], model: TrainedModel) -> Prediction:
    """From the features of one video, and of its mirror image where the model looks at that too."""
    device = next(model.classifier.parameters()).device
    facts, times = views[0].metadata, views[0].timestamps_s
    first, totals = torch.zeros(1, dtype=torch.int64), torch.tensor([len(times)])
    tables = [
        StreamTable(torch.from_numpy(view.features).to(device), first, totals, model.spec.parts) for view in views
    ]
    alone = SequenceSet(
        (Annotation("video", "unknown", None, "video"),),
        {model.spec.stream: replace(tables[0], mirrored=tables[1]) if len(tables) > 1 else tables[0]},
        totals,
        Targets(torch.zeros(1, dtype=torch.int64, device=device)),
        np.array([[facts.width, facts.height, facts.num_frames, facts.duration_s]]),
    )
    (outputs,) = predict(model.classifier, alone, asking_of(model.settings))
    return answered(path, outputs, model, clock=Clock(times, facts.duration_s))


def answered(path: str, outputs: torch.Tensor, model: TrainedModel, *, clock: Clock) -> Prediction:
    """The outputs of a model for one video as an answer."""
    answers = answers_of(
        model.settings.model.head,
        outputs.numpy(),
        labels=model.label_map.names,
        clock=clock,
        thresholds=model.thresholds,
        temperature=model.temperature,
        unknown_below=model.unknown_below,
    )
    return Prediction(path, "ok", tuple(answers))
