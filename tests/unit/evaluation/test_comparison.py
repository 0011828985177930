"""`vidrnn.evaluation.comparison`, `video_figures`: paired figures, their interval, McNemar's test, what is refused."""

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.stats import binomtest

from vidrnn.errors import ComparisonError, MissingPathError
from vidrnn.evaluation.comparison import compare, mcnemar
from vidrnn.evaluation.metrics import HEADLINES, headline, measure_outputs
from vidrnn.evaluation.predictions import write_predictions
from vidrnn.evaluation.video_figures import VideoFigures, read_figures
from vidrnn.settings.model import Head

LABELS = ("jump", "run", "wave")


def figures(*rows: str, groups: str = "", seeds: tuple[int, ...] = (), head: Head = "label") -> VideoFigures:
    """Of a string of 0 and 1 per seed, a letter per video that names its group."""
    parts = np.asarray([list(map(float, row)) for row in rows])
    n = parts.shape[1]
    return VideoFigures(
        head=head,
        seeds=seeds or tuple(range(len(rows))),
        videos=tuple(f"{number}.mp4" for number in range(n)),
        groups=tuple(groups or map(str, range(n))),
        truth=(("run",),) * n,
        parts=parts,
        wholes=np.ones(n),
    )


def write(folder: Path, head: Head, answers: Any, truth: Any, labels: tuple[str, ...] = LABELS) -> Path:
    """A predictions.csv of videos v0, v1 ... in groups of two."""
    folder.mkdir(exist_ok=True)
    paths, groups = [f"v{i}" for i in range(len(truth))], [f"g{i // 2}" for i in range(len(truth))]
    write_predictions(
        folder / "predictions.csv", head=head, paths=paths, groups=groups, labels=labels, answers=answers, truth=truth
    )
    return folder


@pytest.mark.parametrize(("only_a", "only_b"), [*itertools.product(range(7), repeat=2), (400, 460), (2600, 2400)])
def test_mcnemar_is_the_two_sided_binomial_test(only_a: int, only_b: int) -> None:
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar(only_a, only_b) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_by_hand() -> None:
    """Of 8 videos that one side alone has right, 1 is A's: 2 (1 + 8) / 256."""
    assert mcnemar(1, 7) == mcnemar(7, 1) == 18 / 256


def test_the_difference_is_pooled_over_seeds_and_paired() -> None:
    a = figures("1100110010", "1100110011", groups="aabbccddee")
    b = figures("1110111110", "1111111010", groups="aabbccddee")
    found = compare(a, b)
    assert (found.n, found.num_groups) == (10, 5)
    assert (found.a, found.b, found.difference) == pytest.approx((0.55, 0.8, 0.25))
    assert [(pair.only_a, pair.only_b) for pair in found.pairs] == [(0, 3), (1, 3)]
    assert [pair.p_value for pair in found.pairs] == [0.25, 0.625]
    means = [0.0, 0.75, 0.0, 0.75, -0.25]  # of groups of two videos and two seeds
    assert found.p_value == pytest.approx(stats.ttest_1samp(means, 0.0).pvalue)
    low, high = found.interval
    assert low < 0.25 < high
    assert found.sentence() == (
        f"B is right on 25.0 points more of the 10 videos than A (95 % interval {100 * low:.1f} to {100 * high:.1f} "
        "over 5 groups and 2 seeds); t test over groups p = 0.3: the two cannot be told apart."
    )
    turned = compare(b, a)
    assert turned.difference == -found.difference
    assert "25.0 points fewer of the 10 videos" in turned.sentence()


def test_results_that_differ_on_most_videos_are_told_apart() -> None:
    a, b = figures("0" * 20 + "1" * 4), figures("1" * 24)
    assert compare(a, b).sentence().endswith("t test over groups p = 2e-10: B is better.")
    assert compare(b, a).sentence().endswith("t test over groups p = 2e-10: A is better.")


def test_an_error_that_is_lower_is_better() -> None:
    a, b = (replace(figures(row, head="regression"), head="regression") for row in ("5" * 8, "34353433"))
    sentence = compare(a, b).sentence()
    assert sentence.startswith("B's absolute error is 1.5 lower than A's on the 8 videos (95 % interval -")
    assert sentence.endswith("over 8 groups and 1 seed); t test over groups p = 0.00081: B is better.")


def test_mcnemar_alone_does_not_tell_apart_where_groups_disagree() -> None:
    """All of the twelve videos that differ are of one group of four: for other groups that says little."""
    a = figures("0" * 12 + "1" * 6, groups="a" * 12 + "bbccdd")
    found = compare(a, replace(a, parts=np.ones((1, 18))))
    assert found.pairs[0].p_value is not None and found.pairs[0].p_value < 0.001
    assert found.interval[0] < 0.0
    assert not found.is_told_apart


def test_equal_results_differ_by_nothing_and_say_so() -> None:
    a = figures("1101", "0110", groups="aabb")
    found = compare(a, a)
    assert (found.difference, found.interval, found.p_value) == (0.0, (0.0, 0.0), 1.0)
    assert found.sentence() == (
        "B does exactly as well as A on each of the 4 videos, over 2 groups and 2 seeds: the difference is 0."
    )


def test_one_group_gives_no_interval() -> None:
    found = compare(figures("0" * 9, groups="a" * 9), figures("1" * 9, groups="a" * 9))
    assert found.as_dict()["interval"] == [None, None]
    assert "(no interval from 1 group and 1 seed)" in found.sentence()
    assert found.sentence().endswith(": the two cannot be told apart.")


def simulated(
    rng: np.random.Generator, *, groups: int, size: int, seeds: int, gain: float
) -> tuple[VideoFigures, VideoFigures]:
    """A and B over the same videos, some harder than others and so some groups; each fit has luck of its own."""
    hard = rng.normal(0.0, 0.5, (1, groups, 1)) + rng.normal(0.0, 0.8, (1, groups, size))
    a, b = (
        (level + hard + rng.normal(0.0, 0.5, (seeds, groups, size)) > 0.0).reshape(seeds, -1).astype(np.float64)
        for level in (0.3, 0.3 + gain)
    )
    names = "".join(chr(97 + number) * size for number in range(groups))
    return tuple(  # type: ignore[return-value]
        replace(figures("0" * groups * size, groups=names), parts=parts, seeds=tuple(range(seeds))) for parts in (a, b)
    )


@pytest.mark.parametrize(("groups", "size"), [(5, 6), (10, 6), (20, 3)])
def test_a_true_gain_is_found_and_none_is_rarely(groups: int, size: int) -> None:
    """About 16 points with three seeds. Drawing seeds and groups anew found it in a third of the cases."""
    rng = np.random.default_rng(0)
    found = {
        gain: np.mean(
            [compare(*simulated(rng, groups=groups, size=size, seeds=3, gain=gain)).is_told_apart for _ in range(300)]
        )
        for gain in (0.0, 0.5)
    }
    assert found[0.0] <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)
    assert found[0.5] >= (0.4 if groups == 5 else 0.85)


def test_the_comparison_is_the_paired_t_test_over_groups() -> None:
    """SciPy's, on the mean difference of each group over videos and seeds."""
    a, b = simulated(np.random.default_rng(3), groups=8, size=4, seeds=3, gain=0.4)
    found = compare(a, b)
    means = (b.parts - a.parts).mean(axis=0).reshape(8, 4).mean(axis=1)
    reference = stats.ttest_1samp(means, 0.0)
    interval = reference.confidence_interval(0.95)
    assert found.p_value == pytest.approx(reference.pvalue)
    assert found.interval == pytest.approx((interval.low, interval.high))


def change(a: VideoFigures, **changes: Any) -> VideoFigures:
    return replace(a, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": "regression"}, "the heads differ: A answers 'label', B 'regression'; "),
        ({"videos": ("0.mp4", "1.mp4", "x.mp4")}, "the videos differ: A alone has '2.mp4' and 0 more; "),
        ({"truth": (("run",), ("jump",), ("run",))}, "the truths differ: '1.mp4' has 'run' in A and 'jump' in B; "),
        ({"truth": (("run",), ("run",) * 2, ("run",))}, "the truths differ: '1.mp4' has 1 steps in A and 2 in B; "),
        ({"groups": ("a", "b", "c")}, "the groups differ: '1.mp4' has 'a' in A and 'b' in B; "),
        ({"wholes": np.full(3, 4.0)}, "the classes differ: A decides about 1 for each video, B about 4; "),
        ({"seeds": (0,), "parts": np.ones((1, 3))}, "the numbers of seeds differ: A has 0, 1, B 0; "),
    ],
)
def test_results_about_different_things_are_refused(changes: dict[str, Any], message: str) -> None:
    a = figures("110", "011", groups="aac")
    with pytest.raises(ComparisonError) as caught:
        compare(a, change(a, **changes))
    assert str(caught.value).startswith(message)


def test_videos_that_only_b_has_are_named() -> None:
    a, b = figures("11"), figures("1111")
    with pytest.raises(ComparisonError, match=r"B alone has '2.mp4' and 1 more"):
        compare(a, b)


def test_figures_of_one_label_are_those_of_the_metrics(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = list(rng.integers(0, 3, 9))
    answers = [(seed, list(rng.normal(size=(9, 3)))) for seed in (4, 2)]
    found = read_figures(write(tmp_path / "a", "label", answers, truth))
    assert (found.head, found.seeds, found.groups[:3]) == ("label", (2, 4), ("g0", "g0", "g1"))
    for row, (_, outputs) in zip(found.parts, reversed(answers), strict=True):
        groups = list(map(str, range(9)))
        metrics = measure_outputs("label", outputs, truth, labels=LABELS, groups=groups, bootstrap=1)
        assert row.sum() / found.wholes.sum() == pytest.approx(headline("label", metrics))


@pytest.mark.parametrize("head", ["transcript", "regression"])
def test_figures_add_up_to_the_headline(tmp_path: Path, head: Head) -> None:
    """Edits over labels and the mean absolute error are the figures that crossval.json has."""
    rng = np.random.default_rng(1)
    if head == "transcript":
        truth, outputs = [np.asarray([0, 1, -1]), np.asarray([-1] * 3)] * 2, list(rng.normal(size=(4, 7, 4)))
    else:
        truth, outputs = list(rng.normal(size=4)), list(rng.normal(size=(4, 1)))
    found = read_figures(write(tmp_path / "a", head, [(0, outputs)], truth))
    metrics = measure_outputs(head, outputs, truth, labels=LABELS, groups=list("abcd"), bootstrap=1)
    assert found.parts.sum() / found.wholes.sum() == pytest.approx(headline(head, metrics)), HEADLINES[head].name


def test_figures_of_the_other_heads_by_hand(tmp_path: Path) -> None:
    yes, no = 5.0, -5.0
    sets = [np.asarray([1.0, 0.0, 1.0]), np.zeros(3)]
    found = read_figures(write(tmp_path, "multilabel", [(0, [np.asarray([yes, yes, no]), np.full(3, no)])], sets))
    assert (found.parts.tolist(), found.wholes.tolist()) == ([[1.0, 3.0]], [3.0, 3.0])
    steps = [np.eye(3)[[0, 1, 1, 2, 0]], np.eye(3)[[2, 2]], np.eye(3)[[2]]]
    classes = [np.asarray([0, 0, 1, 2, -1]), np.asarray([2, 0]), np.asarray([-1])]
    found = read_figures(write(tmp_path, "step_labels", [(0, steps)], classes))
    assert (found.parts.tolist(), found.wholes.tolist()) == ([[0.75, 0.5, 0.0]], [1.0, 1.0, 0.0])
    going = [np.asarray([[yes, yes, no], [no, no, yes]]), np.full((1, 3), yes)]
    seen = [np.asarray([[1.0, 0.0, np.nan], [0.0, 0.0, 1.0]]), np.full((1, 3), np.nan)]
    found = read_figures(write(tmp_path, "step_multilabel", [(0, going)], seen))
    assert found.head == "step_multilabel"
    assert (found.parts.tolist(), found.wholes.tolist()) == ([[0.8, 0.0]], [1.0, 0.0])
    numbers = [np.asarray([[1.0], [2.0], [9.0]]), np.asarray([[3.0]])]
    truth = [np.asarray([2.0, 4.0, np.nan]), np.asarray([np.nan])]
    found = read_figures(write(tmp_path, "step_regression", [(0, numbers)], truth))
    assert (found.parts.tolist(), found.wholes.tolist()) == ([[1.5, 0.0]], [1.0, 0.0])


HEADER = "path,target,predicted,group,seed\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,target,predicted\na,1,2\n", "has no columns group and seed, which a comparison needs"),
        ("", "has the columns of an empty file, which no head has; write it again"),
        ("path,name\na,b\n", "has the columns path, name, which no head has; write it again"),
        (HEADER, "is damaged (it holds no video)"),
        (HEADER + "a,1,2,g\n", "is damaged (line 2 has more or fewer cells than the header)"),
        (HEADER + "a,1,2,g,0\na,1,2,g,0\n", "is damaged (line 3 repeats 'a' of seed 0, or leaves steps out)"),
        (HEADER + "a,1,two,g,0\n", "is damaged (could not convert string to float: 'two')"),
        (HEADER + "a,1,nan,g,0\n", "is damaged (a prediction is not finite)"),
        (HEADER + "a,1,2,g,0\nb,1,2,g,1\n", "is damaged (seeds 0 and 1 have different videos, groups or truths)"),
    ],
)
def test_a_file_that_cannot_be_compared_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "predictions.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ComparisonError) as caught:
        read_figures(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'predictions.csv'} {message}")


def test_a_folder_without_predictions_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingPathError, match=r"give the --output folder of `vidrnn crossval` or `vidrnn evaluate`"):
        read_figures(tmp_path)
