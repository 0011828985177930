"""Which unlabelled videos to label next, from stored features: the verb ``suggest`` without its extraction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vidrnn.active_learning.rules import Choice, Floats, Pool, Rule, choose
from vidrnn.active_learning.uncertainty import MEASURED_HEADS, Measure, as_probabilities, uncertainty
from vidrnn.annotations import Annotation, LabelMap
from vidrnn.errors import ConfigError, StoreError
from vidrnn.experiments.asked_model import folder_of_model
from vidrnn.experiments.stored_sets import find_folders
from vidrnn.explanation.nearest import vectors_of
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.ensemble import Ensemble
from vidrnn.models.model_file import TrainedModel
from vidrnn.sequences.descriptors import FITTED, Raw, RawStreams, Space
from vidrnn.sequences.loading import load_sequences
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.run import RunSettings
from vidrnn.settings.streams import PICTURE_STREAMS
from vidrnn.stages import stage
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.training.predict import predict, predict_options

UNKNOWN_LABEL = "unlabelled"
_LABELS = LabelMap((UNKNOWN_LABEL,))  # the targets are never asked for


@dataclass(frozen=True)
class Suggestion:
    """A video that is worth labelling.

    Attributes:
        path: as in the store.
        rank: from 1.
        score: what the rule went by.
        uncertainty: of the model, from 0 to 1; None without one.
        label: the likeliest class; None without a model of one class per video.
        distance: from the nearest video that is labelled or stands above, from 0 to 2; None for the first of all.
        reason: why it stands here, in words.
    """

    path: str
    rank: int
    score: float
    uncertainty: float | None
    label: str | None
    distance: float | None
    reason: str


@dataclass(frozen=True)
class Suggestions:
    """What `suggest` found.

    Attributes:
        rows: the most useful first.
        missing: unlabelled videos without features.
        labelled: how many labelled videos counted as known.
        rule: that was followed.
    """

    rows: tuple[Suggestion, ...]
    missing: tuple[str, ...]
    labelled: int
    rule: Rule


def unlabelled(path: str) -> Annotation:
    """A video of which nothing is known."""
    return Annotation(path, UNKNOWN_LABEL, None, path)


@stage("choose what to label")
def suggest(
    paths: Sequence[str],
    settings: RunSettings,
    *,
    labelled: Sequence[str] = (),
    models: Sequence[TrainedModel] = (),
    rule: Rule,
    measure: Measure,
    count: int,
) -> Suggestions:
    """Rank unlabelled videos by what labelling them would teach.

    Args:
        paths: the videos, as in the store.
        settings: name store and features.
        labelled: videos whose labels are known; they are not suggested, nor is what is like them.
        models: that say how uncertain they are; of an ensemble all members count.
        rule: see `vidrnn.active_learning.rules.choose`.
        measure: see `vidrnn.active_learning.uncertainty.uncertainty`.
        count: how many rows at most.

    Raises:
        ConfigError: the models do not fit. StoreError, MissingPathError: there are no
            features.
    """
    _refuse_unfit(models)
    folders = find_folders(settings.features, store=settings.extraction.store)
    known = dict.fromkeys(labelled)
    asked = [path for path in dict.fromkeys(paths) if path not in known]
    there, vectors, num_old = _vectors_of(asked, list(known), folders)
    if not there:
        raise StoreError(
            f"none of the {len(asked)} unlabelled videos has features in {settings.extraction.store}; leave "
            "--no-extract out, or give other videos"
        )
    pool = Pool(vectors[: len(there)], vectors[len(there) :])
    said: Floats | None = None
    if models:
        pool, said = _asked(pool, there, models, settings, measure)
    rows = [
        _row(rank, choice, there, pool, said, models, rule)
        for rank, choice in enumerate(choose(pool, rule, count=count), start=1)
    ]
    found = set(there)
    return Suggestions(tuple(rows), tuple(path for path in asked if path not in found), num_old, rule)


def _vectors_of(
    asked: Sequence[str], known: Sequence[str], folders: Sequence[FeatureFolder]
) -> tuple[list[str], Floats, int]:
    """The asked videos that have features, the vectors of these and of the known ones, and how many are known.

    Features are read twice, so that memory holds a vector of each video and no more.
    """
    everything = [*asked, *known]
    spread = np.linspace(0, len(everything) - 1, min(FITTED, len(everything))).astype(int).tolist()
    fitted = [raw for place in spread if (raw := _raw_of(everything[place], folders))]
    if not fitted:
        return [], np.zeros((0, 1), np.float32), 0
    space = Space.of(fitted)
    there, parts = [], []
    for number, path in enumerate(everything):
        if raw := _raw_of(path, folders):
            there.append(number)
            parts.append(space.vectors([raw]))
    new = [everything[number] for number in there if number < len(asked)]
    return new, np.concatenate(parts), len(there) - len(new)


def _raw_of(path: str, folders: Sequence[FeatureFolder]) -> RawStreams:
    """What is known of the plain views of a video; empty where it has no features."""
    found = {}
    for folder in folders:
        made = folder.mapped(path)
        if made is not None and len(made.features):
            raw = Raw.of(made.features)
            if np.isfinite(raw.shown).all():
                found[folder.spec.stream] = raw
    return found


def _refuse_unfit(models: Sequence[TrainedModel]) -> None:
    for model in models:
        head = model.settings.model.head
        if head not in MEASURED_HEADS:
            raise ConfigError(
                f"a model with head {head!r} does not say how uncertain it is; allowed: {', '.join(MEASURED_HEADS)}. "
                "Leave --model out to choose by diversity alone"
            )
        first = models[0]
        if (head, model.label_map.names) != (first.settings.model.head, first.label_map.names):
            raise ConfigError(
                f"the models answer different questions: {first.settings.model.head} of "
                f"{', '.join(first.label_map.names)}, and {head} of {', '.join(model.label_map.names)}; give models of "
                "one head and the same classes"
            )


def _asked(
    pool: Pool, paths: Sequence[str], models: Sequence[TrainedModel], settings: RunSettings, measure: Measure
) -> tuple[Pool, npt.NDArray[np.float32] | None]:
    """The pool with what all members say of it, and (n, C) the mean probabilities for one class per video."""
    outputs: list[list[npt.NDArray[np.float64]]] = []
    states = []
    for model in models:
        sequences = _sequences(paths, model, settings)
        classifier = model.classifier
        for member in classifier.members if isinstance(classifier, Ensemble) else [classifier]:
            assert isinstance(member, SequenceClassifier)
            logits = predict(member, sequences, predict_options(model.settings))
            scaled = [output.numpy() / model.temperature for output in logits]
            outputs.append([as_probabilities(values, model.settings.model.head) for values in scaled])
        if model.settings.model.head == "label":
            states.append(vectors_of(model, sequences))
    values = np.array([uncertainty(np.stack(video), measure) for video in zip(*outputs, strict=True)])
    if not states:
        return replace(pool, uncertainty=values), None
    mean = np.mean([np.stack(member) for member in outputs], axis=0)
    return replace(pool, uncertainty=values, probabilities=mean, states=np.concatenate(states, axis=1)), mean


def _sequences(paths: Sequence[str], model: TrainedModel, settings: RunSettings) -> SequenceSet:
    model.refuse_earlier_mirror()
    streams = model.settings.inference.streams
    shown = [spec for spec in model.specs if streams is None or spec.stream in streams]
    both = model.settings.features.mirrored and model.settings.inference.views == "both"
    mirrored = [spec.mirrored() for spec in shown if both and spec.stream in PICTURE_STREAMS]
    sequences = load_sequences(
        [unlabelled(path) for path in paths],
        [folder_of_model(spec, settings) for spec in shown],
        _LABELS,
        device=next(model.classifier.parameters()).device,
        mirrored=[folder_of_model(spec, settings) for spec in mirrored],
        unseen=[spec for spec in model.specs if spec not in shown],
        causal=not model.settings.model.bidirectional,
    )
    if sequences.missing:
        raise StoreError(
            f"the model takes other streams than the configuration: {len(sequences.missing)} videos have none of its "
            f"features, first {sequences.missing[0]!r}; give the configuration that the model was trained with"
        )
    return sequences


def _row(
    rank: int,
    choice: Choice,
    paths: Sequence[str],
    pool: Pool,
    said: npt.NDArray[np.float32] | None,
    models: Sequence[TrainedModel],
    rule: Rule,
) -> Suggestion:
    at, distance = choice.position, choice.distance
    unsure = None if pool.uncertainty is None else float(pool.uncertainty[at])
    label, parts = None, []
    if said is not None:
        names = models[0].label_map.names
        first, *others = np.argsort(-said[at], kind="stable")[:2].tolist()
        label = names[first]
        parts = [f"{names[place]} {said[at, place]:.2f}" for place in (first, *others)]
        parts = [f"the model says {' or '.join(parts)}"]
    elif unsure is not None:
        parts = [f"the model is uncertain: {unsure:.2f} of 1"]
    if rule == "typical":
        parts.append("typical of videos of which none is labelled")
    if distance is None:
        parts.append("nothing is labelled yet")
    else:
        parts.append(f"{distance:.2f} from the nearest that is labelled or stands above")
    return Suggestion(paths[at], rank, choice.score, unsure, label, distance, "; ".join(parts))
