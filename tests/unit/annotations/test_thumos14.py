"""THUMOS14: files of classes to videos with segments that overlap; each mistake with its line."""

import pytest

from tests.annotation_files import data_settings, refused, write
from vidrnn.annotations import Annotation, Segment, read_annotations


def test_lines_of_all_classes_are_put_together_by_video(tmp_path):
    write(tmp_path, {
        "t/val/Diving_val.txt": "\ufeffv 1  5.0 9.0\r\nv 1  8.0 9.5\r\nw 2.0 2.0\r\n",
        "t/val/CliffDiving_val.txt": "v 1 4,0 8,5\n",
        "t/val/Ambiguous_val.txt": "v 1 20 21\n",
        "t/test/Diving_test.txt": "x 0 1\n",
        "t/test/readme.txt": "read me",
    })  # fmt: skip
    notes: list[str] = []
    settings = data_settings(tmp_path, "thumos14", "t", video_path="{split}/{name}.mp4")
    assert read_annotations(settings, notes) == (
        Annotation("test/x.mp4", "", "test", "x", segments=(Segment(0, 1, "Diving"),)),
        Annotation("train/v 1.mp4", "", "train", "v 1",
                   segments=(Segment(4, 8.5, "CliffDiving"), Segment(5, 9.5, "Diving")), unlabelled=(Segment(20, 21),)),
        Annotation("train/w.mp4", "", "train", "w", segments=()),
    )  # fmt: skip
    where = tmp_path / "t" / "val" / "Diving_val.txt"
    assert notes == [f"{tmp_path / 't'}: 1 segments without length were left out, the first in {where}, line 3"]


def test_a_file_without_the_word_of_a_split_names_none(tmp_path):
    write(tmp_path, {"High_Jump.txt": "v 0 1\n"})
    (found,) = read_annotations(data_settings(tmp_path, "thumos14", "."))
    assert (found.split, found.names) == (None, ("High_Jump",))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"A_val.txt": "v 1.0\n"},
         "ROOT/A_val.txt, line 1: 'v 1.0'; expected a video, start and end in seconds, separated by spaces"),
        ({"A_val.txt": "v 0 1\nv 3 2\n"},
         "ROOT/A_val.txt, line 2: segment from 3 to 2 s: start must be at least 0 and not behind the end"),
        ({"A_val.txt": "v nan 2\n"},
         "ROOT/A_val.txt, line 1: segment from nan to 2 s: start must be at least 0 and not behind the end"),
        ({"A_test.txt": "v 0 1\n", "A_val.txt": "v 0 1\n"},
         "ROOT/A_val.txt, line 1: video 'v' is in test in another file, and in train here"),
        ({"High_jump_val.txt": "v 0 1\n", "HighJump_val.txt": "v 0 1\n"},
         "ROOT: 'HighJump' and 'High_jump' look like one class; use one spelling"),
        ({"readme.txt": "x"}, "ROOT holds no line; give files such as Diving_val.txt, one for each class"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_where_it_is(tmp_path, files, message):
    write(tmp_path, files)
    assert refused(data_settings(tmp_path, "thumos14", ".")) == message
