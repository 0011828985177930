"""TIFF files that FFmpeg gives as black or in wrong colours, without an error: Pillow reads them, by libtiff."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from vidrnn.errors import VideoError
from vidrnn.video.container import MAX_PIXELS

# TIFF 6.0, and the tags of the Library of Congress: what FFmpeg reads as libtiff does (tests/unit/test_pictures.py).
_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 8, 32773, 32946})  # none, fax, LZW, deflate, PackBits
_COLOURS = frozenset({0, 1, 2, 3, 5})  # grey, RGB, palette, CMYK
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
_COMPRESSION, _PHOTOMETRIC, _TILE_WIDTH = 259, 262, 322
_DAMAGE = (OSError, SyntaxError, TypeError, ValueError, KeyError, EOFError)  # what Pillow raises on damaged files


def needs_pillow(path: Path) -> bool:
    """Whether FFmpeg would not give the picture that is in a TIFF file."""
    try:
        with _opened(path) as image:
            tags = image.tag_v2
            return (
                tags.get(_COMPRESSION, 1) not in _COMPRESSIONS
                or tags.get(_PHOTOMETRIC, 1) not in _COLOURS
                or _TILE_WIDTH in tags
            )
    except VideoError:  # FFmpeg says why
        return False


def tiff_size(path: Path) -> tuple[int, int]:
    """Width and height. Raises VideoError."""
    with _opened(path) as image:
        _check_size(image)
        return image.size


def read_tiff(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The first picture of a file, upright: (H, W, 3) uint8. Raises VideoError."""
    with _opened(path) as image:
        _check_size(image)
        if image.mode not in _MODES:
            raise VideoError(f"holds samples of a kind that is not read ({image.mode}); save it with 8 bits per sample")
        try:
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
        except _DAMAGE as error:
            raise VideoError(f"is damaged: {error}") from error


def _opened(path: Path) -> TiffImageFile:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oddities of tags, and sizes, which are looked at below
            image = TiffImageFile(path)
    except (UnidentifiedImageError, Image.DecompressionBombError, *_DAMAGE) as error:
        raise VideoError(f"cannot be opened as TIFF: {error}") from error
    return image


def _check_size(image: TiffImageFile) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise VideoError(f"{image.width}x{image.height}, more than the {MAX_PIXELS} pixels that are decoded")
