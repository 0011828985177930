"""A report is shown around, so it tells no folders of the machine that made it, wherever such a path stands."""

from pathlib import Path

import pytest

from tests.unit.reporting.report_worlds import Page, write_run, write_videos
from vidrnn.evaluation.comparison import compare
from vidrnn.evaluation.report import write_json
from vidrnn.evaluation.video_figures import read_figures
from vidrnn.reporting.folders import shown_paths, without_folders
from vidrnn.reporting.options import ReportOptions
from vidrnn.reporting.report import write_report

NO_CLIPS = ReportOptions(clips=0)


@pytest.mark.parametrize(
    ("paths", "shown"),
    [
        (["/home/alice/v/run/1.mp4", "/home/alice/v/sit/1.mp4"], ["run/1.mp4", "sit/1.mp4"]),
        (["/home/alice/v/1.mp4"], ["1.mp4"]),
        (["/home/alice/1.mp4", "/home/bob/1.mp4"], ["1.mp4", "1.mp4 (2)"]),
        (["/home/alice/1.mp4", "/data/2.mp4"], ["1.mp4", "2.mp4"]),
        ([r"C:\Users\alice\v\run\1.mp4", r"C:\Users\alice\v\2.mp4"], ["run/1.mp4", "2.mp4"]),
        (["~alice/1.mp4", "~bob/2.mp4"], ["1.mp4", "2.mp4"]),
        (["/home/alice/v/1.mp4", "1.mp4"], ["1.mp4 (2)"]),
        (["run/1.mp4"], []),
    ],
)
def test_a_path_begins_in_the_folder_that_all_share(paths: list[str], shown: list[str]) -> None:
    assert list(shown_paths(paths).values()) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot open '/home/alice/my videos/a.mp4': no", "cannot open 'a.mp4': no"),
        ("/home/alice/a.mp4: it ends early (/tmp/b.mp4)", "a.mp4: it ends early (b.mp4)"),
        (r"C:\Users\alice\a.mp4 is gone, ~alice/b.mp4 too", "a.mp4 is gone, b.mp4 too"),
        ("top-1/top-5 of run/sit, see https://example.org/a/b", "top-1/top-5 of run/sit, see https://example.org/a/b"),
    ],
)
def test_a_path_within_a_text_is_its_last_part(text: str, shown: str) -> None:
    assert without_folders(text) == shown


def test_answers_to_absolute_paths_tell_no_folder_and_still_show_their_clips(tmp_path: Path) -> None:
    write_videos(tmp_path / "of alice", 1)
    video, broken = tmp_path / "of alice/clips/0.mp4", tmp_path / "of alice/broken.mp4"
    broken.write_bytes(b"nothing")
    (tmp_path / "labels.csv").write_text(
        "path,status,label,score,top_k,error\n"
        f"{video},ok,run,0.9,run:0.9,\n{broken},ok,run,0.8,run:0.8,\n{video}x,failed,,,,{video}x: cannot be opened\n"
    )
    written = write_report(tmp_path / "labels.csv")
    page = Page(written.path)
    assert str(tmp_path) not in page.source and "of alice" not in page.source
    assert written.num_strips == 1 and "clips/0.mp4x: cannot be opened" in page.text


def test_a_run_tells_no_folder(tmp_path: Path) -> None:
    """In its predictions, its protocol, and in what is wrong with it."""
    paths = [f"/home/alice/my videos/clips/{number}.mp4" for number in range(24)]
    protocol = "/home/alice/list.csv; split test"
    folder = write_run(tmp_path / "a run", "label", paths=paths, protocol=protocol, root=tmp_path / "v")
    (folder / "config.yaml").write_text("model: {cells: 3}")
    written = write_report(folder, options=NO_CLIPS)
    page = Page(written.path)
    assert "alice" not in page.source and str(tmp_path) not in page.source + " ".join(written.notes)
    assert "list.csv" in page.text
    assert '["23.mp4"' in page.source
    assert "config.yaml is of another version (config.yaml:" in page.text
    others = write_run(tmp_path / "b", "label", paths=paths, seeds=(1,))
    found = compare(read_figures(folder), read_figures(others)).as_dict()
    write_json(tmp_path / "ab.json", {"folder_a": str(folder), "folder_b": str(others), **found})
    assert "alice" not in Page(write_report(tmp_path / "ab.json", options=NO_CLIPS).path).source


def test_videos_with_absolute_paths_are_found_where_they_were_moved_to(tmp_path: Path) -> None:
    """--videos names the folder in which they have the paths of the page."""
    paths = ["/home/alice/clips/0.mp4", "/home/alice/clips/1.mp4"]
    write_videos(tmp_path / "moved", 2)
    (tmp_path / "labels.csv").write_text(
        "path,status,label,score,top_k,error\n" + "".join(f"{path},ok,run,0.9,run:0.9,\n" for path in paths)
    )
    run = write_run(tmp_path / "run", "label", n=2, paths=paths)
    for place in (tmp_path / "labels.csv", run):
        options = ReportOptions(videos=tmp_path / "moved/clips", workers=1)
        assert write_report(place, options=options).num_strips == 2, place
        assert write_report(place, options=ReportOptions(workers=1)).num_strips == 0, place
