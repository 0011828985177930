"""What the header of a model file may hold: private names are cut on the way in, values are checked on the way out."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vidrnn.annotations import UNKNOWN
from vidrnn.json_text import parse_json
from vidrnn.models.segment_decoder import SegmentDecoder
from vidrnn.names import is_absolute, last_part
from vidrnn.settings.base import validate
from vidrnn.settings.evaluation import ANSWER_NOTHING
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.run import RunSettings
from vidrnn.store.spec import FeatureSpec

_SPARE_LAYERS = 64  # that hold no weights


def public_config(settings: RunSettings) -> dict[str, Any]:
    """The configuration as it goes into the file: of folders and files outside, only the last part of their names.

    What a spec tells by the name of a folder is kept as a name of its own.
    """
    tree = settings.model_dump(mode="json")
    features = tree["features"]
    for stream in ("text", "external"):
        if features[stream]["folder"] and is_absolute(features[stream]["folder"]):
            features[stream]["name"] = getattr(settings.features, stream).chosen_name
            features[stream]["folder"] = last_part(features[stream]["folder"])
    for section, key in (
        *(("data", key) for key in ("root", "annotations", "classes")),
        ("features", "weights"),
        ("extraction", "store"),
        ("training", "init"),
        ("evaluation", "folds"),
    ):
        tree[section][key] = _shortened(tree[section][key])
    return tree


def public_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics without the folders of videos that were given by absolute paths."""
    return {name: _shortened(value) for name, value in metrics.items()}


def _shortened(value: Any) -> Any:  # noqa: ANN401  what JSON can hold
    if isinstance(value, Mapping):
        return {name: _shortened(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_shortened(part) for part in value]
    return last_part(value) if isinstance(value, str) else value


def parse_header(text: str) -> dict[str, Any]:
    """The header of a file that anybody may have written. Raises ValueError."""
    header = parse_json(text)
    if not isinstance(header, dict):
        raise ValueError(f"its header is no object but {type(header).__name__}")
    return header


def check_counts(header: Mapping[str, Any], num_tensors: int) -> None:
    """Refuse more layers, stages or members than there are weights, before any is built. Raises ValueError."""
    config = header["config"]
    for section, key, most in (
        ("model", "layers", num_tensors + _SPARE_LAYERS),
        ("model", "stages", num_tensors),
        ("training", "members", num_tensors),
    ):
        settings = config.get(section, {}) if isinstance(config, dict) else {}
        value = settings.get(key) if isinstance(settings, dict) else None
        number = len(value) if isinstance(value, list) else value
        if isinstance(number, int) and number > max(most, 1):
            raise ValueError(f"{section}.{key} is {number}, and the file holds {num_tensors} weights")


def label_names(header: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes. Raises KeyError, ValueError."""
    names = header["label_map"]
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise ValueError("label_map is no list of names")
    return tuple(names)


def read_specs(header: Mapping[str, Any]) -> tuple[FeatureSpec, ...]:
    """The specs of all streams; older files have one. Raises KeyError, TypeError, ValueError."""
    others = header.get("specs", [])
    if not isinstance(others, list):
        raise ValueError("specs is no list")
    specs = tuple(FeatureSpec.from_json(json.dumps(fields)) for fields in (header["spec"], *others[1:]))
    for spec in specs:
        if type(spec.dim) is not int or spec.dim < 1 or not all(type(part) is int and part > 0 for part in spec.parts):
            raise ValueError(f"the spec of stream {spec.stream!r} has dim {spec.dim!r} and parts {spec.parts!r}")
        if not (isinstance(spec.preprocessing, dict) and isinstance(spec.sampling, dict)):
            raise ValueError(f"the spec of stream {spec.stream!r} has preprocessing or sampling that is no object")
        if not all(isinstance(name, str) for name in (spec.stream, spec.backbone, spec.node, spec.precision)):
            raise ValueError(f"the spec of stream {spec.stream!r} has a name that is no text")
        if spec.parts and sum(spec.parts) != spec.dim:
            raise ValueError(f"the spec of stream {spec.stream!r} has dim {spec.dim} and parts {spec.parts}")
        validate(FeatureSettings, _as_settings(spec), origin=f"the spec of stream {spec.stream!r}")
    if len({spec.stream for spec in specs}) < len(specs):
        raise ValueError("two of its specs are of one stream")
    return specs


def _as_settings(spec: FeatureSpec) -> dict[str, Any]:
    """What a spec says, as the keys of the section ``features`` that it was made with, whose ranges are checked."""
    seen, sampling = spec.preprocessing, spec.sampling
    if spec.stream == "audio":
        return {"audio": {"rate": sampling.get("rate"), "bands": seen.get("bands")}}
    if spec.stream == "text":
        return {"text": {"source": seen.get("source"), "encoder": spec.backbone}}
    if spec.stream == "external":
        return {"external": {"rate": sampling.get("rate"), "suffix": seen.get("suffix")}}
    kind, rendering = sampling.get("kind"), seen.get("rendering")
    number = {"fps": "rate", "uniform": "count", "every": "stride"}.get(str(kind), "rate")
    drawn = {key: value for key, value in rendering.items() if key != "stream"} if isinstance(rendering, dict) else {}
    size = {"image_size": seen.get("image_size")}
    of_stream = {"rows": size | drawn} if spec.stream == "rows" else size | ({spec.stream: drawn} if drawn else {})
    return {
        "streams": [spec.stream],
        "sampling": kind,
        **{key: value for key, value in sampling.items() if key not in {"kind", number}},
        number: sampling.get(number),
        "square": seen.get("square"),
        "nodes": dict(_node(name) for name in spec.nodes.split(",")),
        "precision": spec.precision.split("/", maxsplit=1)[0],
        **of_stream,
    }


def _node(text: str) -> tuple[str, int]:
    """``name/grid``. Raises ValueError."""
    name, _, grid = text.rpartition("/")
    return name, int(grid)


def answering(header: Mapping[str, Any], settings: RunSettings, names: Sequence[str]) -> dict[str, Any]:
    """What turns outputs into answers; files that are older than some of it lack the key. Raises ValueError."""
    thresholds, unknown_below = header.get("thresholds"), header.get("unknown_below")
    temperature = _number(header.get("temperature", 1.0), "temperature")
    if temperature <= 0:
        raise ValueError(f"temperature {temperature} is not a number above 0")
    segments, num_classes = header.get("segments"), len(names)
    if segments is None and settings.inference.decoding != "argmax":
        raise ValueError("its inference.decoding needs segments, which it does not hold")
    return {
        "thresholds": _thresholds(thresholds, num_classes) if thresholds else None,
        "temperature": temperature,
        "unknown_below": None if unknown_below is None else _unknown_below(unknown_below, settings, names),
        "decoder": None if segments is None else SegmentDecoder.from_header(segments, num_classes=num_classes),
        "clip_s": _clip_length(header.get("clip_s")),
        "trained_on": _identities(header, "trained_on"),
        "chosen_on": _identities(header, "chosen_on"),
    }


def _unknown_below(value: object, settings: RunSettings, names: Sequence[str]) -> float:
    """As `vidrnn.inference.new_videos.with_unknown_below` takes it, or the threshold that no probability reaches."""
    number, head = _number(value, "unknown_below"), settings.model.head
    if not (0.0 <= number <= 1.0 or number == ANSWER_NOTHING):
        raise ValueError(f"unknown_below {number} is no probability, and not {ANSWER_NOTHING}, which answers nothing")
    if head != "label":
        raise ValueError(f"unknown_below {number} needs head 'label', its head is {head!r}")
    if UNKNOWN in names:
        raise ValueError(f"unknown_below {number} answers {UNKNOWN!r}, and one of its classes has that name")
    return number


def mirrored_flow(header: Mapping[str, Any]) -> int:
    """Which version of the mirrored view of flow the model learned from; older files are of the first."""
    version = header.get("mirrored_flow", 1)
    if type(version) is not int:
        raise ValueError(f"mirrored_flow {version!r} is not a whole number")
    return version


def _clip_length(value: object) -> float | None:
    if value is None:
        return None
    seconds = _number(value, "clip_s")
    if seconds <= 0:
        raise ValueError(f"clip_s {seconds} is not a number of seconds above 0")
    return seconds


def _thresholds(values: object, num_classes: int) -> tuple[float, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != num_classes:
        raise ValueError(f"thresholds are not one for each of {num_classes} classes")
    found = tuple(_number(value, "a threshold") for value in values)
    if not all(0.0 <= value <= 1.0 for value in found):
        raise ValueError(f"thresholds lie between {min(found)} and {max(found)}; a probability is wanted")
    return found


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} {value!r} is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} {str(value)[:20]} is not a finite number")
    return number


def _identities(header: Mapping[str, Any], key: str) -> frozenset[str]:
    values = header.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{key} is no list of names")
    return frozenset(values)


def find_weights(settings: RunSettings, beside: Path) -> RunSettings:
    """The settings with the weights file that lies beside the model, where the one that they name is not there."""
    named = settings.features.weights
    if named in {"default", "random"} or Path(named).exists() or not (beside / Path(named).name).is_file():
        return settings
    features = settings.features.model_copy(update={"weights": str(beside / Path(named).name)})
    return settings.model_copy(update={"features": features})
