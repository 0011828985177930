"""Small clips in many codecs and containers, and what a seed does to their bytes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.media import pictures, write_clip

CLIPS: dict[str, tuple[str, dict[str, str]]] = {
    "h264.mp4": ("libx264", {"g": "8", "bf": "2"}),
    "hevc.mp4": ("libx265", {"g": "8", "x265-params": "log-level=none:pools=1"}),
    "mpeg4.mp4": ("mpeg4", {"g": "8", "bf": "2"}),
    "jpeg.mov": ("mjpeg", {"pix_fmt": "yuvj420p"}),
    "mpeg4.avi": ("mpeg4", {"g": "8"}),
    "b_frames.avi": ("mpeg4", {"g": "8", "bf": "2"}),
    "jpeg.avi": ("mjpeg", {"pix_fmt": "yuvj420p"}),
    "raw.avi": ("rawvideo", {"pix_fmt": "yuv420p"}),
    "h264.mkv": ("libx264", {"g": "8", "bf": "2"}),
    "mpeg2.mkv": ("mpeg2video", {"g": "8", "bf": "2"}),
    "ffv1.mkv": ("ffv1", {}),
    "vp8.webm": ("libvpx", {"g": "8", "deadline": "realtime", "cpu-used": "8"}),
    "vp9.webm": ("libvpx-vp9", {"g": "8", "deadline": "realtime", "cpu-used": "8"}),
    "av1.webm": ("libsvtav1", {"g": "8", "preset": "12"}),
    "h264.ts": ("libx264", {"g": "8", "bf": "2"}),
    "mpeg2.mpg": ("mpeg2video", {"g": "8", "bf": "2"}),
    "palette.gif": ("gif", {"pix_fmt": "rgb8"}),
}
_EXTREMES = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
# Where sizes, counts and times stand: before (MP4) or behind (AVI, Matroska) these names.
_NAMES = (
    *(b"ftyp moov mvhd trak tkhd edts elst mdia mdhd hdlr minf stbl stsd stts ctts stss stsc stsz stco mdat".split()),
    *(b"avc1 avcC hvc1 hvcC esds jpeg colr".split()),
    *(b"RIFF LIST hdrl avih strl strh strf movi idx1 00dc".split()),
    *map(bytes.fromhex, ("1a45dfa3", "18538067", "1549a966", "1654ae6b", "1f43b675", "1c53bb6b", "114d9b74")),
    *map(bytes.fromhex, ("2ad7b1", "4489", "23e383", "63a2", "55b0", "ae", "e0", "e7", "a3", "a0", "b0", "ba", "bb")),
)

Change = Callable[[bytearray, np.random.Generator], None]


def write_clips(folder: Path) -> list[Path]:
    """Write the undamaged clips: 16 frames of 64x48 (x265 writes beyond its memory when pictures are smaller)."""
    images = pictures(16, width=64, height=48)
    return [write_clip(folder / name, images, codec=codec, **options) for name, (codec, options) in CLIPS.items()]


def mutate(clips: list[Path], seed: int) -> tuple[Path, str, bytes]:
    """What a seed makes of one of the clips.

    Returns:
        The clip, the names of the changes, and the bytes.
    """
    rng = np.random.default_rng(seed)
    clip = clips[seed % len(clips)]
    data = bytearray(clip.read_bytes())
    names: list[str] = []
    for _ in range(int(rng.integers(1, 4))):
        if rng.random() < 0.1:
            other = clips[int(rng.integers(len(clips)))].read_bytes()
            cut = int(rng.integers(1, 1 + min(len(other), 600)))
            data[: cut if rng.random() < 0.5 else 0] = other[:cut]
            names.append("foreign_head")
        change = _CHANGES[int(rng.integers(len(_CHANGES)))]
        change(data, rng)
        names.append(change.__name__.strip("_"))
    return clip, "+".join(names), bytes(data)


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """A position, half of the time near the start, where headers are (or near the end: MP4's index)."""
    if len(data) < 2:
        return 0
    near = int(rng.integers(min(len(data), 1500)))
    return int(rng.choice([near, len(data) - 1 - near, int(rng.integers(len(data))), int(rng.integers(len(data)))]))


def _bits(data: bytearray, rng: np.random.Generator) -> None:
    for _ in range(int(rng.choice([1, 2, 8, 64]))):
        if data:
            data[_place(data, rng)] ^= 1 << int(rng.integers(8))


def _noise(data: bytearray, rng: np.random.Generator) -> None:
    place = _place(data, rng)
    length = min(int(rng.choice([1, 4, 32, 400])), len(data) - place)
    data[place : place + length] = rng.bytes(length)


def _zeros(data: bytearray, rng: np.random.Generator) -> None:
    place = _place(data, rng)
    length = min(int(rng.choice([4, 32, 400, 2000])), len(data) - place)
    data[place : place + length] = bytes(length)


def _truncation(data: bytearray, rng: np.random.Generator) -> None:
    del data[_place(data, rng) :]


def _loss(data: bytearray, rng: np.random.Generator) -> None:
    place = _place(data, rng)
    del data[place : place + int(rng.choice([1, 7, 64, 1000]))]


def _repetition(data: bytearray, rng: np.random.Generator) -> None:
    place, target = _place(data, rng), _place(data, rng)
    chunk = data[place : place + int(rng.choice([8, 64, 1000, 5000]))]
    data[target:target] = chunk * int(rng.choice([1, 1, 2, 30]))


def _swap(data: bytearray, rng: np.random.Generator) -> None:
    one, two = sorted((_place(data, rng), _place(data, rng)))
    length = min(int(rng.choice([4, 64, 700])), two - one, len(data) - two)
    data[one : one + length], data[two : two + length] = data[two : two + length], data[one : one + length]


def _lie(data: bytearray, rng: np.random.Generator) -> None:
    """Overwrite a number that stands beside a name of the container with an extreme one."""
    present = [name for name in _NAMES if name in data]
    if not present:
        return
    name = present[int(rng.integers(len(present)))]
    places = [place for place in range(len(data)) if data.startswith(name, place)]
    place = places[int(rng.integers(len(places)))]
    width = int(rng.choice([1, 2, 4, 4, 8]))
    offset = int(rng.choice([-4, len(name), len(name), len(name) + 4, len(name) + 4 * int(rng.integers(1, 24))]))
    value = int(rng.choice(_EXTREMES)) if rng.random() < 0.8 else int(rng.integers(1 << 32))
    number = (value % (1 << 8 * width)).to_bytes(width, "big" if rng.random() < 0.7 else "little")
    start = max(place + offset, 0)
    data[start : start + width] = number[: max(len(data) - start, 0)]


_CHANGES: tuple[Change, ...] = (_bits, _noise, _zeros, _truncation, _loss, _repetition, _swap, _lie, _lie, _lie)
