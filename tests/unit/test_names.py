"""Names in any encoding go into text files and come back; all others stay as they are."""

import ast
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vidrnn
from vidrnn.annotations import Annotation
from vidrnn.annotations.records import plain_path
from vidrnn.errors import AnnotationError
from vidrnn.names import CONSOLE_ERRORS, excerpt, file_name, listed, original, quoted, writable, writable_values


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


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"caf\xe9.mp4", r"'caf\xe9.mp4'"),
        ("café.mp4".encode(), "'café.mp4'"),
        (rb"caf\xe9.mp4", r"'caf\\xe9.mp4'"),
        (rb"a\b.mp4", r"'a\b.mp4'"),
        (b"it's.mp4", '"it\'s.mp4"'),
        (b"two\nlines\x1b[31m.mp4", r"'two\nlines\x1b[31m.mp4'"),
        ("no\u00a0break.mp4".encode(), r"'no\u00a0break.mp4'"),
    ],
)
def test_a_name_in_a_sentence_is_quoted_and_stays_in_its_line(name, text):
    assert quoted(os.fsdecode(name)) == text
    assert listed([os.fsdecode(name)] * 2) == f"[{text}, {text}]"


def test_a_list_of_many_names_shows_the_first_and_counts_the_others():
    shown = listed(f"class{number}" for number in range(5000))
    assert shown.startswith("['class0', 'class1', ")
    assert shown.endswith(" 'class19', ... and 4980 more]")
    assert listed(range(20)).endswith(" '19']")


def test_all_texts_of_an_object_can_be_written():
    name = os.fsdecode(b"caf\xe9")
    written = writable_values({"label": name, "top": [(name, 0.5)], "at": 1, "gone": None})
    assert written == {"label": r"caf\xe9", "top": [[r"caf\xe9", 0.5]], "at": 1, "gone": None}


def test_no_sentence_shows_a_name_as_python_code():
    """``!r`` writes a byte as ``\\udce9``, which is not how vidrnn takes names."""
    found = [
        f"{file.name}:{node.lineno}: {ast.unparse(node.value)}"
        for file in Path(vidrnn.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FormattedValue) and node.conversion == ord("r")
        if re.search(r"\bpaths?\b|\bstr\(|\bvideo\b|\bfolder\b|\bgroup\b|\blabel\b", ast.unparse(node.value))
    ]
    assert found == []


def test_a_list_names_such_a_file_as_results_do():
    assert os.fsencode(plain_path(r"a/caf\xe9.mp4")) == b"a/caf\xe9.mp4"


def test_a_name_that_no_file_can_have_is_refused():
    with pytest.raises(
        AnnotationError, match=r"^path '\\ud83d.mp4' cannot be the name of a file; correct its characters"
    ):
        Annotation("\ud83d.mp4", "x", None, "x")


def test_of_a_long_text_from_a_file_the_beginning_is_shown():
    assert excerpt("a\nb") == "'a\\nb'"
    shown = excerpt(["x" * 5000])
    assert len(shown) < 250 and shown.startswith("['xxx") and shown.endswith(" ... (5004 characters)")


def test_no_text_gives_a_name_that_is_empty_or_leads_elsewhere():
    texts = ["", " ", ".", "..", "../x", "a/b", "CON", "con.txt", "~", "\0", "x" * 300]
    names = [file_name(text) for text in texts]
    assert len(set(names)) == len(texts)
    assert all(Path(name).name == name and len(name) < 110 for name in names)
