"""What becomes of each file of a folder of odd videos, as the table of docs/odd_files.md.

    python -m benchmarks.odd_files FOLDER

Every frame of every file is asked for. The last line is JSON.
"""

from pathlib import Path

import numpy as np

from benchmarks.common import make_parser, print_json
from vidrnn.errors import VideoError
from vidrnn.video.decode import decode
from vidrnn.video.probe import probe

WHAT = {
    "animated.gif": "moving GIF",
    "av1_video.mkv": "AV1",
    "corrupted.mp4": "H.264, damaged in the middle",
    "discard_first_keyframe.mp4": "an edit list hides the first five frames; the header counts them",
    "frame_exceeds_screen.gif": "GIF whose frame is larger than its picture",
    "gradient.webp": "WebP, one picture",
    "h264_10bits.mp4": "H.264 with ten bits per colour",
    "h265_video.mp4": "H.265",
    "nasa_13013_rotated.mp4": "turned by 90 degrees (display matrix)",
    "sine_stereo_mp2.mpg": "MPEG-1 with sound that starts before the pictures",
    "test_non_zero_start.mp4": "times do not start at zero",
    "testsrc2_odd_height_and_width_mpeg2.mp4": "MPEG-2 of odd width and height",
    "testsrc2_vp9.webm": "VP9",
    "video_90.mov": "turned by 90 degrees, three frames",
}


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("folder", type=Path)
    files = sorted(parser.parse_args().folder.iterdir())
    outcomes = {path.name: outcome(path) for path in files}
    print("| file | what it is | what happens |")
    print("|---|---|---|")
    for name, text in outcomes.items():
        print(f"| `{name}` | {WHAT.get(name, '')} | {text} |")
    failed = sum(text.startswith("fails: ") for text in outcomes.values())
    print_json({"files": len(outcomes), "failed": failed})


def outcome(path: Path) -> str:
    """One cell: how many frames of which size at which times, or the failure in its own words."""
    try:
        video = probe(path)
        frames = list(decode(video, np.arange(video.num_frames)))
    except VideoError as error:
        return f"fails: {error}"
    height, width, _ = frames[0].rgb.shape
    span = f"{frames[0].timestamp_s:.2f} to {frames[-1].timestamp_s:.2f} s"
    notes = "".join(f"; note: {note}" for note in video.notes)
    count = f"{len(frames)} frame{'s' if len(frames) > 1 else ''}"
    return f"features of {count}, {width}x{height}, {span}{notes}"


if __name__ == "__main__":
    main()
