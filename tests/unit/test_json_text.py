"""JSON of anybody: what can be read is as json reads it, and every damage is one kind of error."""

import json

import pytest

from vidrnn.json_text import parse_json


@pytest.mark.parametrize("text", ['{"a": [1, 2.5, null, "\\u00e9"]}', b'\xff\xfe"\x00a\x00"\x00', "NaN"])
def test_what_is_json_is_as_python_reads_it(text: str | bytes) -> None:
    assert repr(parse_json(text)) == repr(json.loads(text))


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, b"[" * 200_000, "[" * 200_000 + "]" * 200_000])
def test_a_text_that_is_nested_too_deeply_is_damaged(text: str | bytes) -> None:
    with pytest.raises(json.JSONDecodeError, match="nested too deeply"):
        parse_json(text)


@pytest.mark.parametrize("text", ["", "{", b"\xff", "1" * 5000])
def test_any_other_damage_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  json's own words
        parse_json(text)
