"""`vidrnn stream`: files, a source that goes away and comes back, and clean ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vidrnn
from tests.integration.live_servers import HttpServer, RtspServer
from tests.integration.live_world import live_clip, live_model_file
from tests.integration.world import call
from vidrnn.cli.stream import seconds_of
from vidrnn.errors import ConfigError
from vidrnn.video import live_source

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return live_model_file(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return live_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def answers_in(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if "event" not in line]


@dataclass
class Running:
    """The verb in a process of its own, whose lines are read while it runs."""

    process: "subprocess.Popen[str]"

    @classmethod
    def start(cls, *arguments: str | Path) -> "Running":
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        command = [sys.executable, "-m", "vidrnn", "stream", *map(str, arguments)]
        return cls(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        )

    def answers(self, count: int) -> list[dict[str, Any]]:
        """The next so many answers."""
        assert self.process.stdout is not None
        found: list[dict[str, Any]] = []
        while len(found) < count:
            line = self.process.stdout.readline()
            assert line, self.end()[1]
            found += answers_in(lines_of(line))
        return found

    def end(self) -> tuple[str, str]:
        out, err = self.process.communicate(timeout=120)
        return out, err


@pytest.fixture
def running() -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(*arguments: str | Path) -> Running:
        started.append(Running.start(*arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait(20)


def test_a_file_is_answered_at_its_own_pace(model: Path, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The answers of `classify` at their times, none before its time, and events that are its segments."""
    prediction = vidrnn.load(model).predict(clip)
    begun = time.monotonic()
    outcome = call(capsys, "stream", clip, "--model", model)
    assert outcome.code == 0, outcome.err
    assert time.monotonic() - begun > 2.3
    lines = lines_of(outcome.out)
    answers = answers_in(lines)
    assert "steps a second; lag" in outcome.err
    assert "steps dropped" in outcome.err
    steps = {round(step["start"], 3): step for step in prediction.steps}
    assert answers
    for answer in answers:  # a machine that is busy may drop some, and go on with another state
        assert answer["status"] == "final"
        assert answer["time"] in steps
    if len(answers) == len(steps):
        for answer in answers:
            assert answer["score"] == pytest.approx(steps[answer["time"]]["score"], abs=1e-4)
            assert answer["label"] == steps[answer["time"]]["label"]
        ends = [line for line in lines if line.get("event") == "end"]
        assert [line["label"] for line in ends] == [row["label"] for row in prediction.segments]
        np.testing.assert_allclose(
            [line["start"] for line in ends], [row["start"] for row in prediction.segments], atol=1e-3
        )
    starts = [line for line in lines if line.get("event") == "start"]
    assert len(starts) == sum(line.get("event") == "end" for line in lines) > 0


def test_a_source_that_goes_away_is_tried_again(model: Path, clip: Path, running: Callable[..., Running]) -> None:
    """Answers go on after the server was killed and started again; their times go on too."""
    server = HttpServer(clip)
    server.start()
    try:
        verb = running(server.address, "--model", model)
        before = verb.answers(3)
        server.kill()
        time.sleep(1.5)
        server.start()
        after = verb.answers(before_and_after := 60)[-3:]
        verb.process.send_signal(signal.SIGINT)
        out, err = verb.end()
    finally:
        server.kill()
    assert before_and_after == 60
    assert verb.process.returncode == 0, err
    assert "tried again in 1 s" in err
    times = [answer["time"] for answer in [*before, *after]]
    assert times == sorted(set(times))
    assert "Traceback" not in err
    for line in out.splitlines():
        json.loads(line)


def test_an_rtsp_camera_that_is_cut_off_and_comes_back(
    model: Path, clip: Path, running: Callable[..., Running]
) -> None:
    """A real RTSP server that is killed and started again while ffmpeg sends; answers go on."""
    if missing := RtspServer.missing():
        pytest.skip(missing)
    server = RtspServer(clip)
    try:
        server.start()
        verb = running(server.address, "--model", model)
        before = verb.answers(5)
        server.kill()
        time.sleep(2)
        server.start()
        after = verb.answers(60)[-1]
        verb.process.send_signal(signal.SIGINT)
        _, err = verb.end()
    finally:
        server.close()
    assert verb.process.returncode == 0, err
    assert "tried again in" in err
    assert after["time"] > before[-1]["time"] + 2


def test_ctrl_c_and_a_closed_pipe_end_cleanly(model: Path, clip: Path, running: Callable[..., Running]) -> None:
    server = HttpServer(clip)
    server.start()
    try:
        interrupted, piped = running(server.address, "--model", model), running(server.address, "--model", model)
        interrupted.answers(2)
        interrupted.process.send_signal(signal.SIGINT)
        out, err = interrupted.end()
        assert interrupted.process.returncode == 0, err
        assert all("time" in line for line in lines_of(out))
        piped.answers(1)
        assert piped.process.stdout is not None
        piped.process.stdout.close()
        assert piped.process.stderr is not None
        err = piped.process.stderr.read()
        assert piped.process.wait(60) == 0, err
        assert "Traceback" not in err
        assert "BrokenPipe" not in err
    finally:
        server.kill()


def test_it_stops_after_its_time(model: Path, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = HttpServer(clip)
    server.start()
    try:
        begun = time.monotonic()
        outcome = call(capsys, "stream", server.address, "--model", model, "--for", "4s")
    finally:
        server.kill()
    assert outcome.code == 0, outcome.err
    assert time.monotonic() - begun < 60
    assert all(line["time"] < 6 for line in lines_of(outcome.out))


def test_a_camera_that_gives_nothing_is_an_error(
    model: Path, clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live_source, "OPEN_S", 1.0)
    monkeypatch.setattr(live_source, "SILENCE_S", 1.0)
    server = HttpServer(clip, silent=True)
    server.start()
    try:
        outcome = call(capsys, "stream", server.address, "--model", model)
    finally:
        server.kill()
    assert outcome.code == 2
    assert f"error: {server.address} cannot be opened: nothing came for 1 s; check that it is there" in outcome.err


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("97", "camera 97 cannot be opened"),
        ("gone.mp4", "'gone.mp4' does not exist; give a video file, the number of a camera, or an address"),
        (".", "'.' is a folder; give a video file"),
        ("file:///etc/passwd", "an address of file:// is not read; give one of rtsp"),
        ("rtsp://me:secret@127.0.0.1:9/x", "error: rtsp://127.0.0.1:9/x cannot be opened: Connection refused"),
    ],
)
def test_a_source_that_is_none_is_an_error(
    model: Path, source: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = call(capsys, "stream", source, "--model", model)
    assert outcome.code == 2
    assert reason in outcome.err
    assert "secret" not in outcome.err


def test_a_model_that_cannot_stream_is_an_error(tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = live_model_file(tmp_path, bidirectional=True, inputs=["features", "change"])
    outcome = call(capsys, "stream", clip, "--model", both)
    assert (outcome.code, outcome.out) == (2, "")
    assert "say how many seconds an answer may wait" in outcome.err
    outcome = call(capsys, "stream", clip, "--model", both, "--delay", "0.5")
    assert outcome.code == 0, outcome.err
    assert {line.get("status") for line in lines_of(outcome.out)} >= {"provisional", "final"}


def test_durations() -> None:
    assert [seconds_of(text) for text in ("30s", "1.5m", "2h", "45")] == [30.0, 90.0, 7200.0, 45.0]
    for wrong in ("0s", "soon", "-3s", "5 days"):
        with pytest.raises(ConfigError, match="is no duration; give one above 0, such as 30s"):
            seconds_of(wrong)
