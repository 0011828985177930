"""The packets of a video stream, listed without decoding: when each is shown and what decoding may leave out."""

from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidrnn.errors import VideoError
from vidrnn.video.bitstream import Role, role_reader
from vidrnn.video.container import cause_of, longest_step_s, packets_of, refuse_encrypted
from vidrnn.video.h264_fields import FieldPairs

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_WIDEST = 2**52  # beyond this, differences of times are no longer exact as float64; real videos stay below


@dataclass(frozen=True)
class PacketIndex:
    """All packets in the order in which they are stored, one entry of each array per packet.

    Attributes:
        pts: (M,) presentation time in the stream's units.
        size: (M,) bytes.
        shown: (M,) false where an edit list says that the frame is only there for others.
        entry: (M,) decoding may start here: frames shown from this one on need nothing that is stored before.
        droppable: (M,) no other frame needs this one.
        reorder_depth: frames that the decoder holds back to bring them in order.
    """

    pts: Integers
    size: Integers
    shown: Flags
    entry: Flags
    droppable: Flags
    reorder_depth: int

    def __post_init__(self) -> None:
        """One entry per packet in every array."""
        lengths = {len(array) for array in (self.pts, self.size, self.shown, self.entry, self.droppable)}
        assert len(lengths) == 1, lengths

    def __len__(self) -> int:
        return len(self.pts)


@dataclass(frozen=True, slots=True)  # an hour has 100 000 of them
class _Row:
    """One packet; ``role`` is None when nothing is known about it."""

    pts: int
    size: int
    shown: bool
    role: Role | None


@dataclass(frozen=True)
class Listing:
    """What the packets of a stream tell.

    Attributes:
        pts: (N,) the sorted times of all packets that give a frame, None when they cannot be relied on.
        index: None when anything about it is in doubt.
        is_sure: whether the packets tell the times of the frames beyond doubt; otherwise only decoding tells.
        in_fields: whether some frames come in two packets.
        end: where in the file the last of them ends, 0 when not all were read.
        hidden: packets that an edit list hides.
    """

    pts: Integers | None
    index: PacketIndex | None
    is_sure: bool
    in_fields: bool = False
    end: int = 0
    hidden: int = 0


_UNUSABLE = Listing(None, None, is_sure=False)


def list_packets(container: InputContainer, stream: VideoStream, *, on_progress: Callable[[], None]) -> Listing:
    """Read all packets of a stream.

    A packet without a time, or two with the same, say nothing about the order of frames. AVI stores no presentation
    times at all: FFmpeg makes them up, which goes wrong as soon as frames are reordered (B-frames). Times that step
    forward from packet to packet although the decoder reorders may be times of decoding; a clock may be set anew.

    Raises:
        VideoError: the file cannot be read to its end, or is encrypted.
    """
    context = stream.codec_context
    role_of = role_reader(context.codec.canonical_name, context.extradata or b"")
    rows: list[_Row] = []
    empty = end = hidden = 0
    decoded_at: list[int] = []
    fields = FieldPairs()
    try:
        for packet in packets_of(container, stream):
            on_progress()
            end = max(end, (packet.pos or 0) + packet.size)
            refuse_encrypted(packet)
            hidden += packet.is_discard
            if packet.size == 0:
                empty += 1
            elif packet.pts is not None:
                role = role_of(memoryview(packet)) if role_of and not _brings_change(packet, bool(rows)) else None
                second = role is not None and fields.completes(role.field)
                rows.append(_Row(packet.pts, packet.size, not packet.is_discard and not second, role))
                decoded_at += [] if packet.dts is None else [packet.dts]
            elif not packet.is_discard:
                return _UNUSABLE
            else:
                role_of = None
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"cannot be read to its end: {cause_of(error)}; the file is damaged") from error
    pts = sorted(row.pts for row in rows if row.shown)
    made_up = container.format.name == "avi" and context.has_b_frames
    if made_up or len(set(pts)) < len(pts) or (pts and pts[-1] - pts[0] > _WIDEST):
        return replace(_UNUSABLE, end=end)
    # PyAV ends with one empty packet of its own; any other is a sign to the decoder that is not understood here.
    index = _index(rows, reorder_depth=context.reorder_depth) if empty == 1 and not fields.found else None
    limit = longest_step_s(container) / float(stream.time_base or 1)
    as_stored = all(earlier.pts < later.pts for earlier, later in pairwise(rows))
    is_sure = (
        not (as_stored and context.has_b_frames and len(rows) > 1)
        and all(earlier <= later for earlier, later in pairwise(decoded_at))
        and all(later - earlier <= limit for earlier, later in pairwise(pts))
    )
    return Listing(np.asarray(pts, dtype=np.int64), index, is_sure, fields.found, end, hidden)


def _brings_change(packet: "Packet[VideoStream]", later: bool) -> bool:
    """Whether the container hands the decoder more than the picture, which then holds for what follows."""
    kinds = {side_data.data_type for side_data in packet.iter_sidedata()}
    return "palette" in kinds or (later and not kinds.isdisjoint({"new_extradata", "param_change"}))


def _index(rows: Sequence[_Row], *, reorder_depth: int) -> PacketIndex | None:
    """Arrays of what is known of each packet, where all is known and agrees."""
    roles = [row.role for row in rows if row.role is not None]
    if len(roles) < len(rows) or not rows:
        return None
    # The decoder meets the first packet in any case, so what all carry alike is known wherever decoding starts.
    parameters = {role.parameters for role in roles if role.parameters}
    if parameters and parameters != {roles[0].parameters}:
        return None
    pts = np.asarray([row.pts for row in rows], dtype=np.int64)
    if not _kept_in_order(pts, depth=reorder_depth):
        return None
    level = np.asarray([role.level for role in roles])
    droppable = np.asarray([role.droppable for role in roles]) & (level == level.max())
    leading = np.asarray([role.leading for role in roles])
    entry = np.asarray([role.entry for role in roles])
    return PacketIndex(
        pts=pts,
        size=np.asarray([row.size for row in rows], dtype=np.int64),
        shown=np.asarray([row.shown for row in rows]),
        entry=entry & _separates(pts, may_lead=droppable | leading),
        droppable=droppable,
        reorder_depth=reorder_depth,
    )


def _separates(pts: Integers, *, may_lead: Flags) -> Flags:
    """(M,) where all before is shown before, and all after that others need is shown after.

    The bitstream promises this of every entry; a container whose times contradict it is not believed.
    """
    lowest, highest = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    before = np.concatenate([[lowest], np.maximum.accumulate(pts)[:-1]])
    needed = np.where(may_lead, highest, pts)
    after = np.concatenate([np.minimum.accumulate(needed[::-1])[::-1][1:], [highest]])
    return (before < pts) & (pts < after)


def _kept_in_order(pts: Integers, *, depth: int) -> bool:
    """Whether at most ``depth`` frames are stored before and shown after one and the same frame.

    A decoder that holds back fewer shows some too late; FFmpeg drops those, and which depends on where it started.
    """
    earlier: list[int] = []
    for time in pts.tolist():
        if len(earlier) - bisect_right(earlier, time) > depth:
            return False
        insort(earlier, time)
    return True
