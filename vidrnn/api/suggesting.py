"""Which unlabelled videos to label next."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from vidrnn.api.decoders import AnyPath, warm_up
from vidrnn.errors import AnnotationError, MissingPathError, StoreError

if TYPE_CHECKING:
    from vidrnn.experiments.suggest import Suggestion
    from vidrnn.settings.run import RunSettings


@dataclass(frozen=True)
class Suggested:
    """What `suggest` found.

    Attributes:
        rows: the videos to label next, the most useful first.
        missing: videos without features, with the cause.
        labelled: how many labelled videos counted as known.
        extracted: how many videos were read for it.
        rule: that was followed.
        notes: what deserves a second look.
    """

    rows: "tuple[Suggestion, ...]"
    missing: Mapping[str, str]
    labelled: int
    extracted: int
    rule: str
    notes: tuple[str, ...] = field(default=())


def suggest(
    settings: "RunSettings",
    videos: AnyPath | Iterable[AnyPath] = (),
    *,
    models: AnyPath | Sequence[AnyPath] = (),
    rule: str = "auto",
    measure: str = "auto",
    count: int = 50,
    extract: bool = True,
    on_total: Callable[[int], object] = lambda _total: None,
    on_video: Callable[[], object] = lambda: None,
) -> Suggested:
    """Rank unlabelled videos by what labelling them would teach, as ``vidrnn suggest`` does. See docs/label_less.md.

    Args:
        settings: the configuration; the videos in its annotations are labelled.
        videos: files, folders, or CSV lists with a column ``path``; none: all below ``data.root``. Those in
            the annotations are left out.
        models: model.safetensors files that say how uncertain they are; none: diversity alone.
        rule: see `vidrnn.active_learning.rules.choose`; ``auto``: the default of docs/label_less.md.
        measure: ``entropy``, ``mutual_information``, ``margin``; ``auto``: the default of docs/label_less.md.
        count: how many rows at most.
        extract: make features that are missing; else such videos are named.
        on_total: called with the number of videos that are read.
        on_video: called after each of them.

    Raises:
        ConfigError: rule, measure and models do not fit. AnnotationError: a list has no column ``path``.
        MissingPathError: there is no such file. StoreError: no video has features. OSError: the store cannot be
            written.
    """
    warm_up()
    from vidrnn.active_learning.rules import rule_of
    from vidrnn.active_learning.uncertainty import measure_of
    from vidrnn.device import choose_device
    from vidrnn.experiments.suggest import suggest as suggest_stored
    from vidrnn.models.model_file import load_model

    files = [models] if isinstance(models, str | PathLike) else list(models)
    chosen, measured = rule_of(rule, with_model=bool(files)), measure_of(measure)
    notes: list[str] = []
    labelled = _labelled(settings, notes)
    known = set(labelled)
    asked = [path for path in _unlabelled(settings, videos) if path not in known]
    if not asked:
        raise MissingPathError(
            f"there is no unlabelled video: all of them are among the {len(labelled)} of the annotations; give files "
            "or folders with others"
        )
    trained = [load_model(Path(file), device=choose_device(settings.training.device)) for file in files]
    causes: dict[str, str] = {}
    waiting = _not_stored(asked, settings) if extract else []
    if waiting:
        on_total(len(waiting))
        causes = _extract(waiting, settings, on_video)
    found = suggest_stored(
        asked, settings, labelled=labelled, models=trained, rule=chosen, measure=measured, count=count
    )
    missing = {path: causes.get(path, "has no features in the store") for path in found.missing}
    extracted = len(waiting) - len(set(waiting) & missing.keys())
    return Suggested(found.rows, missing, found.labelled, extracted, found.rule, tuple(notes))


def _labelled(settings: "RunSettings", notes: list[str]) -> list[str]:
    """Paths of the annotated videos; none where there are no annotations yet."""
    from vidrnn.annotations import read_annotations

    try:
        return [annotation.path for annotation in read_annotations(settings.data)]
    except (AnnotationError, MissingPathError) as error:
        notes.append(f"no video counts as labelled: {error}")
        return []


def _unlabelled(settings: "RunSettings", videos: AnyPath | Iterable[AnyPath]) -> list[str]:
    """Paths of the given videos as a store has them: relative to the root, or absolute where they lie elsewhere."""
    from vidrnn.annotations.csv_file import read_rows
    from vidrnn.annotations.records import plain_path
    from vidrnn.inference.new_videos import find_videos, place_of
    from vidrnn.inference.side_files import absolute

    given = [place_of(path) for path in ([videos] if isinstance(videos, str | PathLike) else videos)]
    given = given or [settings.data.root]
    lists = [path for path in given if path.suffix.lower() == ".csv"]
    places = [path for path in given if path not in lists]
    found = [plain_path(row["path"]) for path in lists for _, row in read_rows(path, required=("path",), optional=None)]
    root = absolute(settings.data.root)
    for place in find_videos(places, media=settings.data.media) if places else []:
        here = absolute(place)
        found.append(here.relative_to(root).as_posix() if here.is_relative_to(root) else here.as_posix())
    return list(dict.fromkeys(found))


def _not_stored(paths: Sequence[str], settings: "RunSettings") -> list[str]:
    """Videos of which the store lacks something that the configuration asks for, or has it of another file."""
    from vidrnn.experiments.stored_sets import find_folders, find_mirrored_folders

    store, features = settings.extraction.store, settings.features
    try:
        folders = [*find_folders(features, store=store), *find_mirrored_folders(features, store=store)]
    except (StoreError, MissingPathError):
        return list(paths)

    def is_stored(path: str) -> bool:
        place = settings.data.root / path
        for folder in folders:
            source = folder.source_of(path)
            of_file = folder.spec.stream not in {"text", "external"} and place.exists()
            if source is None or (of_file and not source.is_still(place)):
                return False
        return True

    return [path for path in paths if not is_stored(path)]


def _extract(paths: Sequence[str], settings: "RunSettings", on_video: Callable[[], object]) -> dict[str, str]:
    """Make the features of some videos; gives why a video has none."""
    from vidrnn.experiments.suggest import unlabelled
    from vidrnn.streams.extract_all import extract_all
    from vidrnn.streams.passes import all_passes

    features, extraction, root = settings.features, settings.extraction, settings.data.root
    annotations = [unlabelled(path) for path in paths]
    passes = all_passes(annotations, root=root, features=features, extraction=extraction)
    report = extract_all(annotations, passes, root=root, features=features, extraction=extraction, on_video=on_video)
    whole = report.whole
    return {failure.path: failure.cause for failure in (*whole.absent, *whole.failures)}
