"""A clock that is set anew on the way through a file goes on where it was: pure arithmetic on decoding times."""

from collections.abc import Sequence
from dataclasses import dataclass

_Piece = list[tuple[int, int]]  # packets on one clock: place, time of decoding

JUMP_S = 10.0
"""A longer step forward is a new clock, where the container allows one."""
STRAY = 16
"""Packets: as many frames may H.264 and H.265 bring in order; a new clock lasts longer."""


@dataclass(frozen=True)
class Stamp:
    """What one packet says: when it is shown and when decoded, in the stream's units, None where it does not.

    ``is_shown`` is false where an edit list says that the frame is only there for others.
    """

    pts: int | None
    dts: int | None
    is_shown: bool = True


@dataclass(frozen=True)
class Unrolled:
    """The times of packets on one clock that never steps back.

    Attributes:
        shown, stored: presentation and decoding time of each packet, None where it has none or a wrong one.
        restarts: how often the clock was set anew.
    """

    shown: Sequence[float | None]
    stored: Sequence[float | None]
    restarts: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the report should know."""
        return (restart_note(self.restarts),) if self.restarts else ()


def unrolled(stamps: Sequence[Stamp], *, step: float, limit: float) -> Unrolled:
    """Let the clock of a file go on where it is set anew.

    Decoding times never step back within one clock, so each step back, and each step forward by more than ``limit``,
    begins a new one. It begins one ``step`` after the last packet of the clock before. A few packets that leave a
    clock which then goes on have no time.

    Args:
        stamps: all packets in the order of storage.
        step: usual length of a frame, in the stream's units.
        limit: longest step forward, in the stream's units.
    """
    known = [(place, stamp.dts) for place, stamp in enumerate(stamps) if stamp.dts is not None]
    pieces, strays = _without_strays(_pieces(known, step=step, limit=limit), limit=limit)
    offsets = [0.0] * len(stamps)
    offset = 0.0
    for number, piece in enumerate(pieces):
        if number:
            offset += pieces[number - 1][-1][1] + step - piece[0][1]
        end = pieces[number + 1][0][0] if number + 1 < len(pieces) else len(stamps)
        for place in range(piece[0][0], end):
            offsets[place] = offset
    places = range(len(stamps))
    return Unrolled(
        [_moved(stamps[place].pts, offsets[place], place in strays) for place in places],
        [_moved(stamps[place].dts, offsets[place], place in strays) for place in places],
        max(len(pieces) - 1, 0),
    )


def restart_note(count: int) -> str:
    """What a reader of the report should know."""
    return f"its clock is set anew {count} times (a step back, or of over {JUMP_S:g} s); it goes on without a gap"


def _pieces(known: Sequence[tuple[int, int]], *, step: float, limit: float) -> list[_Piece]:
    """Cut where the clock is set anew, and where it may go on after a few wrong times."""
    pieces: list[_Piece] = [list(known[:1])] if known else []
    for place, time in known[1:]:
        latest = pieces[-1][-1][1]
        end_before = pieces[-2][-1][1] if len(pieces) > 1 else latest
        returns = latest < end_before < time and time - latest > 2 * step and len(pieces[-1]) <= STRAY
        if not 0 <= time - latest <= limit or returns:
            if time < latest and (strays := _ran_ahead(pieces[-1], time, step=step)):
                pieces.append(pieces[-1][-strays:])
                del pieces[-2][-strays:]
            pieces.append([])
        pieces[-1].append((place, time))
    return pieces


def _ran_ahead(piece: _Piece, time: int, *, step: float) -> int:
    """How many packets at the end of a piece left its clock by a step forward, where ``time`` follows without them."""
    for count in range(1, min(STRAY, len(piece) - 1) + 1):
        kept, stray = piece[-count - 1][1], piece[-count][1]
        if stray - kept > 2 * step and kept < time <= kept + (count + 2) * step:
            return count
    return 0


def _without_strays(pieces: Sequence[_Piece], *, limit: float) -> tuple[list[_Piece], set[int]]:
    """Take out short pieces after which the clock before goes on, and say which packets these were."""
    joined: list[_Piece] = []
    strays: set[int] = set()
    for piece in pieces:
        if len(joined) > 1 and len(joined[-1]) <= STRAY:
            ahead = piece[0][1] - joined[-2][-1][1]
            if 0 < ahead <= limit:
                strays |= {place for place, _ in joined.pop()}
                joined[-1].extend(piece)
                continue
        joined.append(list(piece))
    return joined, strays


def _moved(time: int | None, offset: float, stray: bool) -> float | None:
    return None if time is None or stray else time + offset
