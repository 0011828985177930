"""Templates to one file: styles, script and images are in it, names are escaped, and its size is bounded."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from vidrnn.atomic import write_atomically
from vidrnn.names import CONSOLE_ERRORS
from vidrnn.reporting.views import LONGEST_NAME, LONGEST_PATH, shortened
from vidrnn.settings.outputs import refuse_foreign
from vidrnn.stages import stage
from vidrnn.version import __version__

LARGEST_PAGE = 15_000_000
"""Bytes."""
ROOM_FOR_IMAGES = 9_000_000
"""Bytes that filmstrips may take."""
_MARK = "@filmstrips@"
_GENERATOR = "vidrnn report"
_BEGINNING = 2000  # bytes of a page that hold its first lines


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("vidrnn.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    filters: dict[str, Callable[..., object]] = {
        "name": lambda text: shortened(str(text), LONGEST_NAME),
        "path": lambda text: shortened(str(text), LONGEST_PATH),
        "per_cent": lambda share: f"{100 * share:.0f} %",
        "place": _place,
        "three": lambda value: "–" if value is None else f"{value:.3f}",
        "code": _with_code,
    }
    environment.filters |= filters
    environment.globals |= {"version": __version__, "mark": _MARK, "generator": _GENERATOR}
    return environment


def _place(share: float) -> str:
    return f"{100 * min(max(share, 0.0), 1.0):.2f}%"


def _with_code(text: str) -> Markup:
    """A sentence in which what stands between backticks is code; all of it escaped."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  escaped before


def render(template: str, context: Mapping[str, Any]) -> str:
    """The page without its filmstrips."""
    return _environment().get_template(template).render(context)


def refuse_other_page(path: Path) -> None:
    """Refuse to replace a file that is no report, before any work is done. Raises ConfigError, OSError."""
    if not path.exists():
        return
    beginning = b""
    if path.is_file():
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
    is_ours = f'<meta name="generator" content="{_GENERATOR}">'.encode() in beginning
    refuse_foreign(path, is_ours=is_ours, what="no report of this version")


@stage("write the page")
def write_page(path: Path, page: str, images: Sequence[str]) -> tuple[int, int]:
    """Put the filmstrips into a page and write it; those that no longer fit are left out, the last first.

    Where the page is a link, the file that it names is written.

    Returns:
        Its size in bytes, and how many filmstrips it holds.

    Raises:
        OSError: it cannot be written.
    """
    # Names are escaped where they are shortened; a byte elsewhere, in a message, is shown as in the terminal.
    before, _, after = page.encode(errors=CONSOLE_ERRORS).decode().rpartition(_MARK)
    room = LARGEST_PAGE - len(before.encode()) - len(after.encode()) - 2
    kept = []
    for image in images:
        room -= len(image) + 4
        if room < 0:
            break
        kept.append(image)
    content = f"{before}{json.dumps(kept)}{after}".encode()
    write_atomically(path.resolve(), content)
    return len(content), len(kept)
