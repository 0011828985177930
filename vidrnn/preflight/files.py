"""What the files tell before anything is decoded: which are missing, and which are the same."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from vidrnn.annotations import Annotation
from vidrnn.preflight.annotated import Sides
from vidrnn.preflight.bars import Bar
from vidrnn.preflight.findings import Finding, leak
from vidrnn.settings.run import RunSettings
from vidrnn.store.source import Source, is_reachable, state_of


def find_missing(annotations: Sequence[Annotation], root: Path) -> Iterator[Finding]:
    """Annotated videos that are not there."""
    missing = [each.path for each in annotations if not is_reachable(each.source(root))]
    if missing:
        text = (
            f"{len(missing)} of {len(annotations)} videos do not exist or may not be read; looked in {root.resolve()}; "
            "correct the annotations or data.root"
        )
        yield Finding("failed", text, tuple(missing))


def find_identical(
    annotations: Sequence[Annotation], sides: Sides, settings: RunSettings, *, bar: Bar
) -> Iterator[Finding]:
    """Files with the same bytes, by their sha256; only files of one size are read. The bar counts bytes."""
    across: list[str] = []
    within: list[str] = []
    contradicting: list[str] = []
    for same in _same_files(annotations, settings.data.root, bar):
        for one, other in combinations(same, 2):
            first, second = annotations[one], annotations[other]
            text = f"{first.path} ({sides.names[one]}) and {second.path} ({sides.names[other]})"
            (within if sides.names[one] == sides.names[other] else across).append(text)
            if first.names != second.names:
                contradicting.append(f"{text}: {'|'.join(first.names)} and {'|'.join(second.names)}")
    if across:
        text = f"{len(across)} pairs of identical files on two sides ({sides.description}); keep one of each, or give "
        text += "them one group and one side"
        yield leak("identical_files", text, accept=settings.data.accept, examples=across)
    if within:
        yield Finding("warning", f"{len(within)} pairs of identical files on one side count twice", tuple(within))
    if contradicting:
        text = f"{len(contradicting)} pairs of identical files have different labels; one of the two is wrong"
        yield Finding("warning", text, tuple(contradicting))


def _same_files(annotations: Sequence[Annotation], root: Path, bar: Bar) -> Iterator[list[int]]:
    by_size: defaultdict[int, list[int]] = defaultdict(list)
    for position, annotation in enumerate(annotations):
        source = annotation.source(root)
        if is_reachable(source):
            by_size[state_of(source)[0]].append(position)
    alike = {size: positions for size, positions in by_size.items() if len(positions) > 1}
    total = sum(size * len(positions) for size, positions in alike.items())
    with bar(total=total, desc="files of one size", unit="B", unit_scale=True) as shown:
        for positions in alike.values():
            by_content: defaultdict[str, list[int]] = defaultdict(list)
            for position in positions:
                digest = Source.of(annotations[position].source(root), on_read=shown.update).sha256
                by_content[digest].append(position)
            yield from (same for same in by_content.values() if len(same) > 1)
