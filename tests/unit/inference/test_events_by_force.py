"""`vidrnn.inference.events` against another way to find the same events, with all steps at hand."""

from itertools import groupby

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vidrnn.inference.events import Event, EventFinder, EventOptions

CLASSES = ("background", "sit", "stand")
Spans = list[tuple[str, float, float, float]]


def by_force(times: np.ndarray, scores: np.ndarray, cuts: np.ndarray | None, options: EventOptions) -> Spans:
    """Which classes happen at each step; their runs; close gaps; then drop what is short."""
    happens = np.zeros(scores.shape, dtype=bool)
    for step, row in enumerate(scores):
        before = happens[step - 1] if step else np.zeros(len(CLASSES), dtype=bool)
        if cuts is not None:
            happens[step] = [
                score >= (cut - options.hysteresis if was else cut)
                for score, cut, was in zip(row, cuts, before, strict=True)
            ]
        else:
            best = max(range(len(CLASSES)), key=row.__getitem__)
            present = [number for number in range(len(CLASSES)) if before[number]]
            happens[step, present[0] if present and row[best] - row[present[0]] <= options.hysteresis else best] = True
    found: Spans = []
    for number, name in enumerate(CLASSES):
        if name == "background" and cuts is None:  # where classes overlap it is one as any other
            continue
        runs = [list(group) for on, group in groupby(range(len(scores)), key=happens[:, number].__getitem__) if on]
        joined: list[list[int]] = []
        for run in runs:
            if joined and times[run[0]] - times[joined[-1][-1] + 1] < options.min_gap_s:
                joined[-1] += run
            else:
                joined.append(run)
        for steps in joined:
            start, end = times[steps[0]], times[steps[-1] + 1]
            if end - start >= options.min_length_s:
                found.append((name, start, end, float(scores[steps, number].mean())))
    return sorted(found)


@given(
    st.lists(st.tuples(*[st.integers(0, 8)] * 3), min_size=1, max_size=40),
    st.lists(st.integers(1, 4), min_size=40, max_size=40),
    st.booleans(),
    st.integers(0, 4),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_events_are_what_is_found_with_all_steps_at_hand(
    rows: list[tuple[int, int, int]], gaps: list[int], overlapping: bool, hysteresis: int, length: int, gap: int
) -> None:
    """Whole numbers over powers of two, so that sums are exact and no comparison depends on rounding."""
    scores, times = np.array(rows) / 8, np.cumsum([0.0, *gaps[: len(rows)]])
    cuts = np.array([0.5, 0.5, 0.75]) if overlapping else None
    options = EventOptions(hysteresis / 8, float(length), float(gap))
    finder = EventFinder(CLASSES, thresholds=None if cuts is None else cuts.tolist(), options=options)
    events: list[Event] = []
    for time_s, row in zip(times.tolist(), scores, strict=False):
        said = finder.push(time_s, row)
        # Everything is decided with a bounded delay: an end at most the shortest gap after it, and a step.
        assert all(time_s - event.time_s <= max(length, gap) + 4 for event in said if event.kind == "end")
        events += said
    events += finder.finish(float(times[-1]))
    ends = sorted((event for event in events if event.kind == "end"), key=lambda event: (event.label, event.start_s))
    expected = by_force(times, scores, cuts, options)
    assert [(event.label, event.start_s, event.time_s) for event in ends] == [span[:3] for span in expected]
    np.testing.assert_allclose([event.score for event in ends], [span[3] for span in expected])
    starts = sorted((event.label, event.start_s) for event in events if event.kind == "start")
    assert starts == [(event.label, event.start_s) for event in ends]
