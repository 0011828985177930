"""Closing waits for every thread that drives a decoder; only one that waits for its next job may be left behind."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from vidrnn.extraction import drivers
from vidrnn.extraction.decoder import StoppedError
from vidrnn.extraction.drivers import Drivers
from vidrnn.extraction.jobs import Job
from vidrnn.settings.extraction import ExtractionSettings


class EndsSlowly:
    """A decoder that is at work until the run is stopped, and whose process takes its time to end."""

    at_work: threading.Event
    ended: threading.Event

    def __init__(self, _reader: object, *, settings: ExtractionSettings, stop: threading.Event) -> None:
        self._stop = stop

    def decode(self, _job: Job, _wanted: object) -> Iterator[Any]:
        self.at_work.set()
        self._stop.wait()
        raise StoppedError

    def close(self) -> None:
        time.sleep(0.3)
        self.ended.set()


class AllReadings:
    def wanted(self, _job: Job) -> tuple[int, ...]:
        return (0,)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch, clip_job: Job) -> None:
    monkeypatch.setattr(drivers, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(drivers, "Decoder", EndsSlowly)
    EndsSlowly.at_work, EndsSlowly.ended = threading.Event(), threading.Event()


@pytest.fixture
def clip_job(tmp_path) -> Job:
    return Job("clip", tmp_path / "clip.mkv")


def started(jobs: Iterator[Job]) -> Drivers:
    return Drivers(jobs, AllReadings(), None, settings=ExtractionSettings(), workers=1)  # type: ignore[arg-type]


def test_a_thread_whose_decoder_ends_slowly_is_waited_for(clip_job: Job) -> None:
    with started(iter([clip_job])):
        assert EndsSlowly.at_work.wait(60)
    assert EndsSlowly.ended.is_set()


def test_a_thread_whose_next_job_is_long_in_coming_is_left_behind(clip_job: Job) -> None:
    asked, comes = threading.Event(), threading.Event()

    def jobs() -> Iterator[Job]:
        asked.set()
        comes.wait()
        yield clip_job

    with started(jobs()):
        assert asked.wait(60)
    assert not EndsSlowly.ended.is_set()
    comes.set()
    assert EndsSlowly.ended.wait(60)
    assert not EndsSlowly.at_work.is_set()
