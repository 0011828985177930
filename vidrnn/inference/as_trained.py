"""Features of new videos are made as those of the training: what is set here, and what is refused."""

from collections.abc import Mapping
from dataclasses import replace

from vidrnn.device import choose_device
from vidrnn.errors import ModelFileError
from vidrnn.models.model_file import TrainedModel
from vidrnn.settings.base import validate
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.streams import BACKBONE_STREAMS, Stream, in_order
from vidrnn.store.spec import FeatureSpec

_SHORT_FLOATS = frozenset({"float16", "bfloat16"})


def shown_streams(model: TrainedModel) -> tuple[Stream, ...]:
    """What a model is shown of a video, in canonical order."""
    return tuple(in_order(model.settings.inference.streams or [spec.stream for spec in model.specs]))


def settings_for(model: TrainedModel, changes: Mapping[str, str | float]) -> FeatureSettings:
    """The feature settings of what a model is shown of new videos, whatever its specs are called.

    Args:
        model: holds the settings of its training.
        changes: keys that differ here, such as the device.

    Raises:
        ConfigError: a changed value is not allowed.
    """
    tree = model.settings.features.model_dump(mode="json") | dict(changes)
    settings = _in_arithmetic_of(model, validate(FeatureSettings, tree, origin="options"))
    both = settings.mirrored and model.settings.inference.views == "both"
    return settings.model_copy(update={"streams": shown_streams(model), "mirrored": both, "spec_digest": None})


def _in_arithmetic_of(model: TrainedModel, settings: FeatureSettings) -> FeatureSettings:
    """The settings with the precision that the model learned from; a CPU, which is slow in short floats, takes float32.

    What ``auto`` is depends on the machine.
    """
    through_network = [spec for spec in model.specs if spec.stream in BACKBONE_STREAMS]
    if not through_network:
        return settings
    precision = through_network[0].precision.split("/", maxsplit=1)[0]
    if precision in _SHORT_FLOATS and choose_device(settings.device).type == "cpu":
        precision = "float32"
    return settings.model_copy(update={"precision": precision})


def refuse_other(here: FeatureSpec, wanted: FeatureSpec) -> None:
    """Raise ModelFileError when features that are computed here are not those that a model takes.

    Features in float32 serve a model that learned from those of a GPU in a short float: they are the more exact ones.
    """
    if here.precision == "float32" and wanted.precision in _SHORT_FLOATS:
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
