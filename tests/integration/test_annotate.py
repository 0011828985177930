"""`vidrnn annotate`: from a model or from what it wrote, with the truth beside it; whole or not there."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

import vidrnn
from tests.integration.head_worlds import HeadWorld, make_head_world
from tests.integration.world import call
from tests.media import pictures, write_clip, write_pictures
from vidrnn.video.decode import decode
from vidrnn.video.probe import probe

PATIENCE_S = 120


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> HeadWorld:
    """A trained model of step labels, after few epochs: what it says need not be right."""
    world = make_head_world("step_labels", tmp_path_factory.mktemp("annotate"))
    tree = yaml.safe_load(world.config.read_text())
    tree["training"]["epochs"] = 3
    world.config.write_text(yaml.safe_dump(tree))
    settings = vidrnn.load_settings(world.config)
    vidrnn.extract(settings)
    vidrnn.train(settings, output=world.folder / "run")
    return world


def strip_of(path: Path, *, height: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    (frame,) = decode(probe(path), np.arange(1))
    return np.asarray(frame.rgb)[height:]


def borders(strip: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> list[int]:
    """Columns where the upper row of the timeline changes its colour, read above its text."""
    steps = np.abs(np.diff(strip[9].astype(int), axis=0)).max(axis=1)
    found = np.flatnonzero(steps > 25)
    return [int(column) for place, column in enumerate(found) if place == 0 or column - found[place - 1] > 3]


def test_from_a_model_with_the_truth_of_a_configuration(world: HeadWorld, tmp_path: Path, capsys) -> None:
    video, output = world.clips / "test" / "00.mp4", tmp_path / "new" / "a.mp4"
    outcome = call(
        capsys,
        "annotate",
        video,
        "--model",
        world.model,
        "--truth",
        world.config,
        "--output",
        output,
        "--device",
        "cpu",
    )
    assert outcome.code == 0, outcome.err
    made, source = probe(output), probe(video)
    assert np.array_equal(made.timestamps_s, source.timestamps_s)
    assert made.width == 8 * source.width
    assert "note: the pictures are small and shown 8 times as large" in outcome.out
    assert f"wrote {output}: {source.num_frames} pictures of {made.width}x{made.height}" in outcome.out
    assert [path.name for path in output.parent.iterdir()] == ["a.mp4"]


def test_from_what_classify_wrote_with_the_truth_of_a_csv(world: HeadWorld, tmp_path: Path, capsys) -> None:
    """The same segments, so the same timeline as from the model; a truth adds a row."""
    video, listed = world.clips / "test" / "00.mp4", tmp_path / "labels.csv"
    call(capsys, "classify", world.clips / "test", "--model", world.model, "--output", listed)
    ways = {"model": ("--model", world.model), "file": ("--predictions", listed)}
    for name, way in ways.items():
        assert call(capsys, "annotate", video, *way, "--output", tmp_path / f"{name}.mp4").code == 0
    truth = ("--truth", world.clips / "annotations.csv")
    assert call(capsys, "annotate", video, *ways["file"], *truth, "--output", tmp_path / "truth.mp4").code == 0
    strips = {name: strip_of(tmp_path / f"{name}.mp4", height=8 * 48) for name in ("model", "file", "truth")}
    assert borders(strips["model"]) == pytest.approx(borders(strips["file"]), abs=2)
    assert strips["truth"].shape[0] > strips["file"].shape[0]


def test_a_truth_without_the_video_is_refused_before_any_work(world: HeadWorld, tmp_path: Path, capsys) -> None:
    video = write_clip(tmp_path / "new.mp4", pictures(8, width=64, height=48))
    truth = ("--truth", world.clips / "annotations.csv")
    outcome = call(capsys, "annotate", video, "--model", world.model, *truth, "--output", tmp_path / "a.mp4")
    assert (outcome.code, f"says nothing of '{video}'; give the annotations" in outcome.err) == (2, True)
    project = tmp_path / "p.boris"
    project.write_text("{}")
    outcome = call(
        capsys, "annotate", video, "--model", world.model, "--truth", project, "--output", tmp_path / "a.mp4"
    )
    assert (outcome.code, "or a YAML configuration, which reads any format" in outcome.err) == (2, True)
    assert not (tmp_path / "a.mp4").exists()


def test_only_an_annotated_video_is_replaced(world: HeadWorld, tmp_path: Path, capsys) -> None:
    """Another recording of that name stays; so does the disk that cannot be written, which is named."""
    video, output = world.clips / "test" / "00.mp4", tmp_path / "a.mp4"
    listed = tmp_path / "labels.csv"
    call(capsys, "classify", video, "--model", world.model, "--output", listed)
    command = ("annotate", video, "--predictions", listed, "--output")
    before = write_clip(output, pictures(8, width=64, height=48)).read_bytes()
    outcome = call(capsys, *command, output)
    assert (outcome.code, "a.mp4' is there and no annotated video; name another" in outcome.err) == (2, True)
    assert output.read_bytes() == before
    output.unlink()
    assert call(capsys, *command, output).code == call(capsys, *command, output).code == 0
    outcome = call(capsys, *command, "/proc/a.mp4")
    assert (outcome.code, "/proc/a.mp4" in outcome.err) == (1, True)


def test_a_folder_of_videos_is_refused(world: HeadWorld, tmp_path: Path, capsys) -> None:
    outcome = call(capsys, "annotate", world.clips / "test", "--model", world.model, "--output", tmp_path / "a.mp4")
    assert (outcome.code, "videos; give one of them" in outcome.err, "predict" in outcome.err) == (2, True, False)


def test_from_python(world: HeadWorld, tmp_path: Path) -> None:
    video = world.clips / "test" / "01.mp4"
    model = vidrnn.load(world.model, device="cpu")
    for number, prediction in enumerate((model, model.predict(video), str(world.model))):
        made = vidrnn.annotate(video, prediction, output=tmp_path / f"{number}.mp4", truth=world.config)
        assert made.written.num_frames == probe(tmp_path / f"{number}.mp4").num_frames
    frames = write_pictures(tmp_path / "frames", pictures(6, width=64, height=48))
    model = vidrnn.load(world.model, device="cpu", frame_rate=10.0)
    vidrnn.annotate(frames, model, output=tmp_path / "frames.mp4", frame_rate=10.0)
    assert probe(tmp_path / "frames.mp4").duration_s == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "M", "--predictions", "P", "--output", "a.mp4"), "give either --model"),
        (("--output", "a.mp4"), "give either --model"),
        (("--model", "M", "--output", "a.avi"), "give a file that ends in .mp4"),
        (("--model", "M", "--output", "VIDEO"), "is the video itself"),
        (("--predictions", "none.csv", "--output", "a.mp4"), "none.csv' does not exist"),
        (("--model", "M", "--output", "a.mp4", "--font", "VIDEO"), "cannot be read as a font"),
    ],
)
def test_what_cannot_be_done_is_refused(
    world: HeadWorld, tmp_path: Path, capsys, arguments: tuple[str, ...], message: str
) -> None:
    video = world.clips / "test" / "00.mp4"
    named = {"M": str(world.model), "VIDEO": str(video), "a.mp4": str(tmp_path / "a.mp4")}
    before = video.read_bytes()
    outcome = call(capsys, "annotate", video, *(named.get(word, word) for word in arguments))
    assert outcome.code == 2 and message in outcome.err
    assert video.read_bytes() == before and not list(tmp_path.iterdir())


def test_a_broken_video_is_one_named_error(world: HeadWorld, tmp_path: Path, capsys) -> None:
    video = tmp_path / "broken.mp4"
    video.write_bytes((world.clips / "test" / "00.mp4").read_bytes()[:2000])
    outcome = call(capsys, "annotate", video, "--model", world.model, "--output", tmp_path / "out" / "a.mp4")
    assert outcome.code == 2
    assert "broken.mp4" in outcome.err and len(outcome.err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def _obeys_ctrl_c() -> None:
    """What runs the tests in the background may ignore Ctrl-C, and what it starts inherits that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_stop_leaves_no_half_file(world: HeadWorld, tmp_path: Path) -> None:
    """Ctrl-C while pictures are written, to the whole group of processes as a terminal sends it."""
    noise = np.random.default_rng(0).integers(0, 256, (10, 480, 640, 3), dtype=np.uint8)
    video = write_clip(tmp_path / "long.mp4", [*noise] * 150, preset="ultrafast")
    (tmp_path / "labels.csv").write_text("path,status,label,score,top_k,error\nlong.mp4,ok,cut,0.5,cut:0.5,\n")
    command = ("annotate", str(video), "--predictions", str(tmp_path / "labels.csv"), "--output", "a.mp4")
    (tmp_path / "out").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "vidrnn", *command],
        cwd=tmp_path / "out",
        env={**os.environ, "PYTHONPATH": str(Path(vidrnn.__file__).parents[1])},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_obeys_ctrl_c,  # noqa: PLW1509  no thread runs here
    )
    until = time.monotonic() + PATIENCE_S
    while not any(path.stat().st_size for path in (tmp_path / "out").iterdir()):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1 and "stopped" in err, err
    assert list((tmp_path / "out").iterdir()) == []
