"""Reads one damaged file after the other in a process of its own and says how each ended.

Each line on standard input is a path, the clip that it was made of, and a number that chooses the sampling. Each line
on standard output is a JSON object with the outcome: ``frames``, ``failure`` (a VideoError or OSError, with its words)
or ``fault`` (anything else).
"""

import json
import resource
import sys
import traceback
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import av
import numpy as np

from vidrnn.errors import VideoError
from vidrnn.video.container import open_video
from vidrnn.video.decode import Frame, decode
from vidrnn.video.probe import Video, probe
from vidrnn.video.sampling import Sampling

_MEMORY = 2 << 30  # bytes of address space, some 0.4 GB of which the process takes before the first picture
_SAMPLINGS = (
    Sampling(kind="every", stride=1),
    Sampling(kind="uniform", count=1),
    Sampling(kind="uniform", count=3),
    Sampling(kind="uniform", count=8),
    Sampling(kind="fps", rate=10.0, max_frames=200),
    Sampling(kind="every", stride=7),
)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    for line in sys.stdin:
        path, clip, number = line.rstrip("\n").split("\t")
        try:
            outcome = examine(Path(path), Path(clip), _SAMPLINGS[int(number) % len(_SAMPLINGS)])
        except (VideoError, OSError) as error:
            outcome = {"failure": f"{type(error).__name__}: {error}"}
        except BaseException:  # noqa: BLE001 - whatever it is, it is what is looked for
            outcome = {"fault": traceback.format_exc()}
        print(json.dumps(outcome), flush=True)  # noqa: T201 - the answer to whoever supervises


def examine(path: Path, clip: Path, sampling: Sampling) -> dict[str, object]:
    """Read a file as extraction does, and hold what comes out against the contract."""
    video = probe(path)
    indices = sampling.select(video.timestamps_s)
    assert np.isfinite(video.timestamps_s).all() and (np.diff(video.timestamps_s) > 0).all(), "times of frames"
    assert np.isfinite(video.duration_s) and video.duration_s > 0, f"duration {video.duration_s}"
    assert len(indices) > 0 and (np.diff(indices) > 0).all(), "choice of frames"
    frames, failure = attempt(video, indices)
    times = [frame.timestamp_s for frame in frames]
    assert np.isfinite(times).all() and (np.diff(times) > 0).all(), f"times {times}"
    compare(video, indices, frames, pictures=pictures_of(clip))
    if failure is not None:
        raise failure
    assert len(frames) >= len(indices) / 2, f"{len(frames)} of {len(indices)}"
    return {"frames": len(frames), "notes": video.notes}


def attempt(video: Video, indices: np.ndarray) -> tuple[list[Frame], VideoError | None]:
    frames: list[Frame] = []
    try:
        for frame in decode(video, indices):
            frames.append(frame)  # noqa: PERF402 - those before an error count
    except VideoError as error:
        return frames, error
    return frames, None


def compare(video: Video, indices: np.ndarray, frames: list[Frame], *, pictures: frozenset[bytes]) -> None:
    """Wanted frames that decoding from the start gives undamaged are given as they are.

    Damaged ones are not comparable: where a picture breaks off, FFmpeg shows what the memory held before.
    """
    if video.packets is None or video.pts is None:
        return
    expected = {frame.timestamp_s: frame.rgb for frame in attempt(replace(video, packets=None), indices)[0]}
    found = {frame.timestamp_s: frame.rgb for frame in frames}
    sound = sound_frames(video)
    for time in video.timestamps_s[indices[indices < sound]]:
        if expected[time].tobytes() in pictures:
            assert time in found, f"the frame at {time} is missing"
            assert np.array_equal(found[time], expected[time]), f"another picture than from the start at {time}"


@cache
def pictures_of(clip: Path) -> frozenset[bytes]:
    """All pictures of an undamaged clip."""
    video = probe(clip)
    return frozenset(
        frame.rgb.tobytes() for frame in attempt(replace(video, packets=None), np.arange(video.num_frames))[0]
    )


def sound_frames(video: Video) -> int:
    """How many frames a decoder that stops at every doubt gives, in order and without a gap."""
    count = 0
    with open_video(video.path) as (container, stream):
        stream.codec_context.options = {**stream.codec_context.options, "err_detect": "explode"}
        with suppress(av.FFmpegError):
            for frame in container.decode(stream):
                if frame.is_corrupt or count == video.num_frames or frame.pts != video.pts[count]:
                    break
                count += 1
    return count


if __name__ == "__main__":
    main()
