"""Keys of earlier versions: refused by name in a configuration, moved in a model file, kept in fingerprints.

Fingerprints leave out what an earlier version did not have.
"""

import json
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel

MOVED = {
    "features.spec": "features.spec_digest",
    "features.store": "extraction.store",
    "features.device": "extraction.device",
    "features.engine": "extraction.engine",
    "features.batch_size": "extraction.batch_size",
    "features.workers": "extraction.workers",
    "features.time_limit_s": "extraction.time_limit_s",
    "features.stall_limit_s": "extraction.stall_limit_s",
    "features.memory_limit_mb": "extraction.memory_limit_mb",
    "model.late": "model.late_weights",
    "inference.jitters": "inference.draws",
}
"""Dotted path of a setting in earlier versions to where it stands now."""

ADDED: dict[str, tuple[str, ...]] = {
    "model": ("attention_window", "stages"),
    "training": ("smoothing_weight", "smoothing_limit", "window_s", "init", "frozen", "tensorboard"),
    "inference": ("decoding", "decoding_weight"),
}
"""Section to the settings that came after the first fingerprints. Fits know nothing of one that has its default."""


def advice(key: str, value: object) -> str | None:
    """What to write in place of a key that has moved; None for a key that never was one.

    Args:
        key: its dotted path.
        value: what it was given.
    """
    return f"{key}: this key has moved; write {MOVED[key]}: {json.dumps(value)}" if key in MOVED else None


def as_first_written(section: str, settings: BaseModel, *, exclude: Collection[str] = ()) -> str:
    """The JSON of a section as an earlier version wrote it: first names, no later key that has its default.

    Fingerprints are made of it, so that a run that an earlier version began goes on.

    Args:
        section: its name, such as ``model``.
        settings: the section.
        exclude: further keys to leave out.
    """
    fields = type(settings).model_fields
    unused = {key for key in ADDED.get(section, ()) if getattr(settings, key) == fields[key].default}
    text = settings.model_dump_json(exclude=unused | set(exclude))
    for old, new in MOVED.items():
        (old_section, key), (new_section, new_key) = old.split("."), new.split(".")
        if section == old_section == new_section:
            text = text.replace(f'"{new_key}":', f'"{key}":')
    return text


def with_moved_keys(tree: Any) -> Any:  # noqa: ANN401  what a file holds may be anything
    """A configuration of an earlier version with every key where it stands now; anything else as it is."""
    if not isinstance(tree, dict):
        return tree
    sections = {name: dict(section) if isinstance(section, dict) else section for name, section in tree.items()}
    for old, new in MOVED.items():
        (section, key), (new_section, new_key) = old.split("."), new.split(".")
        here = sections.get(section)
        if isinstance(here, dict) and key in here:
            there = sections.setdefault(new_section, {})
            if isinstance(there, dict) and new_key not in there:
                there[new_key] = here.pop(key)
    return sections
