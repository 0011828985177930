"""Classes that a mirror turns into others: with ``features.mirrored`` a model would learn that they are the same."""

import re
from collections.abc import Iterable, Iterator

from vidrnn.names import quoted
from vidrnn.preflight.findings import Finding
from vidrnn.settings.run import RunSettings
from vidrnn.settings.streams import PICTURE_STREAMS

# Words that say it by themselves, wherever they stand in a name.
_WORDS = {"left", "right", "leftward", "rightward", "leftwards", "rightwards"}
_WORDS |= {"clockwise", "anticlockwise", "counterclockwise", "ccw"}
# Sides that say it when both are there, of classes that differ in nothing else.
_SIDES = (
    ("left", "right"),
    ("l", "r"),
    ("lhs", "rhs"),
    ("cw", "ccw"),
    ("east", "west"),
    ("links", "rechts"),
    ("gauche", "droite"),
    ("izquierda", "derecha"),
)
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+|\d+")
_SHOWN = 10


def find_mirror_classes(classes: Iterable[str], settings: RunSettings) -> Iterator[Finding]:
    """A warning that names the classes, when videos are shown in a mirror too.

    Args:
        classes: names of all classes.
        settings: ``features.mirrored`` and ``features.streams``.
    """
    if settings.features.mirrored is not True or not PICTURE_STREAMS & set(settings.features.streams):
        return
    tokens = {name: _tokens(name) for name in sorted(set(classes))}
    if found := [
        name for name, words in tokens.items() if _WORDS & set(words) or _has_twin(words, set(tokens.values()))
    ]:
        shown = ", ".join(map(quoted, found[:_SHOWN])) + (f" and {len(found) - _SHOWN} more" if found[_SHOWN:] else "")
        yield Finding(
            "warning",
            "features.mirrored shows every video in a mirror too, where left is right: by their names it may turn "
            f"these classes into others: {shown}; set features.mirrored to false, or to auto, unless they look the "
            "same in a mirror",
        )


def _tokens(name: str) -> tuple[str, ...]:
    """The words of a name: ``turnLeft_2`` is turn, left and 2."""
    return tuple(token.lower() for token in _TOKEN.findall(name))


def _has_twin(tokens: tuple[str, ...], others: set[tuple[str, ...]]) -> bool:
    """Whether another class has the same name but for one side in place of the other.

    Longer words count inside of others too, as in swipeleft and swiperight; of short ones that would be chance.
    """
    for pair in _SIDES:
        for side, other in (pair, pair[::-1]):
            inside = min(map(len, pair)) > 3
            swapped = [token.replace(side, other) if inside else other if token == side else token for token in tokens]
            if tuple(swapped) != tokens and tuple(swapped) in others:
                return True
    return False
