"""What one page works on: clips, what people say of them, and where things lie. Methods may be called by threads."""

import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vidrnn.annotations import Annotation
from vidrnn.annotations.records import Segment, one_form
from vidrnn.app.answers import Answer, Answers
from vidrnn.app.asking import Asker, Question
from vidrnn.app.clips import Clips, Wanted
from vidrnn.app.exporting import FORMATS, Exported, annotations_of, export
from vidrnn.app.label_log import LabelLog, Said, segments_of
from vidrnn.app.measuring import Measuring
from vidrnn.app.places import Places
from vidrnn.app.playing import Player
from vidrnn.errors import AnnotationError, ConfigError, MissingPathError
from vidrnn.names import quoted, writable

MOST_ROWS = 500
"""Most rows of one answer."""


@dataclass(eq=False)
class Session:
    """See above.

    Attributes:
        title: what the page is about.
        places: the folders that may be read.
        clips: the list.
        log: what people say.
        player: of videos.
        scratch: a folder for what is made on the way; gone with the session.
        known: annotations from before, see `annotations_of`.
        notes: what is worth knowing at the start.
        asker: a model to ask; None: there is none.
        measuring: cross-validates with the labels; None: there is no configuration that fits.
    """

    title: str
    places: Places
    clips: Clips
    log: LabelLog
    player: Player
    scratch: Path
    known: tuple[Annotation, ...] = ()
    notes: tuple[str, ...] = ()
    asker: Asker | None = None
    measuring: Measuring | None = None

    def __post_init__(self) -> None:
        """What was said in earlier sessions counts."""
        self._lock = threading.RLock()
        self._exports: dict[str, Exported] = {}
        self._used = {name: None for annotation in self.known for name in sorted(set(annotation.names))}
        for name, said in self.log.said.items():
            self.clips.take(name, self.log.said)
            self._use(said)

    @property
    def answers(self) -> Answers:
        """What a model said."""
        return self.clips.answers

    @property
    def classes(self) -> list[str]:
        """In the order of the model, then those that people used or added."""
        of_model = self.asker.classes if self.asker is not None else ()
        return list(dict.fromkeys([*self.answers.classes, *of_model, *self._used, *self.log.classes]))

    def about(self) -> dict[str, Any]:
        """What the page shows around the list."""
        with self._lock:
            return {
                "title": self.title,
                "folders": [writable(str(folder)) for folder in self.places.folders],
                "labels": writable(str(self.log.path)),
                "classes": self.classes,
                "formats": FORMATS,
                "total": len(self.clips),
                "labelled": self.clips.num_labelled,
                "changed": self.clips.num_changed,
                "has_answers": bool(self.answers.by_name),
                "has_segments": self.clips.has_segments,
                "can_measure": self.measuring is not None,
                "has_model": self.asker is not None,
                "notes": [*self.notes, *self.log.notes],
            }

    def page(self, wanted: Wanted, *, first: int, count: int, anew: bool) -> dict[str, Any]:
        """Rows ``first`` to ``first + count`` of a list. Raises ConfigError."""
        if first < 0 or not 1 <= count <= MOST_ROWS:
            raise ConfigError(f"rows {first} and {count} after it: begin at 0 or later, with 1 to {MOST_ROWS} rows")
        with self._lock:
            found = self.clips.view(wanted, anew=anew)
            rows = [self._row(number) for number in found[first : first + count].tolist()]
            return {"total": len(found), "first": first, "rows": rows}

    def place_in(self, wanted: Wanted, number: int) -> int | None:
        """Where a clip stands in a list; None where it does not."""
        with self._lock:
            places = (self.clips.view(wanted) == number).nonzero()[0]
            return int(places[0]) if len(places) else None

    def detail(self, number: int) -> dict[str, Any]:
        """All that is known of a clip. Raises MissingPathError: there is no such number."""
        self._refuse_unknown(number)
        with self._lock:
            name, answer = self.clips.names[number], self.clips.answer(number)
            said = self.log.said.get(name)
            segments = said.segments if said is not None else None
            if segments is None and answer is not None:
                segments = answer.segments
            return self._row(number) | {
                "truth": self.answers.truths.get(name, ""),
                "top_k": [] if answer is None else answer.top_k,
                "note": "" if answer is None else answer.note,
                "group": self.answers.groups.get(name, ""),
                "segments": _rows(segments),
            }

    def video(self, number: int) -> Path:
        """Where a clip lies. Raises MissingPathError: it is not, or not below the folders."""
        self._refuse_unknown(number)
        found = self.places.find(self.clips.names[number])
        if found is None:
            folders = ", ".join(quoted(folder) for folder in self.places.folders) or "no folder"
            raise MissingPathError(
                f"{quoted(self.clips.names[number])} is not below {folders}; start `vidrnn app` with the folder of the "
                "videos"
            )
        return found

    def say(self, number: int, label: str) -> dict[str, Any]:
        """Keep a label of a clip, which must be a class; empty: nothing. Raises AnnotationError, OSError."""
        label = one_form(label)
        self._refuse_unknown(number)
        with self._lock:
            if label and label not in self.classes:
                raise AnnotationError(f"label {quoted(label)} is no class; add the class first")
            return self._keep(number, Said(label=label or None))

    def say_segments(self, number: int, rows: list[Any]) -> dict[str, Any]:
        """Keep the segments of a clip. Raises AnnotationError: they overlap, or have no class. OSError."""
        self._refuse_unknown(number)
        try:
            segments = segments_of(rows)
        except (TypeError, ValueError) as error:
            raise AnnotationError(f"segments are rows of start, end and label ({error})") from error
        with self._lock:
            unknown = {segment.label for segment in segments} - set(self.classes)
            if unknown:
                raise AnnotationError(f"label {quoted(min(unknown))} is no class; add the class first")
            name = self.clips.names[number]
            Annotation(name, "", None, name, segments=segments)  # refuses a label that overlaps itself
            return self._keep(number, Said(segments=segments))

    def ask(self, video: int | Path) -> str:
        """Ask the model about a clip, whose answer is kept with it, or about an upload, which is deleted then.

        Returns:
            A word for `asked`.

        Raises:
            ConfigError: there is no model, or too many questions wait. MissingPathError: the clip is not there.
        """
        if isinstance(video, Path):
            return self._model().ask(Question(video, is_upload=True))
        return self._model().ask(Question(self.video(video), tell=partial(self._take_answer, video)))

    def asked(self, word: str) -> dict[str, Any] | None:
        """What the model said; None while it is not there yet. Raises ConfigError, MissingPathError."""
        answer = self._model().answer(word)
        if answer is None:
            return None
        found = {"predicted": answer.predicted, "score": answer.score, "top_k": answer.top_k, "note": answer.note}
        return found | {"segments": _rows(answer.segments)}

    def refuse_questions(self) -> None:
        """Before anything is sent. Raises ConfigError: there is no model, or too many questions wait."""
        self._model().refuse_more()

    def _model(self) -> Asker:
        if self.asker is None:
            raise ConfigError("there is no model to ask; start `vidrnn app` with --model")
        return self.asker

    def _take_answer(self, number: int, answer: Answer) -> None:
        with self._lock:
            self.clips.put_answer(number, answer)

    def undo(self) -> dict[str, Any] | None:
        """Take back the latest that was said; the row of its clip, None where there is nothing. Raises OSError."""
        with self._lock:
            name = self.log.undo()
            if name is None:
                return None
            self.clips.take(name, self.log.said)
            number = self.clips.place(name)
            return {"name": writable(name)} if number is None else self._row(number)

    def add_class(self, name: str) -> str:
        """Keep a new class. Raises AnnotationError, OSError."""
        with self._lock:
            return self.log.add_class(name, self.classes)

    def annotations(self) -> list[Annotation]:
        """What is known of all videos by now."""
        with self._lock:
            return annotations_of(self.clips, dict(self.log.said), self.known)

    def measure(self, *, baselines: bool) -> None:
        """Begin a cross-validation with what is known by now, see `Measuring.start`.

        Raises:
            ConfigError: one runs, or there is none to run.
        """
        self._measuring().start(self.annotations(), baselines=baselines)

    def measured(self) -> dict[str, Any]:
        """How far it is, see `Measuring.state`. Raises ConfigError."""
        return self._measuring().state()

    def _measuring(self) -> Measuring:
        if self.measuring is None:
            raise ConfigError("nothing can be measured; start `vidrnn app` with --config, or a --run that has one")
        return self.measuring

    def export(self, kind: str) -> tuple[str, Exported]:
        """Write what is known in a format; a word by which the file is fetched once. As `exporting.export`."""
        folder = Path(tempfile.mkdtemp(dir=self.scratch))
        found = export(self.annotations(), kind, folder, root=self.places.root or Path("/"))
        with self._lock:
            self._exports[folder.name] = found
        return folder.name, found

    def exported(self, word: str) -> Path | None:
        """The file of an export."""
        with self._lock:
            return self._exports[word].path if word in self._exports else None

    def _keep(self, number: int, said: Said) -> dict[str, Any]:
        name = self.clips.names[number]
        self.log.say(name, said)
        self.clips.take(name, self.log.said)
        self._use(said)
        return self._row(number)

    def _use(self, said: Said) -> None:
        self._used |= dict.fromkeys([said.label] if said.label else [one.label for one in said.segments or ()])

    def _row(self, number: int) -> dict[str, Any]:
        name, answer = self.clips.names[number], self.clips.answer(number)
        said = self.log.said.get(name)
        segments = None if said is None else said.segments
        return {
            "id": number,
            "name": self.clips.shown_names[number],
            "label": self.clips.label(number, self.log.said),
            "predicted": "" if answer is None else answer.predicted,
            "score": None if answer is None else answer.score,
            "changed": said is not None,
            "num_predicted": None if answer is None or answer.segments is None else len(answer.segments),
            "num_segments": None if segments is None else len(segments),
        }

    def _refuse_unknown(self, number: int) -> None:
        if not 0 <= number < len(self.clips):
            raise MissingPathError(f"there is no clip {number}; there are {len(self.clips)}, counted from 0")


def _rows(segments: Sequence[Segment] | None) -> list[list[Any]] | None:
    return None if segments is None else [[one.start_s, one.end_s, one.label, one.score] for one in segments]
