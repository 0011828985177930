"""Features of new videos are made as in the training: what is set here, and what is refused."""

from collections.abc import Mapping
from dataclasses import replace

from vidrnn.device import choose_device
from vidrnn.errors import ModelFileError
from vidrnn.models.model_file import TrainedModel
from vidrnn.settings.base import SettingsT, validate
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import SHORT_FLOATS, FeatureSettings
from vidrnn.settings.streams import BACKBONE_STREAMS, Stream, in_order
from vidrnn.store.spec import FeatureSpec

Changes = Mapping[str, str | float | None]
"""Keys of a section of settings to values that differ from the training; None leaves a key as it was."""


def shown_streams(model: TrainedModel) -> tuple[Stream, ...]:
    """What a model is shown of a video, in canonical order."""
    return tuple(in_order(model.settings.inference.streams or [spec.stream for spec in model.specs]))


def extraction_for(model: TrainedModel, changes: Changes) -> ExtractionSettings:
    """Where and how fast features of new videos are made: as in the training, but for the changes.

    Raises:
        ConfigError: a changed value is not allowed.
    """
    return _changed(model.settings.extraction, changes)


def features_for(model: TrainedModel, changes: Changes, *, device: str) -> FeatureSettings:
    """The feature settings of what a model is shown of new videos, whatever its specs are called.

    Args:
        model: holds the settings of its training.
        changes: keys that differ here, such as the place of the weights.
        device: where the backbone runs.

    Raises:
        ConfigError: a changed value is not allowed, or there is no such device.
    """
    settings = _changed(model.settings.features, changes)
    precision = _arithmetic_of(model, device=device) or settings.precision
    both = settings.mirrored and model.settings.inference.views == "both"
    streams = shown_streams(model)
    here = {"streams": streams, "mirrored": both, "spec_digest": None, "precision": precision}
    return settings.model_copy(update=here)


def _changed(settings: SettingsT, changes: Changes) -> SettingsT:
    given = {key: value for key, value in changes.items() if value is not None}
    return validate(type(settings), settings.model_dump(mode="json") | given, origin="options")


def _arithmetic_of(model: TrainedModel, *, device: str) -> str | None:
    """The precision of the features that the model learned from; float32 for a short float on a CPU, slow in those.

    What ``auto`` means depends on the machine. None when no stream of the model goes through the network.
    """
    through_network = [spec for spec in model.specs if spec.stream in BACKBONE_STREAMS]
    if not through_network:
        return None
    precision = through_network[0].precision.split("/", maxsplit=1)[0]
    return "float32" if precision in SHORT_FLOATS and choose_device(device).type == "cpu" else precision


def refuse_other(here: FeatureSpec, wanted: FeatureSpec) -> None:
    """Raise ModelFileError when a model takes other features than are computed here.

    A model that learned from short floats of a GPU also takes features in float32, which are more exact.
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
