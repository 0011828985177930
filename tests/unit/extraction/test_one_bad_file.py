"""A file that lies, waits or gives nothing costs itself alone, and an error of our own ends the run at once."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.fake_backbone import AverageColour as PlainColour
from tests.media import pictures, write_clip
from vidrnn.annotations import Annotation
from vidrnn.cli import classify as classify_cli
from vidrnn.errors import AbsentStreamError, VideoError
from vidrnn.extraction.embedder import Alone
from vidrnn.extraction.extract import extract
from vidrnn.extraction.jobs import Job
from vidrnn.extraction.pipeline import embed_videos
from vidrnn.inference.prediction_file import Prediction, PredictionWriter
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.streams import ExternalSettings
from vidrnn.streams.external import read_array
from vidrnn.streams.passes import file_passes
from vidrnn.streams.text_files import text_file


class AverageColour(PlainColour, Alone):
    """As a pass that shares nothing."""


def lying(path: Path, shape: str) -> Path:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(48))
    return path


@pytest.mark.parametrize("shape", ["(1000000000000, 4)", "(4611686018427387904, 64)", "(13, 1)"])
def test_an_array_that_lies_about_its_shape_is_named_before_memory_is_taken(tmp_path, shape):
    with pytest.raises(VideoError, match=r"its header says .* bytes, and it holds 48$"):
        read_array(lying(tmp_path / "a.npy", shape))


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_a_pipe_is_not_waited_for(tmp_path, suffix):
    os.mkfifo(tmp_path / f"a{suffix}")
    with pytest.raises(VideoError, match=r"is no file$"):
        read_array(tmp_path / f"a{suffix}")
    with pytest.raises(VideoError, match=r"is no file but a folder, a pipe or a device; give a file$"):
        text_file(tmp_path / f"a{suffix}")
    with pytest.raises(AbsentStreamError):
        text_file(tmp_path / "none.txt")


def test_bad_arrays_cost_themselves_alone(tmp_path):
    names = ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    lying(tmp_path / "a.npy", "(1000000000000, 2)")
    os.mkfifo(tmp_path / "b.npy")
    (tmp_path / "c.npy").mkdir()
    np.save(tmp_path / "d.npy", np.zeros((3, 2), np.float32))
    settings = FeatureSettings(streams=("external",), external=ExternalSettings(folder=Path(), name="n", rate=1.0))
    annotations = [Annotation(name, "x", None, name) for name in names]
    passes = file_passes(annotations, root=tmp_path, settings=settings)
    progress = extract(
        annotations, passes, root=tmp_path, settings=ExtractionSettings(store=tmp_path / "store"), weights="default"
    ).whole
    assert progress.summary() == "extracted 1, reused 0, failed 3"
    assert [failure.path for failure in progress.failures] == names[:3]


def test_an_error_while_answers_are_written_ends_the_run_at_once(tmp_path, monkeypatch):
    """The decoders go although the traceback still holds what called them."""
    for number in range(6):
        write_clip(tmp_path / f"{number}.mkv", pictures(40), codec="ffv1", pix_fmt="bgr0")
    jobs = [Job(f"{number}.mkv", tmp_path / f"{number}.mkv", (0,)) for number in range(6)]

    def answers():
        for path, _ in embed_videos(jobs, AverageColour(), settings=ExtractionSettings(batch_size=4, workers=2)):
            yield Prediction(path, "ok")

    def broken(*_args: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(PredictionWriter, "_write", broken)
    with pytest.raises(RuntimeError, match="a bug") as caught:
        classify_cli.write_predictions(answers(), PredictionWriter(tmp_path / "out.csv"), total=6)
    deadline = time.monotonic() + 20
    while (left := [thread.name for thread in threading.enumerate() if thread.name.startswith("decoder")]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.05)
    assert left == []
    assert caught.value is not None
