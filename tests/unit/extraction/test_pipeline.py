"""Many videos in flight: the same features as one by one, a bad one costs only itself, memory is bounded."""

import itertools
import multiprocessing
import os
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import bad_decoders
from tests.fake_backbone import AverageColour
from tests.media import flat, pictures, write_clip
from vidrnn.backbones.backbone import load_backbone
from vidrnn.extraction import decoder
from vidrnn.extraction.batches import Throughput
from vidrnn.extraction.drivers import QUEUED_MESSAGES
from vidrnn.extraction.jobs import Failure, Job
from vidrnn.extraction.pipeline import embed_videos, num_workers
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.store.source import Source
from vidrnn.store.video_features import VideoFeatures, VideoMetadata
from vidrnn.video.decode import decode
from vidrnn.video.probe import probe

LENGTHS = (1, 13, 5, 2, 30, 7)


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> list[Job]:
    """Clips of several lengths, sizes and rates; every frame of every clip differs."""
    root = tmp_path_factory.mktemp("clips")
    jobs = []
    for number, length in enumerate(LENGTHS):
        images = [np.roll(image, 3 * number) for image in pictures(length, width=24 + 8 * (number % 3))]
        jobs.append(Job(f"{number}.mkv", write_clip(root / f"{number}.mkv", images, codec="ffv1", pix_fmt="bgr0")))
    return jobs


def run_within(seconds: float, action):
    """Call in a thread, so that a deadlock is a failed test and not a hung one."""
    outcome: list[object] = []

    def call():
        try:
            outcome.append(action())
        except BaseException as error:  # noqa: BLE001 - handed to the test, which expects it
            outcome.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "hangs"
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def embed(jobs, backbone=None, *, batch_size=4, workers=2, **rest) -> dict[str, VideoFeatures | Failure]:
    limits = {key: rest.pop(key) for key in list(rest) if "limit" in key}
    settings = ExtractionSettings(batch_size=batch_size, workers=workers, **limits)
    results = run_within(60, lambda: list(embed_videos(jobs, backbone or AverageColour(), settings=settings, **rest)))
    assert len({path for path, _ in results}) == len(results), "a video came twice"
    return dict(results)


def decoders() -> list[str]:
    """Threads and processes that are left over."""
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("decoder")]
    return threads + [process.name for process in multiprocessing.active_children()]


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("batch_size", [1, 3, 16, 100])
def test_features_are_those_of_each_frame_whatever_the_batches(clips, workers, batch_size):
    backbone = AverageColour()
    results = embed(clips, backbone, workers=workers, batch_size=batch_size)
    assert set(results) == {job.path for job in clips}
    assert max(backbone.batch_sizes) <= batch_size
    for job in clips:
        video = probe(job.source)
        frames = list(decode(video, np.arange(video.num_frames)))
        fitted = torch.stack([backbone.preprocessing.fit(frame.rgb) for frame in frames])
        result = results[job.path]
        np.testing.assert_array_equal(result.features, backbone.embed(fitted).to(torch.float16).numpy())
        np.testing.assert_array_equal(result.timestamps_s, [frame.timestamp_s for frame in frames])
        assert result.metadata == VideoMetadata(video.width, video.height, video.num_frames, video.duration_s)
        assert (result.source, result.notes) == (Source.of(job.source), ())


def test_a_real_backbone_gives_the_same_in_mixed_batches_as_one_by_one(clips):
    backbone = load_backbone(
        FeatureSettings(backbone="resnet18", weights="random", image_size=32, sampling="every"),
        ExtractionSettings(device="cpu"),
    )
    together = embed(clips, backbone, batch_size=8, workers=3)
    assert np.ptp(together[clips[1].path].features, axis=0).max() > 0.1, "frames must differ for this to say anything"
    for job in clips:
        alone = embed([job], backbone, batch_size=1, workers=1)[job.path]
        np.testing.assert_allclose(together[job.path].features, alone.features, rtol=2e-3, atol=2e-3)
        np.testing.assert_array_equal(together[job.path].timestamps_s, alone.timestamps_s)


def test_only_sampled_frames_are_embedded(clips):
    backbone = AverageColour(sampling={"kind": "uniform", "count": 4})
    results = embed(clips, backbone)
    assert [len(results[job.path].features) for job in clips] == [min(length, 4) for length in LENGTHS]
    assert sum(backbone.batch_sizes) == sum(min(length, 4) for length in LENGTHS)


def test_batches_are_filled_across_videos(tmp_path):
    """Ten videos of one frame make few calls of the backbone, not ten."""
    jobs = [
        Job(f"{number}", write_clip(tmp_path / f"{number}.mkv", [flat((20 * number, 0, 0))], codec="mjpeg",
                                    pix_fmt="yuvj420p"))
        for number in range(10)
    ]  # fmt: skip
    backbone = AverageColour()
    assert len(embed(jobs, backbone, batch_size=5)) == 10
    assert backbone.batch_sizes == [5, 5]


def test_bad_videos_cost_only_themselves(clips, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    bad = [Job("gone", tmp_path / "gone.mp4"), Job("text", tmp_path / "text.mp4"), Job("folder", tmp_path)]
    results = embed([bad[0], *clips[:3], bad[1], *clips[3:], bad[2]])
    gone = results["gone"]
    assert (gone.stage, gone.cause) == ("probe", "does not exist; correct its path, or put the file there")
    assert results["text"].cause.startswith("cannot be opened as a video (8 bytes): ")
    assert results["folder"].cause.startswith("is a folder without numbered pictures")
    good = embed(clips)
    for job in clips:
        np.testing.assert_array_equal(results[job.path].features, good[job.path].features)


@pytest.fixture
def bad_and_good(clips, tmp_path) -> tuple[dict[str, Job], list[Job]]:
    """Copies of a clip whose names say how their decoding goes wrong, and the good clips."""
    names = ("crash", "hang", "slow", "greedy", "broken", "bug", "killed")
    for name in names:
        (tmp_path / f"{name}.mkv").write_bytes(clips[4].source.read_bytes())
    return {name: Job(name, tmp_path / f"{name}.mkv") for name in names}, clips


@pytest.mark.parametrize(
    ("name", "stage", "cause"),
    [
        ("crash", "process", "the decoder crashed (SIGSEGV); re-encode or replace the file"),
        ("hang", "process", "the decoder hung: nothing read or decoded for 1.5 s"),
        ("slow", "process", "not decoded within 4 s (extraction.time_limit_s)"),
        ("greedy", "decode", "needs more memory than extraction.memory_limit_mb allows"),
        ("broken", "probe", "[Errno 5] Input/output error"),
        ("bug", "process", "the decoder process ended by itself with exit code 1"),
        ("killed", "process", "the decoder process was killed (SIGKILL)"),
    ],
)
def test_what_happens_to_a_decoder_costs_that_video_only(bad_and_good, name, stage, cause):
    """After its first chunk was handed over. The others come out as without it, and no process stays."""
    bad, good = bad_and_good
    limits: dict[str, float] = {"memory_limit_mb": 500}  # the short limits only where they are meant to strike
    limits |= {"hang": {"stall_limit_s": 1.5}, "slow": {"time_limit_s": 4.0}}.get(name, {})
    jobs = [good[0], bad[name], *good[1:]]
    results = embed(jobs, draw_one=bad_decoders.by_name, workers=1, **limits)
    failure = results[name]
    assert isinstance(failure, Failure)
    assert failure.stage == stage
    assert failure.cause.startswith(cause)
    expected = embed(good)
    for job in good:
        np.testing.assert_array_equal(results[job.path].features, expected[job.path].features)
    assert decoders() == []


def test_seconds_of_a_failure_are_those_of_its_decoder(bad_and_good):
    bad, _ = bad_and_good
    failure = embed([bad["hang"]], draw_one=bad_decoders.by_name, stall_limit_s=1.5)["hang"]
    assert 1.5 <= failure.seconds < 10


def test_time_in_which_the_backbone_is_busy_does_not_count_against_a_video(clips):
    class Slow(AverageColour):
        def embed(self, frames):
            time.sleep(0.3)
            return super().embed(frames)

    results = embed([clips[4]], Slow(), batch_size=2, workers=1, time_limit_s=3.0, stall_limit_s=3.0)
    assert len(results[clips[4].path].features) == 30  # 15 batches: 4.5 seconds


def test_many_crashes_in_a_row_do_not_end_the_run(bad_and_good):
    bad, good = bad_and_good
    jobs = [Job(f"crash {number}", bad["crash"].source) for number in range(8)]
    results = embed([*jobs, *good], draw_one=bad_decoders.by_name)
    assert sum(isinstance(result, Failure) for result in results.values()) == 8
    assert len(results) == 8 + len(good)


def test_frames_without_a_picture_of_their_own_are_noted(clips):
    result = embed([clips[1]], draw_one=bad_decoders.every_second)[clips[1].path]
    assert len(result.features) == 7
    assert result.notes == ("6 of 13 wanted frames hold no picture of their own",)


def test_processes_are_renewed_and_nothing_is_lost(clips, monkeypatch):
    """Renewal gives back what libraries keep per video."""
    monkeypatch.setattr(decoder, "_VIDEOS_PER_PROCESS", 2)
    jobs = [Job(str(number), clips[number % len(clips)].source) for number in range(9)]
    results = embed(jobs, workers=1)
    assert [len(results[str(number)].features) for number in range(9)] == [LENGTHS[n % len(clips)] for n in range(9)]


def test_a_video_that_is_written_to_meanwhile_is_a_failure(clips, tmp_path):
    growing = tmp_path / "growing.mkv"
    growing.write_bytes(clips[4].source.read_bytes())
    results = embed([Job("growing", growing)], draw_one=bad_decoders.growing, batch_size=2, workers=1)
    assert results["growing"].cause == "was written to while it was decoded; run again when the file is complete"


def test_throughput_counts_frames_and_names_the_stage_that_limits(clips):
    class Slow(AverageColour):
        def embed(self, frames):
            time.sleep(0.2)
            return super().embed(frames)

    throughput = Throughput()
    started = time.monotonic()
    embed(clips, Slow(), batch_size=8, throughput=throughput)
    took_s = time.monotonic() - started
    assert throughput.frames == sum(LENGTHS)
    # The next batch is put together while the backbone works, and that time is nobody's wait. The last has no next.
    assert throughput.embedding_s > 0.1
    assert throughput.waiting_s + throughput.embedding_s <= took_s
    assert Throughput(frames=1, waiting_s=2.0, embedding_s=1.0).bottleneck == "decoding"
    assert Throughput(frames=1, waiting_s=1.0, embedding_s=2.0).bottleneck == "backbone"


def test_one_decoder_per_core_unless_told_otherwise():
    assert num_workers(ExtractionSettings()) == len(os.sched_getaffinity(0))
    assert num_workers(ExtractionSettings(workers=7)) == 7


def test_an_error_of_the_job_list_ends_the_run_with_that_error(clips):
    def jobs():
        yield clips[0]
        raise LookupError("no more")

    with pytest.raises(LookupError, match=r"^no more$"):
        run_within(
            60,
            lambda: list(embed_videos(jobs(), AverageColour(), settings=ExtractionSettings(batch_size=4, workers=2))),
        )


def test_an_error_of_the_backbone_ends_the_run_and_its_threads(clips):
    class Broken(AverageColour):
        def embed(self, frames):
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match=r"^out of memory$"):
        embed(itertools.cycle(clips), Broken())
    assert decoders() == []


def test_a_consumer_that_stops_early_stops_the_threads(clips):
    def take_two():
        results = embed_videos(
            itertools.cycle(clips), AverageColour(), settings=ExtractionSettings(batch_size=2, workers=3)
        )
        taken = [next(results), next(results)]
        results.close()
        return taken

    assert len(run_within(60, take_two)) == 2
    assert decoders() == []


def test_no_jobs_give_no_results():
    assert embed([]) == {}


@pytest.mark.parametrize("workers", [1, 3])
def test_decoded_frames_that_wait_for_the_backbone_are_bounded(tmp_path, workers):
    """The backbone here waits until the decoders have run as far ahead as they are let; a file counts what they did."""
    path = write_clip(tmp_path / "long.mkv", [flat((0, 0, 0), width=16, height=16)] * 300, codec="mpeg4")
    log = tmp_path / "log"
    log.touch()
    embedded, most = 0, 0

    class Slow(AverageColour):
        def embed(self, frames):
            nonlocal embedded, most
            before = -1
            while before != (decoded := log.stat().st_size):
                before = decoded
                time.sleep(0.2)
            most = max(most, decoded - embedded)
            embedded += len(frames)
            return super().embed(frames)

    jobs = [Job(str(number), Path(path)) for number in range(2)]
    batch_size, chunk = 20, 10
    results = embed(
        jobs,
        Slow(image_size=128),
        batch_size=batch_size,
        workers=workers,
        draw_one=partial(bad_decoders.counting, log),
    )
    assert sum(len(video.features) for video in results.values()) == 600
    assert batch_size < most <= chunk * (3 * workers + QUEUED_MESSAGES) + 3 * batch_size
