"""ActivityNet JSON: a database of videos with subset and annotated segments (Caba Heilbron et al. 2015)."""

from collections.abc import Mapping

from vidrnn.annotations.class_names import refuse_twin_names
from vidrnn.annotations.records import Annotation, Segment
from vidrnn.annotations.rows import fill_path, located, read_json_object, split_from_word
from vidrnn.annotations.segments import join_equal
from vidrnn.errors import AnnotationError
from vidrnn.names import excerpt, quoted
from vidrnn.settings.data import DataSettings


def read_activitynet(settings: DataSettings, notes: list[str]) -> list[Annotation]:
    """Read ``{"database": {id: {"subset": ..., "annotations": [{"segment": [start_s, end_s], "label": ...}]}}}``.

    A video is ``v_<id>.mp4`` and a group of its own. Segments of one label that overlap become one. A subset
    in which no video has any annotation keeps its labels secret and is left out. So are segments without length,
    of which the published list has some; ``notes`` gets how many.

    Raises:
        MissingPathError: there is no such file.
        AnnotationError: another form, an unknown subset, a segment that ends before it starts, or two
            spellings of one class.
    """
    path = settings.root / str(settings.annotations)
    database = read_json_object(path).get("database")
    if not isinstance(database, dict) or not database:
        raise AnnotationError(f"{path}: no videos under 'database'; expected {{\"database\": {{id: ...}}}}")
    found: list[Annotation] = []
    empty: list[str] = []
    for name, video in database.items():
        with located(f"{path}, video {quoted(name)}"):
            found.append(_annotation(name, video, settings.video_path or "v_{name}.mp4", empty))
    if empty:
        notes.append(
            f"{path}: {len(empty)} segments without length were left out, the first {empty[0]}; they say nothing"
        )
    labelled = {annotation.split for annotation in found if annotation.names}
    if not labelled:
        raise AnnotationError(f"{path}: no video has any annotation; give the file that holds the labels")
    refuse_twin_names(sorted({name for annotation in found for name in annotation.names}), where=str(path))
    return [annotation for annotation in found if annotation.split in labelled]


def _annotation(name: str, video: object, template: str, empty: list[str]) -> Annotation:
    if not isinstance(video, dict) or not isinstance(video.get("annotations"), list):
        raise AnnotationError("expected an object with 'subset' and a list 'annotations'")
    split = split_from_word(str(video.get("subset")))
    if split is None:
        raise AnnotationError(
            f"subset {quoted(video.get('subset'))} is unknown; allowed: training, validation, testing"
        )
    path = fill_path(template, name=name, split=split)
    spans = [_span(entry) for entry in video["annotations"]]
    empty += [f"at {start:g} s in {quoted(path)} ({label})" for start, end, label in spans if start == end]
    segments = join_equal(Segment(*span) for span in spans if span[0] != span[1])
    return Annotation(path, "", split, name, segments=segments)


def _span(entry: object) -> tuple[float, float, str]:
    label, segment = (entry.get("label"), entry.get("segment")) if isinstance(entry, Mapping) else (None, None)
    numbers = isinstance(segment, list) and len(segment) == 2 and all(type(time) in {int, float} for time in segment)
    if not isinstance(label, str) or not label.strip() or not isinstance(segment, list) or not numbers:
        raise AnnotationError(f'annotation {excerpt(entry)}; expected {{"segment": [start_s, end_s], "label": "name"}}')
    return float(segment[0]), float(segment[1]), label.strip()
