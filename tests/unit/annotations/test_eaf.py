"""ELAN: annotations that have times become segments; what is left out is counted, what is wrong is named."""

import pytest

from tests.annotation_files import data_settings, refused, write
from vidrnn.annotations import Annotation, Segment, read_annotations

DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2020-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">
  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
    <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/Users/me/my%20talk.mp4" MIME_TYPE="video/mp4" {relative}/>
  </HEADER>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/>
    <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1250"/>
    <TIME_SLOT TIME_SLOT_ID="ts3"/>
    <TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="2000"/>
  </TIME_ORDER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="hand">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="{first}" TIME_SLOT_REF2="ts2">
      <ANNOTATION_VALUE> wave
      left</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
      <ANNOTATION_VALUE>wave</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts4">
      <ANNOTATION_VALUE/></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="speech">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a4" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts4">
      <ANNOTATION_VALUE>talk</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="ref" PARENT_REF="speech" TIER_ID="gloss">
    <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a5" ANNOTATION_REF="a4">
      <ANNOTATION_VALUE>x</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
  </TIER>
</ANNOTATION_DOCUMENT>
"""


def document(relative='RELATIVE_MEDIA_URL="../my%20talk.mp4"', first="ts1"):
    return DOCUMENT.format(relative=relative, first=first)


def read(root, **settings):
    notes: list[str] = []
    return read_annotations(data_settings(root, "eaf", "elan", **settings), notes), notes


def test_all_tiers_with_times_are_read_and_the_rest_is_counted(tmp_path):
    write(tmp_path, {"elan/d.eaf": "\ufeff" + document().replace("\n", "\r\n"), "elan/._d.eaf": "x"})
    (found,), notes = read(tmp_path)
    segments = (Segment(0.5, 1.25, "wave left"), Segment(0.5, 2.0, "talk"), Segment(1.25, 1.625, "wave"))
    assert found == Annotation("my talk.mp4", "", None, "my talk.mp4", segments=segments)
    assert notes == [
        "elan: 2 annotations were left out, for they have no words or no times of their own",
        (
            "elan: 1 annotations begin or end at a slot without a time, which was taken evenly between its neighbours, "
            "as ELAN shows it"
        ),
    ]


def test_tiers_may_be_chosen(tmp_path):
    write(tmp_path, {"elan/d.eaf": document()})
    (found,), notes = read(tmp_path, tiers=["speech"])
    assert (found.names, notes) == (("talk",), [])
    assert refused(data_settings(tmp_path, "eaf", "elan", tiers=["mouth"])) == (
        "ROOT/elan/d.eaf: data.tiers: there is no tier 'mouth'; there are 'hand', 'speech', 'gloss'"
    )


SPEECH = """<ANNOTATION_DOCUMENT>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="t1" TIME_VALUE="1000"/><TIME_SLOT TIME_SLOT_ID="t2"/><TIME_SLOT TIME_SLOT_ID="t3"/>
    <TIME_SLOT TIME_SLOT_ID="t4"/><TIME_SLOT TIME_SLOT_ID="t5" TIME_VALUE="4000"/><TIME_SLOT TIME_SLOT_ID="t6"/>
  </TIME_ORDER>
  <TIER TIER_ID="speech">{speech}</TIER>
  <TIER TIER_ID="gloss" PARENT_REF="speech">{gloss}</TIER>
  <TIER TIER_ID="note" PARENT_REF="gloss">{note}</TIER>
</ANNOTATION_DOCUMENT>"""


def aligned(number, first, last, words):
    return (
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="{number}" TIME_SLOT_REF1="{first}" TIME_SLOT_REF2="{last}">'
        f"<ANNOTATION_VALUE>{words}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
    )


def referring(number, parent, words, before=None):
    previous = "" if before is None else f'PREVIOUS_ANNOTATION="{before}"'
    return (
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{number}" ANNOTATION_REF="{parent}" {previous}>'
        f"<ANNOTATION_VALUE>{words}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
    )


def test_annotations_of_a_named_tier_take_the_times_of_those_that_they_refer_to(tmp_path):
    """One has all of it, several have equal parts in the order that they name, whatever their order in the file."""
    gloss = referring("g2", "s1", "run", before="g1") + referring("g1", "s1", "stand")
    parts = {"speech": aligned("s1", "t1", "t5", "words"), "gloss": gloss, "note": referring("n1", "g2", "quick")}
    write(tmp_path, {"elan/d.eaf": SPEECH.format(**parts)})
    (found,), notes = read(tmp_path, tiers=["gloss", "note"], video_path="{name}.mp4")
    assert found.segments == (Segment(1, 2.5, "stand"), Segment(2.5, 4, "run"), Segment(2.5, 4, "quick"))
    assert notes == []
    (found,), _ = read(tmp_path, video_path="{name}.mp4")
    assert found.names == ("words",)


def test_slots_without_a_time_lie_evenly_between_their_neighbours_on_the_tier(tmp_path):
    """Where one annotation ends and the next begins at a slot of its own is one instant; the last has no neighbour."""
    speech = aligned("s1", "t1", "t2", "a") + aligned("s2", "t3", "t4", "b") + aligned("s3", "t4", "t5", "c")
    speech += aligned("s4", "t5", "t6", "d")
    write(tmp_path, {"elan/d.eaf": SPEECH.format(speech=speech, gloss="", note=referring("n1", "s4", "nowhere"))})
    (found,), notes = read(tmp_path, video_path="{name}.mp4")
    assert found.segments == (Segment(1, 2, "a"), Segment(2, 3, "b"), Segment(3, 4, "c"))
    assert [note.split()[1] for note in notes] == ["2", "3"]
    assert refused(data_settings(tmp_path, "eaf", "elan", tiers=["note"], video_path="{name}.mp4")) == (
        "ROOT/elan/d.eaf: data.tiers: none of the 1 annotations of tier 'note' has a time"
    )


def test_a_video_is_beside_the_document_or_where_the_settings_say(tmp_path):
    write(tmp_path, {"elan/s/d.eaf": document(relative="")})
    assert read(tmp_path)[0][0].path == "elan/s/my talk.mp4"
    assert read(tmp_path, video_path="v/{name}.mp4")[0][0].path == "v/s/d.mp4"
    write(tmp_path, {"elan/s/d.eaf": document().replace("MEDIA_DESCRIPTOR", "LINKED_FILE_DESCRIPTOR")})
    assert refused(data_settings(tmp_path, "eaf", "elan")) == (
        "ROOT/elan/s/d.eaf: links no media file below ROOT; say with data.video_path where its video lies, for "
        "instance '{name}.mp4'"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (document(first="ts4"), (": tier 'hand', annotation a1: segment from 2 to 1.25 s: start must be at least 0 and "
                                 "before the end")),
        (document().replace('TIME_VALUE="2000"', 'TIME_VALUE="soon"'),
         ": not of the form of a document of ELAN (ValueError: could not convert string to float: 'soon')"),
        ("<a>", ", line 1: no XML: no element found: line 1, column 3"),
        ("<a/>", ": <a>; expected <ANNOTATION_DOCUMENT>, as ELAN writes it"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a/>',
         " declares a document type, which ELAN does not write; save it from ELAN"),
        (document().replace("milliseconds", "NTSC-frames"),
         ": TIME_UNITS 'NTSC-frames' is unknown; allowed: milliseconds"),
    ],
)  # fmt: skip
def test_a_wrong_document_is_refused_by_its_place(tmp_path, content, message):
    write(tmp_path, {"elan/d.eaf": content})
    assert refused(data_settings(tmp_path, "eaf", "elan")) == f"ROOT/elan/d.eaf{message}"
