"""Which files a change of the reading concerns: whether features that an earlier version made would differ today.

Each rule asks what can be known without decoding a picture. A rule that is in doubt says that features may differ; they
are then made anew, which costs time and nothing else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from vidrnn.frames.fitting import Drawing, indices_of
from vidrnn.frames.rendering import RowRendering
from vidrnn.store.video_features import VideoFeatures
from vidrnn.video.header import Header, read_header
from vidrnn.video.pictures import is_still
from vidrnn.video.probe import Video, probe
from vidrnn.video.tiff import needs_pillow

_SAME_TIME_S = 1e-6
# FFmpeg's names of containers that hold no presentation times: there frames were always told apart by counting them.
_WITHOUT_TIMES = frozenset({"avi", "av1", "h261", "h263", "h264", "hevc", "m4v", "mjpeg", "mpegvideo", "obu", "vc1"})


class _Look:
    """A video as this version of the reading sees it, and what an earlier one made of it; looked at where asked."""

    def __init__(self, made: VideoFeatures, source: Path, drawing: Drawing, on_progress: Callable[[], None]) -> None:
        self.made, self.drawing = made, drawing
        self._source, self._on_progress = source, on_progress

    @cached_property
    def header(self) -> Header | None:
        """None for pictures, each of which is a file of its own."""
        return None if self._source.is_dir() or is_still(self._source) else read_header(self._source)

    @cached_property
    def video(self) -> Video:
        sampling = self.drawing.sampling
        return probe(
            self._source,
            frame_rate=sampling.frame_rate,
            frame_template=sampling.frame_template,
            on_progress=self._on_progress,
        )


@dataclass(frozen=True)
class _Rule:
    """A change of the reading.

    Attributes:
        version: the first that reads in the new way.
        concerns: whether a video may give other features.
        text: what changed, for people.
    """

    version: int
    concerns: Callable[[_Look], bool]
    text: str


def _is_not_square(look: _Look) -> bool:
    """Features before took all pixels as square, which matters where things keep their proportions."""
    keeps_proportions = look.drawing.preprocessing.square != "warp"
    return keeps_proportions and look.header is not None and look.header.pixel_aspect != 1.0


def _is_another_stream(look: _Look) -> bool:
    """The first stream was the video."""
    return look.header is not None and not look.header.is_first_stream


def _guesses_matrix(look: _Look) -> bool:
    """All untagged colours were BT.601."""
    return look.header is not None and look.header.guesses_matrix


def _needed_pillow(look: _Look) -> bool:
    """FFmpeg read every TIFF, and gave some of them black."""
    if look.header is not None or look.video.codec != "tiff":
        return False
    return any(map(needs_pillow, look.video.pictures or ()))


def _has_other_times(look: _Look) -> bool:
    """Times were the sorted ones of the packets, wherever these were all there and all different.

    Where they still count and give the same steps, each step is the same frame.
    """
    if look.header is None:  # pictures are counted by their names
        return False
    video, made = look.video, look.made
    if video.pts is None and video.container not in _WITHOUT_TIMES:
        return True
    facts = made.metadata
    if video.num_frames != facts.num_frames or abs(video.duration_s - facts.duration_s) > _SAME_TIME_S:
        return True
    if isinstance(look.drawing.preprocessing.rendering, RowRendering):  # steps are rows of one frame
        return False
    wanted = video.timestamps_s[indices_of(video, look.drawing)]
    if len(wanted) == len(made.timestamps_s):
        return bool((np.abs(wanted - made.timestamps_s) > _SAME_TIME_S).any())
    # Frames without a picture of their own are not there; in their place stands the frame before, once.
    places = np.searchsorted(video.timestamps_s, made.timestamps_s - _SAME_TIME_S)
    times = video.timestamps_s[np.minimum(places, video.num_frames - 1)]
    return len(made.timestamps_s) > len(wanted) or bool((np.abs(times - made.timestamps_s) > _SAME_TIME_S).any())


def _is_limited_grey(look: _Look) -> bool:
    """Grey of 16 to 235 was taken as it lay."""
    return look.header is not None and look.header.is_limited_grey


def _swallowed_a_file(look: _Look) -> bool:
    """The second of two NUT files joined byte for byte was read as one frame of the first."""
    return look.header is not None and look.header.container == "nut" and _has_other_times(look)


RULES: Sequence[_Rule] = (  # those that read more come last
    _Rule(2, _is_limited_grey, "grey in limited range"),
    _Rule(2, _swallowed_a_file, "joined NUT files"),
    _Rule(1, _is_not_square, "pixels that are not square"),
    _Rule(1, _is_another_stream, "another of several video streams"),
    _Rule(1, _guesses_matrix, "HD colours that name no matrix"),
    _Rule(1, _needed_pillow, "a TIFF that FFmpeg cannot read"),
    _Rule(1, _has_other_times, "times of frames"),
)


def change_since(
    made: VideoFeatures, source: Path, drawing: Drawing, *, on_progress: Callable[[], None] = lambda: None
) -> str | None:
    """What makes features of pictures differ from what an earlier version of the reading made; None where nothing does.

    Args:
        made: the features, with or without their values.
        source: the video that they were made of, unchanged since.
        drawing: what is drawn of it.
        on_progress: called for each packet.

    Raises:
        VideoError: the video cannot be read any more. OSError.
    """
    look = _Look(made, source, drawing, on_progress)
    rules = (rule for rule in RULES if rule.version > made.reader)
    return next((rule.text for rule in rules if rule.concerns(look)), None)
