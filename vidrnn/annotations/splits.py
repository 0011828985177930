"""Who trains and who tests. A group (actor, source video, scene) is never on both sides."""

import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidrnn.annotations import SPLITS, Annotation, Split
from vidrnn.annotations.carving import carve
from vidrnn.annotations.csv_file import read_rows
from vidrnn.annotations.records import plain_path
from vidrnn.errors import AnnotationError
from vidrnn.names import listed, quoted
from vidrnn.settings.data import DataSettings, Risk
from vidrnn.settings.evaluation import EvaluationSettings


@dataclass(frozen=True)
class Fold:
    """One train/test cut: positions in the list of annotations.

    Attributes:
        name: of the fold.
        test: positions.
        total: how many annotations there are; all others train.
    """

    name: str
    test: tuple[int, ...]
    total: int

    @property
    def train(self) -> tuple[int, ...]:
        """Positions. Not kept: of one fold per video they would grow with the square of the videos."""
        tested = set(self.test)
        return tuple(position for position in range(self.total) if position not in tested)


@dataclass(frozen=True)
class SplitProblem:
    """What is wrong with splits.

    Attributes:
        risk: its name in ``data.accept``; None where no setting makes it usable.
        text: names the groups or classes, and what to do.
    """

    risk: Risk | None
    text: str


def split_annotations(annotations: Sequence[Annotation], settings: DataSettings) -> dict[Split, list[Annotation]]:
    """Sort annotations into splits, see `sort_annotations`.

    Raises:
        AnnotationError: a problem of `find_problems` that ``data.accept`` does not name.
    """
    splits = sort_annotations(annotations, settings)
    for problem in find_problems(splits):
        if problem.risk is None:
            raise AnnotationError(problem.text)
        if problem.risk not in settings.accept:
            raise AnnotationError(f"{problem.text}; or accept it on purpose: data.accept: [{problem.risk}]")
    return splits


def sort_annotations(annotations: Sequence[Annotation], settings: DataSettings) -> dict[Split, list[Annotation]]:
    """Sort annotations into train, val and test; carve what the annotations do not name, by group.

    A named split is kept as it is. Without any, ``data.test_fraction`` of the groups become test; without a named
    validation split, ``data.val_fraction`` of the training groups become validation. Every class of the data stays in
    the training split.
    """
    splits: dict[Split, list[Annotation]] = {split: [] for split in SPLITS}
    for annotation in annotations:
        splits[annotation.split or "train"].append(annotation)
    rng = random.Random(settings.split_seed)  # noqa: S311  a reproducible split, not a secret
    if all(annotation.split is None for annotation in annotations):
        splits["train"], splits["test"] = carve(splits["train"], settings.test_fraction, rng)
    if not splits["val"]:
        splits["train"], splits["val"] = carve(splits["train"], settings.val_fraction, rng)
    return splits


def find_problems(splits: dict[Split, list[Annotation]]) -> Iterator[SplitProblem]:
    """What would make a wrong number: no training split, a group on two sides, classes that a split lacks."""
    if not splits["train"]:
        yield SplitProblem(None, "the training split is empty; name rows 'train' or put videos into train/<class>/")
    sides: dict[str, list[Split]] = {}
    for split, members in splits.items():
        for group in {annotation.group for annotation in members}:
            sides.setdefault(group, []).append(split)
    if shared := {group: found for group, found in sorted(sides.items()) if len(found) > 1}:
        examples = ", ".join(
            f"{quoted(group)} in {' and '.join(sorted(found))}" for group, found in list(shared.items())[:5]
        )
        yield SplitProblem(
            "shared_groups",
            f"{len(shared)} groups are in more than one split ({examples}); results would be too good. "
            "Move each group to one split",
        )
    trained = _classes(splits["train"])
    for split in ("val", "test"):
        present = _classes(splits[split])
        if unknown := sorted(present - trained):
            yield SplitProblem(
                None, f"classes {listed(unknown)} are in {split} but not in train; add training videos or drop them"
            )
        # Where a video has many labels or none, the rare ones cannot be everywhere, and their metrics say so.
        one_each = all(annotation.label for annotation in splits[split])
        if present and one_each and (absent := sorted(trained - present)):
            yield SplitProblem(
                "missing_classes",
                f"classes {listed(absent)} are missing from {split}, so its accuracy would not cover them; "
                "add videos of them, "
                "or leave the split column empty and set data.val_fraction / data.test_fraction",
            )


def _classes(annotations: Iterable[Annotation]) -> set[str]:
    return {name for annotation in annotations for name in annotation.names}


def _count_classes(annotations: Iterable[Annotation]) -> Counter[str]:
    """Videos of each class."""
    return Counter(name for annotation in annotations for name in set(annotation.names))


def refuse_one_class(annotations: Sequence[Annotation]) -> None:
    """A fit to videos of one class answers with it always, and is always right.

    Raises:
        AnnotationError: each video has a label, and all have the same.
    """
    names = {annotation.label for annotation in annotations}
    if len(names) == 1 and "" not in names:
        raise AnnotationError(
            f"all {len(annotations)} videos are of one class, {quoted(names.pop())}: there is nothing to tell "
            "apart. Name at "
            "least two classes; with data.format: folder, data.root is the folder that holds one folder per class"
        )


def make_folds(
    annotations: Sequence[Annotation], settings: EvaluationSettings, *, root: Path, accept: Collection[Risk] = ()
) -> list[Fold]:
    """Folds of a cross-validation, each with disjoint groups, unless ``shared_groups`` are accepted.

    Raises:
        AnnotationError: there is one class; there are fewer than two groups or folds; or a fold's training side lacks
            a class. Or a ``folds_csv`` puts a group into two folds, or has other rows than the annotations.
    """
    groups = [annotation.group for annotation in annotations]
    if settings.protocol == "folds_csv":
        fold_of = _read_folds(annotations, root / str(settings.folds), accept)
    elif settings.protocol == "group_kfold":
        number = settings.folds if isinstance(settings.folds, int) else 5
        if len(set(groups)) < number or number < 2:
            raise AnnotationError(
                f"evaluation.folds: {number} folds need as many groups and at least 2 folds; "
                f"there are {len(set(groups))} groups"
            )
        fold_of = _folds_of_one_size(groups, number)
        if _classes_of_one_fold(annotations, fold_of):
            fold_of = _folds_of_all_classes(annotations, number)
    else:
        fold_of = groups
    names = sorted(set(fold_of))
    if len(names) < 2:
        raise AnnotationError(
            f"cross-validation needs at least two folds, found {names}; give a group column "
            "(who or what a clip comes from) or data.group_pattern"
        )
    tested: dict[str, list[int]] = {name: [] for name in names}
    for position, name in enumerate(fold_of):
        tested[name].append(position)
    folds = [Fold(name, tuple(positions), len(fold_of)) for name, positions in tested.items()]
    refuse_one_class(annotations)
    for fold, lost in _classes_of_one_fold(annotations, fold_of).items():
        alone = [name for name in lost if len({video.group for video in annotations if name in video.names}) == 1]
        advice = f"{listed(alone)} have one group each: add videos of another group, or leave them out"
        raise AnnotationError(
            f"fold {quoted(fold)} tests classes {listed(lost)} that its training side lacks; "
            f"{advice if alone else 'use other folds'}"
        )
    return folds


def _folds_of_one_size(groups: Sequence[str], number: int) -> list[str]:
    from sklearn.model_selection import GroupKFold

    fold_of = [""] * len(groups)
    for position_of_fold, (_, test) in enumerate(GroupKFold(n_splits=number).split(groups, groups=groups)):
        for position in test:
            fold_of[position] = f"fold{position_of_fold + 1}"
    return fold_of


def _folds_of_all_classes(annotations: Sequence[Annotation], number: int) -> list[str]:
    """Folds of about one size in which no class is alone in one fold, where its groups allow that; rare ones first."""
    members: dict[str, list[Annotation]] = {}
    for annotation in annotations:
        members.setdefault(annotation.group, []).append(annotation)
    classes = {group: _count_classes(videos) for group, videos in members.items()}
    total = _count_classes(annotations)
    homes: dict[str, set[int]] = {name: set() for name in total}
    sizes = [0] * number
    fold_of: dict[str, int] = {}
    for group in sorted(members, key=lambda name: (min((total[label] for label in classes[name]), default=0), name)):
        alone = [sum(homes[name] == {fold} for name in classes[group]) for fold in range(number)]
        fold = min(range(number), key=lambda place: (alone[place], sizes[place], place))
        for name in classes[group]:
            homes[name].add(fold)
        sizes[fold] += len(members[group])
        fold_of[group] = fold
    return [f"fold{fold_of[annotation.group] + 1}" for annotation in annotations]


def _classes_of_one_fold(annotations: Sequence[Annotation], fold_of: Sequence[str]) -> dict[str, list[str]]:
    """By fold, the classes that all other folds lack."""
    folds: dict[str, set[str]] = {}
    for annotation, fold in zip(annotations, fold_of, strict=True):
        for name in annotation.names:
            folds.setdefault(name, set()).add(fold)
    lost: dict[str, list[str]] = {}
    for name in sorted(folds):
        if len(folds[name]) == 1:
            lost.setdefault(next(iter(folds[name])), []).append(name)
    return dict(sorted(lost.items()))


def _read_folds(annotations: Sequence[Annotation], path: Path, accept: Collection[Risk]) -> list[str]:
    rows: dict[str, str] = {}
    for line, row in read_rows(path, required=("path", "fold"), optional=()):
        video = plain_path(row["path"])
        if video in rows:
            raise AnnotationError(f"{path}, line {line}: {quoted(video)} is listed twice; keep one row")
        rows[video] = row["fold"]
    if absent := [annotation.path for annotation in annotations if not rows.get(annotation.path)]:
        raise AnnotationError(
            f"{path} names no fold for {len(absent)} videos, the first is {quoted(absent[0])}; add them"
        )
    fold_of = [rows[annotation.path] for annotation in annotations]
    owner: dict[str, str] = {}
    for annotation, fold in zip(annotations, fold_of, strict=True):
        if owner.setdefault(annotation.group, fold) != fold and "shared_groups" not in accept:
            raise AnnotationError(
                f"{path} puts group {quoted(annotation.group)} into folds {quoted(owner[annotation.group])} "
                f"and {quoted(fold)}; "
                "a group belongs to one fold; or accept it on purpose: data.accept: [shared_groups]"
            )
    return fold_of
