"""Many passes over one reading of a video: each frame is fitted once, each pass gives what it gives alone."""

import multiprocessing
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests import bad_decoders, bad_readers
from tests.fake_backbone import AverageColour
from tests.media import picture, pictures, write_clip, write_pictures
from tests.sounds import tone, write_sound
from tests.unit.extraction.test_pipeline import run_within
from tests.worlds import Sections, sections
from vidrnn.annotations import Annotation
from vidrnn.extraction.drawing import draw_video
from vidrnn.extraction.embedder import Computed, Embedder, Pass
from vidrnn.extraction.extract import Report, extract
from vidrnn.extraction.jobs import Failure, Job
from vidrnn.extraction.pipeline import embed_passes
from vidrnn.extraction.readings import Readings
from vidrnn.frames.flow import flow_estimator
from vidrnn.streams.audio import ReadSound
from vidrnn.streams.passes import file_passes, load_passes
from vidrnn.video.neighbours import neighbours
from vidrnn.video.probe import probe
from vidrnn.video.sampling import Sampling

TINY = {"backbone": "timm/test_resnet", "weights": "random", "image_size": 32, "engine": "eager"}
PICTURES = ["rgb", "flow", "rgb_diff"]
LENGTHS = (1, 13, 6, 30)


def settings(**changes) -> Sections:
    return sections(**{**TINY, "sampling": "every", "batch_size": 8, "workers": 2, **changes})


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("clips")
    return {
        f"{length}.mkv": write_clip(root / f"{length}.mkv", pictures(length), codec="ffv1", pix_fmt="bgr0")
        for length in LENGTHS
    }


def embed(sources: dict[str, Path], passes: Sequence[Pass], how: Sections, *, draw_one=draw_video):
    jobs = [Job(name, source, tuple(range(len(passes)))) for name, source in sources.items()]
    return dict(run_within(120, lambda: list(embed_passes(jobs, passes, settings=how.extraction, draw_one=draw_one))))


def assert_same(got, expected) -> None:
    np.testing.assert_array_equal(got.features, expected.features)
    np.testing.assert_array_equal(got.timestamps_s, expected.timestamps_s)
    assert (got.metadata, got.source, got.notes) == (expected.metadata, expected.source, expected.notes)


def frames_of(source: Path, passes: Sequence[Embedder]) -> set[int]:
    """All frames that any pass looks at: those that are kept, and of pictures of motion their neighbours."""
    times, looked_at = probe(source).timestamps_s, set[int]()
    for one_pass in passes:
        kept, rendering = Sampling(**one_pass.spec.sampling).select(times), one_pass.preprocessing.rendering
        looked_at.update(kept.tolist())
        if rendering is not None:
            looked_at.update(neighbours(times, kept, gap_s=rendering.gap_s).tolist())
    return looked_at


@pytest.mark.parametrize("stride", [1, 5])
def test_three_streams_in_both_views_fit_each_frame_once_and_give_what_each_gives_alone(clips, tmp_path, stride):
    how = settings(streams=PICTURES, mirrored=True, stride=stride)
    passes = load_passes(*how)
    assert len(passes) == 6
    log = tmp_path / "log"
    log.touch()
    together = embed(clips, passes, how, draw_one=partial(bad_decoders.counting, log))
    assert log.stat().st_size == sum(len(frames_of(source, passes)) for source in clips.values())
    for number, one_pass in enumerate(passes):
        alone = embed(clips, [one_pass], how)
        for name in clips:
            assert_same(together[name][number], alone[name][0])
    longest = together["30.mkv"]
    for number in range(0, 6, 2):
        plain, turned = longest[number], longest[number + 1]
        assert len(plain.features) == len(turned.features) == 30 // stride
        assert not np.array_equal(plain.features, turned.features)


def test_mirrored_flow_costs_no_second_search(clips, tmp_path):
    """As many searches for both views as for the plain one: one for each kept frame that has a neighbour."""
    how = settings(streams=["flow"], mirrored=True)
    passes, log = load_passes(*how), tmp_path / "log"
    for chosen in (passes, passes[:1], passes[1:]):
        log.write_bytes(b"")
        found = embed({"13.mkv": clips["13.mkv"]}, chosen, how, draw_one=partial(bad_decoders.counting_searches, log))
        assert [len(found["13.mkv"][number].features) for number in range(len(chosen))] == [13] * len(chosen)
        assert log.stat().st_size == 13


def test_mirrored_flow_is_what_the_network_says_of_the_turned_field(clips):
    """Through the whole pipeline, against the flow field of OpenCV that NumPy turns over."""
    how = settings(streams=["flow"], mirrored=True)
    passes = load_passes(*how)
    plain, turned = passes
    found = embed({"6.mkv": clips["6.mkv"]}, passes, how)["6.mkv"]
    squares = [plain.preprocessing.fit(each).permute(1, 2, 0).contiguous().numpy() for each in pictures(6)]
    greys = [cv2.cvtColor(square, cv2.COLOR_RGB2GRAY) for square in squares]
    search, rendering = flow_estimator("dis"), plain.preprocessing.rendering
    fields = [search(*(greys[at] for at in pair)) for pair in [*pairwise(range(6)), (4, 5)]]
    assert np.abs(np.stack(fields)[..., 0]).mean() > 0.1
    drawn = [rendering.draw(np.stack([-each[:, ::-1, 0], each[:, ::-1, 1]], axis=2)) for each in fields]
    expected = plain.embed(torch.from_numpy(np.stack(drawn)))
    np.testing.assert_allclose(found[1].features.astype(float), expected.numpy(), rtol=2e-3, atol=2e-3)
    assert found[1].features.tobytes() != found[0].features.tobytes()
    assert turned.spec.preprocessing["mirrored_version"] == 2


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_passes_that_share_a_network_fill_its_batches_together(clips, batch_size, monkeypatch):
    """Whatever the size of the batches, also when there are more passes than places in one."""
    how = settings(streams=["rgb", "rgb_diff"], mirrored=True, batch_size=batch_size)
    passes = load_passes(*how)
    sizes: list[int] = []
    honest = type(passes[0].executor).__call__

    def call(self, frames, views):
        sizes.append(len(views))
        assert len(frames) <= len(views)
        return honest(self, frames, views)

    monkeypatch.setattr(type(passes[0].executor), "__call__", call)
    together = embed(clips, passes, how)
    assert sum(sizes) == 4 * sum(LENGTHS)
    assert max(sizes) <= max(batch_size, 4)
    if batch_size == 64:
        assert len(sizes) <= 5  # 200 views: four batches, and what is left when no decoder has more
    for number, one_pass in enumerate(passes):
        alone = embed(clips, [one_pass], how)
        for name in clips:
            np.testing.assert_array_equal(together[name][number].features, alone[name][0].features)


def test_a_job_that_comes_twice_is_embedded_twice(clips):
    """The same object, so that only what the pipeline makes of it tells the two apart."""
    job = Job("30.mkv", clips["30.mkv"])
    how = settings(batch_size=64)
    results = run_within(60, lambda: list(embed_passes([job] * 6, [AverageColour()], settings=how.extraction)))
    assert [path for path, _ in results] == ["30.mkv"] * 6
    for _, found in results:
        assert_same(found[0], results[0][1][0])


def test_rows_of_a_video_fail_and_its_other_passes_do_not(clips, tmp_path):
    """And of a still image all come out."""
    (still,) = write_pictures(tmp_path / "stills", [picture(3)]).iterdir()
    how = settings(streams=["rows", "rgb", "flow"], rows={"image_size": 8}, mirrored=True)
    passes = load_passes(*how)
    found = embed({**clips, "still": still}, passes, how)
    for name in ("6.mkv", "30.mkv"):
        for number, one_pass in enumerate(passes):
            result = found[name][number]
            if one_pass.spec.stream == "rows":
                assert isinstance(result, Failure) and result.stage == "decode"
                assert "'rows' reads still images" in result.cause
            else:
                assert len(result.features) == int(name.split(".")[0])
    assert [len(found["still"][number].features) for number in range(6)] == [8, 8, 1, 1, 1, 1]


@pytest.fixture
def sounding(tmp_path) -> dict[str, Path]:
    """One video with sound, and one without."""
    loud = write_sound(tmp_path / "low.mkv", tone(200, 1.0), images=25)
    return {"low.mkv": loud, "mute.mkv": write_clip(tmp_path / "mute.mkv", pictures(5))}


def test_no_sound_and_a_crash_in_sound_keep_the_pictures(sounding):
    how = settings(streams=["rgb", "audio"])
    (rgb,), (sound,) = load_passes(*how), file_passes([], root=Path("/"), settings=how.features)
    found = embed(sounding, [sound, rgb], how)
    assert found["mute.mkv"][0].stage == "absent"
    assert [len(found[name][1].features) for name in sounding] == [25, 5]
    assert len(found["low.mkv"][0].features) == 11
    crashing = Computed(sound.spec, bad_readers.Crashing(how.features.audio.bands, how.features.audio.rate))
    broken = embed(sounding, [crashing, rgb], how)
    assert broken["low.mkv"][0].cause.startswith("the decoder crashed (SIGSEGV)")
    for name in sounding:
        assert_same(broken[name][1], found[name][1])


def test_pictures_that_break_keep_the_sound(sounding, tmp_path):
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(sounding["low.mkv"].read_bytes())
    how = settings(streams=["rgb", "flow", "audio"], batch_size=4)
    passes = [*load_passes(*how), *file_passes([], root=Path("/"), settings=how.features)]
    found = embed({"broken.mkv": broken, **sounding}, passes, how, draw_one=bad_decoders.by_name)
    for number in (0, 1):
        assert (found["broken.mkv"][number].stage, found["broken.mkv"][number].cause) == (
            "probe",
            "[Errno 5] Input/output error",
        )
    np.testing.assert_array_equal(found["broken.mkv"][2].features, found["low.mkv"][2].features)
    assert len(found["low.mkv"][0].features) == 25


def test_a_video_that_holds_no_picture_fails_by_name_in_every_pass_over_pictures(sounding):
    how = settings(streams=[*PICTURES, "audio"], mirrored=True)
    passes = [*load_passes(*how), *file_passes([], root=Path("/"), settings=how.features)]
    found = embed(sounding, passes, how, draw_one=bad_decoders.no_picture)["low.mkv"]
    for number in range(6):
        assert isinstance(found[number], Failure)
        assert (found[number].stage, found[number].cause) == ("decode", "none of 25 wanted frames holds a picture")
    assert len(found[6].features) == 11


def test_a_still_image_without_a_picture_fails_by_name_as_rows_too(tmp_path):
    (still,) = write_pictures(tmp_path / "stills", [picture(3)]).iterdir()
    how = settings(streams=["rows"], rows={"image_size": 8})
    found = embed({"still": still}, load_passes(*how), how, draw_one=bad_decoders.no_picture)
    assert found["still"][0].cause == "none of 1 wanted frames holds a picture"


def fill(root: Path, names: Sequence[str], passes: Sequence[Pass], how: Sections, **options) -> Report:
    annotations = [Annotation(name, "any", None, name) for name in names]
    return extract(annotations, passes, root=root, settings=how.extraction, weights=how.features.weights, **options)


def test_a_store_that_has_rgb_gets_flow_and_its_rgb_is_not_touched(clips, tmp_path):
    """One video lacks rgb as well; it is opened once, for both."""
    root, store = clips["1.mkv"].parent, tmp_path / "store"
    log, names = tmp_path / "log", list(clips)
    log.touch()
    before = fill(root, names[:3], load_passes(*settings(store=str(store))), settings(store=str(store)))
    kept = {name: before.folders[0].file_of(name).stat().st_mtime_ns for name in names[:3]}
    how = settings(streams=["rgb", "flow"], store=str(store))
    after = fill(root, names, load_passes(*how), how, draw_one=partial(bad_decoders.counting, log))
    assert [progress.summary() for progress in after.passes] == [
        "extracted 1, reused 3, failed 0",
        "extracted 4, reused 0, failed 0",
    ]
    assert after.speed.videos == 4
    assert after.speed.throughput.frames == LENGTHS[3] + sum(LENGTHS)
    assert log.stat().st_size == sum(LENGTHS)
    assert {name: after.folders[0].file_of(name).stat().st_mtime_ns for name in names[:3]} == kept
    again = fill(root, names, load_passes(*how), how, draw_one=bad_decoders.no_picture)
    assert (again.whole.summary(), again.speed.videos) == ("extracted 0, reused 8, failed 0", 0)


class Slow(AverageColour):
    """Long enough that two extractions meet."""

    def embed(self, frames: torch.Tensor) -> torch.Tensor:
        multiprocessing.Event().wait(0.02)
        return super().embed(frames)


def sampled(count: int) -> Slow:
    return Slow(sampling={"kind": "uniform", "count": count})


def fill_when(start, outcomes, root: Path, names: list[str], counts: tuple[int, ...], store: Path) -> None:
    """One of two extractions, of which the second is a process of its own: locks are between processes."""
    passes = [sampled(count) for count in counts]
    start.wait(300)
    report = fill(root, names, passes, settings(store=str(store), batch_size=2))
    outcomes.put(
        {count: (progress.extracted, progress.reused) for count, progress in zip(counts, report.passes, strict=True)}
    )


def test_two_extractions_with_overlapping_passes_share_the_work_and_end(tmp_path):
    """They take the passes and the videos in opposite orders, so that each has what the other waits for."""
    names = [f"{number}.mkv" for number in range(8)]
    for name in names:
        write_clip(tmp_path / "videos" / name, pictures(6), codec="ffv1", pix_fmt="bgr0")
    processes = multiprocessing.get_context("spawn")
    start, outcomes, root, store = processes.Barrier(2), processes.Queue(), tmp_path / "videos", tmp_path / "store"
    other = processes.Process(target=fill_when, args=(start, outcomes, root, names[::-1], (4, 3, 2), store))
    other.start()
    run_within(300, lambda: fill_when(start, outcomes, root, names, (1, 2, 3), store))
    other.join(300)
    assert other.exitcode == 0
    found = [outcomes.get(timeout=10) for _ in range(2)]
    for count in (2, 3):
        extracted, reused = (sum(outcome[count][at] for outcome in found) for at in (0, 1))
        assert (extracted, reused) == (8, 8)
    assert {count: outcome[count] for outcome in found for count in outcome if count in {1, 4}} == {
        1: (8, 0),
        4: (8, 0),
    }
    passes = [sampled(count) for count in (1, 2, 3, 4)]
    whole = fill(root, names, passes, settings(store=str(store)))
    assert whole.whole.summary() == "extracted 0, reused 32, failed 0"
    for folder, count in zip(whole.folders, (1, 2, 3, 4), strict=True):
        assert [len(folder.read(name, check=True).features) for name in names] == [count] * 8


def test_passes_that_look_at_the_same_pictures_share_a_reading():
    """Both views of frames, of flow and of differences share one."""
    how = settings(streams=PICTURES, mirrored=True)
    passes = [*load_passes(*how), *file_passes([], root=Path("/"), settings=settings(streams=["audio"]).features)]
    readings = Readings.of(passes)
    assert readings.of_pass == (0, 0, 2, 2, 4, 4, 6)
    assert (sorted(readings.drawings), sorted(readings.streams)) == ([0, 2, 4], [6])
    assert isinstance(readings.streams[6], ReadSound)
    job = Job("a", Path("a"), (1, 4, 6))
    assert readings.wanted(job) == (0, 4, 6)
    assert (readings.passes_of(job, 0), readings.passes_of(job, 4)) == ((1,), (4,))
