"""JSON that anybody may have written: a text nested too deeply is as damaged as one that breaks off."""

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401  what JSON can hold
    """What a JSON text holds, as `json.loads` gives it.

    Args:
        text: one value; bytes are UTF-8, UTF-16 or UTF-32.

    Raises:
        json.JSONDecodeError: it is no JSON, or nested more deeply than Python reads. ValueError: bytes in no such
            encoding, or a whole number with thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise json.JSONDecodeError("nested too deeply", "", 0) from None
