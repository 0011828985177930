"""Subtitles as annotations: cues of SubRip and WebVTT become segments, each mistake is named by its line."""

import pytest

from tests.annotation_files import data_settings, refused, write
from vidrnn.annotations import Annotation, Segment, read_annotations

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>cut</i> &amp; peel

2
01:00:00,5 --> 01:00:01,25
pour
slowly

3
00:00:02,000 --> 00:00:03,000 X1:10
cut & peel
"""
VTT = """WEBVTT - title

NOTE nothing

intro
00:01.000 --> 00:02.000 align:start
<v Anna>cut

00:03.000 --> 00:03.000
x
"""


def read(root, kind, where="s", **settings):
    notes: list[str] = []
    return read_annotations(data_settings(root, kind, where, **settings), notes), notes


def test_subrip(tmp_path):
    """A cue of the same words that overlaps is the same action; marks and line breaks are none of the label."""
    write(tmp_path, {"s/a/b.srt": "\ufeff" + SRT.replace("\n", "\r\n"), "s/c.avi.srt": "", "s/d.vtt": VTT})
    found, notes = read(tmp_path, "srt")
    segments = (Segment(1, 3, "cut & peel"), Segment(3600.5, 3601.25, "pour slowly"))
    assert found == (
        Annotation("a/b.mp4", "", None, "a/b.mp4", segments=segments),
        Annotation("c.avi", "", None, "c.avi", segments=()),
    )
    assert notes == []
    assert [each.path for each in read(tmp_path, "srt", video_path="v/{name}.mkv")[0]] == ["v/a/b.mkv", "v/c.avi.mkv"]


def test_webvtt(tmp_path):
    write(tmp_path, {"s/a.vtt": VTT, "s/b.vtt": "WEBVTT\n"})
    found, notes = read(tmp_path, "vtt", "s/a.vtt")
    assert found == (Annotation("a.mp4", "", None, "a.mp4", segments=(Segment(1, 2, "cut"),)),)
    where = tmp_path / "s" / "a.vtt"
    assert notes == [f"1 cues have no words or no length and were left out, the first in {where}, line 9"]
    assert [each.segments for each in read(tmp_path, "vtt")[0]] == [(Segment(1, 2, "cut"),), ()]


@pytest.mark.parametrize("kind", ["srt", "vtt"])
@pytest.mark.parametrize("numbered", [True, False])
def test_a_cue_begins_at_its_times_also_without_an_empty_line(tmp_path, kind, numbered):
    """A number before them is that of the cue where cues have numbers; else it is a word, such as a class 7."""
    first, second = ("1\n", "7\n") if numbered else ("", "7\n")
    head = "" if kind == "srt" else "WEBVTT\n\n"
    cues = f"{first}00:00:01.000 --> 00:00:02.000\ncut\n{second}00:00:03.000 --> 00:00:04.000\npeel\n"
    write(tmp_path, {f"s/a.{kind}": head + cues + "00:00:05.000 --> 00:00:06.000\npour"})
    (found,), notes = read(tmp_path, kind)
    word = "cut" if numbered else "cut 7"
    assert found.segments == (Segment(1, 2, word), Segment(3, 4, "peel"), Segment(5, 6, "pour"))
    assert notes == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1\n00:00:02,000 --> 00:00:01,000\ncut\n",
         "/a.srt, line 2: segment from 2 to 1 s: start must be at least 0 and before the end"),
        ("1\n00:00:02 --> 00:00:03\ncut\n", "/a.srt has no cue such as '00:00:01,000 --> 00:00:02,000'"),
        ("läuft".encode("latin-1"), "/a.srt, line 1: b'l\\xe4uft' is not UTF-8; save the file as UTF-8"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_its_line(tmp_path, content, message):
    write(tmp_path, {"s/a.srt": content})
    assert refused(data_settings(tmp_path, "srt", "s")) == f"ROOT/s{message}"


def test_a_folder_without_such_files_and_one_that_is_not_there(tmp_path):
    write(tmp_path, {"s/a.vtt": VTT})
    assert refused(data_settings(tmp_path, "srt", "s")) == (
        "data.annotations: ROOT/s holds no file that ends in .srt; give the right folder"
    )
    assert refused(data_settings(tmp_path, "srt", "t")) == (
        "data.annotations: 'ROOT/t' does not exist; give a folder, or a file"
    )
