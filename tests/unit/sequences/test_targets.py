"""`vidrnn.sequences.targets`: what each head is taught, against loops over videos and instants."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as configure
from hypothesis import strategies as st

from tests.worlds import CPU, Array, fill_store, tiny_model
from vidrnn.annotations import Annotation, LabelMap, Segment
from vidrnn.errors import AnnotationError
from vidrnn.sequences.loading import load_sequences
from vidrnn.sequences.steps import StepChoice, choose_steps, shuffle_steps
from vidrnn.sequences.targets import IGNORED, Targets, describe_unlabelled, label_map_of, make_targets
from vidrnn.settings.model import Head
from vidrnn.store.pack_update import pack

NAMES = LabelMap(("background", "jump", "run", "walk"))


def video(number: int, **known: object) -> Annotation:
    return Annotation(f"{number}.mp4", str(known.pop("label", "")), None, f"g{number}", **known)  # type: ignore[arg-type]


def targets_of(annotations: Sequence[Annotation], head: Head, *times: Sequence[float]) -> Targets:
    """With the instants of each video, for heads with one target per step."""
    instants = [np.asarray(seconds, dtype=np.float64) for seconds in times]
    return make_targets(annotations, head, NAMES, instants.__getitem__, device=CPU)


def labelled(*spans: tuple[float, float, str]) -> tuple[Segment, ...]:
    return tuple(Segment(*span) for span in spans)


def numbered(*spans: tuple[float, float, float]) -> tuple[Segment, ...]:
    return tuple(Segment(start, end, target=value) for start, end, value in spans)


def test_one_label_is_its_position_in_the_map() -> None:
    found = targets_of([video(0, label="walk"), video(1, label="jump"), video(2, label="walk")], "label")
    assert (found.values.tolist(), found.values.dtype, found.offsets) == ([3, 1, 3], torch.int64, None)


def test_any_number_of_labels_is_a_row_of_zeros_and_ones() -> None:
    """No label gives no one; a label said twice, or carried by two segments, is there once."""
    annotations = [
        video(0, labels=("walk", "jump")),
        video(1, labels=()),
        video(2, labels=("run", "run")),
        video(3, label="jump"),
        video(4, segments=labelled((0, 1, "walk"), (1, 2, "run"), (3, 4, "walk"))),
        video(5, segments=()),
    ]
    found = targets_of(annotations, "multilabel")
    assert found.values.dtype == torch.float32
    assert found.values.tolist() == [
        [float(name in annotation.names) for name in NAMES.names] for annotation in annotations
    ]


def test_a_transcript_keeps_order_and_repeats_and_is_filled_up() -> None:
    annotations = [
        video(0, labels=("run", "run", "jump")),
        video(1, labels=()),
        video(2, label="walk"),
        video(3, segments=labelled((0, 1, "jump"), (5, 6, "jump"))),
    ]
    found = targets_of(annotations, "transcript").values
    assert found.dtype == torch.int64
    assert found.tolist() == [[2, 2, 1], [IGNORED] * 3, [3, IGNORED, IGNORED], [1, 1, IGNORED]]


def test_transcripts_that_are_all_empty_have_no_column() -> None:
    assert targets_of([video(0, labels=()), video(1, labels=())], "transcript").values.shape == (2, 0)


def test_a_number_per_video() -> None:
    found = targets_of([video(0, target=-2.5), video(1, target=1e6)], "regression")
    assert (found.values.tolist(), found.values.dtype, found.offsets) == ([-2.5, 1e6], torch.float64, None)


def test_a_segment_begins_at_its_start_and_ends_before_its_end() -> None:
    annotations = [video(0, segments=labelled((1.0, 2.0, "run"), (2.0, 2.5, "jump"), (3.0, 9.0, "walk")))]
    times = [0.0, 0.99, 1.0, 1.5, 2.0, 2.49, 2.5, 2.9, 3.0, 8.0]
    assert targets_of(annotations, "step_labels", times).values.tolist() == [0, 0, 2, 2, 1, 1, 0, 0, 3, 3]


def test_an_instant_is_in_the_segment_whose_rounded_start_it_is() -> None:
    """Frames of 30000/1001 per second, annotated in milliseconds, as BORIS and subtitles have them."""
    times = [at * 1001 / 30000 for at in range(300)]
    starts = range(0, 300, 7)
    spans = [(round(times[at], 3), round(times[min(at + 7, 299)], 3), "run" if at % 2 else "jump") for at in starts]
    found = targets_of([video(0, segments=labelled(*spans))], "step_labels", times).values.tolist()
    assert found[:-1] == [2 if at // 7 * 7 % 2 else 1 for at in range(299)]


def test_labels_that_overlap_fit_several_answers_and_not_one_per_moment() -> None:
    annotations = [video(0, segments=labelled((0, 2, "run"), (1, 3, "jump")))]
    assert targets_of(annotations, "transcript").values.tolist() == [[2, 1]]
    with pytest.raises(AnnotationError, match=r"'0\.mp4' has segments that overlap: run until 2 s and jump from 1 s"):
        targets_of(annotations, "step_labels", [0.0, 1.0])


def test_labels_that_overlap_are_all_there_at_their_steps() -> None:
    """A class is 1 inside its segments and 0 elsewhere, nan where nobody looked for it; padding is nan too."""
    annotations = [
        video(0, segments=labelled((0, 2, "run"), (1, 3, "jump")), unlabelled=labelled((1.5, 4, ""), (4, 5, "walk"))),
        video(1, segments=()),
    ]
    targets = targets_of(annotations, "step_multilabel", [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [0.0])
    nothing, unseen = [0.0] * 4, [math.nan] * 4
    expected = [
        [0.0, 0.0, 1.0, 0.0],
        [0.0, 1.0, 1.0, 0.0],
        [math.nan, 1.0, math.nan, math.nan],
        unseen,
        [0.0, 0.0, 0.0, math.nan],
        nothing,
    ]
    first, second = targets.per_video(torch.tensor([6, 1]))
    np.testing.assert_array_equal(first, np.asarray(expected, dtype=np.float32))
    np.testing.assert_array_equal(second, [nothing])
    choice = StepChoice(torch.tensor([[5, 1], [0, 0]]), torch.tensor([2, 1]))
    batch = targets.of(torch.tensor([0, 1]), choice)
    np.testing.assert_array_equal(batch.numpy(), [[nothing, expected[1]], [nothing, unseen]])
    assert describe_unlabelled(annotations, targets) == (
        "nobody looked at 28.6 % of the steps: they are neither learned nor measured"
    )


def test_stretches_that_nobody_looked_at_are_no_background() -> None:
    """For all classes or for one: nobody knows whether it is background. A segment inside is known all the same."""
    unseen = labelled((2, 4, ""), (5, 6, "walk"))
    annotations = [video(0, segments=labelled((0, 1, "run"), (3, 4, "jump")), unlabelled=unseen)]
    targets = targets_of(annotations, "step_labels", [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert targets.values.tolist() == [2, 0, IGNORED, 1, 0, IGNORED, 0]
    assert describe_unlabelled(annotations, targets) == (
        "nobody looked at 28.6 % of the steps: they are neither learned nor measured"
    )
    seen = [video(0, segments=())]
    assert describe_unlabelled(seen, targets_of(seen, "step_labels", [0.0])) is None
    assert describe_unlabelled(annotations, targets_of(annotations, "multilabel")) is None


edges = st.lists(st.integers(0, 40), max_size=12, unique=True).map(sorted)
grids = st.lists(st.integers(0, 40), min_size=1, max_size=30, unique=True).map(sorted)


@configure(deadline=None)
@given(st.lists(st.tuples(edges, grids), min_size=1, max_size=4), st.data())
def test_steps_equal_a_search_through_the_segments_at_every_instant(
    world: list[tuple[list[int], list[int]]], data: st.DataObject
) -> None:
    """Segments that touch, gaps, instants on the edges, videos without segment; uncovered is background or nan."""
    spans = []
    for points, _ in world:
        pairs = list(pairwise(points))
        kept = data.draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
        spans.append([(a / 4, b / 4, (a + b) % 3) for (a, b), keep in zip(pairs, kept, strict=True) if keep])
    times = [[instant / 4 for instant in grid] for _, grid in world]
    with_labels = [
        video(n, segments=labelled(*((a, b, NAMES.names[1 + k]) for a, b, k in segments)))
        for n, segments in enumerate(spans)
    ]
    with_numbers = [
        video(n, segments=numbered(*((a, b, k + 0.5) for a, b, k in segments))) for n, segments in enumerate(spans)
    ]
    classes, values = [], []
    for segments, instants in zip(spans, times, strict=True):
        for instant in instants:
            inside = [kind for start, end, kind in segments if start <= instant < end]
            classes.append(1 + inside[0] if inside else 0)
            values.append(inside[0] + 0.5 if inside else math.nan)
    offsets = np.cumsum([0, *map(len, times)])[:-1].tolist()
    labels = targets_of(with_labels, "step_labels", *times)
    assert (labels.values.tolist(), labels.values.dtype) == (classes, torch.int64)
    numbers = targets_of(with_numbers, "step_regression", *times)
    np.testing.assert_array_equal(numbers.values.numpy(), np.asarray(values, dtype=np.float32))
    for found in (labels, numbers):
        assert found.offsets is not None
        assert found.offsets.tolist() == offsets


STEPS = [
    video(0, segments=labelled((0.0, 0.3, "jump"), (0.5, 0.7, "run"))),
    video(1, segments=()),
    video(2, segments=labelled((0.1, 9.0, "walk"))),
]
TIMES = [np.arange(total) / 10 for total in (9, 1, 5)]
EXPECTED = [[1, 1, 1, 0, 0, 2, 2, 0, 0], [0], [0, 3, 3, 3, 3]]


@pytest.mark.parametrize("steps", [1, 4, None])
@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0], [1], [1, 1, 2]])
def test_a_batch_has_the_target_of_every_chosen_step(order: list[int], shuffled: bool, steps: int | None) -> None:
    """Whatever the order of steps and videos; padding is ignored, and is nan among numbers."""
    labels = targets_of(STEPS, "step_labels", *TIMES)
    numbers = Targets(labels.values.float() / 2, labels.offsets)
    positions = torch.tensor(order)
    choice = choose_steps(torch.tensor([len(EXPECTED[number]) for number in order]), steps)
    if shuffled:
        choice = shuffle_steps(choice, generator=torch.Generator().manual_seed(0))
    found, of_numbers = labels.of(positions, choice), numbers.of(positions, choice)
    assert found.shape == of_numbers.shape == choice.indices.shape
    for row, position in enumerate(order):
        for slot in range(found.shape[1]):
            if slot < choice.lengths[row]:
                expected = EXPECTED[position][int(choice.indices[row, slot])]
                assert (found[row, slot], of_numbers[row, slot]) == (expected, expected / 2)
            else:
                assert found[row, slot] == IGNORED
                assert of_numbers[row, slot].isnan()


def test_a_batch_changes_nothing_in_the_targets() -> None:
    targets = targets_of(STEPS, "step_labels", *TIMES)
    targets.of(torch.arange(3), choose_steps(torch.tensor([9, 1, 5]), None)).fill_(7)
    assert targets.values.tolist() == [value for row in EXPECTED for value in row]


def test_one_answer_per_video_does_not_look_at_the_steps() -> None:
    targets = targets_of([video(0, label="walk"), video(1, label="jump")], "label")
    choice = StepChoice(torch.zeros(3, 4, dtype=torch.int64), torch.tensor([4, 2, 1]))
    assert targets.of(torch.tensor([1, 0, 1]), choice).tolist() == [1, 3, 1]


def test_a_subset_answers_for_its_videos_in_its_order() -> None:
    """A subset of a subset too; the values of steps are shared."""
    targets = targets_of(STEPS, "step_labels", *TIMES)
    part = targets.subset(torch.tensor([2, 0]))
    assert part.values.data_ptr() == targets.values.data_ptr()
    assert [values.tolist() for values in part.per_video(torch.tensor([5, 9]))] == [EXPECTED[2], EXPECTED[0]]
    last = part.subset(torch.tensor([1]))
    assert last.of(torch.tensor([0]), choose_steps(torch.tensor([9]), None)).tolist() == [EXPECTED[0]]
    transcripts = targets_of([video(0, labels=("run", "jump")), video(1, labels=("walk",))], "transcript")
    assert transcripts.subset(torch.tensor([1, 1])).values.tolist() == [[3, IGNORED]] * 2


def test_each_video_gets_its_own_targets_back() -> None:
    targets = targets_of(STEPS, "step_labels", *TIMES)
    assert [values.tolist() for values in targets.per_video(torch.tensor([9, 1, 5]))] == EXPECTED
    numbers = targets_of([video(0, target=1.5), video(1, target=2.5)], "regression")
    assert numbers.per_video(torch.tensor([4, 4])) == [1.5, 2.5]


def features(totals: Sequence[int]) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {f"{number}.mp4": rng.normal(size=(total, 3)) for number, total in enumerate(totals)}


@pytest.mark.parametrize("case", ["packed", "half packed"])
def test_a_pack_gives_the_targets_that_files_give(tmp_path: Path, case: str) -> None:
    """Timestamps come from either; the videos are asked for in another order than they are stored in."""
    held = features([9, 1, 5])
    plain = fill_store(tmp_path / "plain", held, dim=3)
    packed = fill_store(tmp_path / "packed", {k: v for k, v in held.items() if case == "packed" or k != "0.mp4"}, dim=3)
    pack(packed, remove_files=True)
    if case == "half packed":
        fill = fill_store(tmp_path / "late", {"0.mp4": held["0.mp4"]}, dim=3).read("0.mp4")
        packed.write("0.mp4", fill)
    for folder in (plain, packed):
        sequences = load_sequences([STEPS[2], STEPS[0], STEPS[1]], folder, NAMES, device=CPU, head="step_labels")
        known = [values.tolist() for values in sequences.targets.per_video(sequences.totals)]
        assert known == [EXPECTED[2], EXPECTED[0], EXPECTED[1]]
        part = sequences.subset([1])
        batch = part.batch(torch.tensor([0]), choose_steps(part.totals, 3), tiny_model())
        assert batch.targets.tolist() == [[EXPECTED[0][index] for index in (1, 4, 7)]]


KNOWN = {
    "label": video(0, label="run"),
    "labels": video(0, labels=("run",)),
    "target": video(0, target=1.0),
    "start,end,label": video(0, segments=labelled((0, 1, "run"))),
    "start,end,target": video(0, segments=numbered((0, 1, 2.0))),
}
FITS = {  # what docs of the heads promise, written down a second time
    "label": "label",
    "multilabel": "labels or label or start,end,label",
    "step_labels": "start,end,label",
    "step_multilabel": "start,end,label",
    "transcript": "labels or label or start,end,label",
    "regression": "target",
    "step_regression": "start,end,target",
}
HEADS_OF = {
    "label": "label or multilabel or transcript",
    "labels": "multilabel or transcript",
    "target": "regression",
    "start,end,label": "multilabel or step_labels or step_multilabel or transcript",
    "start,end,target": "step_regression",
}


@pytest.mark.parametrize("head", get_args(Head))
@pytest.mark.parametrize("known", KNOWN)
def test_a_head_that_does_not_fit_the_annotations_is_refused_with_what_would(head: Head, known: str) -> None:
    """Both when classes are counted and when targets are made of another split."""
    if known in FITS[head].split(" or "):
        label_map_of([KNOWN[known]], head)
        targets_of([KNOWN[known]], head, [0.0, 0.5, 1.0])
        return
    message = (
        f"model.head {head!r} needs annotations with {FITS[head]}, but '0.mp4' has {known}; "
        f"change the columns, or model.head to {HEADS_OF[known]}"
    )
    for refused in (lambda: label_map_of([KNOWN[known]], head), lambda: targets_of([KNOWN[known]], head, [0.0])):
        with pytest.raises(AnnotationError) as caught:
            refused()
        assert str(caught.value) == message


@pytest.mark.parametrize("head", get_args(Head))
def test_a_whole_data_set_without_any_class_or_number_is_refused(head: Head) -> None:
    """Heads with one answer per video cannot get there: every annotation that fits has one."""
    nothing = {"multilabel": video(0, labels=()), "transcript": video(0, labels=())}
    empty = [nothing.get(head, video(0, segments=()))] if head not in {"label", "regression"} else []
    kind = "number" if "regression" in head else "class"
    with pytest.raises(AnnotationError) as caught:
        label_map_of(empty, head)
    assert str(caught.value) == (
        f"model.head {head!r} needs at least one {kind}, but no video of the annotations has any"
    )


@pytest.mark.parametrize(
    ("head", "nothing"),
    [
        ("multilabel", video(0, labels=())),
        ("transcript", video(0, labels=())),
        ("step_labels", video(0, segments=())),
        ("step_multilabel", video(0, segments=())),
        ("step_regression", video(0, segments=())),
    ],
)
def test_a_split_may_hold_no_class_or_number_at_all(head: Head, nothing: Annotation) -> None:
    """Classes come from training; whether the few videos of another split show any is theirs."""
    found = targets_of([nothing], head, [0.0, 1.0]).per_video(torch.tensor([2]))[0]
    expected: dict[str, object] = {
        "multilabel": [0.0] * 4,
        "transcript": [],
        "step_labels": [0, 0],
        "step_multilabel": [[0.0] * 4] * 2,
        "step_regression": [math.nan] * 2,
    }
    np.testing.assert_array_equal(found, expected[head])


def test_a_video_without_segments_may_stand_among_numbers() -> None:
    annotations = [video(0, segments=numbered((0.0, 1.0, 3.0))), video(1, segments=())]
    assert label_map_of(annotations, "step_regression") == LabelMap(())
    found = targets_of(annotations, "step_regression", [0.0, 1.0], [0.5])
    np.testing.assert_array_equal(found.values.numpy(), [3.0, math.nan, math.nan])


@pytest.mark.parametrize(
    ("head", "annotation"),
    [
        ("label", video(0, label="swim")),
        ("multilabel", video(0, labels=("run", "swim"))),
        ("transcript", video(0, labels=("run", "swim"))),
        ("step_labels", video(0, segments=labelled((0, 1, "swim")))),
        ("step_multilabel", video(0, segments=labelled((0, 1, "swim")))),
    ],
)
def test_a_class_that_the_label_map_does_not_know_is_refused(head: Head, annotation: Annotation) -> None:
    with pytest.raises(AnnotationError) as caught:
        targets_of([annotation], head, [0.0])
    assert str(caught.value) == "label 'swim' is unknown; known: background, jump, run, walk"


def test_classes_are_in_alphabetical_order_with_the_background_in_front() -> None:
    segments = [video(0, segments=labelled((0, 1, "walk"), (1, 2, "Jump"))), video(1, segments=labelled((0, 1, "arm")))]
    assert label_map_of(segments, "step_labels").names == ("background", "Jump", "arm", "walk")
    assert label_map_of(segments, "transcript").names == ("Jump", "arm", "walk")
    assert label_map_of(segments, "step_multilabel").names == ("Jump", "arm", "walk")
    assert label_map_of([video(0, target=1.0)], "regression").names == ()


def test_a_background_that_is_annotated_is_the_one_of_uncovered_steps() -> None:
    annotations = [video(0, segments=labelled((0, 1, "background"), (1, 2, "arm")))]
    names = label_map_of(annotations, "step_labels")
    assert names.names == ("arm", "background")
    found = make_targets(annotations, "step_labels", names, lambda _: np.asarray([0.5, 1.5, 2.5]), device=CPU)
    assert found.values.tolist() == [1, 0, 1]
