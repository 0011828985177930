"""Strict, immutable settings read from YAML, with ``--set`` overrides and errors that name the dotted path.

PyYAML follows YAML 1.1, where ``1e-3`` is a string, ``no`` is False and a repeated key silently wins. The loader
here reads numbers and booleans as YAML 1.2 does and refuses repeated keys.
"""

import json
import os
import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from vidrnn.errors import ConfigError, MissingPathError
from vidrnn.names import quoted
from vidrnn.settings.moved import advice


class Settings(BaseModel):
    """Base of every section: frozen, no unknown keys, no silent conversion, no nan or inf."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


SettingsT = TypeVar("SettingsT", bound=Settings)

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_]\w*)(?::-(?P<default>[^}]*))?\}")


def expand_variables(text: str) -> str:
    """Replace ``${NAME}`` and ``${NAME:-default}`` by environment variables, and a leading ``~``.

    Raises:
        ValueError: a variable without default is not set.
    """

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match["name"]) or match["default"]
        if found is None:
            raise ValueError(
                f"environment variable {match['name']!r} is not set; set it or write ${{{match['name']}:-default}}"
            )
        return found

    return str(Path(_VARIABLE.sub(value, text)).expanduser())


def _expand_if_text(value: object) -> object:
    return expand_variables(value) if isinstance(value, str) else value


def _check_device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise ValueError(f"got {name!r}: use 'auto', 'cpu', 'cuda', or 'cuda:1' for the second GPU")
    return name


Device = Annotated[str, AfterValidator(_check_device)]
PathSetting = Annotated[Path, BeforeValidator(_expand_if_text)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[int, Field(ge=1)]


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2 scalars and no repeated keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build a mapping, refusing a key that stands twice."""
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise ConfigError(
                    f"key {key!r} stands twice (line {key_node.start_mark.line + 1}); keep one of the two"
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _yaml_1_2_resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Implicit scalar types of the YAML 1.2 core schema; no dates, no ``yes``/``no``."""
    patterns = [
        ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
        ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
        ("tag:yaml.org,2002:int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
        (
            "tag:yaml.org,2002:float",
            r"^(?:[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan)$",
            list("-+0123456789."),
        ),
    ]
    resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, pattern, first_characters in patterns:
        for character in first_characters:
            resolvers.setdefault(character, []).append((tag, re.compile(pattern)))
    return resolvers


_StrictLoader.yaml_implicit_resolvers = _yaml_1_2_resolvers()


class _StrictDumper(yaml.SafeDumper):
    """SafeDumper that quotes a text which either version of YAML would read as something else."""


_StrictDumper.yaml_implicit_resolvers = {
    character: yaml.SafeDumper.yaml_implicit_resolvers.get(character, [])
    + _StrictLoader.yaml_implicit_resolvers.get(character, [])
    for character in {*yaml.SafeDumper.yaml_implicit_resolvers, *_StrictLoader.yaml_implicit_resolvers}
}


def _parse_yaml(text: str, origin: str) -> Any:  # noqa: ANN401  YAML may hold anything
    try:
        value = yaml.load(text, Loader=_StrictLoader)  # noqa: S506  a SafeLoader: builds plain values only
        return json.loads(json.dumps(value))  # aliases become copies; dates, sets and loops are refused
    except ConfigError as error:
        raise ConfigError(f"{origin}: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: not valid YAML: {error}") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{origin}: only numbers, texts, lists and sections are allowed: {error}") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML file into a plain dict.

    Raises:
        MissingPathError: there is no such file, or it is a folder.
        ConfigError: it is not YAML, not UTF-8, not a mapping, or repeats a key.
    """
    if path.is_dir():
        raise MissingPathError(f"config {quoted(path)} is a folder; give --config a YAML file")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingPathError(f"config {quoted(path)} does not exist; give --config a YAML file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"config {quoted(path)} cannot be read as UTF-8 text: {error}") from error
    tree = _parse_yaml(text, str(path))
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected sections such as 'data:' and 'model:', found {type(tree).__name__}")
    return tree


def _value_of(text: str, origin: str) -> Any:  # noqa: ANN401  YAML may hold anything
    """A value as YAML, else as it stands.

    What cannot be read as YAML, such as ``{name}.mp4``, is a text, which a setting of another kind refuses.
    """
    try:
        yaml.compose(text, Loader=_StrictLoader)
    except yaml.YAMLError:
        return text.strip()
    return _parse_yaml(text, origin)


def apply_overrides(tree: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return a copy of ``tree`` with each ``section.key=value`` set.

    Values are read as YAML, and as texts where that fails.

    Raises:
        ConfigError: an override has no ``=``, no key, or goes through something that is not a section.
    """
    result: dict[str, Any] = json.loads(json.dumps(tree))
    for override in overrides:
        dotted, equals, text = override.partition("=")
        keys = dotted.strip().split(".")
        if not equals or not all(keys):
            raise ConfigError(f"--set {override!r}: expected section.key=value, for example training.seed=1")
        branch = result
        for key in keys[:-1]:
            branch = branch.setdefault(key, {})
            if not isinstance(branch, dict):
                raise ConfigError(f"--set {override!r}: {key!r} is a value, not a section")
        branch[keys[-1]] = _value_of(text, f"--set {override!r}")
    return result


def validate(kind: type[SettingsT], tree: dict[str, Any], *, origin: str = "configuration") -> SettingsT:
    """Check a plain dict against a settings class.

    Raises:
        ConfigError: one line per wrong value, each with its dotted path, the value and what is allowed.
    """
    try:
        # JSON mode keeps strictness (no "3" for 3) and still takes a list for a tuple and a string for a path.
        return kind.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        lines = [_describe(kind, dict(item)) for item in error.errors()]
        raise ConfigError(f"{origin}: " + "; ".join(dict.fromkeys(lines))) from None
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{origin}: {error}") from error


def _describe(kind: type[Settings], item: dict[str, Any]) -> str:
    dotted = ".".join(str(part) for part in item["loc"]) or "(whole configuration)"
    if item["type"] == "extra_forbidden":
        if moved := advice(dotted, item["input"]):
            return moved
        section = kind
        for part in item["loc"][:-1]:
            if part in section.model_fields:  # other parts are keys of a mapping, or say which kind of value
                section = _section_in(section.model_fields[part].annotation) or section
        return f"{dotted}: unknown key; known here: {', '.join(section.model_fields)}"
    if item["type"] == "missing":
        return f"{dotted}: missing, and it has no default"
    if item["type"] == "value_error":  # the message of a check of our own names the value
        return f"{dotted}: {item['msg'].removeprefix('Value error, ')}"
    return f"{dotted}: got {item['input']!r}: {item['msg']}"


def _section_in(annotation: object) -> type[Settings] | None:
    """The settings class that a field holds, itself or as the values of a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _section_in(inner))), None)


def load(kind: type[SettingsT], path: Path, overrides: Sequence[str] = ()) -> SettingsT:
    """Read a YAML file, apply overrides, validate. Raises as the three functions above."""
    return validate(kind, apply_overrides(read_yaml(path), overrides), origin=str(path))


def dump_yaml(settings: Settings) -> str:
    """Return the resolved settings as YAML that `load` reads back to the same settings."""
    return yaml.dump(settings.model_dump(mode="json"), Dumper=_StrictDumper, sort_keys=False, allow_unicode=True)
