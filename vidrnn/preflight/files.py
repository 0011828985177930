"""What the files tell before anything is decoded: which are missing, which are the same, what is in them."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from vidrnn.annotations import Annotation
from vidrnn.errors import VideoError
from vidrnn.preflight.annotated import Sides
from vidrnn.preflight.findings import Finding, leak
from vidrnn.settings.run import RunSettings
from vidrnn.store.source import Source, is_reachable, state_of
from vidrnn.video.probe import probe

_PROBED = 40


def find_missing(annotations: Sequence[Annotation], root: Path) -> Iterator[Finding]:
    """Annotated videos that are not there."""
    missing = [each.path for each in annotations if not is_reachable(each.source(root))]
    if missing:
        text = (
            f"{len(missing)} of {len(annotations)} videos do not exist or may not be read; looked in {root.resolve()}; "
            "correct the annotations or data.root"
        )
        yield Finding("failed", text, tuple(missing))


def find_identical(annotations: Sequence[Annotation], sides: Sides, settings: RunSettings) -> Iterator[Finding]:
    """Files with the same bytes, by their sha256; only files of one size are read."""
    across: list[str] = []
    within: list[str] = []
    contradicting: list[str] = []
    for same in _same_files(annotations, settings.data.root):
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


def _same_files(annotations: Sequence[Annotation], root: Path) -> Iterator[list[int]]:
    by_size: defaultdict[int, list[int]] = defaultdict(list)
    for position, annotation in enumerate(annotations):
        source = annotation.source(root)
        if is_reachable(source):
            by_size[state_of(source)[0]].append(position)
    for positions in by_size.values():
        by_content: defaultdict[str, list[int]] = defaultdict(list)
        for position in positions if len(positions) > 1 else ():
            by_content[Source.of(annotations[position].source(root)).sha256].append(position)
        yield from (same for same in by_content.values() if len(same) > 1)


def describe_codecs(annotations: Sequence[Annotation], settings: RunSettings) -> Iterator[str]:
    """Codecs and containers of some of the videos, evenly chosen."""
    root, features = settings.data.root, settings.features
    there = [each.source(root) for each in annotations if is_reachable(each.source(root))]
    if not there:
        return
    chosen = there[:: -(-len(there) // _PROBED)]
    counts: Counter[str] = Counter()
    for source in chosen:
        try:
            video = probe(source, frame_rate=features.frame_rate, frame_template=features.frame_template)
            counts[f"{video.codec} in {video.container.split(',')[0]}"] += 1
        except (VideoError, OSError):
            counts["unreadable"] += 1
    yield f"codecs of {len(chosen)} videos: " + ", ".join(f"{name} {count}" for name, count in counts.most_common())
