"""Projects of the annotation tool BORIS, and its table of aggregated events (Friard & Gamba 2016)."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path, PureWindowsPath
from typing import Any

from vidrnn.annotations.boris_observed import LeftOut, Video
from vidrnn.annotations.boris_table import read_table_of_events
from vidrnn.annotations.class_names import refuse_twin_names
from vidrnn.annotations.records import Annotation, Segment, Split, as_split, plain_path
from vidrnn.annotations.rows import fill_path, located, of_form, read_json_object
from vidrnn.annotations.segments import join_equal
from vidrnn.errors import AnnotationError
from vidrnn.names import excerpt, is_absolute, quoted
from vidrnn.settings.data import DataSettings

_FORM = "a project of BORIS"
_ROUNDING_S = 2e-3  # of the times of events, and of the lengths of files


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
    left_out = LeftOut()
    is_table = file.suffix.lower() in {".tsv", ".csv"}
    videos = read_table_of_events(file, left_out) if is_table else _read_project(file, left_out)
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


def _read_project(file: Path, left_out: LeftOut) -> dict[str, Video]:
    project = read_json_object(file)
    ethogram, observations = project.get("behaviors_conf"), project.get("observations")
    if not isinstance(ethogram, dict) or not isinstance(observations, dict):
        raise AnnotationError(f"{file}: no behaviors_conf and observations; give a project of BORIS")
    with of_form(str(file), _FORM):
        kinds = {str(behaviour["code"]): str(behaviour["type"]).casefold() for behaviour in ethogram.values()}
        variables = {str(variable["label"]) for variable in _values(project.get("independent_variables"))}
    videos: dict[str, Video] = {}
    for name, observation in observations.items():
        with of_form(f"{file}, observation {quoted(name)}", _FORM):
            files = observation.get("file")
            media = files.get("1") if observation.get("type") == "MEDIA" and isinstance(files, dict) else None
            if not media:
                left_out.live += 1
                continue
            states = _states(observation, media, kinds, left_out)
            for path, segments in _share_out(states, media, observation):
                video = videos.setdefault(path, Video())
                video.observations.append(name)
                video.segments += segments
                _add_variables(video, observation.get("independent_variables") or {}, variables)
    return videos


def _values(tree: object) -> Iterable[Mapping[str, Any]]:
    return tree.values() if isinstance(tree, dict) else ()


def _add_variables(video: Video, given: Mapping[str, Any], defined: set[str]) -> None:
    """Split and group of a video, where the project has such variables."""
    split = as_split(given["split"]) if "split" in defined and given.get("split") else None
    group = str(given.get("group") or "") if "group" in defined else ""
    before = (video.split, video.group)
    if len(video.observations) > 1 and before != (split, group):
        raise AnnotationError("has another split or group than an earlier observation of the video; make them equal")
    video.split, video.group = split, group


def _states(
    observation: Mapping[str, Any], media: Sequence[str], kinds: Mapping[str, str], left_out: LeftOut
) -> list[Segment]:
    """State events in pairs, in seconds of the media.

    Two events are a pair in BORIS when subject, behaviour and modifier are the same.
    """
    media_s = _clock_of(observation, media)
    begun: dict[tuple[str, str, str], float] = {}
    found: list[Segment] = []
    events = [(media_s(_time_of(event)), event) for event in observation.get("events") or ()]
    for time_s, event in sorted(events, key=lambda timed: timed[0]):
        subject, code, modifier = map(str, event[1:4])
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


def _clock_of(observation: Mapping[str, Any], media: Sequence[str]) -> Callable[[float], float]:
    """From the time of an event to seconds of the media, which follow each other.

    BORIS adds the offset of the observation, and, if it says so, when the file was made that was shown at the event.
    """
    offset_s = float(observation.get("time offset") or 0.0)
    if not observation.get("media_creation_date_as_offset"):
        return lambda time_s: time_s - offset_s
    created = [_created_s(observation, path) for path in media]
    if len(media) == 1:
        return lambda time_s: time_s - offset_s - created[0]
    ends = list(accumulate(_lengths_of(observation, media)))
    spans = list(zip([0.0, *ends[:-1]], ends, created, strict=True))

    def media_s(time_s: float) -> float:
        """The file is the one in which the event lies then; where files touch, both say the same."""
        since = ((time_s - offset_s - made_s, begin, end) for begin, end, made_s in spans)
        found = [at_s for at_s, begin, end in since if begin - _ROUNDING_S <= at_s <= end + _ROUNDING_S]
        if not found or max(found) - min(found) > 2 * _ROUNDING_S:
            raise AnnotationError(
                f"event at {time_s:.3f} s lies in {len(found) or 'none'} of the {len(media)} files, by the times of "
                "their creation (media_creation_time) and their lengths; correct its time, or make an observation of "
                "each file in BORIS"
            )
        return found[0]

    return media_s


def _created_s(observation: Mapping[str, Any], media: str) -> float:
    """When a file was made, in seconds, as the player of BORIS named it."""
    created = (observation.get("media_info") or {}).get("media_creation_time") or {}
    name = _name_of(media)
    times = [time for path, time in created.items() if path == media]
    times = times or [time for path, time in created.items() if _name_of(path) == name]
    if len(times) != 1:
        raise AnnotationError(
            f"counts its times from the creation of {quoted(media)}, and media_creation_time does not tell it; open "
            "the observation in BORIS once, and save it"
        )
    return float(times[0])


def _name_of(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


def _time_of(event: object) -> float:
    if not isinstance(event, list) or len(event) < 4 or isinstance(event[0], bool):
        raise AnnotationError(f"event {excerpt(event)}; expected [seconds, subject, behaviour, modifier, comment]")
    try:
        time_s = float(event[0])
    except (TypeError, ValueError):
        time_s = math.nan
    if not math.isfinite(time_s):
        raise AnnotationError(f"event {excerpt(event)} has no time in seconds")
    return time_s


def _share_out(
    states: Sequence[Segment], media: Sequence[str], observation: Mapping[str, Any]
) -> Iterable[tuple[str, list[Segment]]]:
    """The states of each file of the first player, which shows them one after the other, in its own seconds."""
    if len(media) == 1:
        yield media[0], list(states)
        return
    ends = list(accumulate(_lengths_of(observation, media)))
    parts: defaultdict[str, list[Segment]] = defaultdict(list)
    parts |= {path: [] for path in media}
    for path, begin, end in zip(media, [0.0, *ends], [*ends[:-1], float("inf")], strict=False):
        for state in states:
            start_s, end_s = max(state.start_s, begin), min(state.end_s, end)
            if start_s < end_s:
                parts[path].append(Segment(round(start_s - begin, 6), round(end_s - begin, 6), state.label))
    yield from parts.items()


def _lengths_of(observation: Mapping[str, Any], media: Sequence[str]) -> list[float]:
    """How long each of several files is, in seconds."""
    lengths = (observation.get("media_info") or {}).get("length") or {}
    if unknown := [path for path in media if not lengths.get(path)]:
        raise AnnotationError(
            f"shows {len(media)} files one after the other, and the length of {quoted(unknown[0])} is not in the "
            "project; open the observation in BORIS once, and save it"
        )
    return [float(lengths[path]) for path in media]
