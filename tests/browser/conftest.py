"""One headless Chromium for the tests that drive one."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.test_annotated_in_chromium import CHROMIUM


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
    options += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield found
        found.close()
