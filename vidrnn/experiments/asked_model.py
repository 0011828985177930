"""A trained model as a configuration asks for it: its inference settings, and the stored features that it takes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from vidrnn.annotations import Annotation
from vidrnn.errors import ConfigError, StoreError
from vidrnn.models.model_file import TrainedModel
from vidrnn.sequences.loading import load_sequences
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.run import RunSettings, obstacle_to_decoding
from vidrnn.settings.streams import PICTURE_STREAMS, Stream
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.spec import FeatureSpec


def with_options(model: TrainedModel, settings: RunSettings) -> TrainedModel:
    """The model with the inference settings that the configuration names; the others stay as trained.

    Raises:
        ConfigError: the configuration names a stream that the model does not know, another ``max_risk``, or a decoding
            that the model is not for.
    """
    trained, named = model.settings.inference, settings.inference.model_fields_set
    obeyed = named & {"draws", "views", "average", "decoding", "decoding_weight"}
    changes: dict[str, Any] = {name: getattr(settings.inference, name) for name in obeyed}
    if "max_risk" in named and settings.inference.max_risk != trained.max_risk:
        raise ConfigError(
            f"inference.max_risk {settings.inference.max_risk}: the model was trained with {trained.max_risk}, which "
            "chose its threshold on validation videos; leave it out, or train with it"
        )
    if (streams := settings.inference.streams) is not None:
        known = [spec.stream for spec in model.specs]
        if unknown := set(streams) - set(known):
            raise ConfigError(
                f"inference.streams {', '.join(sorted(unknown))}: the model was trained on {', '.join(known)}; name "
                "some of these"
            )
        changes["streams"] = streams
    inference = trained.model_copy(update=changes)
    if obstacle := obstacle_to_decoding(model.settings.model, inference):
        raise ConfigError(obstacle)
    if inference.decoding != "argmax" and model.decoder is None:
        raise ConfigError(
            f"inference.decoding {inference.decoding!r}: the model file is older and does not know the segments of its "
            "training videos; train again, or set it to argmax"
        )
    return replace(model, settings=model.settings.model_copy(update={"inference": inference}))


def as_evaluated(trained: RunSettings, settings: RunSettings) -> RunSettings:
    """What decided the figures: the model as trained, on the videos and features that were asked for."""
    return trained.model_copy(
        update={"data": settings.data, "extraction": settings.extraction, "evaluation": settings.evaluation}
    )


def load_for(
    annotations: Sequence[Annotation],
    *,
    model: TrainedModel,
    settings: RunSettings,
    device: torch.device,
    streams: Sequence[Stream] | None = None,
) -> SequenceSet:
    """Sequences as the model takes them; the store needs to hold only the ``streams`` that are shown, None for all."""
    shown = [spec for spec in model.specs if streams is None or spec.stream in streams]
    both = [spec for spec in shown if spec.stream in PICTURE_STREAMS and model.settings.features.mirrored]
    return load_sequences(
        annotations,
        [folder_of_model(spec, settings) for spec in shown],
        model.label_map,
        device=device,
        head=model.settings.model.head,
        mirrored=[folder_of_model(spec.mirrored(), settings) for spec in both],
        unseen=[spec for spec in model.specs if spec not in shown],
        causal=not model.settings.model.bidirectional,
    )


def folder_of_model(spec: FeatureSpec, settings: RunSettings) -> FeatureFolder:
    """Where the store holds the features that a model takes. Raises StoreError."""
    folders = FeatureStore(settings.extraction.store).folders()
    for folder in folders:
        if folder.spec.digest == spec.digest:
            return folder
    here = ", ".join(folder.spec.digest for folder in folders) or "none"
    raise StoreError(
        f"the model was trained on features of spec {spec.digest}, the store {settings.extraction.store} "
        f"holds {here}; run `vidrnn extract` with the model's configuration (config.yaml beside it)"
    )
