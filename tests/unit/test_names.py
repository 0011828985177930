"""Names in any encoding go into text files and come back; all others stay as they are."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidrnn.annotations import Annotation
from vidrnn.annotations.records import plain_path
from vidrnn.errors import AnnotationError
from vidrnn.names import CONSOLE_ERRORS, original, writable


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"caf\xe9.mp4", r"caf\xe9.mp4"),
        ("café.mp4".encode(), "café.mp4"),
        (rb"caf\xe9.mp4", r"caf\\xe9.mp4"),  # a name that looks like an escape
        (b"caf\\\xe9.mp4", r"caf\\\xe9.mp4"),
        (rb"a\b\x26\n", r"a\b\x26\n"),
    ],
)
def test_bytes_that_are_not_utf8_are_written_out(name, text):
    assert writable(os.fsdecode(name)) == text
    assert os.fsencode(original(text)) == name


@given(st.binary(max_size=12) | st.text(alphabet="\\xe9ud8a", max_size=12).map(str.encode))
def test_every_name_comes_back(name):
    text = writable(os.fsdecode(name))
    assert text.encode().decode() == text
    assert os.fsencode(original(text)) == name


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=8))
def test_every_text_comes_back(text):
    assert original(writable(text)) == text
    writable(text).encode()


def test_the_console_shows_them():
    assert os.fsdecode(b"caf\xe9").encode("utf-8", errors=CONSOLE_ERRORS) == rb"caf\xe9"


def test_a_list_names_such_a_file_as_results_do():
    assert os.fsencode(plain_path(r"a/caf\xe9.mp4")) == b"a/caf\xe9.mp4"


def test_a_name_that_no_file_can_have_is_refused():
    with pytest.raises(
        AnnotationError, match=r"^path '\\ud83d.mp4' cannot be the name of a file; correct its characters"
    ):
        Annotation("\ud83d.mp4", "x", None, "x")
