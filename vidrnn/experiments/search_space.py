"""What a search may change: settings by their dotted key, each value checked before anything is fitted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from vidrnn.errors import ConfigError
from vidrnn.names import quoted
from vidrnn.settings.base import apply_overrides, validate
from vidrnn.settings.run import RunSettings
from vidrnn.settings.tuning import SearchEntry, SearchRange

_SECTIONS = ("model", "training")  # what works on cached features alone and changes what is fitted
_FIXED = {
    "model.head": "another head answers another question",
    "training.seed": "the best seed of many is luck, not a better model",
    "training.device": "it changes the speed, not the model",
}
Values = Mapping[str, JsonValue]


@dataclass(frozen=True)
class SearchSpace:
    """A checked space that holds the configuration itself.

    Attributes:
        entries: dotted key to its list of values or its range, in the order of the configuration.
        configured: dotted key to the value in the configuration.
        notes: which entries were widened to hold that value.
    """

    entries: Mapping[str, SearchEntry]
    configured: Values
    notes: tuple[str, ...]

    def is_whole(self, key: str) -> bool:
        """Whether a range holds whole numbers only."""
        return isinstance(self.configured[key], int)


def with_values(settings: RunSettings, values: Values, *, origin: str) -> RunSettings:
    """The configuration with some settings replaced.

    Args:
        settings: the configuration.
        values: dotted key to value.
        origin: where the values come from, for the error.

    Raises:
        ConfigError: names each setting that does not take its value.
    """
    overrides = [f"{key}={json.dumps(value)}" for key, value in values.items()]  # JSON is YAML
    return validate(RunSettings, apply_overrides(settings.model_dump(mode="json"), overrides), origin=origin)


def search_space(settings: RunSettings) -> SearchSpace:
    """Check ``tuning.space`` value by value, and widen it where the configuration's own value lies outside.

    The configuration is the first trial, so that a search cannot end worse than it began. The sampler learns from a
    trial only when all its values are inside the space.

    Raises:
        ConfigError: a key that names no setting of the model or the training; a value that the setting does not take; a
            range for a setting without numbers; or a range that cannot be widened to the configured value.
    """
    entries: dict[str, SearchEntry] = {}
    configured: dict[str, JsonValue] = {}
    notes: list[str] = []
    for key, entry in settings.tuning.space.items():
        configured[key] = value = _configured_value(settings, key)
        if isinstance(entry, SearchRange):
            _check_range(settings, key, entry, value)
            entries[key] = _widened(key, entry, value)
            inside = entries[key] == entry
        else:
            choices = [_as_resolved(settings, key, choice) for choice in entry]
            entries[key] = tuple(json.loads(text) for text in dict.fromkeys(map(json.dumps, [*choices, value])))
            inside = json.dumps(value) in map(json.dumps, choices)
        if not inside:
            notes.append(f"tuning.space.{key} was widened to the configuration's own value {value!r}")
    return SearchSpace(entries, configured, tuple(notes))


def _configured_value(settings: RunSettings, key: str) -> JsonValue:
    section, _, name = key.partition(".")
    tree = settings.model_dump(mode="json", include=set(_SECTIONS))
    if name not in tree.get(section, {}):
        known = ", ".join(f"{part}.{setting}" for part in _SECTIONS for setting in tree[part])
        raise ConfigError(f"tuning.space: {quoted(key)} cannot be searched; allowed are {known}")
    if key in _FIXED:
        raise ConfigError(f"tuning.space: {quoted(key)} cannot be searched: {_FIXED[key]}; take it out")
    value: JsonValue = tree[section][name]
    return value


def _as_resolved(settings: RunSettings, key: str, value: JsonValue) -> JsonValue:
    """What the configuration would say with this value: 0 is 0.0 where a setting is no whole number."""
    return _configured_value(with_values(settings, {key: value}, origin="tuning.space"), key)


def _check_range(settings: RunSettings, key: str, entry: SearchRange, configured: JsonValue) -> None:
    if isinstance(configured, bool) or not isinstance(configured, int | float):
        raise ConfigError(
            f"tuning.space.{key}: a range needs a number, and the configuration says {configured!r}; give a list of "
            "values"
        )
    for value in (entry.low, entry.high, entry.low + (entry.step or 0.0)):
        whole = isinstance(configured, int) and value.is_integer()
        _as_resolved(settings, key, int(value) if whole else value)


def _widened(key: str, entry: SearchRange, configured: JsonValue) -> SearchRange:
    assert isinstance(configured, int | float)
    if entry.log and configured <= 0:
        raise ConfigError(
            f"tuning.space.{key}: a log range cannot hold the configuration's own value {configured}, which is the "
            f"first trial; set {key} above 0 or leave log out"
        )
    if not entry.on_grid(configured):
        raise ConfigError(
            f"tuning.space.{key}: the configuration's own value {configured}, which is the first trial, is not low "
            f"{entry.low} plus a multiple of step {entry.step}; change {key}, low or step"
        )
    return entry.model_copy(
        update={"low": min(entry.low, float(configured)), "high": max(entry.high, float(configured))}
    )
