"""How well does `vidrnn check` tell copies of a clip from other takes of the same action?

    python -m benchmarks.near_copies configs/weizmann_lite0_mingru.yaml [--every 7]

Every seventh clip is copied in nine ways (encoded again, half the size, cut, mirrored, thinned, brighter, cropped), and
all copies are looked for among all clips. The clips themselves are looked for among clips of other groups. The last
line is JSON.
"""

import tempfile
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.common import make_parser, print_json, print_table
from vidrnn.annotations import Annotation, read_annotations
from vidrnn.extraction.extract import extract
from vidrnn.preflight import near_copies
from vidrnn.preflight.motion import Motion, motion_of
from vidrnn.preflight.thumbnails import Thumbnails
from vidrnn.settings.base import load
from vidrnn.settings.run import RunSettings
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.video.decode import decode
from vidrnn.video.probe import probe

Image = npt.NDArray[np.uint8]
Images = list[Image]


def part(first: float, last: float) -> Callable[[Images], Images]:
    return lambda images: images[int(len(images) * first) : int(len(images) * last)]


def mirrored(images: Images) -> Images:
    return [image[:, ::-1] for image in images]


def cropped(image: Image) -> Image:
    height, width = image.shape[:2]
    return image[int(height * 0.08) : int(height * 0.95), int(width * 0.05) : int(width * 0.95)]


# How each kind of copy is made, its frame rate in shares of the original's, and the constant rate factor of H.264.
KINDS: dict[str, tuple[Callable[[Images], Images], float, int]] = {
    "crf40": (lambda images: images, 1.0, 40),
    "half": (
        lambda images: [cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for image in images],
        1.0,
        28,
    ),
    "middle": (part(0.25, 0.8), 1.0, 23),
    "end": (part(0.45, 1.0), 1.0, 30),
    "mirrored": (mirrored, 1.0, 23),
    "mirrored_middle": (lambda images: part(0.2, 0.75)(mirrored(images)), 1.0, 30),
    "every_second_frame": (lambda images: images[::2], 0.5, 25),
    "brighter": (lambda images: [cv2.convertScaleAbs(image, alpha=1.2, beta=10) for image in images], 1.0, 23),
    "cropped": (lambda images: [cropped(image) for image in images], 1.0, 23),
}


def write(path: Path, images: Images, *, rate: Fraction, crf: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = (edge - edge % 2 for edge in images[0].shape[:2])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.options = width, height, "yuv420p", {"crf": str(crf)}
        for image in images:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def make_copies(clips: Sequence[Annotation], root: Path, folder: Path) -> dict[str, tuple[str, str]]:
    """Write all copies; path of each to its kind and the path of what it copies."""
    made = {}
    for clip in clips:
        video = probe(clip.source(root))
        images = [frame.rgb for frame in decode(video, np.arange(video.num_frames))]
        rate = Fraction(1.0 / float(np.median(np.diff(video.timestamps_s)))).limit_denominator(1001)
        for kind, (change, share, crf) in KINDS.items():
            path = f"{kind}/{Path(clip.path).stem}.mp4"
            write(folder / path, change(images), rate=rate * Fraction(share), crf=crf)
            made[path] = kind, clip.path
    return made


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--every", type=int, default=7)
    arguments = parser.parse_args()
    settings = load(RunSettings, arguments.config)
    clips = read_annotations(settings.data)
    near_copies.LEAST = 0.0  # every similarity is wanted, not only those that count
    with tempfile.TemporaryDirectory() as name:
        made = make_copies(clips[:: arguments.every], settings.data.root, Path(name))
        figures = measure(clips, made, settings, Path(name))
    print_table(figures)
    print_json(figures)


def thumbnails(clips: Sequence[Annotation], root: Path, settings: RunSettings, *, store: Path) -> FeatureFolder:
    how = settings.extraction.model_copy(update={"store": store})
    return extract(clips, [Thumbnails(settings.features)], root=root, settings=how, weights="default").folders[0]


def measure(
    clips: Sequence[Annotation],
    made: dict[str, tuple[str, str]],
    settings: RunSettings,
    folder: Path,
) -> dict[str, float]:
    copies = [Annotation(path, "copy", None, "copy") for path in made]
    originals, copied = (
        thumbnails(several, root, settings, store=folder / name)
        for several, root, name in ((clips, settings.data.root, "store"), (copies, folder, "copies"))
    )
    places: list[tuple[FeatureFolder, Annotation]] = [(originals, clip) for clip in clips]
    places += [(copied, copy) for copy in copies]

    @lru_cache(512)
    def read(position: int) -> Motion:
        video = places[position][0].read(places[position][1].path)
        return motion_of(video.features, video.timestamps_s)

    groups = sorted({clip.group for clip in clips})
    others = near_copies.find_near_copies(read, [groups.index(clip.group) for clip in clips])
    figures = {"clips": float(len(clips)), "highest_of_other_groups": others[0].similarity if others else -1.0}
    found = near_copies.find_near_copies(read, [0] * len(clips) + [1] * len(copies))
    best = {(places[pair.first][1].path, places[pair.second][1].path): pair.similarity for pair in found}
    for kind in KINDS:
        similarities = [best.get((source, path), -1.0) for path, (kind_of, source) in made.items() if kind_of == kind]
        figures |= {f"{kind}_n": len(similarities), f"{kind}_found": sum(value >= 0.85 for value in similarities)}
        figures |= {f"{kind}_least": min(similarities), f"{kind}_median": float(np.median(similarities))}
    return figures


if __name__ == "__main__":
    main()
