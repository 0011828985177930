"""What the files tell before anything is decoded: which are missing, and which are the same."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from vidrnn.annotations import Annotation
from vidrnn.bars import Bar
from vidrnn.errors import VideoError
from vidrnn.names import of_unicode, of_windows, writable
from vidrnn.preflight.annotated import Sides
from vidrnn.preflight.findings import Finding, leak
from vidrnn.settings.run import RunSettings
from vidrnn.store.sidecar import sidecar_of
from vidrnn.store.source import Source, is_reachable, state_of

_SHOWN = 5  # files of a group


def find_missing(annotations: Sequence[Annotation], settings: RunSettings) -> Iterator[Finding]:
    """Annotated videos that are not there; arrays, where nothing else is read."""
    missing = [annotation.path for annotation in annotations if not is_reachable(_source(annotation, settings))]
    if missing:
        folder = settings.data.root / (_array_folder(settings) or "")
        text = (
            f"{len(missing)} of {len(annotations)} videos do not exist or may not be read; looked in "
            f"{folder.resolve()}; correct the annotations or data.root{of_windows(missing)}"
        )
        text += next(filter(None, (of_unicode(folder / path) for path in missing[:_SHOWN])), "")
        if folder != settings.data.root:
            text = text.replace("videos do", "arrays do").replace("data.root", "features.external.folder")
        yield Finding("failed", text, tuple(map(writable, missing)))


def _array_folder(settings: RunSettings) -> Path | None:
    """Where the arrays are, if they alone are read and tell their times; then nobody needs the videos."""
    features = settings.features
    alone = features.streams == ("external",) and features.external.rate is not None
    return features.external.folder if alone else None


def _source(annotation: Annotation, settings: RunSettings) -> Path:
    """The file that the features of a video are made of."""
    root, folder = settings.data.root, _array_folder(settings)
    if folder is None:
        return annotation.source(root)
    try:
        suffix = settings.features.external.suffix
        return sidecar_of(annotation.source(root), root=root, folder=root / folder, suffix=suffix)
    except VideoError:  # it has two; the extraction names them
        return annotation.source(root)


def find_identical(
    annotations: Sequence[Annotation], sides: Sides, settings: RunSettings, *, bar: Bar
) -> Iterator[Finding]:
    """Files with the same bytes, by their sha256; only files of one size are read. The bar counts bytes.

    Pairs are counted, and named by group: of 4000 empty files there are 8 million.
    """
    across: list[str] = []
    within: list[str] = []
    contradicting: list[str] = []
    num_across = num_within = num_contradicting = 0
    for same in _same_files(annotations, settings, bar):
        pairs = _pairs(len(same))
        on_one_side = sum(map(_pairs, Counter(sides.names[position] for position in same).values()))
        alike = sum(map(_pairs, Counter(annotations[position].names for position in same).values()))
        text = _listed([f"{writable(annotations[position].path)} ({sides.names[position]})" for position in same])
        num_across, num_within = num_across + pairs - on_one_side, num_within + on_one_side
        num_contradicting += pairs - alike
        across += [text] if pairs > on_one_side else []
        within += [text] if on_one_side else []
        if pairs > alike:
            labels = [writable("|".join(annotations[position].names)) for position in same]
            contradicting.append(f"{text}: {_listed(list(dict.fromkeys(labels)))}")
    if across:
        text = f"{num_across} pairs of identical files on two sides ({sides.description}); keep one of each, or give "
        text += "them one group and one side"
        yield leak("identical_files", text, accept=settings.data.accept, examples=across)
    if within:
        yield Finding("warning", f"{num_within} pairs of identical files on one side count twice", tuple(within))
    if contradicting:
        text = f"{num_contradicting} pairs of identical files have different labels; one of the two is wrong"
        yield Finding("warning", text, tuple(contradicting))


def _pairs(number: int) -> int:
    return number * (number - 1) // 2


def _listed(names: Sequence[str]) -> str:
    """All but the last with commas; of many the first few."""
    if len(names) > _SHOWN:
        return f"{', '.join(names[:_SHOWN])} and {len(names) - _SHOWN} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _same_files(annotations: Sequence[Annotation], settings: RunSettings, bar: Bar) -> Iterator[list[int]]:
    by_size: defaultdict[int, list[int]] = defaultdict(list)
    for position, annotation in enumerate(annotations):
        source = _source(annotation, settings)
        if is_reachable(source):
            by_size[state_of(source)[0]].append(position)
    alike = {size: positions for size, positions in by_size.items() if len(positions) > 1}
    total = sum(size * len(positions) for size, positions in alike.items())
    with bar(total=total, desc="files of one size", unit="B", unit_scale=True) as shown:
        for positions in alike.values():
            by_content: defaultdict[str, list[int]] = defaultdict(list)
            for position in positions:
                digest = Source.of(_source(annotations[position], settings), on_read=shown.update).sha256
                by_content[digest].append(position)
            yield from (same for same in by_content.values() if len(same) > 1)
