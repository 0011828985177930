"""The verb ``vidrnn report`` and `vidrnn.report`: what they write and say."""

import subprocess
import sys
from pathlib import Path

import pytest

import vidrnn
from tests.integration.world import call
from tests.unit.reporting.report_worlds import Page, write_run, write_videos


def test_the_verb_writes_a_page_with_filmstrips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_videos(tmp_path / "videos", 3)
    paths = [f"clips/{number % 3}.mp4" if number < 3 else f"gone/{number}.mp4" for number in range(8)]
    run = write_run(tmp_path / "run", "label", n=8, paths=paths, root=tmp_path / "videos")
    outcome = call(capsys, "report", run)
    assert (outcome.code, outcome.out) == (0, f"wrote {run / 'report.html'}: 0.1 MB, 3 clips to see\n")
    page = Page(run / "report.html")
    assert len(page.data("filmstrips")) == 3
    assert "The video is not where it was." in page.source


def test_videos_that_moved_are_found_where_the_option_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", "label", n=4, root=tmp_path / "gone")
    outcome = call(capsys, "report", run, "--output", tmp_path / "a.html")
    assert outcome.code == 0 and "note: No clip can be shown below 'gone'" in outcome.out
    assert "0 clips to see" in outcome.out
    write_videos(tmp_path / "here", 4)
    written = vidrnn.report(run, output=tmp_path / "b.html", videos=tmp_path / "here", clips=2)
    assert (written.num_strips, written.notes, written.path) == (2, (), tmp_path / "b.html")


def test_what_is_no_run_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = call(capsys, "report", tmp_path)
    assert outcome.code == 2 and "can be reported" in outcome.err


def test_help_does_not_import_torch() -> None:
    code = (
        "import sys; from vidrnn.cli.app import app; app(['report', '--help'], standalone_mode=False); "
        "print([name for name in ('torch', 'numpy', 'jinja2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
