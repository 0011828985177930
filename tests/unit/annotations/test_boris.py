"""BORIS: what a project or its table says of which video, what is left out and said so, and what is refused."""

import json
import math

import pytest

from tests.annotation_files import data_settings, refused, write
from vidrnn.annotations import Annotation, Segment, read_annotations
from vidrnn.errors import AnnotationError

ETHOGRAM = {
    "0": {"type": "State event", "code": "groom"},
    "1": {"type": "Point event", "code": "peck"},
    "2": {"type": "State event with coding map", "code": "rest"},
}


def observation(*events, file=("a.mp4",), **more):
    return {
        "type": "MEDIA",
        "file": {"1": list(file), "2": []},
        "time offset": 0.0,
        "events": [*map(list, events)],
    } | more


def project(root, observations, **more):
    tree = {"behaviors_conf": ETHOGRAM, "observations": observations, "independent_variables": {}} | more
    write(root, {"p.boris": json.dumps(tree)})


def read(root, where="p.boris", **settings):
    notes: list[str] = []
    return read_annotations(data_settings(root, "boris", where, **settings), notes), notes


def test_states_are_pairs_of_one_subject_behaviour_and_modifier(tmp_path):
    """Events may stand in any order; two subjects that groom at a time are one segment, and a note says so."""
    project(tmp_path, {"o": observation(
        (9, "", "rest", "", ""), (1, "m1", "groom", "", ""), (2, "m2", "groom", "", "sure"), (3, "m1", "groom", "", ""),
        (4, "m2", "groom", "", "", 100), (5, "", "rest", "on side", ""), (6, "", "rest", "on side", ""),
        (8, "", "rest", "", ""), (7, "", "peck", "", ""),
    )})  # fmt: skip
    found, notes = read(tmp_path)
    segments = (Segment(1, 4, "groom"), Segment(5, 6, "rest"), Segment(8, 9, "rest"))
    assert found == (Annotation("a.mp4", "", None, "a.mp4", segments=segments),)
    assert [note.partition(": ")[2] for note in notes] == [
        "1 point events were left out, for they have no length",
        "2 subjects (m1, m2) were put together; the label is the behaviour",
        "the modifiers of 1 behaviours were left out; the label is the behaviour",
    ]


def test_an_offset_is_in_the_times_of_events_and_not_in_those_of_the_video(tmp_path):
    project(
        tmp_path, {"o": observation((101, "", "groom", "", ""), (103.5, "", "groom", "", ""), **{"time offset": 100})}
    )
    assert read(tmp_path)[0][0].segments == (Segment(1, 3.5, "groom"),)


@pytest.mark.parametrize("path", ["a.mp4", "C:\\\\films\\\\a.mp4", "/films/a.mp4"])
def test_times_that_count_from_the_creation_of_the_media_become_those_of_the_video(tmp_path, path):
    """BORIS adds both; the creation stands beside the length of the file, by its name in the player."""
    counted = {"media_creation_date_as_offset": True, "time offset": 100}
    events = [(1700000102.5, "", "groom", "", ""), (1700000104, "", "groom", "", "")]
    info = {"media_creation_time": {path: 1700000000.0, "b.mp4": 5.0}}
    project(tmp_path, {"o": observation(*events, media_info=info, **counted)})
    assert read(tmp_path)[0][0].segments == (Segment(2.5, 4, "groom"),)
    project(tmp_path, {"o": observation(*events, media_info={}, **counted)})
    assert refused(data_settings(tmp_path, "boris", "p.boris")) == (
        "ROOT/p.boris, observation 'o': counts its times from the creation of 'a.mp4', and media_creation_time does "
        "not tell it; open the observation in BORIS once, and save it"
    )


def as_boris_writes(shown_s: float, *, lengths: list[float], created: list[float], offset_s: float) -> float:
    """The time of an event at this time of a player that shows files one after the other.

    To the seconds since the first file began BORIS adds the offset of the observation and the creation of the file
    that is being shown, each rounded to a millisecond.
    """
    file = max(number for number in range(len(lengths)) if sum(lengths[:number]) <= shown_s)
    return round(round(shown_s, 3) + offset_s + created[file], 3)


@pytest.mark.parametrize("offset_s", [0, 100])
@pytest.mark.parametrize(
    "created",
    [
        pytest.param([1.7e9, 1.7e9 + 10], id="cut by the camera"),
        pytest.param([1.7e9, 1.7e9 + 86400], id="a day later"),
        pytest.param([1.7e9, 1.7e9], id="one recording, one date"),
        pytest.param([1.7e9 + 500, 1.7e9], id="in another order"),
    ],
)
def test_times_that_count_from_the_creation_of_several_files_become_those_of_each(tmp_path, created, offset_s):
    """Which file was shown follows from the time itself: no other would lie there."""
    shown = {"walk": (1.5, 4.25), "groom": (8, 13), "rest": (14, 29.999)}
    lengths = [10.0, 20.0]
    events = [
        (as_boris_writes(at_s, lengths=lengths, created=created, offset_s=offset_s), "", code, "", "")
        for code, times in shown.items()
        for at_s in times
    ]
    codes = [{"code": code, "type": "State event"} for code in shown]
    info = {
        "length": dict(zip(("a.mp4", "b.mp4"), lengths, strict=True)),
        "media_creation_time": dict(zip(("C:\\films\\a.mp4", "C:\\films\\b.mp4"), created, strict=True)),
    }
    counted = {"media_creation_date_as_offset": True, "time offset": offset_s}
    project(
        tmp_path,
        {"o": observation(*sorted(events), file=("a.mp4", "b.mp4"), media_info=info, **counted)},
        behaviors_conf={str(number): behaviour for number, behaviour in enumerate(codes)},
    )
    found, _ = read(tmp_path)
    assert [(each.path, each.segments) for each in found] == [
        ("a.mp4", (Segment(1.5, 4.25, "walk"), Segment(8, 10, "groom"))),
        ("b.mp4", (Segment(0, 3, "groom"), Segment(4, 19.999, "rest"))),
    ]


@pytest.mark.parametrize(
    ("created", "time_s", "cause"),
    [
        ([0, -5], 9, "event at 9.000 s lies in 2 of the 2 files, by the times of their creation"),
        ([0, 100], 50, "event at 50.000 s lies in none of the 2 files"),
    ],
)
def test_a_time_that_several_files_or_none_have_is_refused(tmp_path, created, time_s, cause):
    info = {
        "length": {"a.mp4": 10.0, "b.mp4": 20.0},
        "media_creation_time": {"a.mp4": created[0], "b.mp4": created[1]},
    }
    events = [(time_s, "", "groom", "", "")]
    counted = {"media_creation_date_as_offset": True}
    project(tmp_path, {"o": observation(*events, file=("a.mp4", "b.mp4"), media_info=info, **counted)})
    assert cause in refused(data_settings(tmp_path, "boris", "p.boris"))


def test_media_of_one_player_follow_each_other(tmp_path):
    """A state that lasts from one file into the next is in both."""
    events = [(8, "", "groom", "", ""), (13, "", "groom", "", ""), (14, "", "rest", "", ""), (15, "", "rest", "", "")]
    info = {"length": {"a.mp4": 10.0, "b.mp4": 20.0}}
    project(tmp_path, {"o": observation(*events, file=("a.mp4", "b.mp4"), media_info=info)})
    found, _ = read(tmp_path)
    assert [(each.path, each.segments) for each in found] == [
        ("a.mp4", (Segment(8, 10, "groom"),)),
        ("b.mp4", (Segment(0, 3, "groom"), Segment(4, 5, "rest"))),
    ]
    project(tmp_path, {"o": observation(*events, file=("a.mp4", "b.mp4"), media_info={"length": {"a.mp4": 10}})})
    assert refused(data_settings(tmp_path, "boris", "p.boris")) == (
        "ROOT/p.boris, observation 'o': shows 2 files one after the other, and the length of 'b.mp4' is not in the "
        "project; open the observation in BORIS once, and save it"
    )


def test_observations_of_one_video_are_put_together_and_those_of_none_left_out(tmp_path):
    project(tmp_path, {
        "first": observation((1, "", "groom", "", ""), (2, "", "groom", "", "")),
        "second": observation((1.5, "", "groom", "", ""), (3, "", "groom", "", "")),
        "live": {"type": "LIVE", "file": [], "events": [[1, "", "groom", "", ""]]},
    })  # fmt: skip
    (found,), notes = read(tmp_path)
    assert found.segments == (Segment(1, 3, "groom"),)
    assert [note.partition(": ")[2] for note in notes] == [
        "1 observations are of no media file and were left out",
        "1 videos have several observations, put together; 'a.mp4' has 'first', 'second'",
    ]


def test_paths_are_those_of_the_project_or_absolute_or_names(tmp_path):
    """Of a project that lies beside the folder of the videos; a path of another computer needs data.video_path."""
    root = tmp_path / "videos"
    write(tmp_path, {"videos/x.txt": "", "boris/p.boris": json.dumps({"behaviors_conf": ETHOGRAM, "observations": {
        "1": observation(file=("../videos/a.mp4",)),
        "2": observation(file=(str(root / "b" / "b.mp4"),)),
        "3": observation(file=("/elsewhere/c.mp4",)),
        "4": observation(file=("..\\videos\\d.mp4",)),
    }})})  # fmt: skip
    found, _ = read(root, "../boris/p.boris")
    assert [each.path for each in found] == ["/elsewhere/c.mp4", "a.mp4", "b/b.mp4", "d.mp4"]
    project(tmp_path, {"o": observation(file=("C:\\videos\\e.avi",))})
    assert refused(data_settings(tmp_path, "boris", "p.boris")) == (
        "ROOT/p.boris: 'C:\\videos\\e.avi' is a path of another computer; say with data.video_path where its video "
        "lies, for instance 'videos/{name}.mp4'"
    )
    assert read(tmp_path, video_path="v/{name}.mp4")[0][0].path == "v/e.mp4"


def test_split_and_group_are_independent_variables(tmp_path):
    variables = {"0": {"label": "split"}, "1": {"label": "group"}}
    given = {"split": "test", "group": "mouse 7"}
    project(tmp_path, {"o": observation(independent_variables=given)}, independent_variables=variables)
    (found,), _ = read(tmp_path)
    assert (found.split, found.group, found.segments) == ("test", "mouse 7", ())
    project(tmp_path, {"o": observation(independent_variables=given)})
    (found,), _ = read(tmp_path)
    assert (found.split, found.group) == (None, "a.mp4")


@pytest.mark.parametrize(
    ("observations", "message"),
    [
        ({"o": observation((1, "m1", "groom", "", ""))},
         (", observation 'o': state 'groom' of 'm1' begins at 1 s and has no end; close it in BORIS (Observations > "
          "Close unpaired state events)")),
        ({"o": observation((1, "", "fly", "", ""))},
         ", observation 'o': event at 1 s: behaviour 'fly' is not in the ethogram; add it there"),
        ({"o": observation((1, "groom"))},
         ", observation 'o': event [1, 'groom']; expected [seconds, subject, behaviour, modifier, comment]"),
        ({"o": observation(("x", "", "groom", "", ""))},
         ", observation 'o': event ['x', '', 'groom', '', ''] has no time in seconds"),
        ({"o": observation((math.nan, "", "groom", "", ""), (2, "", "groom", "", ""))},
         ", observation 'o': event [nan, '', 'groom', '', ''] has no time in seconds"),
        ({"o": 5},
         (", observation 'o': not of the form of a project of BORIS (AttributeError: 'int' object has no attribute "
          "'get')")),
        ({"o": observation(file=("a.mp4", "b.mp4"), media_info={"length": {"a.mp4": "long", "b.mp4": 3}})},
         (", observation 'o': not of the form of a project of BORIS (ValueError: could not convert string to float: "
          "'long')")),
        ({"o": observation((-2, "", "groom", "", ""), (-1, "", "groom", "", ""))},
         ", observation 'o': segment from -2 to -1 s: start must be at least 0 and before the end"),
        ({"o": {"type": "LIVE", "file": {}, "events": []}},
         ": no observation is of a media file; nothing can be learned from it"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_with_its_observation(tmp_path, observations, message):
    project(tmp_path, observations)
    assert refused(data_settings(tmp_path, "boris", "p.boris"), AnnotationError) == f"ROOT/p.boris{message}"


def test_an_ethogram_of_another_form_is_refused(tmp_path):
    project(tmp_path, {}, behaviors_conf={"0": {"code": "groom"}})
    message = "ROOT/p.boris: not of the form of a project of BORIS (KeyError: 'type')"
    assert refused(data_settings(tmp_path, "boris", "p.boris"), AnnotationError) == message


HEADER = "\t".join((
    *("Observation id", "Observation date", "Media file", "FPS", "a", "Subject", "Behavior", "Modifiers"),
    *("Behavior type", "Start (s)", "Stop (s)"),
))  # fmt: skip


def row(name, media, subject, behaviour, kind, start, stop, modifier=""):
    return f"{name}\t2016-12-01\t{media}\t25.0\t12\t{subject}\t{behaviour}\t{modifier}\t{kind}\t{start}\t{stop}\n"


def test_the_table_of_aggregated_events(tmp_path):
    """With the columns of BORIS 7, of which any may be an independent variable, and a comma as decimal point."""
    table = [
        row("o1", "a.mp4", "No focal subject", "groom", "STATE", "1,5", "2.5"),
        row("o1", "a.mp4", "m1", "groom", "STATE", "2.0", "3.0", modifier="fast"),
        row("o1", "a.mp4", "m1", "peck", "POINT", "4.0", "4.0"),
        row("o2", "NA", "m1", "groom", "STATE", "4.0", "5.0"),
    ]
    write(tmp_path, {"t.tsv": "\ufeff" + HEADER + "\r\n" + "".join(table).replace("\n", "\r\n")})
    (found,), notes = read(tmp_path, "t.tsv")
    assert found == Annotation("a.mp4", "", None, "a.mp4", segments=(Segment(1.5, 3, "groom"),))
    assert len(notes) == 4
    write(tmp_path, {"t.tsv": (HEADER + "\n" + "".join(table)).replace("Media file\t", "Media file name\t")})
    assert read(tmp_path, "t.tsv")[0] == (found,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEADER + "\n" + row("o", "a.mp4", "", "groom", "STATE", "x", "2"),
         ", line 2: Start (s) 'x' and Stop (s) '2' are no numbers of seconds"),
        (HEADER + "\n" + row("o", "a.mp4", "", "g", "STATE", "1", "2") + row("o", "b.mp4", "", "g", "STATE", "1", "2"),
         (", line 3: observation 'o' shows several files one after the other, and their lengths are not here; give the "
          "project (.boris) instead")),
        (HEADER.replace("Media file", "File") + "\n" + row("o", "a.mp4", "", "g", "STATE", "1", "2"),
         ", line 1: no column Media file name or Media file; export aggregated events anew"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused_with_its_line(tmp_path, content, message):
    write(tmp_path, {"t.tsv": content})
    assert refused(data_settings(tmp_path, "boris", "t.tsv")) == f"ROOT/t.tsv{message}"


def aggregated(*rows):
    """A table of BORIS 8: its times are those of the project, so that an offset is in them."""
    header = ("Observation id", "Time offset (s)", "Media duration (s)", "Subject", "Behavior", "Behavior type",
              "Start (s)", "Stop (s)", "Media file name")  # fmt: skip
    return "".join("\t".join(map(str, row)) + "\n" for row in (header, *rows))


def test_the_offset_of_a_table_is_in_its_times_and_not_in_those_of_the_video(tmp_path):
    """The same observation as a project and as the table that BORIS makes of it."""
    events = [(101, "", "groom", "", ""), (103.5, "", "groom", "", "")]
    project(tmp_path, {"o": observation(*events, **{"time offset": 100})})
    rows = [("o", "100.0", "18.000|20.000", "", "groom", "STATE", "101.000", "103.500", "a.mp4")]
    write(tmp_path, {"t.tsv": aggregated(*rows)})
    assert read(tmp_path, "t.tsv")[0] == read(tmp_path)[0]
    write(tmp_path, {"t.tsv": aggregated(*rows).replace("100.0", "NA").replace("18.000|20.000", "200")})
    assert read(tmp_path, "t.tsv")[0][0].segments == (Segment(101, 103.5, "groom"),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (aggregated(("o", "0", "10;8", "", "groom", "STATE", "1700000002", "1700000004", "a.mp4")),
         (", line 2: 'groom' begins at 1.7e+09 s, and its media last 18 s; BORIS may count from the creation of the "
          "media, which the table does not tell: give the project (.boris) instead")),
        (aggregated(("o", "1 s", "18", "", "groom", "STATE", "2", "4", "a.mp4")),
         ", line 2: Time offset (s) '1 s' is no number of seconds"),
        ("Observation id\tSubject\tBehavior\tBehavior type\tTime\tMedia file name\no\tm\tgroom\tSTART\t2\ta.mp4\n",
         (" is a table of tabular events, with a row for each start and each stop; export the aggregated events of "
          "BORIS, or give the project (.boris)")),
        ("Observation id\tfirst\nTime\tStatus\n2\tSTART\n",
         (" is a table of tabular events, with a row for each start and each stop; export the aggregated events of "
          "BORIS, or give the project (.boris)")),
    ],
)  # fmt: skip
def test_a_table_whose_times_are_of_another_clock_is_refused(tmp_path, content, message):
    write(tmp_path, {"t.tsv": content})
    assert refused(data_settings(tmp_path, "boris", "t.tsv")) == f"ROOT/t.tsv{message}"
