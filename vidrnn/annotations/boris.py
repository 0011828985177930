"""Projects of the annotation tool BORIS, and its table of aggregated events (Friard & Gamba 2016)."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path, PureWindowsPath
from typing import Any

from vidrnn.annotations.class_names import refuse_twin_names
from vidrnn.annotations.csv_file import read_rows, read_table
from vidrnn.annotations.records import Annotation, Segment, Split, as_split, plain_path
from vidrnn.annotations.rows import fill_path, located, number_of, read_json_object
from vidrnn.annotations.segments import join_equal
from vidrnn.errors import AnnotationError
from vidrnn.names import excerpt, is_absolute, quoted
from vidrnn.settings.data import DataSettings

TABLE_COLUMNS = ("Observation id", "Subject", "Behavior", "Behavior type", "Start (s)", "Stop (s)")
MEDIA_COLUMNS = ("Media file name", "Media file")
"""Of BORIS 8, and of earlier releases."""
_OFFSET, _DURATION = _OF_OBSERVATION = ("Time offset (s)", "Media duration (s)")
"""Of BORIS 8. Start and stop are times of the project, so that the offset is in them."""


@dataclass
class _Video:
    """What the observations of one video say."""

    observations: list[str] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    split: Split | None = None
    group: str = ""


@dataclass
class _LeftOut:
    """What is in a file of BORIS and has no place in an annotation."""

    points: int = 0
    live: int = 0
    subjects: set[str] = field(default_factory=set)
    modified: int = 0

    def notes(self, file: Path) -> Iterable[str]:
        if self.live:
            yield f"{file}: {self.live} observations are of no media file and were left out"
        if self.points:
            yield f"{file}: {self.points} point events were left out, for they have no length"
        if self.subjects:
            names = ", ".join(sorted(self.subjects)[:5])
            yield f"{file}: {len(self.subjects)} subjects ({names}) were put together; the label is the behaviour"
        if self.modified:
            yield f"{file}: the modifiers of {self.modified} behaviours were left out; the label is the behaviour"


def read_boris(settings: DataSettings, notes: list[str]) -> list[Annotation]:
    """Read a project (``.boris``), or the table of aggregated events that BORIS exports (``.tsv``, ``.csv``).

    The label is the code of a state behaviour. What its subjects do, and what several observations of one video say, is
    put together. ``notes`` gets what was left out: point events, modifiers, observations without a media file. Media of
    one player follow each other; the other players show the same from elsewhere, and are not read.

    A path is relative to the project, or absolute; below the data root it is relative to that. With ``data.video_path``
    only its name counts. The independent variables ``split`` and ``group`` are read, if there are any.

    Raises:
        MissingPathError: there is no such file.
        AnnotationError: another form, an event of a behaviour that is not in the ethogram, a state without an end, or
            two spellings of one behaviour.
    """
    file = settings.root / str(settings.annotations)
    left_out = _LeftOut()
    is_table = file.suffix.lower() in {".tsv", ".csv"}
    videos = _read_table(file, left_out) if is_table else _read_project(file, left_out)
    notes += left_out.notes(file)
    if not videos:
        raise AnnotationError(f"{file}: no observation is of a media file; nothing can be learned from it")
    if shared := [media for media, video in videos.items() if len(video.observations) > 1]:
        names = ", ".join(map(quoted, videos[shared[0]].observations))
        notes.append(
            f"{file}: {len(shared)} videos have several observations, put together; {quoted(shared[0])} has {names}"
        )
    found: list[Annotation] = []
    for media, video in videos.items():
        path = _path_of(media, video.split, file, settings)
        with located(f"{file}, observation {quoted(video.observations[0])}"):
            segments = join_equal(video.segments)
            found.append(Annotation(path, "", video.split, video.group or path, segments=segments))
    refuse_twin_names(sorted({name for annotation in found for name in annotation.names}), where=str(file))
    return found


def _path_of(media: str, split: Split | None, file: Path, settings: DataSettings) -> str:
    windows = "\\" in media and "/" not in media
    if settings.video_path is not None:
        name = (PureWindowsPath(media) if windows else Path(media)).stem
        return fill_path(settings.video_path, name=name, split=split)
    if is_absolute(media) and windows:
        raise AnnotationError(
            f"{file}: {quoted(media)} is a path of another computer; say with data.video_path where its video "
            "lies, for "
            "instance 'videos/{name}.mp4'"
        )
    place = file.parent / (media.replace("\\", "/") if windows else media)
    root = settings.root.resolve()
    resolved = place.resolve()
    return plain_path(resolved.relative_to(root).as_posix() if resolved.is_relative_to(root) else str(resolved))


def _read_project(file: Path, left_out: _LeftOut) -> dict[str, _Video]:
    project = read_json_object(file)
    ethogram, observations = project.get("behaviors_conf"), project.get("observations")
    if not isinstance(ethogram, dict) or not isinstance(observations, dict):
        raise AnnotationError(f"{file}: no behaviors_conf and observations; give a project of BORIS")
    kinds = {str(behaviour["code"]): str(behaviour["type"]).casefold() for behaviour in ethogram.values()}
    variables = {str(variable["label"]) for variable in _values(project.get("independent_variables"))}
    videos: dict[str, _Video] = {}
    for name, observation in observations.items():
        files = observation.get("file")
        media = files.get("1") if observation.get("type") == "MEDIA" and isinstance(files, dict) else None
        if not media:
            left_out.live += 1
            continue
        with located(f"{file}, observation {quoted(name)}"):
            states = _states(observation, media, kinds, left_out)
            for path, segments in _share_out(states, media, observation):
                video = videos.setdefault(path, _Video())
                video.observations.append(name)
                video.segments += segments
                _add_variables(video, observation.get("independent_variables") or {}, variables)
    return videos


def _values(tree: object) -> Iterable[Mapping[str, Any]]:
    return tree.values() if isinstance(tree, dict) else ()


def _add_variables(video: _Video, given: Mapping[str, Any], defined: set[str]) -> None:
    """Split and group of a video, where the project has such variables."""
    split = as_split(given["split"]) if "split" in defined and given.get("split") else None
    group = str(given.get("group") or "") if "group" in defined else ""
    before = (video.split, video.group)
    if len(video.observations) > 1 and before != (split, group):
        raise AnnotationError("has another split or group than an earlier observation of the video; make them equal")
    video.split, video.group = split, group


def _states(
    observation: Mapping[str, Any], media: Sequence[str], kinds: Mapping[str, str], left_out: _LeftOut
) -> list[Segment]:
    """State events in pairs, in seconds of the media. BORIS pairs those of one subject, behaviour and modifier."""
    offset_s = _offset_of(observation, media)
    begun: dict[tuple[str, str, str], float] = {}
    found: list[Segment] = []
    for event in sorted(observation.get("events") or (), key=_time_of):
        time_s, (subject, code, modifier) = _time_of(event) - offset_s, map(str, event[1:4])
        if code not in kinds:
            raise AnnotationError(
                f"event at {time_s:g} s: behaviour {excerpt(code)} is not in the ethogram; add it there"
            )
        if "state" not in kinds[code]:
            left_out.points += 1
            continue
        start_s = begun.pop((subject, code, modifier), None)
        if start_s is None:
            begun[subject, code, modifier] = time_s
        elif start_s < time_s:
            left_out.subjects |= {subject} - {""}
            left_out.modified += bool(modifier)
            found.append(Segment(round(start_s, 6), round(time_s, 6), code))
    for (subject, code, _), start_s in begun.items():
        who = f" of {quoted(subject)}" if subject else ""
        raise AnnotationError(
            f"state {excerpt(code)}{who} begins at {start_s:g} s and has no end; close it in BORIS "
            "(Observations > Close unpaired state events)"
        )
    return found


def _offset_of(observation: Mapping[str, Any], media: Sequence[str]) -> float:
    """Seconds that BORIS added to the times of events: the offset, and when the media were made, if it says so."""
    offset_s = float(observation.get("time offset") or 0.0)
    if not observation.get("media_creation_date_as_offset"):
        return offset_s
    if len(media) > 1:
        raise AnnotationError(
            f"counts its times from the creation of {len(media)} files; make an observation of each file in BORIS"
        )
    created = (observation.get("media_info") or {}).get("media_creation_time") or {}
    name = _name_of(media[0])
    times = [time for path, time in created.items() if path == media[0]]
    times = times or [time for path, time in created.items() if _name_of(path) == name]
    if len(times) != 1:
        raise AnnotationError(
            f"counts its times from the creation of {quoted(media[0])}, and media_creation_time does not tell it; open "
            "the observation in BORIS once, and save it"
        )
    return offset_s + float(times[0])


def _name_of(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _time_of(event: object) -> float:
    if not isinstance(event, list) or len(event) < 4 or isinstance(event[0], bool):
        raise AnnotationError(f"event {excerpt(event)}; expected [seconds, subject, behaviour, modifier, comment]")
    try:
        return float(event[0])
    except (TypeError, ValueError):
        raise AnnotationError(f"event {excerpt(event)} has no time in seconds") from None


def _share_out(
    states: Sequence[Segment], media: Sequence[str], observation: Mapping[str, Any]
) -> Iterable[tuple[str, list[Segment]]]:
    """The states of each file of the first player, which shows them one after the other, in its own seconds."""
    if len(media) == 1:
        yield media[0], list(states)
        return
    lengths = (observation.get("media_info") or {}).get("length") or {}
    if unknown := [path for path in media if not lengths.get(path)]:
        raise AnnotationError(
            f"shows {len(media)} files one after the other, and the length of {quoted(unknown[0])} is not in the "
            "project; open "
            "the observation in BORIS once, and save it"
        )
    ends = list(accumulate(float(lengths[path]) for path in media))
    parts: defaultdict[str, list[Segment]] = defaultdict(list)
    parts |= {path: [] for path in media}
    for path, begin, end in zip(media, [0.0, *ends], [*ends[:-1], float("inf")], strict=False):
        for state in states:
            start_s, end_s = max(state.start_s, begin), min(state.end_s, end)
            if start_s < end_s:
                parts[path].append(Segment(round(start_s - begin, 6), round(end_s - begin, 6), state.label))
    yield from parts.items()


def _read_table(file: Path, left_out: _LeftOut) -> dict[str, _Video]:
    _refuse_tabular_events(file)
    rows = read_rows(file, required=TABLE_COLUMNS, optional=None, numbers=("Start (s)", "Stop (s)", *_OF_OBSERVATION))
    column = next((name for name in MEDIA_COLUMNS if rows and name in rows[0][1]), None)
    if column is None:
        raise AnnotationError(f"{file}, line 1: no column {' or '.join(MEDIA_COLUMNS)}; export aggregated events anew")
    videos: dict[str, _Video] = {}
    media_of: dict[str, str] = {}
    for line, row in rows:
        with located(f"{file}, line {line}"):
            media, name = row[column], row["Observation id"]
            if not media or media in {"NA", "Not found", "LIVE"}:
                left_out.live += 1
                continue
            if media_of.setdefault(name, media) != media:
                raise AnnotationError(
                    f"observation {quoted(name)} shows several files one after the other, and their lengths are not "
                    "here; give "
                    "the project (.boris) instead"
                )
            video = videos.setdefault(media, _Video())
            video.observations += [] if name in video.observations else [name]
            _add_row(video, row, left_out)
    return videos


def _seconds_of_offset(text: str) -> float:
    try:
        return float(text) if text not in {"", "NA"} else 0.0
    except ValueError:
        raise AnnotationError(f"{_OFFSET} {text!r} is no number of seconds") from None


def _refuse_tabular_events(file: Path) -> None:
    header = read_table(file).header
    if "Start (s)" not in header and ("Time" in header or header[:1] == ("Observation id",)):
        raise AnnotationError(
            f"{file} is a table of tabular events, with a row for each start and each stop; export the aggregated "
            "events of BORIS, or give the project (.boris)"
        )


def _media_s(row: Mapping[str, str]) -> float:
    """Seconds that the media of the first player last; infinite where the table does not tell."""
    try:
        return sum(map(float, row.get(_DURATION, "").partition("|")[0].split(";")))
    except ValueError:
        return math.inf


def _add_row(video: _Video, row: Mapping[str, str], left_out: _LeftOut) -> None:
    if row["Behavior type"].upper() == "POINT":
        left_out.points += 1
        return
    try:
        start_s, end_s = number_of(row["Start (s)"]), number_of(row["Stop (s)"])
    except ValueError:
        raise AnnotationError(
            f"Start (s) {excerpt(row['Start (s)'])} and Stop (s) {excerpt(row['Stop (s)'])} are no numbers of seconds"
        ) from None
    if start_s == end_s:
        left_out.points += 1
        return
    offset_s = _seconds_of_offset(row.get(_OFFSET, ""))
    start_s, end_s = round(start_s - offset_s, 6), round(end_s - offset_s, 6)
    if start_s > _media_s(row) + 1.0:
        raise AnnotationError(
            f"{excerpt(row['Behavior'])} begins at {start_s:g} s, and its media last {_media_s(row):g} s; BORIS may "
            "count from the creation of the media, which the table does not tell: give the project (.boris) instead"
        )
    left_out.subjects |= {row["Subject"]} - {"", "No focal subject"}
    left_out.modified += any(value for name, value in row.items() if name.startswith("Modifier"))
    video.segments.append(Segment(start_s, end_s, row["Behavior"]))
