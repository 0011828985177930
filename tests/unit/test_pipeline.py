"""Many videos in flight: the same features as one by one, a bad one costs only itself, memory is bounded."""

import itertools
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.fake_backbone import AverageColour
from tests.media import flat, pictures, write_clip
from vidrnn.features import pipeline
from vidrnn.features.backbones import load_backbone
from vidrnn.features.pipeline import Failure, Job, embed_videos
from vidrnn.features.preprocessing import Preprocessing
from vidrnn.features.store import Source, VideoFeatures, VideoMetadata
from vidrnn.settings import FeatureSettings
from vidrnn.video.decode import decode
from vidrnn.video.probe import probe

LENGTHS = (1, 13, 5, 2, 30, 7)


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> list[Job]:
    """Clips of several lengths, sizes and rates; every frame of every clip differs."""
    root = tmp_path_factory.mktemp("clips")
    jobs = []
    for number, length in enumerate(LENGTHS):
        images = [np.roll(each, 3 * number) for each in pictures(length, width=24 + 8 * (number % 3))]
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


def embed(jobs, backbone=None, *, batch_size=4, workers=2) -> dict[str, VideoFeatures | Failure]:
    results = run_within(
        60, lambda: list(embed_videos(jobs, backbone or AverageColour(), batch_size=batch_size, workers=workers))
    )
    assert len({path for path, _ in results}) == len(results), "a video came twice"
    return dict(results)


def decoders() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("decoder")]


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
        FeatureSettings(backbone="resnet18", weights="random", image_size=32, sampling="every", device="cpu")
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
    assert results["gone"] == Failure(
        "gone", "decode", "does not exist; check the path in the annotations against data.root"
    )
    assert results["text"].cause.startswith("cannot be opened as a video (8 bytes): ")
    assert results["folder"].cause.startswith("is not a regular file")
    good = embed(clips)
    for job in clips:
        np.testing.assert_array_equal(results[job.path].features, good[job.path].features)


def test_a_video_that_breaks_half_way_gives_no_features_and_harms_no_other(clips, monkeypatch):
    def breaking(video, indices):
        for number, frame in enumerate(decode(video, indices)):
            if video.path == clips[4].source and number == 17:
                raise OSError(5, "Input/output error")
            yield frame

    expected = embed(clips)
    monkeypatch.setattr(pipeline, "decode", breaking)
    results = embed(clips)
    assert results[clips[4].path] == Failure(clips[4].path, "decode", "[Errno 5] Input/output error")
    for job in clips[:4] + clips[5:]:
        np.testing.assert_array_equal(results[job.path].features, expected[job.path].features)


def test_frames_without_a_picture_of_their_own_are_noted(clips, monkeypatch):
    monkeypatch.setattr(pipeline, "decode", lambda video, indices: decode(video, indices[::2]))
    result = embed([clips[1]])[clips[1].path]
    assert len(result.features) == 7
    assert result.notes == ("6 of 13 wanted frames hold no picture of their own",)


def test_a_bug_in_a_decoder_thread_ends_the_run_with_that_error(clips, monkeypatch):
    """Not after the other threads have worked through all other videos, of which there is no end here."""

    def buggy(path):
        if path == clips[0].source:
            raise ZeroDivisionError("a bug")
        return probe(path)

    monkeypatch.setattr(pipeline, "probe", buggy)
    endless = itertools.chain(clips, itertools.cycle(clips[1:]))
    with pytest.raises(ZeroDivisionError, match=r"^a bug$"):
        run_within(60, lambda: list(embed_videos(endless, AverageColour(), batch_size=4, workers=2)))
    assert decoders() == []


def test_an_error_of_the_job_list_ends_the_run_with_that_error(clips):
    def jobs():
        yield clips[0]
        raise LookupError("no more")

    with pytest.raises(LookupError, match=r"^no more$"):
        run_within(60, lambda: list(embed_videos(jobs(), AverageColour(), batch_size=4, workers=2)))


def test_an_error_of_the_backbone_ends_the_run_and_its_threads(clips):
    class Broken(AverageColour):
        def embed(self, frames):
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match=r"^out of memory$"):
        embed(itertools.cycle(clips), Broken())
    assert decoders() == []


def test_a_consumer_that_stops_early_stops_the_threads(clips):
    def take_two():
        results = embed_videos(itertools.cycle(clips), AverageColour(), batch_size=2, workers=3)
        taken = [next(results), next(results)]
        results.close()
        return taken

    assert len(run_within(60, take_two)) == 2
    assert decoders() == []


def test_no_jobs_give_no_results():
    assert embed([]) == {}


@pytest.mark.parametrize("workers", [1, 3])
def test_decoded_frames_that_wait_for_the_backbone_are_bounded(tmp_path, monkeypatch, workers):
    """The backbone here waits until the decoders have run as far ahead as they are let."""
    path = write_clip(tmp_path / "long.mkv", [flat((0, 0, 0), width=16, height=16)] * 300, codec="mpeg4")
    lock, waiting, most = threading.Lock(), 0, 0
    honest = Preprocessing.fit

    def counted_fit(self, rgb):
        nonlocal waiting, most
        with lock:
            waiting += 1
            most = max(most, waiting)
        return honest(self, rgb)

    class Slow(AverageColour):
        def embed(self, frames):
            nonlocal waiting
            before = -1
            while before != waiting:
                before = waiting
                time.sleep(0.02)
            with lock:
                waiting -= len(frames)
            return super().embed(frames)

    monkeypatch.setattr(Preprocessing, "fit", counted_fit)
    jobs = [Job(str(number), Path(path)) for number in range(2)]
    batch_size, chunk = 20, 10
    results = embed(jobs, Slow(), batch_size=batch_size, workers=workers)
    assert sum(len(each.features) for each in results.values()) == 600
    assert batch_size < most <= chunk * (pipeline._QUEUED_BATCHES + workers) + batch_size + chunk
