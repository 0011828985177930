"""Videos to the store: finished ones are reused, changed ones redone, failures listed, nothing left out."""

import csv
import shutil
import threading
from dataclasses import dataclass

import numpy as np
import pytest

from tests.bad_decoders import by_name
from tests.fake_backbone import AverageColour
from tests.media import pictures, write_clip
from vidrnn.annotations import Annotation
from vidrnn.extraction import stored
from vidrnn.extraction.drawing import draw_video
from vidrnn.extraction.extract import extract
from vidrnn.extraction.jobs import Failure
from vidrnn.extraction.progress import Progress
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.store.feature_folder import FeatureFolder

NAMES = ("run/a.mkv", "run/b.mkv", "walk/a.mkv")


@dataclass
class Report:
    folder: FeatureFolder
    progress: Progress

    def summary(self) -> str:
        return self.progress.summary()

    @property
    def failures(self) -> list[Failure]:
        return self.progress.failures


class World:
    """Three clips, their annotations and an empty store."""

    def __init__(self, path):
        self.root, self.store = path / "videos", path / "store"
        for length, name in enumerate(NAMES, start=4):
            write_clip(self.root / name, pictures(length), codec="ffv1", pix_fmt="bgr0")
        self.names = list(NAMES)

    def extract(self, *, retry_failed=False, mirrored=False, draw_one=draw_video, **sampling) -> "Report":
        """One view of all videos; `extract_both` makes both in one go."""
        backbone = AverageColour(sampling=sampling or None)
        view = backbone.mirrored() if mirrored else backbone
        (report,) = self.extract_passes([view], retry_failed=retry_failed, draw_one=draw_one)
        return report

    def extract_passes(self, passes, *, retry_failed=False, draw_one=draw_video) -> "list[Report]":
        self.seen = 0

        def count():
            self.seen += 1

        report = extract(
            [Annotation(name, name.split("/", maxsplit=1)[0], None, name) for name in self.names],
            passes,
            root=self.root,
            settings=ExtractionSettings(store=self.store, batch_size=4),
            weights="default",
            on_video=count,
            retry_failed=retry_failed,
            draw_one=draw_one,
        )
        return [Report(*parts) for parts in zip(report.folders, report.passes, strict=True)]

    def extract_both(self, **options) -> "tuple[Report, Report]":
        """The plain and the mirrored view."""
        plain, mirrored = self.extract_passes([AverageColour(), AverageColour().mirrored()], **options)
        return plain, mirrored


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path)


def failures_of(report: Report) -> list[list[str]]:
    with (report.folder.path / "failures.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_all_videos_are_extracted_then_reused(world):
    first = world.extract()
    assert first.summary() == "extracted 3, reused 0, failed 0"
    assert world.seen == 3
    assert list(first.folder.videos()) == sorted(NAMES)
    assert [len(first.folder.read(name, check=True).features) for name in NAMES] == [4, 5, 6]
    files = {name: first.folder.file_of(name).stat().st_mtime_ns for name in NAMES}
    second = world.extract()
    assert second.summary() == "extracted 0, reused 3, failed 0"
    assert world.seen == 3
    assert {name: second.folder.file_of(name).stat().st_mtime_ns for name in NAMES} == files


def test_a_changed_source_is_extracted_again_and_only_it(world):
    world.extract()
    write_clip(world.root / NAMES[1], pictures(9), codec="ffv1", pix_fmt="bgr0")
    report = world.extract()
    assert report.summary() == "extracted 1, reused 2, failed 0"
    assert len(report.folder.read(NAMES[1]).features) == 9


def test_a_copied_source_with_another_time_is_reused(world):
    world.extract()
    copied = world.root / "copy.mkv"
    shutil.copyfile(world.root / NAMES[0], copied)
    copied.replace(world.root / NAMES[0])
    assert world.extract().summary() == "extracted 0, reused 3, failed 0"


def test_a_damaged_feature_file_is_extracted_again(world):
    folder = world.extract().folder
    file = folder.file_of(NAMES[2])
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert world.extract().summary() == "extracted 1, reused 2, failed 0"
    assert file.read_bytes() == whole


def test_a_changed_setting_goes_to_another_folder_and_leaves_the_first(world):
    first = world.extract()
    second = world.extract(kind="uniform", count=2)
    assert second.summary() == "extracted 3, reused 0, failed 0"
    assert second.folder.path != first.folder.path
    assert [len(second.folder.read(name).features) for name in NAMES] == [2, 2, 2]
    assert [len(first.folder.read(name).features) for name in NAMES] == [4, 5, 6]


def test_bad_videos_are_listed_with_their_cause_and_the_run_goes_on(world):
    (world.root / "run" / 'odd, "name".mp4').write_text("no video")
    world.names = ["gone.mkv", NAMES[0], 'run/odd, "name".mp4', *NAMES[1:]]
    report = world.extract()
    assert report.summary() == "extracted 3, reused 0, failed 2"
    assert world.seen == 5
    invalid = "cannot be opened as a video (8 bytes): Invalid data found when processing input"
    header, gone, odd = failures_of(report)
    assert header == ["path", "stage", "cause", "seconds", "size", "mtime_ns", "witness"]
    assert gone[:3] == ["gone.mkv", "probe", "does not exist; correct its path, or put the file there"]
    assert gone[4:] == ["", "", ""]
    assert odd[:3] == ['run/odd, "name".mp4', "probe", invalid]
    assert float(odd[3]) >= 0
    assert odd[4] == "8"
    assert [failure.path for failure in report.failures] == ["gone.mkv", 'run/odd, "name".mp4']


def test_failures_are_retried_only_on_request_or_when_the_file_has_changed(world):
    bad = world.root / "bad.mp4"
    bad.write_text("no video")
    world.names = ["bad.mp4", *NAMES]
    world.extract()
    second = world.extract()
    assert second.summary() == "extracted 0, reused 3, failed 1"
    assert (second.progress.not_retried, world.seen) == (1, 4)
    assert second.failures[0].cause.startswith("cannot be opened as a video")
    third = world.extract(retry_failed=True)
    assert (third.summary(), third.progress.not_retried) == ("extracted 0, reused 3, failed 1", 0)
    bad.write_text("still no video")
    fourth = world.extract()
    assert (fourth.summary(), fourth.progress.not_retried) == ("extracted 0, reused 3, failed 1", 0)
    assert "14 bytes" in fourth.failures[0].cause


def test_failures_of_a_killed_run_are_remembered(world):
    """The list grows as failures happen, and a row that was cut off is only tried again."""
    (world.root / "bad.mp4").write_text("no video")
    world.names = ["bad.mp4"]
    folder = world.extract().folder
    listed = folder.path / "failures.csv"
    with listed.open("a") as file:
        file.write("half a row,dec")
    world.names = ["bad.mp4", *NAMES]
    report = world.extract()
    assert (report.summary(), report.progress.not_retried) == ("extracted 3, reused 0, failed 1", 1)
    assert [row[0] for row in failures_of(report)] == ["path", "bad.mp4"]


def test_the_list_of_failures_is_of_the_last_run(world):
    world.names = ["gone.mkv", *NAMES]
    assert (world.extract().folder.path / "failures.csv").exists()
    write_clip(world.root / "gone.mkv", pictures(2))
    report = world.extract()
    assert report.summary() == "extracted 1, reused 3, failed 0"
    assert not (report.folder.path / "failures.csv").exists()


def test_a_failure_is_forgotten_when_the_run_that_solved_it_was_killed(world):
    """It ended between the features and the tidying of the list."""
    folder = world.extract().folder
    status = (world.root / NAMES[0]).stat()
    rows = [["path", "stage", "cause", "seconds", "size", "mtime_ns"]]
    rows += [[NAMES[0], "process", "the decoder hung", "1.0", str(status.st_size), str(status.st_mtime_ns)]]
    with (folder.path / "failures.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    assert world.extract().summary() == "extracted 0, reused 3, failed 0"
    assert not (folder.path / "failures.csv").exists()


def test_a_video_that_is_gone_is_a_failure_also_when_its_features_are_there(world):
    world.extract()
    (world.root / NAMES[0]).unlink()
    assert world.extract().summary() == "extracted 0, reused 2, failed 1"


def test_a_name_that_the_system_refuses_is_one_failure(world):
    world.names = ["x" * 300 + ".mp4", *NAMES]
    report = world.extract()
    assert report.summary() == "extracted 3, reused 0, failed 1"
    assert "File name too long" in report.failures[0].cause


def test_a_source_that_cannot_be_read_any_more_is_one_failure(world, monkeypatch):
    """Its features are there; whether they are current cannot be said."""
    world.extract()
    honest = stored.state_of

    def state_of(source):
        if source == world.root / NAMES[0]:
            raise PermissionError(13, "Permission denied")
        return honest(source)

    monkeypatch.setattr(stored, "state_of", state_of)
    assert world.extract().summary() == "extracted 1, reused 2, failed 0"


def test_notes_of_suspicious_videos_reach_the_report_and_the_file(world):
    write_clip(world.root / "raw.h264", pictures(5), bf="2")
    world.names = ["raw.h264", *NAMES]
    report = world.extract()
    note = "frames carry no usable times; taken as 25 per second"
    assert report.progress.notes == [("raw.h264", note)]
    assert report.folder.read("raw.h264").notes == (note,)


def test_a_full_disk_ends_the_run_and_keeps_what_was_written(world, monkeypatch):
    written: list[str] = []
    honest = FeatureFolder.write

    def write(folder, path, video):
        if written:
            raise OSError(28, "No space left on device")
        honest(folder, path, video)
        written.append(path)

    with monkeypatch.context() as patch:
        patch.setattr(FeatureFolder, "write", write)
        with pytest.raises(OSError, match="No space left on device"):
            world.extract()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decoder")]
    assert world.extract().summary() == "extracted 2, reused 1, failed 0"


def test_features_and_times_are_those_of_the_frames(world):
    folder = world.extract().folder
    video = folder.read(NAMES[2])
    assert video.timestamps_s == pytest.approx(np.arange(6) / 25, abs=1e-3)
    expected = [image.astype(float).mean(axis=(0, 1)) / 255 for image in pictures(6)]
    np.testing.assert_allclose(video.features, expected, atol=0.01)


@pytest.fixture
def breaking(world) -> World:
    """A world with one more clip, which breaks where it is decoded `by_name` and is a good one otherwise."""
    write_clip(world.root / "broken.mkv", pictures(5), codec="ffv1", pix_fmt="bgr0")
    world.names = ["broken.mkv", *NAMES]
    return world


def test_what_failed_in_the_plain_view_is_the_same_failure_in_the_mirrored_one(breaking):
    """It is not decoded again: that would give features here."""
    plain = breaking.extract(draw_one=by_name)
    mirrored = breaking.extract(mirrored=True)
    assert (plain.summary(), mirrored.summary()) == ("extracted 3, reused 0, failed 1",) * 2
    assert [failure.cause for failure in mirrored.failures] == ["[Errno 5] Input/output error"]
    assert breaking.seen == 4
    assert failures_of(mirrored) == failures_of(plain)
    assert mirrored.folder.path.name == plain.folder.spec.mirrored().digest
    for again in breaking.extract_both():
        assert (again.summary(), again.progress.not_retried) == ("extracted 0, reused 3, failed 1", 1)


def test_what_fails_fails_in_both_views_at_once(breaking):
    plain, mirrored = breaking.extract_both(draw_one=by_name)
    assert (plain.summary(), mirrored.summary()) == ("extracted 3, reused 0, failed 1",) * 2
    assert [failure.cause for failure in mirrored.failures] == ["[Errno 5] Input/output error"]
    assert failures_of(mirrored) == failures_of(plain)
    assert breaking.seen == 4


def test_retrying_goes_for_both_views(breaking):
    breaking.extract_both(draw_one=by_name)
    for still in breaking.extract_both(retry_failed=True, draw_one=by_name):
        assert (still.summary(), still.progress.not_retried) == ("extracted 0, reused 3, failed 1", 0)
    solved, mirrored = breaking.extract_both(retry_failed=True)
    assert (solved.summary(), mirrored.summary()) == ("extracted 1, reused 3, failed 0",) * 2
    assert not (mirrored.folder.path / "failures.csv").exists()


def test_a_video_that_was_mended_between_the_views_is_decoded(breaking):
    breaking.extract(draw_one=by_name)
    write_clip(breaking.root / "broken.mkv", pictures(6), codec="ffv1", pix_fmt="bgr0")
    assert breaking.extract(mirrored=True).summary() == "extracted 4, reused 0, failed 0"


def test_a_failure_of_the_plain_view_that_was_solved_does_not_count_for_the_mirrored_one(breaking):
    """The list of failures still names it where the run that solved it was killed before it tidied up."""
    listed = breaking.extract(draw_one=by_name).folder.path / "failures.csv"
    before = listed.read_bytes()
    breaking.extract(retry_failed=True)
    listed.write_bytes(before)
    plain, mirrored = breaking.extract_both()
    assert plain.summary() == "extracted 0, reused 4, failed 0"
    assert mirrored.summary() == "extracted 4, reused 0, failed 0"


def test_mirrored_features_that_are_there_are_reused_whatever_became_of_the_plain_ones(breaking):
    breaking.extract_both()
    (breaking.extract().folder.file_of("broken.mkv")).unlink()
    plain, mirrored = breaking.extract_both(draw_one=by_name)
    assert plain.summary() == "extracted 0, reused 3, failed 1"
    assert mirrored.summary() == "extracted 0, reused 4, failed 0"


def test_only_the_view_that_is_missing_is_computed(world):
    """All videos but one have their plain view: what is there is not computed and not written again."""
    first = world.extract()
    first.folder.file_of(NAMES[0]).unlink()
    files = {name: first.folder.file_of(name).stat().st_mtime_ns for name in NAMES[1:]}
    backbone, turned = AverageColour(), AverageColour().mirrored()
    plain, mirrored = world.extract_passes([backbone, turned])
    assert (plain.summary(), mirrored.summary()) == (
        "extracted 1, reused 2, failed 0",
        "extracted 3, reused 0, failed 0",
    )
    assert world.seen == 3
    assert (sum(backbone.batch_sizes), sum(turned.batch_sizes)) == (4, 4 + 5 + 6)
    assert {name: plain.folder.file_of(name).stat().st_mtime_ns for name in NAMES[1:]} == files
    for name in NAMES:  # the average of a frame does not say which way round it is
        np.testing.assert_array_equal(plain.folder.read(name).features, mirrored.folder.read(name).features)
