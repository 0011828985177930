"""The threads that drive decoder processes: they end with whoever takes what they hand over, and with the program.

A program may end while it still holds the results of a run: an exception after the first of them, a generator that a
global variable keeps. Nobody takes messages then, and Python would wait for ordinary threads for ever. So these are
daemons, which it does not wait for, and they are ended in good order before it takes itself apart.
"""

import atexit
import queue
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vidrnn.extraction.collector import Comparison, Flush, Message
from vidrnn.extraction.decode_worker import Reader
from vidrnn.extraction.decoder import Decoder, StoppedError
from vidrnn.extraction.jobs import Job
from vidrnn.extraction.readings import Readings
from vidrnn.settings.extraction import ExtractionSettings

QUEUED_MESSAGES = 4
_PAUSE_S = 0.2  # before asking again for a job
_GLANCE_S = 0.1  # how often a thread that waits for room looks whether anybody still takes messages
_PATIENCE_S = 2.0  # with a thread whose next job is long in coming


class Drivers:
    """One thread for each decoder process. Context manager: at the end threads and processes have ended.

    Only a thread that waits for the next job is left behind after a while. It ends when that job comes.

    Attributes:
        messages: what the decoders say, and None from each thread that has nothing more to do.
        number: how many threads there are.

    Args:
        jobs: taken one by one; None says that there is nothing to do right now.
        readings: what is read of a video.
        reader: what runs in the processes.
        settings: their limits.
        workers: how many threads.
    """

    def __init__(
        self,
        jobs: Iterator[Job | None],
        readings: Readings,
        reader: Reader,
        *,
        settings: ExtractionSettings,
        workers: int,
    ) -> None:
        self.messages: queue.Queue[Message] = queue.Queue(maxsize=QUEUED_MESSAGES)
        self.number = workers
        self._jobs, self._lock, self._readings = jobs, threading.Lock(), readings
        self._stop = threading.Event()  # no more work
        self._left = threading.Event()  # nobody takes messages any more
        self._asking: set[threading.Thread] = set()  # these wait for their next job
        self._errors: list[BaseException] = []
        decoders = [Decoder(reader, settings=settings, stop=self._stop) for _ in range(workers)]
        self._threads = [
            threading.Thread(target=self._drive, args=(decoder,), name=f"decoder_{number}", daemon=True)
            for number, decoder in enumerate(decoders)
        ]

    def __enter__(self) -> "Drivers":
        _running.add(self)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.end()

    def end(self) -> None:
        """End threads and processes; nobody takes messages any more."""
        self._stop.set()
        self._left.set()
        deadline_s = time.monotonic() + _PATIENCE_S
        for thread in self._threads:
            while thread.is_alive() and not (thread in self._asking and time.monotonic() > deadline_s):
                thread.join(_GLANCE_S)
        _running.discard(self)

    def raise_error(self) -> None:
        """Raise the first error that is no fault of a video, if there was one."""
        if self._errors:
            raise self._errors[0]

    def _drive(self, decoder: Decoder) -> None:
        """One thread: give its decoder process one video after the other."""
        try:
            while self._drive_one(decoder):
                pass
        except StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001  whoever takes the results raises it
            self._errors.append(error)
            self._stop.set()  # it ends the run now, not when the other threads have done everything else
        finally:
            decoder.close()
            self._put(None, unless=self._left)

    def _drive_one(self, decoder: Decoder) -> bool:
        """Take one job and do it; False where there is none."""
        self._asking.add(threading.current_thread())
        with self._lock:
            job = None if self._stop.is_set() else next(self._jobs, _NO_MORE)
        self._asking.discard(threading.current_thread())
        if self._stop.is_set() or job is _NO_MORE:
            return False
        if job is None:
            self._say(Flush())
            self._stop.wait(_PAUSE_S)
            return True
        if job.made:
            changes = decoder.compare(job.source, self._readings.made(job))
            self._say(Comparison(job.path, changes))
            job = job.without([number for number, change in changes.items() if change is None])
            if not job.wanted:
                return True
        job = replace(job)  # told apart from the others under way by its identity, and the same one may come twice
        self._say(job)
        for message in decoder.decode(job, self._readings.wanted(job)):
            self._say(message)
            del message  # else its frames would keep their place until the next ones come
        return True

    def _say(self, message: Message) -> None:
        """Hand over a message. Raises StoppedError when there is no more work to do."""
        if not self._put(message, unless=self._stop):
            raise StoppedError

    def _put(self, message: Message, *, unless: threading.Event) -> bool:
        """Wait for room; False where something has happened before there was any."""
        while not unless.is_set():
            try:
                self.messages.put(message, timeout=_GLANCE_S)
            except queue.Full:
                continue
            return True
        return False


_NO_MORE = Job("", Path(), ())
_running: "weakref.WeakSet[Drivers]" = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """The program ends."""
    for drivers in list(_running):
        drivers.end()
