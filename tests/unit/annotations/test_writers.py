"""What is written is what was annotated: each format is read again, and what it has no place for is counted."""

import io
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

from tests.annotation_files import data_settings
from vidrnn.annotations import Annotation, Segment, read_annotations
from vidrnn.annotations.writers import Written, write_annotations
from vidrnn.annotations.writing import Footage, Writing
from vidrnn.errors import AnnotationError, ConfigError

RATE, FRAMES = 30000 / 1001, 60
BOUNDS = np.arange(FRAMES + 1) / RATE
CLASSES = ("cut & peel", "läuft", "<rest>")
ROWS = ("mstcn", "deepethogram", "feral", "cholec80")
FOLDERS = ("thumos14", "mstcn", "deepethogram", "cholec80", "eaf", "srt", "vtt")
OVERLAPPING = tuple(kind for kind in get_args(Written) if kind not in {"mstcn", "cholec80"})
PATHS = {"activitynet": "{name}.mp4", "cholec80": "{name}.mp4", "eaf": None}


def output_of(kind: str, folder: Path) -> Path:
    return (
        folder / "out" if kind in FOLDERS else folder / {"boris": "out.boris", "csv": "out.csv"}.get(kind, "out.json")
    )


def written(annotations, kind, folder, *, rate=None, there=True):
    """Path of the output, and what was lost."""
    rate = RATE if rate is None and kind == "cholec80" else rate  # else its rows are of 25 a second
    writing = Writing(output_of(kind, folder), folder, lambda _: Footage(BOUNDS, True) if there else None, rate)
    write_annotations(annotations, kind, writing)
    return writing.output, {name: number for name, number in writing.losses.items() if number}


def read_again(kind, folder, *, rate=RATE):
    where = output_of(kind, folder).relative_to(folder).as_posix()
    changes = {"frame_rate": rate} if kind in ROWS else {}
    if PATHS.get(kind):
        changes["video_path"] = PATHS[kind]
    return read_annotations(data_settings(folder, kind, where, **changes))


def at_frames(first: int, last: int, label: str) -> Segment:
    return Segment(float(BOUNDS[first]), float(BOUNDS[last]), label)


def apart(edges: list[int], picks: list[int]) -> tuple[Segment, ...]:
    """Segments between some neighbouring edges, of which none overlap; a class of 3 is a gap."""
    spans = zip(edges[:-1], edges[1:], picks, strict=False)
    found = [at_frames(first, last, CLASSES[pick]) for first, last, pick in spans if pick < len(CLASSES)]
    joined: list[Segment] = []
    for segment in found:  # rows tell no border between two of one class
        if joined and joined[-1].label == segment.label and joined[-1].end_s == segment.start_s:
            joined[-1] = Segment(joined[-1].start_s, segment.end_s, segment.label)
        else:
            joined.append(segment)
    return tuple(joined)


edges = st.lists(st.integers(0, FRAMES), min_size=2, max_size=9, unique=True).map(sorted)
picks = st.lists(st.integers(0, len(CLASSES)), min_size=8, max_size=8)
alone = st.builds(apart, edges, picks)


def together(parts: list[tuple[Segment, ...]]) -> tuple[Segment, ...]:
    """Each class from a timeline of its own, so that classes overlap."""
    found = [segment for name, part in zip(CLASSES, parts, strict=True) for segment in part if segment.label == name]
    return tuple(sorted(found, key=lambda segment: (segment.start_s, segment.end_s, segment.label)))


overlapping = st.lists(alone, min_size=len(CLASSES), max_size=len(CLASSES)).map(together)


def same(found, wanted, kind):
    """Equal within the half millisecond that ELAN, BORIS and subtitles round to."""
    assert [annotation.path for annotation in found] == [annotation.path for annotation in wanted]
    for one, other in zip(found, wanted, strict=True):
        pairs = [sorted((s.label, s.start_s, s.end_s) for s in each.segments or ()) for each in (one, other)]
        assert [entry[0] for entry in pairs[0]] == [entry[0] for entry in pairs[1]]
        times = [[time for _, start, end in own for time in (start, end)] for own in pairs]
        assert times[0] == pytest.approx(times[1], abs=0.00051, rel=0), kind


@pytest.mark.parametrize("kind", get_args(Written))
@configure(deadline=None, max_examples=25)
@given(st.lists(alone, min_size=2, max_size=2))
def test_segments_that_do_not_overlap_come_back_from_every_format(kind, timelines):
    with TemporaryDirectory() as name:
        wanted = [Annotation(f"{at}.mp4", "", None, f"{at}.mp4", segments=own) for at, own in enumerate(timelines)]
        _write_and_compare(wanted, kind, Path(name))


@pytest.mark.parametrize("kind", OVERLAPPING)
@configure(deadline=None, max_examples=25)
@given(overlapping)
def test_segments_that_overlap_come_back_where_a_format_has_them(kind, timeline):
    with TemporaryDirectory() as name:
        _write_and_compare([Annotation("a.mp4", "", None, "a.mp4", segments=timeline)], kind, Path(name))


def _write_and_compare(wanted, kind, folder):
    output, losses = written(wanted, kind, folder)
    named = [annotation for annotation in wanted if annotation.segments]
    if kind == "thumos14":
        assert losses.pop("videos without a segment, which no line names", 0) == len(wanted) - len(named)
        wanted = named
    losses.pop("videos without a split, which are in train now, for FERAL needs one", 0)
    losses.pop("videos without a split, which are in training now", 0)
    assert losses == {}
    if kind == "activitynet_results":
        tree = json.loads(output.read_text())["results"]
        found = [
            Annotation(f"{name}.mp4", "", None, name, segments=tuple(
                Segment(*entry["segment"], entry["label"], score=entry["score"]) for entry in entries
            )) for name, entries in tree.items()
        ]  # fmt: skip
        assert {segment.score for each in found for segment in each.segments or ()} <= {1.0}
    elif not named and kind in {"activitynet", "thumos14", "deepethogram"}:
        return  # without a class there is nothing to read, and readers say so
    else:
        found = read_again(kind, folder)
    same(found, wanted, kind)


FULL = Annotation(
    "a/b.mp4", "", "test", "mouse 7", segments=(Segment(0.1, 0.5, "run", score=0.75), Segment(0.3, 0.9, "eat")),
    unlabelled=(Segment(1.0, 1.2), Segment(1.5, 1.6, "run")), text="a title",
)  # fmt: skip
PLAIN = Annotation("c.mp4", "", "train", "c.mp4", segments=(Segment(0.2, 0.4, "eat"),))
LOST = {
    "csv": {"scores": 1},
    "activitynet": {"scores": 1, "unlabelled": 2, "groups": 1, "texts": 1},
    "activitynet_results": {"unlabelled": 2, "groups": 1, "texts": 1, "splits": 2},
    "thumos14": {"scores": 1, "groups": 1, "texts": 1, "stretches": 1},
    "mstcn": {"scores": 1, "unlabelled": 2, "groups": 1, "texts": 1, "labels": 6},
    "deepethogram": {"scores": 1, "groups": 1, "texts": 1, "splits": 2},
    "feral": {"scores": 1, "unlabelled": 2, "groups": 1, "texts": 1},
    "cholec80": {"scores": 1, "unlabelled": 2, "groups": 1, "texts": 1, "splits": 2, "labels": 6},
    "boris": {"unlabelled": 2, "texts": 1},
    "eaf": {"scores": 1, "unlabelled": 2, "groups": 1, "texts": 1, "splits": 2},
    "srt": {"scores": 1, "unlabelled": 2, "groups": 1, "texts": 1, "splits": 2},
    "vtt": {"scores": 1, "unlabelled": 2, "groups": 1, "texts": 1, "splits": 2},
}


@pytest.mark.parametrize("kind", get_args(Written))
def test_what_a_format_has_no_place_for_is_counted(kind, tmp_path):
    _, losses = written([FULL, PLAIN], kind, tmp_path)
    assert {name.split(" ")[0]: number for name, number in losses.items()} == LOST[kind]


@pytest.mark.parametrize("kind", ["csv", "activitynet", "mstcn", "feral", "boris", "thumos14"])
def test_splits_and_groups_come_back_where_a_format_has_them(kind, tmp_path):
    annotations = [replace(FULL, path="b.mp4", unlabelled=()), PLAIN]
    written(annotations, kind, tmp_path)
    found = read_again(kind, tmp_path)
    assert [each.split for each in found] == ["test", "train"]
    if kind in {"csv", "boris"}:
        assert [each.group for each in found] == ["mouse 7", "c.mp4"]
    if kind == "csv":
        assert [each.text for each in found] == ["a title", ""]


def test_what_nobody_looked_at_comes_back_from_deepethogram(tmp_path):
    wanted = replace(
        PLAIN, split=None, segments=(at_frames(3, 9, "eat"),),
        unlabelled=(at_frames(0, 3, ""), at_frames(20, 30, "eat"), at_frames(40, 60, "run")), listed_frames=FRAMES,
        listed_s=float(BOUNDS[-1]),
    )  # fmt: skip
    other = Annotation("d.mp4", "", None, "d.mp4", segments=(at_frames(0, 60, "run"),), listed_frames=FRAMES,
                       listed_s=float(BOUNDS[-1]))  # fmt: skip
    written([wanted, other], "deepethogram", tmp_path)
    assert read_again("deepethogram", tmp_path) == (wanted, other)


@pytest.mark.parametrize("kind", ["csv", "thumos14"])
def test_what_nobody_looked_at_for_any_class_comes_back(kind, tmp_path):
    wanted = replace(PLAIN, unlabelled=(Segment(1.0, 1.2), Segment(1.5, 1.6)))
    written([wanted], kind, tmp_path)
    (found,) = read_again(kind, tmp_path)
    assert (found.segments, found.unlabelled) == (wanted.segments, wanted.unlabelled)


def test_what_nobody_looked_at_for_one_class_comes_back_from_a_csv(tmp_path):
    """DeepEthogram's -1 for single classes survives the way over a CSV, also where the class is never there."""
    both = Segment(0.2, 0.4, "eat"), Segment(0.2, 0.9, "run")
    wanted = replace(
        PLAIN, segments=both, unlabelled=(Segment(1.0, 1.2), Segment(1.1, 1.6, "run"), Segment(2, 3, "rear"))
    )
    output, losses = written([wanted, replace(PLAIN, path="d.mp4", group="d.mp4")], "csv", tmp_path)
    assert losses == {}
    assert output.read_text().splitlines()[0] == "path,start,end,label,unseen,split"
    (found, _) = read_again("csv", tmp_path)
    assert (found.segments, found.unlabelled) == (wanted.segments, wanted.unlabelled)


def test_a_project_of_boris_has_what_boris_expects(tmp_path):
    """Its keys are those of a project of BORIS 7 and 8; events are in order of time, a stop before a start."""
    segments = (Segment(0.1, 0.5, "run", score=0.75), Segment(0.5, 0.9, "run"), Segment(0.6, 0.7, "rest"))
    annotation = Annotation("v/a.mp4", "", None, "v/a.mp4", segments=segments)
    output, _ = written([annotation], "boris", tmp_path)
    project = json.loads(output.read_text())
    assert set(project) == {
        "time_format", "project_date", "project_name", "project_description", "project_format_version",
        "subjects_conf", "behaviors_conf", "observations", "behavioral_categories", "independent_variables",
        "coding_map", "behaviors_coding_map", "converters",
    }  # fmt: skip
    assert [(each["code"], each["key"]) for each in project["behaviors_conf"].values()] == [("rest", "r"), ("run", "u")]
    (observation,) = project["observations"].values()
    media = str(tmp_path / "v" / "a.mp4")
    assert observation["file"] == {"1": [media]} | {str(player): [] for player in range(2, 9)}
    assert observation["media_info"] == {
        "length": {media: 2.002}, "fps": {media: 29.97}, "hasVideo": {media: True}, "hasAudio": {media: True},
        "offset": {"1": 0.0},
    }  # fmt: skip
    assert observation["events"] == [
        [0.1, "", "run", "", "score 0.750"], [0.5, "", "run", "", ""], [0.5, "", "run", "", ""],
        [0.6, "", "rest", "", ""], [0.7, "", "rest", "", ""], [0.9, "", "run", "", ""],
    ]  # fmt: skip


def test_a_project_that_was_corrected_is_read_as_it_is_now(tmp_path):
    """In BORIS a border was moved and a state was added; the rest is as a model said it."""
    output, _ = written([replace(PLAIN, segments=(Segment(0.2, 0.4, "eat", score=0.6),))], "boris", tmp_path)
    project = json.loads(output.read_text())
    (events,) = (observation["events"] for observation in project["observations"].values())
    events[1][0] = 0.55
    events += [[1.0, "", "eat", "", "", 30], [1.25, "", "eat", "", "", "NA"]]
    output.write_text(json.dumps(project))
    (found,) = read_again("boris", tmp_path)
    assert found == replace(PLAIN, segments=(Segment(0.2, 0.55, "eat"), Segment(1.0, 1.25, "eat")))


def test_the_table_of_boris_is_read_again(tmp_path):
    writing = Writing(tmp_path / "t.tsv", tmp_path, lambda _: Footage(BOUNDS))
    write_annotations([PLAIN], "boris", writing)
    (found,) = read_annotations(data_settings(tmp_path, "boris", "t.tsv"))
    assert found == replace(PLAIN, split=None)
    assert writing.losses["splits of videos"] == 1


def test_a_document_of_elan_refers_only_to_what_it_holds(tmp_path):
    """As the schema asks: in its order, every reference declared, every annotation with ends of its own."""
    output, _ = written([replace(FULL, unlabelled=())], "eaf", tmp_path)
    document = ET.parse(output / "a" / "b.eaf").getroot()  # noqa: S314  written here
    order = [child.tag for child in document]
    assert order == ["HEADER", "TIME_ORDER", "TIER", "TIER", "LINGUISTIC_TYPE"]
    slots = [slot.get("TIME_SLOT_ID") for slot in document.iter("TIME_SLOT")]
    used = [each.get(f"TIME_SLOT_REF{end}") for each in document.iter("ALIGNABLE_ANNOTATION") for end in (1, 2)]
    assert len(set(slots)) == len(slots)
    assert sorted(slots) == sorted(map(str, used))
    times = [int(slot.get("TIME_VALUE", "")) for slot in document.iter("TIME_SLOT")]
    assert times == sorted(times) == [100, 300, 500, 900]
    types = {each.get("LINGUISTIC_TYPE_ID") for each in document.iter("LINGUISTIC_TYPE")}
    assert {each.get("LINGUISTIC_TYPE_REF") for each in document.iter("TIER")} == types
    (media,) = document.iter("MEDIA_DESCRIPTOR")
    assert media.get("RELATIVE_MEDIA_URL") == "./../../a/b.mp4"


def test_documents_of_elan_are_valid_by_its_schema(tmp_path, elan_schema):
    odd = Annotation(
        "caf\udce9 #1%.mp4", "", None, "g", segments=(Segment(0, 1.0004, "a & <b>\t"), Segment(2, 9, "\u00fc"))
    )
    empty = Annotation("none.mp4", "", None, "g", segments=())
    written([replace(FULL, unlabelled=()), odd, empty], "eaf", tmp_path)
    documents = list((tmp_path / "out").rglob("*.eaf"))
    assert len(documents) == 3
    for document in documents:
        elan_schema.validate(io.BytesIO(document.read_bytes()))


@pytest.mark.parametrize(
    "name", ["clip #1.mp4", "what? 1.mp4", "100%.mp4", "100%25.mp4", "\u00fc b.mp4", "caf\udce9.mp4", "a;b&c.mp4"]
)
def test_a_document_of_elan_finds_its_video_by_any_name(tmp_path, name):
    """The path is relative to the document; without it the absolute one finds the video."""
    root = tmp_path / "root"
    written([replace(PLAIN, path=f"sub/{name}")], "eaf", root)
    (document,) = root.rglob("*.eaf")
    text = document.read_text(encoding="utf-8")
    for attribute in (" MEDIA_URL", " RELATIVE_MEDIA_URL"):
        assert text.count(attribute) == 1
        document.write_text(text.replace(attribute, " OTHER"), encoding="utf-8")
        (found,) = read_again("eaf", root)
        assert found.path == f"sub/{name}"


def test_without_the_video_rows_need_a_rate_and_end_with_what_is_known(tmp_path):
    with pytest.raises(AnnotationError, match=r"'c\.mp4' is not there, and rows count its frames; give --frame-rate"):
        written([PLAIN], "mstcn", tmp_path, there=False)
    output, losses = written([PLAIN], "mstcn", tmp_path, there=False, rate=10)
    assert (output / "groundTruth" / "c.txt").read_text().split() == ["background", "background", "eat", "eat"]
    assert losses["ends of videos that are not there: their rows end with the last segment"] == 1
    rows = replace(PLAIN, path="d.mp4", listed_s=0.6)
    output, _ = written([rows], "cholec80", tmp_path, there=False, rate=10)
    assert (output / "d-phase.txt").read_text().count("\n") == 7


def test_a_label_of_a_whole_video_lasts_as_long_as_it_does(tmp_path):
    whole = [Annotation("a.mp4", "run", None, "a.mp4"), Annotation("b.mp4", "", None, "b.mp4", labels=("x", "y", "x"))]
    written(whole, "vtt", tmp_path)
    end = round(float(BOUNDS[-1]), 3)
    assert [each.segments for each in read_again("vtt", tmp_path)] == [
        (Segment(0, end, "run"),), (Segment(0, end, "x"), Segment(0, end, "y")),
    ]  # fmt: skip
    with pytest.raises(AnnotationError, match=r"'a\.mp4' is labelled as a whole, and is not there to tell its length"):
        written(whole, "srt", tmp_path, there=False)
    written(whole[:1], "csv", tmp_path, there=False)
    assert read_again("csv", tmp_path) == tuple(whole[:1])


def test_numbers_have_a_place_in_the_csv_alone(tmp_path):
    numbers = [Annotation("a.mp4", "", None, "a.mp4", segments=(Segment(0, 1, target=2.5),))]
    written(numbers, "csv", tmp_path)
    assert read_again("csv", tmp_path) == tuple(numbers)
    with pytest.raises(AnnotationError, match=r"'a\.mp4' has numbers; only --to csv has a place for them"):
        written(numbers, "boris", tmp_path)


def test_a_file_that_is_there_is_kept_and_two_videos_never_share_one(tmp_path):
    written([PLAIN], "boris", tmp_path)
    with pytest.raises(
        ConfigError, match=r"out\.boris is there, maybe corrected by hand; name another --output, or say"
    ):
        written([PLAIN], "boris", tmp_path)
    both = [replace(PLAIN, path="a/c.mp4"), replace(PLAIN, path="b/c.mp4")]
    with pytest.raises(AnnotationError, match=r"'a/c\.mp4' and 'b/c\.mp4' would both be 'c'; rename one"):
        written(both, "mstcn", tmp_path)
    output, _ = written(both, "srt", tmp_path)
    assert sorted(path.relative_to(output).as_posix() for path in output.rglob("*.srt")) == ["a/c.srt", "b/c.srt"]


def test_an_unknown_format_and_nothing_to_write(tmp_path):
    writing = Writing(tmp_path / "x", tmp_path, lambda _: None)
    with pytest.raises(ConfigError, match=r"--to 'xls' is unknown; allowed: csv, activitynet, "):
        write_annotations([PLAIN], "xls", writing)
    with pytest.raises(AnnotationError, match="there is no video to write"):
        write_annotations([], "csv", writing)
