"""A model that answers for one clip after the other, in a thread beside the server: the page never waits for it."""

import queue
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vidrnn.app.answers import Answer, answer_of
from vidrnn.errors import ConfigError, MissingPathError, VidrnnError
from vidrnn.inference.prediction import Prediction

MOST_WAITING = 16
"""Questions at a time."""
_KEPT = 200  # answers, each until the page has fetched it or so many came after it


class Model(Protocol):
    """What is asked: a `vidrnn.inference.recogniser.Recogniser`."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""

    def predict(self, path: Path, /) -> Prediction:
        """The prediction for one video. Raises VidrnnError."""


@dataclass(frozen=True)
class Question:
    """A video that the model is asked about.

    Attributes:
        video: the file.
        is_upload: whether the file is deleted once it is answered.
        tell: gets the answer, in the thread of the model.
    """

    video: Path
    is_upload: bool = False
    tell: Callable[[Answer], object] = lambda _answer: None


class Asker:
    """Questions wait in a line.

    Args:
        model: that answers.
    """

    def __init__(self, model: Model) -> None:
        self.classes = model.classes
        self._model = model
        self._lock = threading.Lock()
        self._line: queue.SimpleQueue[tuple[str, Question]] = queue.SimpleQueue()
        self._answers: OrderedDict[str, Answer | None] = OrderedDict()
        threading.Thread(target=self._work, daemon=True).start()

    def refuse_more(self) -> None:
        """Raises ConfigError: so many questions wait that another one is refused."""
        with self._lock:
            waiting = sum(answer is None for answer in self._answers.values())
        if waiting >= MOST_WAITING:
            raise ConfigError(f"{waiting} questions wait for the model; wait for their answers")

    def ask(self, question: Question) -> str:
        """Put a question into the line; a word to fetch its answer by. Raises ConfigError, see `refuse_more`."""
        self.refuse_more()
        word = secrets.token_urlsafe(8)
        with self._lock:
            self._answers[word] = None
            answered = [known for known, answer in self._answers.items() if answer is not None]
            for known in answered[: max(0, len(self._answers) - _KEPT)]:
                del self._answers[known]
        self._line.put((word, question))
        return word

    def answer(self, word: str) -> Answer | None:
        """The answer; None while it is not there yet. Raises MissingPathError: there is no such question."""
        with self._lock:
            if word not in self._answers:
                raise MissingPathError("there is no such question; ask again")
            return self._answers[word]

    def _work(self) -> None:
        """Body of the thread, which ends with the program."""
        while True:
            word, question = self._line.get()
            try:
                answer = answer_of(self._model.predict(question.video))
            except (VidrnnError, OSError) as error:
                answer = Answer(note=f"failed: {error}")
            if question.is_upload:
                with suppress(OSError):
                    question.video.unlink(missing_ok=True)
            question.tell(answer)
            with self._lock:
                self._answers[word] = answer
