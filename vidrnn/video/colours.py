"""What frames and files say of their colours, and what is taken where they say nothing."""

BT709, BT601, UNTAGGED = 1, 6, 2
"""Matrices of ITU-T H.273, table 4; the last stands for one that nothing names."""
LIMITED = 1
"""FFmpeg's AVCOL_RANGE_MPEG: black is 16 and white 235."""


def is_hd(width: int, height: int) -> bool:
    """Whether players take BT.709 for Y'CbCr that names no matrix: the rule of mpv and libplacebo."""
    return width >= 1280 or height > 576


def is_grey(pixel_format: str) -> bool:
    """Whether pixels have no colour, by FFmpeg's name of how they are stored."""
    return pixel_format.startswith("gray")
