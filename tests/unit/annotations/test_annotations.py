"""`vidrnn.annotations`: folders and CSV files to annotations, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from vidrnn.annotations import Annotation, LabelMap, Segment, read_annotations
from vidrnn.errors import AnnotationError, ConfigError, MissingPathError, VidrnnError
from vidrnn.names import quoted
from vidrnn.settings.base import validate
from vidrnn.settings.data import DataSettings

FORMS = (
    "expected path and label, labels or target, or path,start,end and label or target; "
    "then [,unseen][,split][,group][,text]"
)


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def read_folder(root: Path, **settings: object) -> tuple[Annotation, ...]:
    return read_annotations(validate(DataSettings, {"root": str(root)} | settings))


def read_csv(root: Path, content: str | bytes) -> tuple[Annotation, ...]:
    raw = content if isinstance(content, bytes) else content.encode()
    (root / "list.csv").write_bytes(raw)
    return read_annotations(validate(DataSettings, {"root": str(root), "format": "csv", "annotations": "list.csv"}))


def refusal(root: Path, read: Callable[[], object], kind: type[VidrnnError] = AnnotationError) -> str:
    """The whole message, with the root written as ROOT."""
    with pytest.raises(kind) as caught:
        read()
    return str(caught.value).replace(str(root), "ROOT")


def test_a_folder_per_class(tmp_path: Path) -> None:
    touch(tmp_path, "walk/b 1.mp4", "walk/a.AVI", "jump/deep/er/c.webm", "jump/notes.txt", "readme.mp4")
    assert read_folder(tmp_path) == (
        Annotation("jump/deep/er/c.webm", "jump", None, "jump/deep/er/c.webm"),
        Annotation("walk/a.AVI", "walk", None, "walk/a.AVI"),
        Annotation("walk/b 1.mp4", "walk", None, "walk/b 1.mp4"),
    )


def test_split_folders(tmp_path: Path) -> None:
    touch(tmp_path, "train/walk/a.mp4", "val/walk/b.mp4", "test/jump/c.mp4")
    assert [(each.path, each.label, each.split) for each in read_folder(tmp_path)] == [
        ("test/jump/c.mp4", "jump", "test"),
        ("train/walk/a.mp4", "walk", "train"),
        ("val/walk/b.mp4", "walk", "val"),
    ]


def test_two_spellings_of_one_class_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "train/hand_wave/a.mp4", "test/Hand wave/b.mp4")
    assert refusal(tmp_path, lambda: read_folder(tmp_path)) == (
        "ROOT: 'Hand wave' and 'hand_wave' look like one class; use one spelling"
    )


def test_numbers_with_something_between_them_are_names_of_their_own(tmp_path: Path) -> None:
    touch(tmp_path, "1-1/a.mp4", "11/b.mp4")
    assert [each.label for each in read_folder(tmp_path)] == ["1-1", "11"]


def test_split_folders_beside_class_folders_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "train/walk/a.mp4", "jump/c.mp4")
    assert refusal(tmp_path, lambda: read_folder(tmp_path)) == (
        "data.root 'ROOT' holds both split folders (train) and others (jump); "
        "use root/<class>/ or root/{train,val,test}/<class>/, not both"
    )


@pytest.mark.parametrize("place", ["", "train/"])
def test_what_is_hidden_is_ignored(tmp_path: Path, place: str) -> None:
    hidden = ["walk/._a.mp4", ".cache/a.mp4", "walk/.trash/a.mp4"]
    touch(tmp_path, f"{place}walk/a.mp4", *(place + path for path in hidden), ".git/x.mp4")
    assert [each.path for each in read_folder(tmp_path)] == [f"{place}walk/a.mp4"]


def test_a_folder_that_is_called_like_a_video_is_none(tmp_path: Path) -> None:
    touch(tmp_path, "walk/a.mp4/part1.mp4")
    assert [each.path for each in read_folder(tmp_path)] == ["walk/a.mp4/part1.mp4"]


def test_a_link_to_nothing_is_kept_so_that_extraction_names_it(tmp_path: Path) -> None:
    touch(tmp_path, "walk/a.mp4")
    (tmp_path / "walk" / "b.mp4").symlink_to(tmp_path / "gone.mp4")
    assert [each.path for each in read_folder(tmp_path)] == ["walk/a.mp4", "walk/b.mp4"]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, lambda: read_folder(tmp_path))
    assert message == (
        "data.root 'ROOT' holds no video; expected files such as ROOT/<class>/clip.mp4 "
        "(.264, .265, .3g2, .3gp, .3gp2, .3gpp ...)"
    )


def test_pictures_beside_videos_are_no_training_clips(tmp_path: Path) -> None:
    touch(tmp_path, "walk/a.mp4", "walk/a.jpg", "walk/frames/img_1.jpg", "jump/b.mp4", "jump/b.png")
    assert [each.path for each in read_folder(tmp_path)] == ["jump/b.mp4", "walk/a.mp4"]


def test_a_folder_of_frames_per_video(tmp_path: Path) -> None:
    touch(tmp_path, "walk/anna 1/img_1.jpg", "walk/anna 1/img_2.jpg", "walk/ben/deep/1.png", "jump/c.mp4/1.PNG")
    touch(tmp_path, "walk/d.mp4", "walk/notes/a.txt", "walk/.trash/img_1.jpg", "walk/e/._img_1.jpg", "cover.jpg")
    assert read_folder(tmp_path, media="frames") == (
        Annotation("jump/c.mp4", "jump", None, "jump/c.mp4"),
        Annotation("walk/anna 1", "walk", None, "walk/anna 1"),
        Annotation("walk/ben/deep", "walk", None, "walk/ben/deep"),
    )


def test_frame_folders_in_split_folders_with_groups(tmp_path: Path) -> None:
    touch(tmp_path, "train/walk/anna/1.jpg", "test/walk/ben/1.jpg")
    found = read_folder(tmp_path, media="frames", group_pattern=r"/(\w+)$")
    assert [(each.path, each.split, each.group) for each in found] == [
        ("test/walk/ben", "test", "ben"),
        ("train/walk/anna", "train", "anna"),
    ]


def test_still_images(tmp_path: Path) -> None:
    touch(tmp_path, "walk/a.jpg", "walk/deep/b.TIFF", "walk/c.mp4", "jump/._d.jpg", "jump/d.webp")
    assert [each.path for each in read_folder(tmp_path, media="pictures")] == [
        "jump/d.webp", "walk/a.jpg", "walk/deep/b.TIFF",
    ]  # fmt: skip


def test_frames_in_the_folder_of_a_class_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "walk/anna/img_1.jpg", "walk/img_1.jpg")
    assert refusal(tmp_path, lambda: read_folder(tmp_path, media="frames")) == (
        "'ROOT/walk' holds pictures itself; with data.media: frames a class holds one folder per video, for still "
        "images set data.media: pictures"
    )


def test_where_nothing_fits_the_media_that_would_is_named(tmp_path: Path) -> None:
    touch(tmp_path / "a", "walk/anna/img_1.jpg")
    touch(tmp_path / "b", "walk/anna.mp4")
    end = "; there are pictures: set data.media to frames, or pictures for still images"
    assert refusal(tmp_path, lambda: read_folder(tmp_path / "a")).endswith(end)
    for media in ("frames", "pictures"):
        message = refusal(tmp_path, lambda media=media: read_folder(tmp_path / "b", media=media))
        assert message.endswith("; there are videos: set data.media to videos")


def test_media_is_refused_where_the_format_says_what_a_video_is() -> None:
    values = {"root": ".", "format": "ucf101", "annotations": "lists", "media": "frames"}
    with pytest.raises(ConfigError, match=r"data\.media is for the formats folder, csv and mmaction, not for ucf101"):
        validate(DataSettings, values)


def test_a_missing_root_is_named(tmp_path: Path) -> None:
    message = refusal(tmp_path, lambda: read_folder(tmp_path / "gone"), MissingPathError)
    assert message == "data.root 'ROOT/gone' is not a folder; give the folder that holds one folder per class"


def test_the_group_is_the_first_parenthesis(tmp_path: Path) -> None:
    touch(tmp_path, "walk/anna_walk2.mp4", "jump/ben_jump.mp4")
    groups = [each.group for each in read_folder(tmp_path, group_pattern=r"([a-z]+)_(\w+)\.mp4")]
    assert groups == ["ben", "anna"]


@pytest.mark.parametrize(
    ("pattern", "kind", "message"),
    [
        (r"(\d\d)", AnnotationError,
         r"data.group_pattern '(\\d\\d)' does not match 'walk/a.mp4'; every video needs a group"),
        (r"(x)?walk", AnnotationError,
         "data.group_pattern '(x)?walk' does not match 'walk/a.mp4'; every video needs a group"),
        ("walk", ConfigError, "data.group_pattern: 'walk' has no parenthesis; put the group's name in one"),
        ("(walk", ConfigError, ("data.group_pattern: '(walk' is not a regular expression: "
         "missing ), unterminated subpattern at position 0")),
    ],
)  # fmt: skip
def test_a_pattern_that_gives_no_group_is_refused(
    tmp_path: Path, pattern: str, kind: type[VidrnnError], message: str
) -> None:
    touch(tmp_path, "walk/a.mp4")
    assert refusal(tmp_path, lambda: read_folder(tmp_path, group_pattern=pattern), kind) == message


def test_a_csv_as_spreadsheets_write_it(tmp_path: Path) -> None:
    """Byte order mark, CRLF, blank lines, quoted commas, spaces around values and in paths, columns in any order."""
    content = '\ufefflabel, path ,group\r\n"run, fast", my clips/a b.mp4 ,g1\r\n\r\n , ,\r\nсидеть,"ünï, côdé.mp4",\r\n'
    assert read_csv(tmp_path, content) == (
        Annotation("my clips/a b.mp4", "run, fast", None, "g1"),
        Annotation("ünï, côdé.mp4", "сидеть", None, "ünï, côdé.mp4"),
    )


def test_a_csv_with_splits(tmp_path: Path) -> None:
    rows = read_csv(tmp_path, "path,label,split\nb.mp4,x,test\na.mp4,x,train\n/abs/c.mp4,y,val\n")
    assert [(each.path, each.split) for each in rows] == [
        ("/abs/c.mp4", "val"),
        ("a.mp4", "train"),
        ("b.mp4", "test"),
    ]
    assert rows[0].source(tmp_path) == Path("/abs/c.mp4")
    assert rows[1].source(tmp_path) == tmp_path / "a.mp4"


def test_any_number_of_labels_in_their_order(tmp_path: Path) -> None:
    rows = read_csv(tmp_path, "path,labels\na.mp4,run | jump|run\nb.mp4,\n")
    assert [each.labels for each in rows] == [("run", "jump", "run"), ()]
    assert [each.names for each in rows] == [("run", "jump", "run"), ()]
    assert [each.known for each in rows] == ["labels", "labels"]
    assert LabelMap.from_annotations(rows).names == ("jump", "run")


def test_a_number_per_video(tmp_path: Path) -> None:
    (row,) = read_csv(tmp_path, "path,target,group\na.mp4,-1.5e2,g\n")
    assert row == Annotation("a.mp4", "", None, "g", target=-150.0)
    assert (row.names, row.known) == ((), "target")


def test_a_row_per_segment(tmp_path: Path) -> None:
    """Rows of a video in any order and apart from each other, times in seconds or as on a clock, or no segment."""
    content = (
        "path,start,end,label,split\nb.mp4,1:02.5,1:00:00,run,test\na.mp4,,,,train\n"
        "b.mp4,0,62.5,walk,test\nc.mp4,3,4,run,train\n"
    )
    a, b, c = read_csv(tmp_path, content)
    assert a == Annotation("a.mp4", "", "train", "a.mp4", segments=())
    assert b.segments == (Segment(0.0, 62.5, "walk"), Segment(62.5, 3600.0, "run"))
    assert (b.names, b.known, b.split) == (("walk", "run"), "start,end,label", "test")
    assert c.segments == (Segment(3.0, 4.0, "run"),)


def test_a_number_per_segment(tmp_path: Path) -> None:
    (row,) = read_csv(tmp_path, "path,start,end,target\na.mp4,0,1,0.5\na.mp4,1,2,-1\n")
    assert row.segments == (Segment(0.0, 1.0, target=0.5), Segment(1.0, 2.0, target=-1.0))
    assert (row.names, row.known) == ((), "start,end,target")


def test_background_comes_first_unless_it_is_named(tmp_path: Path) -> None:
    assert LabelMap(("a", "z")).with_background().names == ("background", "a", "z")
    assert LabelMap(("a", "background")).with_background().names == ("a", "background")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,label\na.mp4,x\n", "ROOT/list.csv, line 1: header 'file,label'; " + FORMS),
        ("path,label,path\na,x,b\n",
         "ROOT/list.csv, line 1: header 'path,label,path'; " + FORMS),
        ("", "ROOT/list.csv, line 1: header ''; " + FORMS),
        ("path,label\na.mp4,x,y\n", ("ROOT/list.csv, line 2: 3 values for 2 columns; "
         "put a value that holds a comma into double quotes")),
        ("path,label\na.mp4,x\nb.mp4\n", ("ROOT/list.csv, line 3: 1 values for 2 columns; "
         "put a value that holds a comma into double quotes")),
        ("path,label\n\na.mp4,\n", "ROOT/list.csv, line 3: path 'a.mp4' has an empty label; name its class"),
        ("path,label\n,x\n", ("ROOT/list.csv, line 2: path '' is not inside data.root; "
         "give it relative to the root without '..', or absolute")),
        ("path,label\n../a.mp4,x\n", ("ROOT/list.csv, line 2: path '../a.mp4' is not inside data.root; "
         "give it relative to the root without '..', or absolute")),
        ("path,label,split\na.mp4,x,dev\n",
         "ROOT/list.csv, line 2: split 'dev' is unknown; allowed: train, val, test or empty"),
        ("path,label,split\na.mp4,x,train\nb.mp4,x,\nc.mp4,x,test\n",
         "ROOT/list.csv: 2 of 3 rows name a split; fill the column in every row or in none"),
        ("path,label\na.mp4,x\nb.mp4,x\na.mp4,y\n",
         "ROOT/list.csv, line 4: video 'a.mp4' is listed twice, as 'x' and 'y'; keep one row"),
        ("path,label\nc/a.mp4,x\n./c//a.mp4,y\n",
         "ROOT/list.csv, line 3: video 'c/a.mp4' is listed twice, as 'x' and 'y'; keep one row"),
        ("path,label\n", "ROOT/list.csv has a header but no rows; add one row per video"),
        ("path,label,labels\na,x,y\n", "ROOT/list.csv, line 1: header 'path,label,labels'; " + FORMS),
        ("path,start,label\na,1,x\n", "ROOT/list.csv, line 1: header 'path,start,label'; " + FORMS),
        ("path,start,end,labels\na,1,2,x|y\n", "ROOT/list.csv, line 1: header 'path,start,end,labels'; " + FORMS),
        ("path,split\na,train\n", "ROOT/list.csv, line 1: header 'path,split'; " + FORMS),
        ("path,labels\na.mp4,x||y\n",
         "ROOT/list.csv, line 2: path 'a.mp4' has an empty name among its labels x||y"),
        ("path,labels\na.mp4,x\na.mp4,y|x\n",
         "ROOT/list.csv, line 3: video 'a.mp4' is listed twice, as 'x' and 'y|x'; keep one row"),
        ("path,target\na.mp4,high\n", "ROOT/list.csv, line 2: target 'high' is not a number; write it as 12.5"),
        ("path,target\na.mp4,1_000\n", "ROOT/list.csv, line 2: target '1_000' is not a number; write it as 12.5"),
        ("path,target\na.mp4,nan\n", "ROOT/list.csv, line 2: path 'a.mp4' has target nan; give a finite number"),
        ("path,target\na.mp4,1\na.mp4,2\n",
         "ROOT/list.csv, line 3: video 'a.mp4' is listed twice, as '1' and '2'; keep one row"),
        ("path,start,end,label\na.mp4,2,1,x\n",
         "ROOT/list.csv, line 2: segment from 2 to 1 s: start must be at least 0 and before the end"),
        ("path,start,end,label\na.mp4,nan,1,x\n",
         "ROOT/list.csv, line 2: segment from nan to 1 s: start must be at least 0 and before the end"),
        ("path,start,end,label\na.mp4,0,1 s,x\n",
         "ROOT/list.csv, line 2: end '1 s' is not a number; write it as 12.5"),
        ("path,start,end,target\na.mp4,0,1,\n",
         "ROOT/list.csv, line 2: the segment from 0 to 1 has no target; fill it in"),
        ("path,start,end,label\na.mp4,,1,\n",
         "ROOT/list.csv, line 2: start '' is not a number; write it as 12.5"),
        ("path,start,end,label\na.mp4,0,2,x\na.mp4,1.5,3,x\n",
         ("ROOT/list.csv: path 'a.mp4' has segments that overlap: x until 2 s and x from 1.5 s; one label, or a "
         "number, is said once at a moment, so join them or cut one")),
        ("path,start,end,label,group\na.mp4,0,2,x,g\na.mp4,3,4,x,h\n",
         ("ROOT/list.csv, line 3: path 'a.mp4' has another split or group than in an earlier row; make them equal")),
        ("path,label\na.mp4,walk\nb.mp4,run\nc.mp4,Walk\n",
         "ROOT/list.csv, line 4: 'Walk' and, in line 2, 'walk' look like one class; use one spelling"),
        ("path,labels\na.mp4,run|hand_wave\nb.mp4,hand wave\n",
         "ROOT/list.csv, line 3: 'hand wave' and, in line 2, 'hand_wave' look like one class; use one spelling"),
        ("path,start,end,label\na.mp4,0,1,x-y\na.mp4,2,3,\"x y \"\n",
         "ROOT/list.csv, line 3: 'x y' and, in line 2, 'x-y' look like one class; use one spelling"),
        ('path,label\n"' + "a" * 200_000, ("ROOT/list.csv, line 2: field larger than field limit (131072); "
         "is a double quote left open?")),
    ],
)  # fmt: skip
def test_a_wrong_csv_is_refused_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    assert refusal(tmp_path, lambda: read_csv(tmp_path, content)) == message


@pytest.mark.parametrize(
    ("encoding", "value"),
    [
        ("latin-1", r"b'\xe4.mp4,x'"),
        ("utf-16-le", r"b'\x00\xe4\x00.\x00m\x00p\x004\x00,\x00x\x00'"),
    ],
)
def test_a_csv_in_another_encoding_is_refused(tmp_path: Path, encoding: str, value: str) -> None:
    message = refusal(tmp_path, lambda: read_csv(tmp_path, "path,label\nä.mp4,x\n".encode(encoding)))
    assert message == f"ROOT/list.csv, line 2: {value} is not UTF-8; save the file as UTF-8"


def test_a_row_with_times_and_no_label_is_a_stretch_at_which_nobody_looked(tmp_path: Path) -> None:
    """Empty or -1, which is no other spelling of a class 1; a video without times in its row has no such stretch."""
    rows = "a.mp4,5,6,\na.mp4,0,1,1\na.mp4,2,0:03,-1\nb.mp4,,,\nc.mp4,0,4,\n"
    first, empty, unseen = read_csv(tmp_path, f"path,start,end,label\n{rows}")
    assert first.segments == (Segment(0, 1, "1"),)
    assert first.unlabelled == (Segment(2, 3), Segment(5, 6))
    assert (empty.segments, empty.unlabelled) == ((), ())
    assert (unseen.segments, unseen.unlabelled) == ((), (Segment(0, 4),))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "path,start,end,label,unseen\na.mp4,0,1,run,eat\n",
            "line 2: label 'run' and unseen 'eat' in one row; give each",
        ),
        ("path,start,end,label,unseen\na.mp4,,,,eat\n", "line 2: start '' is not a number"),
        (
            "path,start,end,label,unseen\na.mp4,0,1,Eat,\na.mp4,2,3,,eat\n",
            "line 3: 'eat' and, in line 2, 'Eat' look like",
        ),
        ("path,label,unseen\na.mp4,run,eat\n", "line 1: header 'path,label,unseen'; expected path and label"),
        ("path,start,end,target,unseen\na.mp4,0,1,2,eat\n", "line 1: header 'path,start,end,target,unseen'; expected"),
    ],
)
def test_the_column_unseen_names_a_class_where_nobody_looked_for_it(tmp_path: Path, text: str, reason: str) -> None:
    assert reason in refusal(tmp_path, lambda: read_csv(tmp_path, text))


def test_a_missing_csv_is_named(tmp_path: Path) -> None:
    settings = validate(DataSettings, {"root": str(tmp_path), "format": "csv", "annotations": "gone.csv"})
    message = refusal(tmp_path, lambda: read_annotations(settings), MissingPathError)
    assert (
        message == "'ROOT/gone.csv' does not exist; correct the path (a configuration gives it relative to data.root)"
    )


def test_the_label_map_is_alphabetical() -> None:
    labels = ["walk", "Zumba", "jump", "walk", "10 m"]
    label_map = LabelMap.from_annotations(Annotation(f"{i}", label, None, "g") for i, label in enumerate(labels))
    assert label_map.names == ("10 m", "Zumba", "jump", "walk")
    assert [label_map.index(name) for name in label_map.names] == [0, 1, 2, 3]


def test_an_unknown_label_is_named() -> None:
    with pytest.raises(AnnotationError) as caught:
        LabelMap(("a", "b")).index("c")
    assert str(caught.value) == "label 'c' is unknown; known: a, b"


def test_repeated_class_names_are_refused() -> None:
    with pytest.raises(AnnotationError) as caught:
        LabelMap(("b", "a", "b"))
    assert str(caught.value) == "class names repeat: ['a', 'b', 'b']"


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../a.mp4",
        "a/../../b.mp4",
        "a/..",
        "./../a.mp4",
        "..\\a.mp4",
        "a\\..\\..\\b.mp4",
        "a/..\\b.mp4",
        "a\0.mp4",
        "",
    ],
)
def test_no_annotation_leads_out_of_the_data_root(path):
    with pytest.raises(AnnotationError) as caught:
        Annotation(path, "label", None, "group")
    assert str(caught.value) == (
        f"path {quoted(path)} is not inside data.root; give it relative to the root without '..', or absolute"
    )


@pytest.mark.parametrize(
    "path",
    [
        *("~/a.mp4", "~root/a.mp4", "C:/a.mp4", "C:\\a.mp4", "C:a.mp4", "\\\\server\\share\\a.mp4", "a\\b.mp4"),
        *(
            "a\tb.mp4",
            "a\nb.mp4",
            "\n",
            "..\n/a.mp4",
            ".../a.mp4",
            "$HOME/a.mp4",
            "file:///a.mp4",
            "http://host/a.mp4",
            "-",
        ),
    ],
)
def test_what_means_something_elsewhere_is_a_plain_name_inside_the_data_root(tmp_path, path):
    source = Annotation(path, "label", None, "group").source(tmp_path)
    assert source.resolve().is_relative_to(tmp_path.resolve())
    source.parent.mkdir(parents=True, exist_ok=True)
    source.touch()
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [source]


def test_an_absolute_path_and_a_link_lead_out_on_purpose(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "a.mp4").touch()
    (root / "link").symlink_to(outside)
    for path in (str(outside / "a.mp4"), "link/a.mp4"):
        assert Annotation(path, "label", None, "group").source(root).samefile(outside / "a.mp4")


def test_folders_of_sounds_are_read_where_the_setting_says_so(tmp_path: Path) -> None:
    for name in ("bark/a.WAV", "bark/b.mp3", "bark/clip.mp4", "meow/c.flac", "meow/.hidden.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = read_annotations(validate(DataSettings, {"root": str(tmp_path), "media": "sounds"}))
    assert [(each.path, each.label) for each in found] == [
        ("bark/a.WAV", "bark"),
        ("bark/b.mp3", "bark"),
        ("meow/c.flac", "meow"),
    ]
    with pytest.raises(AnnotationError, match=r"there are videos: set data\.media to videos"):
        read_annotations(validate(DataSettings, {"root": str(tmp_path), "media": "frames"}))


def test_a_folder_of_sounds_alone_says_which_setting_reads_them(tmp_path: Path) -> None:
    (tmp_path / "bark").mkdir()
    (tmp_path / "bark" / "a.wav").touch()
    with pytest.raises(AnnotationError, match=r"there are sounds: set data\.media to sounds"):
        read_annotations(validate(DataSettings, {"root": str(tmp_path)}))
