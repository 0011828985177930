"""When frames are shown, where the times in a file cannot be taken as they are: pure arithmetic on a file's clock.

One rule for all files: the decoder knows the order of the frames, and the file knows the times. A clock that was set
anew on the way goes on where it was (`restarts`).
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidrnn.video.restarts import STRAY, Stamp, Unrolled, unrolled

Ticks = npt.NDArray[np.float64]

_STEPS = 10  # a step of as many usual ones is no new clock, however long (one picture a minute)
_LEAST_KNOWN = 0.5  # share of the frames that must have a time of their own


@dataclass(frozen=True)
class Shown:
    """Times of all frames in the order in which they are shown.

    Attributes:
        ticks: (N,) in the stream's units, strictly increasing.
        as_stored: whether each is the very pts of its frame.
        notes: what a reader of the report should know.
    """

    ticks: Ticks
    as_stored: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Output:
    """One frame as the decoder shows it, by the places of packets.

    Attributes:
        source: the packet that it was in.
        released: the packet upon which the decoder gave it out; None behind the last one.
    """

    source: int
    released: int | None


def shown_times(
    stamps: Sequence[Stamp], frames: Sequence[Output], *, step: float, limit: float, made_up: bool = False
) -> Shown | None:
    """Put the times that packets carry to the frames that the decoder shows.

    Args:
        stamps: all packets in the order of storage.
        frames: (N,) all frames in the order in which the decoder shows them.
        step: length of a frame in the stream's units, where the times do not tell.
        limit: a longer step forward is a new clock; infinite where the container does not allow one.
        made_up: the container stores no presentation times.

    Returns:
        None when too few frames have a time.
    """
    if not frames:
        return Shown(np.zeros(0), False, ())
    step = _usual_step(stamps) or step
    limit = max(limit, _STEPS * step)
    plain = Unrolled([stamp.pts for stamp in stamps], [stamp.dts for stamp in stamps], 0)
    clock = unrolled(stamps, step=step, limit=limit)
    is_shown = np.asarray([stamp.is_shown for stamp in stamps], dtype=np.bool_)
    if (found := _whole(plain, is_shown, frames, step=step, limit=limit, made_up=made_up)) is not None:
        return found
    if not made_up and (found := _as_given_out(stamps, frames, step=step, limit=limit)) is not None:
        return found
    if (found := _whole(clock, is_shown, frames, step=step, limit=limit, made_up=made_up)) is not None:
        return found
    shown = _array([clock.shown[frame.source] for frame in frames])
    kept = _rising(shown)
    if kept.sum() < _LEAST_KNOWN * len(frames):
        return None
    lost = len(frames) - int(kept.sum())
    text = f"{lost} frames have no usable time of their own (missing, repeated, or stepping back); set between others"
    return Shown(_filled(shown, kept, step=step), False, (*clock.notes, text))


def _whole(
    clock: Unrolled,
    is_shown: npt.NDArray[np.bool_],
    frames: Sequence[Output],
    *,
    step: float,
    limit: float,
    made_up: bool,
) -> Shown | None:
    """The times of all frames, where a clock tells all of them."""
    shown = _array([clock.shown[frame.source] for frame in frames])
    if not made_up and _increases(shown, limit=limit):
        return Shown(shown, clock.restarts == 0, clock.notes)
    of_storage = _array(clock.stored if made_up else clock.shown)
    if not _increases(of_storage, limit=limit):
        return None
    # Frames that an edit list hides come out too, unseen; so the k-th of the others has the k-th of their times.
    of_shown = of_storage[is_shown]
    hides = len(of_storage) > len(of_shown) == len(frames)
    used = of_shown if hides else _released(of_storage, frames, step=step)
    if not _increases(used, limit=limit):
        return None
    told = (
        () if made_up else ("its times say when frames are decoded (pts = dts); frames are timed in the order shown",)
    )
    return Shown(used, False, (*clock.notes, *told))


def _as_given_out(stamps: Sequence[Stamp], frames: Sequence[Output], *, step: float, limit: float) -> Shown | None:
    """Where the decoder's order tells each new clock, also in containers whose times of decoding are guessed."""
    times = [stamps[frame.source].pts for frame in frames]
    clock = unrolled([Stamp(time, time) for time in times], step=step, limit=limit)
    shown = _array(clock.shown)
    # Times of decoding step back at every other frame, which is no clock that is set anew.
    if clock.restarts * STRAY > len(frames) or not _increases(shown, limit=limit):
        return None
    return Shown(shown, False, clock.notes)


def _released(of_storage: Ticks, frames: Sequence[Output], *, step: float) -> Ticks:
    """The times at which a decoder that reads on time gives the frames out, from the first packet's on.

    A frame is decoded earlier than it is shown, by as many frames as the decoder holds back. Encoders begin with empty
    packets while they wait for what a B-frame lies between: these pass before the first frame comes out. Later empty
    packets stand where nothing was recorded, and each is a gap.
    """
    known = [place for place, frame in enumerate(frames) if frame.released is not None]
    times = _array([None if frame.released is None else of_storage[frame.released] for frame in frames])
    if not known:
        return times
    last = known[-1]
    usual = _median(np.diff(times)) or step
    times[last + 1 :] = times[last] + usual * np.arange(1, len(frames) - last)
    moved: Ticks = times - times[0] + of_storage[min(frame.source for frame in frames)]
    return moved


def _usual_step(stamps: Sequence[Stamp]) -> float:
    """From one packet to the next, 0 when unknown. A header may claim any rate."""
    times = _array([stamp.dts for stamp in stamps])
    return _median(np.diff(times))


def _median(steps: Ticks) -> float:
    forward = steps[steps > 0]
    return float(np.median(forward)) if len(forward) else 0.0


def _array(times: Sequence[float | None]) -> Ticks:
    return np.asarray([np.nan if time is None else time for time in times], dtype=np.float64)


def _increases(times: Ticks, *, limit: float) -> bool:
    steps = np.diff(times)
    return bool(np.isfinite(times).all() and (steps > 0).all() and (steps <= limit).all())


def _rising(times: Ticks) -> npt.NDArray[np.bool_]:
    """(N,) which times to believe: a longest strictly increasing series of them."""
    tails: list[float] = []
    ends: list[int] = []
    before = np.full(len(times), -1)
    for place in np.flatnonzero(np.isfinite(times)):
        length = bisect_left(tails, times[place])
        if tails[length : length + 1] == [times[place]]:  # of two with one time the first has it
            continue
        before[place] = ends[length - 1] if length else -1
        tails[length : length + 1] = [float(times[place])]
        ends[length : length + 1] = [int(place)]
    kept = np.zeros(len(times), dtype=np.bool_)
    latest = ends[-1] if ends else -1
    while latest >= 0:
        kept[latest] = True
        latest = int(before[latest])
    return kept


def _filled(times: Ticks, kept: npt.NDArray[np.bool_], *, step: float) -> Ticks:
    """Frames without a time lie evenly between those that have one, or a step apart before and after all of these."""
    places = np.flatnonzero(kept)
    filled = np.interp(np.arange(len(times)), places, times[places])
    first, last = places[0], places[-1]
    filled[:first] = times[first] - step * np.arange(first, 0, -1)
    filled[last + 1 :] = times[last] + step * np.arange(1, len(times) - last)
    return filled
