"""The clips of the page: which there are, what is known of each, and the parts of the list that people ask for."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from vidrnn.app.answers import Answer, Answers
from vidrnn.app.label_log import Said
from vidrnn.errors import ConfigError
from vidrnn.names import writable

Show = Literal["all", "wrong", "uncertain", "unlabelled", "changed"]
"""All clips; clips whose label is another than predicted; clips with a score, the lowest first; clips without label;
clips that got an answer here."""
_VIEWS_KEPT = 16
_NOTHING = -1


@dataclass(frozen=True)
class Wanted:
    """Which clips, and in which order.

    Attributes:
        show: see `Show`.
        text: that their names hold, upper and lower case alike.
        label: that they have; empty: any.
        predicted: what was predicted; empty: anything.
    """

    show: Show = "all"
    text: str = ""
    label: str = ""
    predicted: str = ""

    def __post_init__(self) -> None:
        """Raises ConfigError naming the allowed values."""
        if self.show not in get_args(Show):
            raise ConfigError(f"show {self.show!r} is unknown; allowed: {', '.join(get_args(Show))}")


@dataclass(eq=False)
class Clips:
    """Clips by number, which is their place in ``names`` for as long as the page lives.

    A list that was asked for stays as it was until it is asked for anew. Otherwise a clip that gets a label would leave
    the list of unlabelled ones under people's fingers.

    Attributes:
        names: of the clips, see `vidrnn.app.places.Places`.
        answers: what a model said, what is true.
    """

    names: list[str]
    answers: Answers = field(default_factory=Answers)

    def __post_init__(self) -> None:
        """Numbers instead of texts, which compare in no time."""
        self.shown_names = [writable(name) for name in self.names]
        self._folded = [name.casefold() for name in self.shown_names]
        self._numbers: dict[str, int] = {}
        said = [self.answers.by_name.get(name) for name in self.names]
        self._predicted = np.array(
            [self._number(answer.predicted) if answer else _NOTHING for answer in said], np.int32
        )
        self._scores = np.array(
            [np.nan if answer is None or answer.score is None else answer.score for answer in said], np.float64
        )
        self._by_score = np.argsort(self._scores, kind="stable")
        self._labels = np.array([self._number(self.answers.truths.get(name, "")) for name in self.names], np.int32)
        self.has_segments = any(answer is not None and answer.segments is not None for answer in said)
        self._changed = np.zeros(len(self.names), bool)
        self._places = {name: number for number, name in enumerate(self.names)}
        self._views: OrderedDict[Wanted, npt.NDArray[np.intp]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.names)

    def place(self, name: str) -> int | None:
        """The number of a clip; None where it is not among these."""
        return self._places.get(name)

    def answer(self, number: int) -> Answer | None:
        """What a model said of a clip."""
        return self.answers.by_name.get(self.names[number])

    def label(self, number: int, said: dict[str, Said]) -> str:
        """What is known of a clip: what somebody said here, else what was known before; empty: nothing."""
        found = said.get(self.names[number])
        if found is not None and found.label is not None:
            return found.label
        return self.answers.truths.get(self.names[number], "")

    def take(self, name: str, said: dict[str, Said]) -> None:
        """Notice that something else is said of a clip, or nothing any more."""
        number = self.place(name)
        if number is not None:
            found = said.get(name)
            has_segments = found is not None and found.segments is not None
            label = self.label(number, said) or ("segments" if has_segments else "")
            self._labels[number] = self._number(label)
            self._changed[number] = found is not None

    def put_answer(self, number: int, answer: Answer) -> None:
        """Keep what a model said of a clip in place of what was said before."""
        self.answers.by_name[self.names[number]] = answer
        self._predicted[number] = self._number(answer.predicted)
        self._scores[number] = np.nan if answer.score is None else answer.score
        self._by_score = np.argsort(self._scores, kind="stable")

    def view(self, wanted: Wanted, *, anew: bool = False) -> npt.NDArray[np.intp]:
        """(n,) numbers of the clips that are wanted, in order; the same as before unless asked for ``anew``."""
        if anew or wanted not in self._views:
            self._views[wanted] = self._select(wanted)
        self._views.move_to_end(wanted)
        while len(self._views) > _VIEWS_KEPT:
            self._views.popitem(last=False)
        return self._views[wanted]

    @property
    def num_labelled(self) -> int:
        """Clips of which something is known."""
        return int((self._labels != _NOTHING).sum())

    @property
    def num_changed(self) -> int:
        """Clips of which somebody said something here."""
        return int(self._changed.sum())

    def _select(self, wanted: Wanted) -> npt.NDArray[np.intp]:
        kept = {
            "all": np.ones(len(self.names), bool),
            "wrong": (self._labels != self._predicted) & (self._labels != _NOTHING) & (self._predicted != _NOTHING),
            "uncertain": ~np.isnan(self._scores),
            "unlabelled": self._labels == _NOTHING,
            "changed": self._changed,
        }[wanted.show]
        if wanted.label:
            kept = kept & (self._labels == self._numbers.get(wanted.label, _NOTHING - 1))
        if wanted.predicted:
            kept = kept & (self._predicted == self._numbers.get(wanted.predicted, _NOTHING - 1))
        if wanted.text:
            text = wanted.text.casefold()
            kept = kept & np.array([text in name for name in self._folded], bool)
        return self._by_score[kept[self._by_score]] if wanted.show == "uncertain" else np.flatnonzero(kept)

    def _number(self, label: str) -> int:
        return self._numbers.setdefault(label, len(self._numbers)) if label else _NOTHING
