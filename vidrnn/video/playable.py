"""Whether a browser plays a video as it is, told from its header: what Chromium, Firefox and Safari all read."""

from pathlib import Path

from vidrnn.video.container import open_video

_EIGHT_BITS = frozenset({"yuv420p", "yuvj420p"})
_MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
_PICTURES = {"mp4": frozenset({"h264", "vp9", "av1"}), "webm": frozenset({"vp8", "vp9", "av1"})}
_SOUNDS = {"mp4": frozenset({"aac", "mp3", "opus", "flac"}), "webm": frozenset({"opus", "vorbis"})}


def media_type(path: Path) -> str | None:
    """``video/mp4`` or ``video/webm`` where browsers play the file as it is; else None.

    Pictures must have 8 bits and colours at half the size, which is what decoders in hardware read.

    Raises:
        VideoError: it is no video that can be opened.
    """
    with open_video(path) as (container, stream):
        kind = _kind(container.format.name, path.suffix.lower())
        if kind is None or stream.codec_context.name not in _PICTURES[kind]:
            return None
        if stream.codec_context.pix_fmt not in _EIGHT_BITS:
            return None
        sounds = {sound.codec_context.name if sound.codec_context else "" for sound in container.streams.audio}
        return f"video/{kind}" if sounds <= _SOUNDS[kind] | {"mp3float"} else None


def fits_an_mp4(path: Path) -> bool:
    """Whether browsers play the pictures once they stand in an MP4: nothing has to be encoded then.

    Raises:
        VideoError: it is no video that can be opened.
    """
    with open_video(path) as (_, stream):
        return stream.codec_context.name in _PICTURES["mp4"] and stream.codec_context.pix_fmt in _EIGHT_BITS


def _kind(container: str, suffix: str) -> str | None:
    if container == _MP4:
        return "mp4"
    return "webm" if suffix == ".webm" and container == "matroska,webm" else None
