"""What the annotations alone tell: classes and groups per split, and which videos must have nothing in common."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vidrnn.annotations import SPLITS, Annotation
from vidrnn.annotations.splits import find_problems, make_folds, refuse_one_class, sort_annotations
from vidrnn.errors import AnnotationError
from vidrnn.names import listed, quoted, writable
from vidrnn.preflight.findings import Finding, leak
from vidrnn.settings.run import RunSettings

_CLASSES = 20  # named per split


@dataclass(frozen=True)
class Sides:
    """Between which videos a leak would be one.

    Attributes:
        description: for people.
        names: (n,) the split or fold of each video.
    """

    description: str
    names: tuple[str, ...]


def describe_splits(annotations: Sequence[Annotation], settings: RunSettings) -> Iterator[str]:
    """A line for each split: videos, groups, videos and groups per class, and how long nobody looked."""
    splits = sort_annotations(annotations, settings.data)
    for split in SPLITS:
        members = splits[split]
        groups = len({annotation.group for annotation in members})
        yield f"{split}: {len(members)} videos, {groups} groups; {_classes(members)}{_unlabelled(members)}"


def _classes(members: Sequence[Annotation]) -> str:
    counts = Counter(name for annotation in members for name in set(annotation.names))
    if not counts:
        return "no classes" if members else "empty"
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for annotation in members:
        for name in annotation.names:
            groups[name].add(annotation.group)
    rarest = sorted(counts.items(), key=lambda item: (item[1], item[0]))
    shown = sorted(counts.items()) if len(counts) <= _CLASSES else rarest[:_CLASSES]
    text = ", ".join(f"{writable(name)} {count}/{len(groups[name])}" for name, count in shown)
    others = f" and {len(counts) - _CLASSES} classes with more" if len(counts) > _CLASSES else ""
    return f"videos/groups of {text}{others}"


def _unlabelled(members: Sequence[Annotation]) -> str:
    """How long nobody looked, where that is known of any video."""
    stretches = [stretch for annotation in members for stretch in annotation.unlabelled]
    if not stretches:
        return ""
    videos = sum(bool(annotation.unlabelled) for annotation in members)
    seconds = sum(stretch.end_s - stretch.start_s for stretch in stretches)
    return f"; nobody looked at {len(stretches)} stretches of {videos} videos, {seconds:g} s in all"


def find_split_leaks(annotations: Sequence[Annotation], settings: RunSettings) -> Iterator[Finding]:
    """Groups on two sides, classes that a split lacks, and an epoch that is chosen on what is reported."""
    try:
        refuse_one_class(annotations)
    except AnnotationError as error:
        yield Finding("refused", str(error))
        return
    accept = settings.data.accept
    for problem in find_problems(sort_annotations(annotations, settings.data)):
        yield leak(problem.risk, problem.text, accept=accept)
    named = {annotation.split for annotation in annotations}
    if "val" in named and "test" not in named and settings.training.select == "best":
        yield Finding(
            "warning",
            "there is a val split but no test split: val chooses the epoch (training.select best), so a number on val "
            "is too good; name a test split, or set training.select: last and report val",
        )
    of_class: defaultdict[str, set[str]] = defaultdict(set)
    for annotation in annotations:
        for name in annotation.names:
            of_class[name].add(annotation.group)
    if alone := sorted(name for name, groups in of_class.items() if len(groups) == 1):
        yield Finding(
            "warning",
            f"classes {listed(alone)} have one group each, so whatever tells that group apart will "
            "tell the class; "
            "add clips of another actor, place or source",
        )
    yield from _find_fold_leaks(annotations, settings)


def _find_fold_leaks(annotations: Sequence[Annotation], settings: RunSettings) -> Iterator[Finding]:
    """What would stop the cross-validation, where there is no test split to report instead."""
    if sort_annotations(annotations, settings.data)["test"]:
        return
    evaluation, accept = settings.evaluation, settings.data.accept
    try:
        folds = make_folds(annotations, evaluation, root=settings.data.root, accept=accept)
    except AnnotationError as error:
        # Folds that somebody wrote are meant; the default protocol may be of no interest.
        yield Finding("refused" if evaluation.protocol == "folds_csv" else "warning", f"no cross-validation: {error}")
        return
    of_group: defaultdict[str, set[str]] = defaultdict(set)
    for fold in folds:
        for position in fold.test:
            of_group[annotations[position].group].add(fold.name)
    if shared := sorted(group for group, names in of_group.items() if len(names) > 1):
        text = f"{len(shared)} groups are in more than one fold, first {quoted(shared[0])}; results will be too good"
        yield leak("shared_groups", text, accept=accept)


def sides_of(annotations: Sequence[Annotation], settings: RunSettings) -> Sides:
    """The splits, where there is a test split; else the folds of the cross-validation, else train and val."""
    splits = sort_annotations(annotations, settings.data)
    names = {annotation.path: split for split in SPLITS for annotation in splits[split]}
    if not splits["test"]:
        try:
            folds = make_folds(annotations, settings.evaluation, root=settings.data.root, accept=["shared_groups"])
        except AnnotationError:  # what cannot be cross-validated has its two splits still
            folds = []
        of_fold = {position: fold.name for fold in folds for position in fold.test}
        if of_fold:
            protocol = settings.evaluation.protocol
            return Sides(f"{len(folds)} folds of {protocol}", tuple(of_fold[i] for i in range(len(annotations))))
    return Sides("train, val and test", tuple(names[annotation.path] for annotation in annotations))
