"""`vidrnn.preflight.annotated`: what the annotations alone tell, and between which videos a leak would be one."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest

from vidrnn.annotations import Annotation, Segment, Split
from vidrnn.preflight.annotated import describe_splits, find_split_leaks, sides_of
from vidrnn.settings.base import validate
from vidrnn.settings.run import RunSettings


def settings(root: Path | str = "r", *, evaluation: dict[str, object] | None = None, **data: object) -> RunSettings:
    tree = {
        "data": {"root": str(root), "val_fraction": 0.0} | data,
        "extraction": {"store": f"{root}/features"},
        "evaluation": evaluation or {},
    }
    return validate(RunSettings, tree)


def clips(*rows: tuple[str, str, Split | None]) -> list[Annotation]:
    """One video for each (label, group, split)."""
    return [Annotation(f"{i}.mp4", label, split, group) for i, (label, group, split) in enumerate(rows)]


def said(annotations: Sequence[Annotation], configuration: RunSettings) -> list[tuple[str, str]]:
    return [(finding.level, finding.text) for finding in find_split_leaks(annotations, configuration)]


SOUND = clips(("walk", "ann", "train"), ("run", "bob", "train"), ("walk", "bob", "train"), ("run", "ann", "train"),
              ("walk", "cy", "test"), ("run", "dee", "test"))  # fmt: skip


def test_videos_and_groups_of_each_class_are_counted_for_each_split() -> None:
    annotations = [*SOUND, *clips(("walk", "ann", "train"))]
    assert list(describe_splits(annotations, settings())) == [
        "train: 5 videos, 2 groups; videos/groups of run 2/2, walk 3/2",
        "val: 0 videos, 0 groups; empty",
        "test: 2 videos, 2 groups; videos/groups of run 1/1, walk 1/1",
    ]


def test_a_class_counts_once_for_a_video_however_often_it_happens() -> None:
    segments = (Segment(0, 1, "wave"), Segment(2, 3, "wave"), Segment(4, 5, "bow"))
    annotations = [Annotation("a.mp4", "", "train", "g", segments=segments)]
    assert next(describe_splits(annotations, settings())).endswith("videos/groups of bow 1/1, wave 1/1")


def test_stretches_at_which_nobody_looked_are_counted_and_added_up() -> None:
    stretches = [(Segment(0, 1.5), Segment(3, 4, "bow")), (), (Segment(0, 2),)]
    annotations = [
        Annotation(f"{i}.mp4", "", "train", "g", segments=(Segment(5, 6, "bow"),), unlabelled=unseen)
        for i, unseen in enumerate(stretches)
    ]
    assert next(describe_splits(annotations, settings())) == (
        "train: 3 videos, 1 groups; videos/groups of bow 3/1; nobody looked at 3 stretches of 2 videos, 4.5 s in all"
    )


def test_numbers_have_no_classes() -> None:
    annotations = [Annotation("a.mp4", "", "train", "g", target=1.5)]
    assert next(describe_splits(annotations, settings())) == "train: 1 videos, 1 groups; no classes"
    assert said(annotations, settings()) == [
        ("warning",
         ("no cross-validation: cross-validation needs at least two folds, found ['g']; give a group column (who or "
          "what a clip comes from) or data.group_pattern")),
    ]  # fmt: skip


def test_of_many_classes_the_rarest_are_named() -> None:
    rows = [(f"class{number:02}", f"g{copy}", "train") for number in range(25) for copy in range(1 + (number != 7))]
    line = next(describe_splits(clips(*rows), settings()))
    assert "videos/groups of class07 1/1, class00 2/2," in line
    assert line.endswith("class19 2/2 and 5 classes with more")


def test_sound_splits_say_nothing() -> None:
    assert said(SOUND, settings()) == []


def test_a_group_on_both_sides_is_refused_or_accepted() -> None:
    annotations = [*SOUND, Annotation("x.mp4", "walk", "test", "ann")]
    ((level, text),) = said(annotations, settings())
    assert level == "refused"
    assert text.startswith("1 groups are in more than one split ('ann' in test and train)")
    assert said(annotations, settings(accept=["shared_groups"])) == [("accepted", text)]
    assert said(annotations, settings(accept=["missing_classes"])) == [("refused", text)]


def test_a_class_that_the_test_split_lacks_is_refused_or_accepted() -> None:
    ((level, text),) = said(SOUND[:5], settings())
    assert (level, text.split(",")[0]) == ("refused", "classes ['run'] are missing from test")
    assert said(SOUND[:5], settings(accept=["missing_classes"]))[0][0] == "accepted"


def test_a_class_that_nobody_trained_cannot_be_accepted() -> None:
    accept = ["shared_groups", "missing_classes", "identical_files", "near_duplicates", "metadata"]
    annotations = [*SOUND, *clips(("fly", "eve", "test"), ("fly", "flo", "test"))]
    assert [level for level, _ in said(annotations, settings(accept=accept))] == ["refused"]


def test_a_class_of_one_group_deserves_a_warning() -> None:
    annotations = [*SOUND, *clips(("fly", "eve", "train"), ("fly", "eve", "train"))]
    found = said(annotations, settings(accept=["missing_classes"]))
    assert ("warning", "classes ['fly'] have one group each") in [(a, b.split(",")[0]) for a, b in found]


@pytest.mark.parametrize(("select", "warned"), [("best", True), ("last", False)])
def test_the_split_that_chooses_the_epoch_is_no_test(select: str, warned: bool) -> None:
    annotations = [
        Annotation(each.path, each.label, "val" if each.split == "test" else "train", each.group) for each in SOUND
    ]
    tree = settings().model_dump(mode="json")
    tree["training"]["select"] = select
    texts = [text for _, text in said(annotations, validate(RunSettings, tree))]
    assert [text.startswith("there is a val split but no test split") for text in texts] == [True] * warned


def without_splits(groups: int) -> list[Annotation]:
    return clips(*((label, f"g{group}", None) for group in range(groups) for label in ("run", "walk")))


def test_between_named_splits() -> None:
    sides = sides_of(SOUND, settings())
    assert (sides.description, sides.names) == ("train, val and test", ("train",) * 4 + ("test",) * 2)


def test_between_folds_where_nothing_is_tested_otherwise() -> None:
    sides = sides_of(without_splits(3), settings())
    assert sides.description == "3 folds of leave_one_group_out"
    assert sides.names == ("g0", "g0", "g1", "g1", "g2", "g2")


def test_between_train_and_val_where_folds_are_impossible() -> None:
    annotations = clips(("run", "a", "train"), ("walk", "a", "train"))
    assert sides_of(annotations, settings()).names == ("train", "train")


def test_folds_of_a_file_that_share_groups_are_refused_or_accepted(tmp_path: Path) -> None:
    annotations = without_splits(3)
    rows = [("path", "fold"), *((each.path, number // 2) for number, each in enumerate(annotations))]
    rows[-1] = (annotations[-1].path, 0)
    with (tmp_path / "folds.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    evaluation = {"protocol": "folds_csv", "folds": "folds.csv"}
    ((level, text),) = said(annotations, settings(tmp_path, evaluation=evaluation))
    assert (level, "puts group 'g2' into folds '2' and '0'" in text) == ("refused", True)
    accepting = settings(tmp_path, evaluation=evaluation, accept=["shared_groups"])
    assert said(annotations, accepting) == [
        ("accepted", "1 groups are in more than one fold, first 'g2'; results will be too good"),
    ]
    assert sides_of(annotations, accepting).names == ("0", "0", "1", "1", "2", "0")


def test_of_many_classes_the_first_are_named_and_all_are_counted() -> None:
    annotations = clips(*((f"class{number:03}", f"g{number}", "train") for number in range(300)))
    annotations += clips(("class000", "v", "val"), ("class000", "t", "test"))
    texts = [text for _, text in said(annotations, settings())]
    assert max(map(len, texts)) < 1000
    assert [text.partition("... and ")[2].split(",")[0] for text in texts] == [
        "279 more] are missing from val",
        "279 more] are missing from test",
        "279 more] have one group each",
    ]
