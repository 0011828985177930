"""Which packets have to be decoded for the wanted frames: pure arithmetic on the index of a video's packets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidrnn.video.packets import Integers, PacketIndex

# Both from benchmarks/sparse_decoding.py: emptying the decoder takes a fraction of the time of one frame.
_FRESH_START = 0.05  # what it costs to start the decoder again, in packets
_WORTH_WHILE = 0.1  # least share of the packets to save; below it, decoding all is as fast and relies on less


@dataclass(frozen=True)
class Run:
    """Packets that are decoded without a break by a decoder that starts afresh.

    Attributes:
        send: (K,) strictly increasing positions of packets in the index: all that the wanted frames need.
        wanted: presentation times of the frames to take, increasing; none where the decoder shall only see the packet.
    """

    send: Integers
    wanted: tuple[int, ...]


def plan(index: PacketIndex, wanted: Sequence[int]) -> tuple[Run, ...] | None:
    """Cut the wanted frames into runs, each from the last entry before its first frame.

    A run goes on through later entries as long as a fresh start costs more than the packets that it would save.

    Args:
        index: the video's packets.
        wanted: strictly increasing presentation times.

    Returns:
        Runs in order; None when a wanted time is no packet's, or when little is saved over decoding from the start.
    """
    places = _places(index, wanted)
    if places is None:
        return None
    needed_before = np.concatenate([[0], np.cumsum(~index.droppable)])
    runs: list[Run] = []
    first, members, end = 0, list[int](), 0
    for start, place in zip(_starts(index, wanted), places, strict=True):
        saved = needed_before[start] - needed_before[end] if start > end else 0
        if saved > _FRESH_START:
            # Encoders write what concerns the whole video into the first packet, and only there.
            runs.append(_run(index, first, members) if members else Run(np.zeros(1, np.int64), ()))
            first, members = start, []
        members.append(place)
        end = max(end, place + 1)
    runs.append(_run(index, first, members))
    sent = sum(len(run.send) for run in runs)
    return tuple(runs) if sent <= (1 - _WORTH_WHILE) * end else None


def run_for(index: PacketIndex, wanted: Sequence[int]) -> Run | None:
    """The packets that some neighbouring frames need, in one run from the last entry before the first of them.

    Args:
        index: the video's packets.
        wanted: strictly increasing presentation times, at least one.

    Returns:
        None when a wanted time is no packet's.
    """
    places = _places(index, wanted)
    return None if places is None else _run(index, _starts(index, wanted[:1])[0], places)


def _places(index: PacketIndex, wanted: Sequence[int]) -> list[int] | None:
    """Position in the index of the packet of each wanted time; None when one has none."""
    shown = np.flatnonzero(index.shown)
    in_order = shown[np.argsort(index.pts[shown], kind="stable")]
    times = index.pts[in_order]
    found = np.searchsorted(times, wanted)
    if not len(wanted) or found[-1] >= len(times) or bool((times[found] != wanted).any()):
        return None
    return [int(place) for place in in_order[found]]


def _starts(index: PacketIndex, wanted: Sequence[int]) -> list[int]:
    """The last entry at or before each wanted time; the first packet where no entry is as early."""
    entries = np.flatnonzero(index.entry)  # their times increase, see `packets._separates`
    earlier = np.searchsorted(index.pts[entries], wanted, side="right")
    return [int(start) for start in np.concatenate([[0], entries])[earlier]]


def _run(index: PacketIndex, first: int, places: Sequence[int]) -> Run:
    positions = np.arange(first, max(places) + 1)
    send = ~index.droppable[positions]
    if first > 0:  # what leads up to the entry needs packets before it, and is not wanted
        send &= index.pts[positions] >= index.pts[first]
    send[np.asarray(places) - first] = True
    return Run(positions[send], tuple(int(time) for time in index.pts[list(places)]))
