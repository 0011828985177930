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
    segments = (Segment(0.5, 1.25, "wave left"), Segment(0.5, 2.0, "talk"))
    assert found == Annotation("my talk.mp4", "", None, "my talk.mp4", segments=segments)
    assert notes == ["elan: 3 annotations were left out, for they have no words or no times of their own"]


def test_tiers_may_be_chosen(tmp_path):
    write(tmp_path, {"elan/d.eaf": document()})
    (found,), notes = read(tmp_path, tiers=["speech"])
    assert (found.names, notes) == (("talk",), [])
    assert refused(data_settings(tmp_path, "eaf", "elan", tiers=["mouth"])) == (
        "ROOT/elan/d.eaf: data.tiers: there is no tier 'mouth'; there are 'hand', 'speech', 'gloss'"
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
