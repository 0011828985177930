"""Where a change of the reading concerns a file, its features are made anew; where it does not, they stay."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import bad_readers
from tests.coded_fields import write_fields
from tests.fake_backbone import AverageColour as PlainColour
from tests.media import change_clock, decoding_times_only, pictures, write_audio, write_clip, write_flat, write_pictures
from tests.odd_media import ODD, write_planes
from tests.old_features import is_old, make_old
from tests.sounds import tone, write_sound
from tests.tiled_pictures import write_tiles
from tests.unit.video.test_several_streams_in_a_file import LARGE, SMALL, write_streams
from vidrnn.annotations import Annotation
from vidrnn.errors import VideoError
from vidrnn.extraction.changes import RULES, change_since
from vidrnn.extraction.embedder import Alone, Pass
from vidrnn.extraction.extract import Report, extract
from vidrnn.extraction.stored import Stored
from vidrnn.frames.fitting import Drawing
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.streams import AudioSettings, ExternalSettings
from vidrnn.store import manifest, reader
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.pack_update import pack
from vidrnn.store.reader import READER, may_differ
from vidrnn.store.source import Source
from vidrnn.store.video_features import VideoFeatures, VideoMetadata
from vidrnn.streams.passes import file_passes
from vidrnn.video.probe import probe
from vidrnn.video.sampling import Sampling

HD = (1280, 32)
GREY = np.linspace(16, 235, 32 * 32).reshape(32, 32).astype(np.uint8)
TIMES, MATRIX, STREAM = "times of frames", "HD colours that name no matrix", "another of several video streams"
SQUARE, LIMITED_GREY, TIFF = "pixels that are not square", "grey in limited range", "a TIFF that FFmpeg cannot read"


def clip(name: str, count: int = 6, **how: object) -> Callable[[Path], Path]:
    return lambda root: write_clip(root / name, pictures(count), **how)


def hd(name: str, **how: object) -> Callable[[Path], Path]:
    return lambda root: write_clip(root / name, pictures(2, width=HD[0], height=HD[1]), **how)


def grey(name: str, colour_range: int) -> Callable[[Path], Path]:
    def write(root: Path) -> Path:
        write_planes(root / name, GREY, codec="libx265", pix_fmt="gray", colour_range=colour_range)
        return root / name

    return write


def tiff(*, folder: bool, **how: str) -> Callable[[Path], Path]:
    def write(root: Path) -> Path:
        path = root / ("frames/1.tif" if folder else "still.tif")
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pictures(1)[0]).save(path, **how)
        return path.parent if folder else path

    return write


def clock(time: int | None) -> Callable[[Path], Path]:
    """A transport stream of which one picture has another time, or none."""
    return lambda root: change_clock(write_clip(root / "a.ts", pictures(30), bf="0"), {12: time})


def streams(*wanted: tuple[tuple[int, int], bool]) -> Callable[[Path], Path]:
    return lambda root: write_streams(root / "two.mkv", *wanted)


def drawing(square: str = "pad", *, rate: float = 10.0) -> Drawing:
    plain = PlainColour().preprocessing
    return Drawing(Sampling("fps", rate=rate, frame_rate=25.0), replace(plain, square=square))


def made_of(path: Path, drawn: Drawing, *, version: int = 0) -> VideoFeatures:
    """What an earlier version made of a video whose times it read as they are read now."""
    video = probe(path, frame_rate=25.0)
    times = video.timestamps_s[drawn.sampling.select(video.timestamps_s)]
    facts = VideoMetadata(video.width, video.height, video.num_frames, video.duration_s)
    return VideoFeatures(np.zeros((len(times), 0), np.float16), times, facts, Source(0, 0, ""), (), version)


CHANGED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "anamorphic": (clip("a.mp4", pixel_aspect=Fraction(16, 11)), SQUARE),
    "untagged HD": (hd("a.mp4"), MATRIX),
    "untagged and high": (lambda root: write_clip(root / "a.mp4", pictures(2, width=32, height=578)), MATRIX),
    "the second stream is the default": (streams((SMALL, False), (LARGE, True)), STREAM),
    "the larger stream comes second": (
        lambda root: write_streams(root / "two.ts", (SMALL, False), (LARGE, False)),
        STREAM,
    ),
    "grey in limited range": (grey("a.mp4", 1), LIMITED_GREY),
    "pts = dts": (lambda root: decoding_times_only(clip("b.mp4", 20, bf="2")(root), root / "a.mp4"), TIMES),
    "clock set anew": (clock(90000 * 100), TIMES),
    "a time is missing": (clock(None), TIMES),
    "TIFF with JPEG inside": (tiff(folder=False, compression="jpeg"), TIFF),
    "folder of such": (tiff(folder=True, compression="jpeg"), TIFF),
}
SAME: dict[str, Callable[[Path], Path]] = {
    "B-frames in MP4": clip("a.mp4", 20, bf="2"),
    "Matroska": clip("a.mkv", 20, bf="2"),
    "AVI": clip("a.avi", 20, codec="mpeg4"),
    "AVI with B-frames": clip("a.avi", 20, codec="mpeg4", bf="2"),
    "a stream without container": clip("a.h264", 20, bf="0"),
    "transport stream": clip("a.ts", 20, bf="2"),
    "variable rate": clip("a.mkv", 5, pts=[0, 10, 40, 41, 90], time_base=Fraction(1, 1000)),
    "square pixels, rounded": lambda root: write_clip(
        root / "a.mp4", pictures(2, width=200, height=112), pixel_aspect=Fraction(224, 225)
    ),
    "untagged and small": clip("a.mp4"),
    "HD that names its matrix": lambda root: write_flat(root / "a.mp4", (200, 60, 90), matrix=6, size=HD),
    "HD of RGB": hd("a.mkv", codec="ffv1", pix_fmt="bgr0"),
    "HD in grey": hd("a.mkv", codec="ffv1", pix_fmt="gray"),
    "the first stream is the default": streams((LARGE, True), (SMALL, False)),
    "grey in full range": grey("a.mp4", 2),
    "a folder of pictures": lambda root: write_pictures(root / "frames", pictures(4)),
    "plain TIFF": tiff(folder=False),
    "folder of such": tiff(folder=True, compression="tiff_lzw"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_file_that_is_read_in_another_way_now(tmp_path, name):
    write, why = CHANGED[name]
    path, drawn = write(tmp_path), drawing()
    assert change_since(made_of(path, drawn), path, drawn) == why


@pytest.mark.parametrize("name", SAME)
def test_a_file_that_all_versions_read_alike(tmp_path, name):
    path, drawn = SAME[name](tmp_path), drawing()
    assert change_since(made_of(path, drawn), path, drawn) is None


@pytest.mark.parametrize("name", [*CHANGED, *SAME])
def test_what_version_1_made_differs_in_grey_alone(tmp_path, name):
    path, drawn = (CHANGED[name][0] if name in CHANGED else SAME[name])(tmp_path), drawing()
    change = change_since(made_of(path, drawn, version=1), path, drawn)
    assert change == (LIMITED_GREY if name == "grey in limited range" else None)


@pytest.mark.parametrize(("square", "why"), [("pad", SQUARE), ("center_crop", SQUARE), ("warp", None)])
def test_a_squeezed_square_has_no_proportions_to_keep(tmp_path, square, why):
    path, drawn = CHANGED["anamorphic"][0](tmp_path), drawing(square)
    assert change_since(made_of(path, drawn), path, drawn) == why


@pytest.mark.parametrize(
    "changed",
    [
        {"timestamps_s": lambda times: times + 0.04},
        {"timestamps_s": lambda times: times[:-1] + 0.01, "features": lambda rows: rows[:-1]},
        {"metadata": lambda facts: replace(facts, num_frames=2 * facts.num_frames)},
        {"metadata": lambda facts: replace(facts, duration_s=facts.duration_s + 0.04)},
    ],
)
def test_other_times_than_the_stored_ones(tmp_path, changed):
    """As of an AVI whose first frame was not at zero, and of fields that were counted as frames."""
    path, drawn = SAME["AVI with B-frames"](tmp_path), drawing()
    made = made_of(path, drawn)
    made = replace(made, **{name: change(getattr(made, name)) for name, change in changed.items()})
    assert change_since(made, path, drawn) == TIMES


def test_fields_that_were_counted_as_frames(tmp_path):
    path, drawn = write_fields(tmp_path / "a.mkv", 10), drawing()
    made = made_of(path, drawn)
    twice = replace(made, metadata=replace(made.metadata, num_frames=20))
    assert change_since(twice, path, drawn) == TIMES


def test_frames_without_a_picture_of_their_own_are_no_change(tmp_path):
    """Fewer steps than are wanted, at times of frames."""
    path, drawn = SAME["Matroska"](tmp_path), drawing(rate=25.0)
    made = made_of(path, drawn)
    fewer = replace(made, timestamps_s=made.timestamps_s[[0, 1, 5]], features=made.features[:3])
    assert change_since(fewer, path, drawn) is None


def test_a_file_that_is_refused_now_says_why(tmp_path):
    drawn = drawing()
    made = made_of(SAME["Matroska"](tmp_path), drawn)
    (tmp_path / "a.mkv").write_bytes(b"")
    with pytest.raises(VideoError, match="0 bytes"):
        change_since(made, tmp_path / "a.mkv", drawn)


def test_a_joined_file_that_was_read_as_one_frame_more(tmp_path):
    path, drawn = tmp_path / "videos" / "a.nut", drawing()
    path.parent.mkdir()
    ODD["joined_byte_for_byte.nut"](path)
    made = made_of(path, drawn, version=1)
    assert change_since(made, path, drawn) is None
    swallowed = replace(made, metadata=replace(made.metadata, num_frames=made.metadata.num_frames + 1))
    assert change_since(swallowed, path, drawn) == "joined NUT files"


def test_every_version_has_its_streams_and_its_rules():
    """Else features that a change concerns would be taken, or looked at for nothing."""
    assert max(reader._CHANGED) == READER
    assert sorted(reader._CHANGED) == sorted({rule.version for rule in RULES})
    assert not any(may_differ(stream, READER) for stream in ("rgb", "audio", "external", "text"))
    assert not may_differ("text", 0) and not may_differ("audio", 1)
    assert may_differ("rows", 1) and may_differ("external", 0)


class AverageColour(PlainColour, Alone):
    """As a pass that shares nothing, in a square that keeps proportions."""

    def __init__(self, *, square: str = "pad") -> None:
        super().__init__(sampling={"kind": "fps", "rate": 10.0})
        self.preprocessing = replace(self.preprocessing, square=square)
        self.spec = replace(self.spec, preprocessing=self.preprocessing.as_dict())


@dataclass
class World:
    """Videos and a store in which all have features of today."""

    root: Path
    names: Sequence[str]
    passes: Callable[[], Sequence[Pass]] = lambda: [AverageColour()]

    def extract(self) -> Report:
        annotations = [Annotation(name, "x", None, name) for name in self.names]
        settings = ExtractionSettings(store=self.root / "store", workers=2)
        return extract(annotations, self.passes(), root=self.root, settings=settings, weights="default")

    def summaries(self) -> list[str]:
        return [progress.summary() for progress in self.extract().passes]

    @property
    def folder(self) -> FeatureFolder:
        return self.extract().folders[0]


@pytest.fixture
def world(tmp_path: Path) -> World:
    write_clip(tmp_path / "wide.mp4", pictures(6), pixel_aspect=Fraction(16, 11))
    write_clip(tmp_path / "hd.mp4", pictures(2, width=HD[0], height=HD[1]))
    write_clip(tmp_path / "same.mp4", pictures(6))
    write_clip(tmp_path / "later.avi", pictures(6), codec="mpeg4")
    return World(tmp_path, ("wide.mp4", "hd.mp4", "same.mp4", "later.avi"))


WHY = {"wide.mp4": SQUARE, "hd.mp4": MATRIX, "later.avi": TIMES}


def make_all_old(world: World, *, reader: int = 0) -> FeatureFolder:
    folder = world.folder
    for name in world.names:
        make_old(folder, name, reader=reader, later_s=0.04 if name == "later.avi" else 0.0)
    return folder


def test_only_what_differs_is_made_anew_and_the_rest_is_looked_at_once(world, monkeypatch):
    folder = make_all_old(world)
    report = world.extract()
    assert report.whole.summary() == "extracted 3, reused 1, failed 0"
    assert report.whole.changed == WHY
    assert [is_old(folder, name) for name in world.names] == [False, False, True, False]
    monkeypatch.setattr(Stored, "confirm", lambda *_: pytest.fail("it was looked at before"))
    again = world.extract()
    assert again.whole.summary() == "extracted 0, reused 4, failed 0"
    assert again.whole.changed == {}


def test_what_version_1_made_stays(world):
    folder = make_all_old(world, reader=1)
    assert world.extract().whole.summary() == "extracted 0, reused 4, failed 0"
    assert all(is_old(folder, name) for name in world.names)


def test_without_its_manifest_the_store_is_looked_at_again(world):
    folder = make_all_old(world)
    world.extract()
    (folder.path / manifest.FILE).unlink()
    assert world.extract().whole.summary() == "extracted 0, reused 4, failed 0"
    assert is_old(folder, "same.mp4")


def test_a_manifest_of_the_version_before_does_not_hide_old_features(world):
    """It said that a file and its features belong together, which was true."""
    folder = make_all_old(world)
    (folder.path / manifest.FILE).unlink()
    database = manifest.sqlite3.connect(folder.path / manifest.FILE)
    database.execute("CREATE TABLE found (video BLOB PRIMARY KEY, source TEXT, sha256 TEXT, stored TEXT) WITHOUT ROWID")
    for name in world.names:
        state, stored = Source.of(world.root / name), folder.state_of(name)
        values = (name.encode(), f"{state.size} {state.mtime_ns}", state.sha256, manifest.state(stored))
        database.execute("INSERT INTO found VALUES (?, ?, ?, ?)", values)
    database.commit()
    database.close()
    assert world.extract().whole.changed == WHY


def test_packed_features_are_compared_too(world):
    folder = make_all_old(world)
    pack(folder, remove_files=True)
    report = world.extract()
    assert report.whole.summary() == "extracted 3, reused 1, failed 0"
    assert report.whole.changed == WHY
    assert [is_old(folder, name) for name in world.names] == [False, False, True, False]
    assert world.extract().whole.summary() == "extracted 0, reused 4, failed 0"


def test_packing_keeps_what_was_found_out(world):
    """Though the manifest knows the feature file, and that goes."""
    folder = make_all_old(world)
    world.extract()
    pack(folder, remove_files=True)
    (folder.path / manifest.FILE).unlink()
    packed = folder.pack()
    assert packed is not None and packed.readers.tolist() == [READER] * 4
    assert is_old(folder, "same.mp4") and folder.read("same.mp4").reader == READER
    assert world.extract().whole.changed == {}


def test_both_views_are_made_anew(world):
    def both() -> Sequence[Pass]:
        plain = AverageColour()
        return [plain, plain.mirrored()]

    world.passes = both
    folders = world.extract().folders
    for folder in folders:
        make_old(folder, "wide.mp4")
        make_old(folder, "same.mp4")
    report = world.extract()
    assert [progress.summary() for progress in report.passes] == ["extracted 1, reused 3, failed 0"] * 2
    assert report.whole.changed == {"wide.mp4": SQUARE}
    assert [is_old(folder, name) for folder in folders for name in ("wide.mp4", "same.mp4")] == [False, True] * 2


def test_a_pass_that_is_missing_is_made_and_the_old_one_stays(world):
    make_all_old(world)
    plain, squeezed = AverageColour(), AverageColour(square="warp")
    world.passes = lambda: [plain, squeezed]
    assert world.summaries() == ["extracted 3, reused 1, failed 0", "extracted 4, reused 0, failed 0"]


def test_an_old_video_that_is_refused_now_fails_with_the_cause(tmp_path):
    """Of a picture in tiles an earlier version took the first."""
    path = write_tiles(tmp_path / "phone.avif")
    world = World(tmp_path, ("phone.avif",))
    features = VideoFeatures(np.zeros((1, 3), np.float16), np.zeros(1), VideoMetadata(64, 64, 1, 0.04), Source.of(path))
    folder = world.extract().folders[0]
    folder.write("phone.avif", features)
    make_old(folder, "phone.avif")
    (folder.path / "failures.csv").unlink()
    report = world.extract()
    (failure,) = report.whole.failures
    assert failure.cause.startswith("is one picture in 2 tiles")
    assert world.extract().whole.not_retried == 1
    assert is_old(folder, "phone.avif")


def test_a_crash_while_comparing_makes_the_features_anew(tmp_path):
    write_audio(tmp_path / "a.mp3")
    world = sound(tmp_path, "a.mp3", ())
    (harmless,) = world.passes()
    world.passes = lambda: [replace(harmless, change_since=bad_readers.crash_in_comparing)]
    assert world.extract().whole.summary() == "extracted 1, reused 0, failed 0"


def sound(root: Path, name: str, notes: tuple[str, ...], *, gap_s: float = 0.0) -> World:
    """A store with the sound of one file, where an earlier version left these notes and a gap before the last step."""
    settings = FeatureSettings(streams=("audio",), audio=AudioSettings())
    annotations = [Annotation(name, "x", None, name)]
    world = World(root, (name,), lambda: file_passes(annotations, root=root, settings=settings))
    folder = world.folder
    features = folder.read(name)
    times = features.timestamps_s + gap_s * (np.arange(len(features.timestamps_s)) == len(features.timestamps_s) - 1)
    folder.write(name, replace(features, notes=notes, timestamps_s=times))
    make_old(folder, name)
    return world


GAPS = ("its sound has 2 gaps, or a clock that drifts; times are those of the file",)


@pytest.mark.parametrize(
    ("name", "notes", "gap_s", "change"),
    [
        ("a.mp3", (), 0.0, None),
        ("a.mp3", GAPS, 30.0, None),
        ("a.mp3", ("has 2 audio tracks; the first is used",), 0.0, None),
        ("a.mp3", ("3 pieces of sound that step back in time are left out",), 0.0, "times of sound"),
        ("a.ts", (), 0.0, None),
        ("a.ts", GAPS, 5.0, None),
        ("a.ts", GAPS, 30.0, "times of sound"),
    ],
)
def test_sound(tmp_path, name, notes, gap_s, change):
    """Only where the container may set a clock anew is a long gap one."""
    if name == "a.mp3":
        write_audio(tmp_path / name)
    else:
        write_clip(tmp_path / name, pictures(4), audio_from_s=0.0)
    report = sound(tmp_path, name, notes, gap_s=gap_s).extract()
    assert report.whole.changed == ({name: change} if change else {})
    assert (report.whole.extracted, report.whole.reused) == ((1, 0) if change else (0, 1))


def test_sound_whose_second_track_is_the_default(tmp_path):
    write_sound(tmp_path / "a.mkv", tone(220, 1.0), tracks=2, default=1)
    report = sound(tmp_path, "a.mkv", ("has 2 audio tracks; the first is used",)).extract()
    assert report.whole.changed == {"a.mkv": "another of several audio tracks"}


@pytest.mark.parametrize(("order", "shape", "again"), [("C", (4, 2), 0), ("F", (4, 2), 1), ("F", (4, 1), 0)])
def test_arrays_in_fortran_order(tmp_path, order, shape, again):
    (tmp_path / "arrays").mkdir()
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.save(tmp_path / "arrays" / "a.npy", np.asarray(array, order=order))
    settings = FeatureSettings(streams=("external",), external=ExternalSettings(folder=Path("arrays"), rate=1.0))
    annotations = [Annotation("a.mp4", "x", None, "a")]
    world = World(tmp_path, ("a.mp4",), lambda: file_passes(annotations, root=tmp_path, settings=settings))
    folder = world.folder
    make_old(folder, "a.mp4")
    report = world.extract()
    assert report.whole.summary() == f"extracted {again}, reused {1 - again}, failed 0"
    assert report.whole.changed == ({"a.mp4": "arrays in Fortran order"} if again else {})
