"""What decoding only the needed packets saves, and what its parts cost.

Renders a ten-minute H.264 video of 1280x720 (one minute, encoded once and repeated), with a key frame every 250 and
every 50 frames. Decodes it as `vidrnn` does and, for comparison, from the start. The script checks that both ways give
the same pictures.

Run:  OMP_NUM_THREADS=1 python -m benchmarks.sparse_decoding
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from statistics import median

import av
import numpy as np

from benchmarks.common import make_parser, print_json, print_machine, seconds_of
from vidrnn.video.container import open_video
from vidrnn.video.decode import decode
from vidrnn.video.plan import plan
from vidrnn.video.probe import Video, probe
from vidrnn.video.sampling import Sampling

FPS, WIDTH, HEIGHT = 25, 1280, 720
MINUTE = 60 * FPS


@dataclass(frozen=True)
class Comparison:
    """One way of sampling one video: median seconds, and packets that the decoder was sent."""

    video: str
    sampling: str
    frames: int
    sent: int
    sent_plainly: int
    seconds: float
    seconds_plainly: float


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--minutes", type=int, default=10, help="length of the video")
    parser.add_argument("--repeats", type=int, default=3, help="how often each time is taken; the median counts")
    arguments = parser.parse_args()
    uniform = Sampling(kind="uniform", count=8)
    dense = [Sampling(kind="every", stride=stride) for stride in (1, 5, 12)]
    with tempfile.TemporaryDirectory() as folder:
        rows: list[Comparison] = []
        for spacing in (250, 50):
            short = encode_minute(Path(folder) / "short.mp4", spacing=spacing)
            long = repeat(short, Path(folder) / "long.mp4", times=arguments.minutes)
            for path, minutes, sampling in [
                (long, arguments.minutes, uniform),
                *((short, 1, sampling) for sampling in dense),
            ]:
                name = f"{minutes} min, key frame every {spacing}"
                rows.append(compare(path, sampling, name=name, repeats=arguments.repeats))
        costs = part_costs(long)
    report(rows, costs)


def encode_minute(path: Path, *, spacing: int) -> Path:
    """A moving texture with noise, key frames at a fixed spacing."""
    rng = np.random.default_rng(0)
    texture = np.kron(rng.integers(60, 190, (HEIGHT // 8, WIDTH // 4, 3)), np.ones((8, 8, 1), int)).astype(np.uint8)
    noise = rng.integers(0, 12, (HEIGHT, 2 * WIDTH, 3), dtype=np.uint8)
    options = {"preset": "veryfast", "crf": "26", "g": str(spacing), "keyint_min": str(spacing), "sc_threshold": "0"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = WIDTH, HEIGHT, "yuv420p", 1
        for number in range(MINUTE):
            image = np.roll(texture, -3 * number, axis=1)[:, :WIDTH]
            grain = noise[:, rng.integers(WIDTH) :][:, :WIDTH]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image + grain), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def repeat(minute: Path, path: Path, *, times: int) -> Path:
    """Write the packets of a minute one after the other: each starts with a key frame."""
    with av.open(str(minute)) as source, av.open(str(path), "w") as container:
        packets = [packet for packet in source.demux(video=0) if packet.size]
        stream = container.add_stream_from_template(source.streams.video[0])
        for number in range(times):
            for original in packets:
                packet, shift = av.Packet(bytes(original)), int(60 * number / original.time_base)
                packet.pts, packet.dts, packet.time_base = (
                    original.pts + shift,
                    original.dts + shift,
                    original.time_base,
                )
                packet.duration, packet.is_keyframe, packet.stream = original.duration, original.is_keyframe, stream
                container.mux(packet)
    return path


def compare(path: Path, sampling: Sampling, *, name: str, repeats: int) -> Comparison:
    """Decode the same frames both ways, in turn; their pictures must be equal."""
    video = probe(path)
    plainly = replace(video, packets=None)
    indices = sampling.select(video.timestamps_s)
    if len(indices) < 50:
        for one, other in zip(decode(video, indices), decode(plainly, indices), strict=True):
            assert one.timestamp_s == other.timestamp_s and np.array_equal(one.rgb, other.rgb)
    times = [
        (seconds_of(lambda: drain(video, indices)), seconds_of(lambda: drain(plainly, indices))) for _ in range(repeats)
    ]
    last = int(np.flatnonzero(video.packets.pts == video.pts[indices[-1]])[0]) + 1
    runs = plan(video.packets, [int(video.pts[index]) for index in indices])
    return Comparison(
        video=name,
        sampling=f"{sampling.kind} {sampling.count or sampling.stride}",
        frames=len(indices),
        sent=last if runs is None else sum(len(run.send) for run in runs),
        sent_plainly=last,
        seconds=median(first for first, _ in times),
        seconds_plainly=median(second for _, second in times),
    )


def drain(video: Video, indices: Sequence[int]) -> None:
    for _ in decode(video, indices):
        pass


def part_costs(path: Path) -> dict[str, float]:
    """Milliseconds: indexing a packet, decoding a frame, starting afresh, reading a packet, seeking."""
    video = probe(path)
    assert video.packets is not None
    index_ms = 1e3 * median(seconds_of(lambda: probe(path)) for _ in range(3)) / len(video.packets)
    keys = np.flatnonzero(video.packets.entry)
    with open_video(path) as (container, stream):
        context = stream.codec_context
        packets = list(islice(container.demux(stream), 1000))
        going = [seconds_of(lambda packet=packet: context.decode(packet)) for packet in packets]
        context.flush_buffers()
        emptying: list[float] = []
        for number, packet in enumerate(packets):
            if number in keys and number > 0:
                emptying.append(seconds_of(lambda: (context.decode(None), context.flush_buffers())))
            context.decode(packet)
    with open_video(path) as (container, stream):
        read_ms = 1e3 * seconds_of(lambda: list(container.demux(stream))) / len(video.packets)
        times = [int(video.packets.pts[key]) for key in keys[1:50]]
        seeking = [
            seconds_of(lambda time=time: (container.seek(time, stream=stream), next(container.demux(stream))))
            for time in times
        ]
    return {
        "index_packet_ms": round(index_ms, 4),
        "read_packet_ms": round(read_ms, 4),
        "decode_frame_ms": round(1e3 * float(np.mean(going)), 3),
        "empty_decoder_ms": round(1e3 * median(emptying), 3),
        "seek_ms": round(1e3 * median(seeking), 3),
    }


def report(rows: Sequence[Comparison], costs: dict[str, float]) -> None:
    print_machine("vidrnn", "av")
    print("| video | sampling | frames | packets decoded | from the start | ratio | seconds | from the start | ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row.video} | {row.sampling} | {row.frames} | {row.sent} | {row.sent_plainly} | "
            f"{row.sent / row.sent_plainly:.3f} | {row.seconds:.2f} | {row.seconds_plainly:.2f} | "
            f"{row.seconds / row.seconds_plainly:.3f} |"
        )
    figures = {f"ratio {row.video}, {row.sampling}": round(row.seconds / row.seconds_plainly, 3) for row in rows}
    print_json({**figures, **costs}, 4)


if __name__ == "__main__":
    main()
