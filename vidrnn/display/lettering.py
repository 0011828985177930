"""Text of any script as pixels: shown as it is where the font has its signs, else in Latin letters."""

import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from anyascii import anyascii
from PIL import ImageDraw, features
from PIL.ImageFont import FreeTypeFont, truetype

from vidrnn.errors import ConfigError
from vidrnn.names import quoted, writable

Colour = tuple[int, int, int]
_ELLIPSIS = "…"
_RIGHT_TO_LEFT = {"R", "AL", "AN"}


@dataclass(frozen=True)
class Lettering:
    """A font in the sizes that are asked for.

    Attributes:
        file: a TrueType or OpenType font; None: DejaVu Sans (Latin, Greek, Cyrillic, Arabic, Hebrew, symbols), which
            comes with Matplotlib.
    """

    file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse a file that is no font. Raises ConfigError."""
        if self.file is not None:
            try:
                _load(self.file, 12)
            except OSError as error:
                raise ConfigError(
                    f"--font {quoted(self.file)} cannot be read as a font ({error}); give a .ttf or .otf file"
                ) from error

    def font(self, size: int, *, bold: bool = False) -> FreeTypeFont:
        """The font with letters of about this height in pixels."""
        return _load(self.file or _dejavu(bold=bold), size)

    def readable(self, text: str) -> str:
        """The text with every sign that cannot be drawn right written in Latin letters.

        Scripts that join or turn their letters round (Arabic, Hebrew) need Pillow's Raqm; without it they are written
        in Latin letters too.
        """
        plain = " ".join(unicodedata.normalize("NFC", writable(text)).split())
        return "".join(sign if self._can_draw(sign) else anyascii(sign) for sign in plain) or "?"

    def _can_draw(self, sign: str) -> bool:
        turned = unicodedata.bidirectional(sign) in _RIGHT_TO_LEFT
        return ord(sign) in self._signs and (not turned or bool(features.check("raqm")))

    @cached_property
    def _signs(self) -> frozenset[int]:
        return _signs_of(self.file or _dejavu(bold=False))


def fitted(text: str, font: FreeTypeFont, width: float) -> str:
    """The text, or as much of its beginning as fits, with three dots."""
    if font.getlength(text) <= width:
        return text
    kept = text
    while kept and font.getlength(kept + _ELLIPSIS) > width:
        kept = kept[:-1]
    return kept.rstrip() + _ELLIPSIS if kept else ""


def write(
    draw: ImageDraw.ImageDraw,
    text: str,
    font: FreeTypeFont,
    *,
    left: float,
    middle: float,
    colour: Colour,
    anchor: str = "lm",
) -> None:
    """Draw one line whose middle is at a row, whatever letters it has; ``anchor`` as in Pillow."""
    draw.text((left, middle), text, font=font, fill=colour, anchor=anchor)


@lru_cache
def _load(file: Path, size: int) -> FreeTypeFont:
    return truetype(str(file), size)


@lru_cache
def _dejavu(*, bold: bool) -> Path:
    from matplotlib import get_data_path

    return Path(get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")


@lru_cache
def _signs_of(file: Path) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(file)).get_charmap())
