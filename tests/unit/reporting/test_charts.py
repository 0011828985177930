"""`vidrnn.reporting.charts`: SVG that takes its colours from the page and shares it with other charts."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from vidrnn.evaluation.calibration import reliability, risk_coverage
from vidrnn.evaluation.metrics import HEADLINES
from vidrnn.reporting import charts

RNG = np.random.default_rng(0)
SCORES, RIGHT = RNG.random(20_000), RNG.random(20_000) < 0.5
LOG = [
    {"epoch": n, "member": m, "train_loss": 1 / n, "val_loss": 2 / n, "val_top1": 0.5}
    for m in (1, 2)
    for n in (1, 2, 3)
]
CHARTS = {
    "learning": charts.learning_curves(LOG, HEADLINES["label"], [2, 3]),
    "reliability": [charts.reliability_chart(reliability(SCORES, RIGHT), what="answers")],
    "risk": [charts.risk_chart(risk_coverage(SCORES, RIGHT), what="answers")],
    "numbers": [charts.scatter_chart(SCORES, SCORES + 1), charts.error_chart(SCORES)],
    "scores": [charts.score_chart(SCORES)],
}


@pytest.mark.parametrize("name", CHARTS)
def test_all_colours_are_variables_of_the_page(name: str) -> None:
    for chart in CHARTS[name]:
        assert re.findall(r"var\(--(?:ink|muted|line|right|wrong)\)", chart)
        assert not re.search(r"#[0-9a-f]{6}|rgb\(|: black|: white", chart)


def test_charts_on_one_page_share_no_identifier() -> None:
    found = [set(re.findall(r'\bid="([^"]+)"', chart)) for charts_of in CHARTS.values() for chart in charts_of]
    assert sum(map(len, found)) == len(set().union(*found)) > 0


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_small_whatever_it_shows_and_says_what_that_is(name: str) -> None:
    """Whole XML, below 150 kB of 20 000 points, with a label for those who hear it."""
    for chart in CHARTS[name]:
        root = ET.fromstring(chart)  # noqa: S314  written here
        assert root.get("role") == "img" and root.get("aria-label")
        assert len(chart) < 150_000
        fonts = re.findall(r'<text style="[^"]*?font(?:-family)?: ([^;"]*)', chart)
        assert fonts and all(font.endswith("var(--font)") for font in fonts)


def test_one_epoch_without_validation_is_a_dot() -> None:
    (chart,) = charts.learning_curves([{"epoch": 1.0, "train_loss": 0.5}], HEADLINES["label"], [])
    assert "training" in chart and "validation" not in chart
