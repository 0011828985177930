"""`vidrnn.reporting.importance_view` and the page of `vidrnn explain`: bars that fit, for classes and for numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.explanation.explained_worlds import arrays, make_model
from tests.worlds import sequence_set
from vidrnn.explanation.explanation import Explanation, explain
from vidrnn.reporting.explanation_page import write_explanation_page
from vidrnn.reporting.importance_view import HEIGHT, WIDTH, view_of
from vidrnn.reporting.options import ReportOptions
from vidrnn.settings.features import FeatureSettings


def explanation_of(values: list[float], **changes: object) -> Explanation:
    bounds = np.arange(len(values) + 1) / 2
    made = Explanation("a.mp4", "jump", 0.9, None, "occlusion", bounds, np.array(values))
    return replace(made, **changes)  # type: ignore[arg-type]


def test_bars_stand_on_one_line_above_and_below_it() -> None:
    view = view_of(explanation_of([1.0, 3.0, -1.0]))
    assert view.base == pytest.approx(HEIGHT * 3 / 4)
    first, second, third = view.rows[0].bars
    assert [bar.is_for for bar in (first, second, third)] == [True, True, False]
    assert (second.y, second.height) == (0.0, pytest.approx(30.0))
    assert first.y + first.height == pytest.approx(view.base)
    assert (third.y, third.height) == (pytest.approx(view.base), pytest.approx(10.0))
    assert third.x + third.width == pytest.approx(WIDTH, abs=0.2)
    assert view.most == "0.5 to 1.0 s"


def test_streams_share_a_scale_and_many_moments_share_bars() -> None:
    view = view_of(explanation_of([1.0, 2.0], by_stream={"rgb": np.array([4.0, 0.0])}))
    assert [row.stream for row in view.rows] == ["", "rgb"]
    assert view.rows[0].bars[1].height == pytest.approx(HEIGHT / 2)
    values = np.zeros(5000)
    values[1234] = 2.0
    bars = view_of(explanation_of(values.tolist())).rows[0].bars
    assert len(bars) <= 200
    assert sum(bar.height for bar in bars) == pytest.approx(HEIGHT)


@pytest.mark.parametrize("values", [[0.0, 0.0], [-1.0, -2.0], [0.0]])
def test_where_nothing_speaks_for_an_answer_no_moment_is_named(values: list[float]) -> None:
    assert view_of(explanation_of(values)).most == "no moment"


@pytest.mark.parametrize("head", ["label", "multilabel", "regression"])
def test_a_page_of_each_head_with_one_answer_per_video(tmp_path: Path, head: str) -> None:
    (array,) = arrays([9])
    made = explain(
        make_model(head=head), sequence_set([array], [0]), 0, np.arange(9) / 10, path="<b>a</b>.mp4", truth="x"
    )
    written = write_explanation_page(
        tmp_path / "explanation.html",
        [made],
        failed={"b.mp4": "it is <no> video"},
        summary=None,
        places=[tmp_path],
        features=FeatureSettings(),
        options=ReportOptions(),
    )
    page = written.path.read_text()
    assert page.count('<svg class="importance"') == 1
    assert "<b>a</b>" not in page
    assert "it is &lt;no&gt; video" in page
    assert ("number" if head == "regression" else f"What speaks for {made.label}") in page
