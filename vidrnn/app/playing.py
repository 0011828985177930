"""Videos as a browser plays them: as they are where it can, else written anew as MP4 into a folder for the while."""

import base64
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vidrnn.errors import VideoError, VidrnnError
from vidrnn.extraction.supervised import supervised
from vidrnn.reporting.filmstrips import make_filmstrips
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.video.clip import Stretch, write_clip
from vidrnn.video.playable import fits_an_mp4, media_type
from vidrnn.video.probe import probe

CACHE_BYTES = 4_000_000_000
"""Most that lies in the folder of videos that were written anew; those looked at longest ago go first."""
_LOOKED_AT = 10_000  # files of which is remembered whether a browser plays them
_STRIPS = 1_000  # filmstrips in memory, of some 10 kB each
_LIMITS = ExtractionSettings(stall_limit_s=600.0)  # the index of a long MP4 is moved to the front in one go
_LOOK_LIMITS = ExtractionSettings(stall_limit_s=20.0)

Key = tuple[str, int, int]
"""Path, time of change and size of a file: another content is another video."""


@dataclass(frozen=True)
class Playable:
    """A file that browsers play.

    Attributes:
        path: of the file.
        media_type: for the header of the answer.
        zero_s: the time of the video that is 0 in this file, in seconds.
        is_original: whether it is the video itself.
    """

    path: Path
    media_type: str
    zero_s: float
    is_original: bool


@dataclass(frozen=True)
class Preparing:
    """A video that is being written anew, since ``since_s`` seconds, with ``written`` bytes so far."""

    since_s: float
    written: int


class Player:
    """Finds or makes what a browser plays. One video is written at a time, the one asked for last comes first.

    FFmpeg runs in processes of their own, see `vidrnn.extraction.supervised`: a file that crashes it costs itself.

    Args:
        folder: for videos that are written anew; empty, and nobody else's.
        limit: most bytes in it; the newest stays in any case.
    """

    def __init__(self, folder: Path, *, limit: int = CACHE_BYTES) -> None:
        self._folder, self._limit = folder, limit
        self._lock = threading.Lock()
        self._found: OrderedDict[Key, Playable | VideoError] = OrderedDict()
        self._started: dict[Key, tuple[float, Path]] = {}
        self._waiting: queue.LifoQueue[tuple[Key, Path, bool]] = queue.LifoQueue()
        self._strips: OrderedDict[Key, bytes | VideoError] = OrderedDict()
        threading.Thread(target=self._work, daemon=True).start()

    def ask(self, video: Path) -> Playable | Preparing:
        """What can be played, or how far it is. Raises VideoError, OSError: it never will be."""
        key = _key(video)
        with self._lock:
            found = self._found.get(key)
            if found is not None:
                self._found.move_to_end(key)
            if isinstance(found, Playable) and not found.is_original and not found.path.exists():
                found = self._found.pop(key, None) and None  # it had to make room
            begun = self._started.get(key)
        if isinstance(found, VideoError):
            raise found
        if found is not None:
            return found
        if begun is not None:
            return Preparing(time.monotonic() - begun[0], _size(begun[1]))
        return self._begin(key, video)

    def strip(self, video: Path) -> bytes:
        """A few pictures of it side by side, as WebP. Raises VideoError, OSError: it cannot be decoded."""
        key = _key(video)
        with self._lock:
            found = self._strips.get(key)
        if found is None:
            (made,) = make_filmstrips([(str(video), None)], [Path()], features=None, workers=1).values()
            found = base64.b64decode(made.image.partition(",")[2]) if made.image else VideoError(made.problem)
            with self._lock:
                self._strips[key] = found
                while len(self._strips) > _STRIPS:
                    self._strips.popitem(last=False)
        if isinstance(found, VideoError):
            raise found
        return found

    def _begin(self, key: Key, video: Path) -> Playable | Preparing:
        try:
            kind, fits = next(iter(supervised(partial(_look, video), limits=_LOOK_LIMITS)))
        except VideoError as error:
            self._keep(key, error)
            raise
        if kind is not None:
            playable = Playable(video, kind, 0.0, is_original=True)
            self._keep(key, playable)
            return playable
        with self._lock:
            if key not in self._started:
                self._started[key] = time.monotonic(), self._target(key)
                self._waiting.put((key, video, fits))
        return Preparing(0.0, 0)

    def _target(self, key: Key) -> Path:
        return self._folder / f"{len(self._started)}_{abs(hash(key)):x}.mp4"

    def _keep(self, key: Key, found: Playable | VideoError) -> None:
        with self._lock:
            self._found[key] = found
            self._started.pop(key, None)
            while len(self._found) > _LOOKED_AT:
                self._found.popitem(last=False)

    def _work(self) -> None:
        """Body of the thread, which ends with the program."""
        while True:
            key, video, fits = self._waiting.get()
            _, target = self._started[key]
            try:
                (zero_s,) = supervised(partial(_write, video, target, fits), limits=_LIMITS)
                self._keep(key, Playable(target, "video/mp4", zero_s, is_original=False))
                self._make_room(target)
            except (VidrnnError, OSError) as error:
                with suppress(OSError):
                    target.unlink(missing_ok=True)
                self._keep(key, VideoError(f"cannot be shown: {error}"))

    def _make_room(self, newest: Path) -> None:
        """Delete what was looked at longest ago until the rest fits."""
        with self._lock:
            written = [
                found.path
                for found in self._found.values()
                if isinstance(found, Playable) and not found.is_original and found.path != newest
            ]
        sizes = {path: _size(path) for path in written}
        total = sum(sizes.values()) + _size(newest)
        for path, size in sizes.items():
            if total <= self._limit:
                return
            path.unlink(missing_ok=True)
            total -= size


def frame_times(video: Path) -> list[float]:
    """(N + 1) seconds at which the frames of a video are shown, and the end of the last. Raises VideoError, OSError."""
    (times,) = supervised(partial(_times, video), limits=_LIMITS)
    return times


def _key(video: Path) -> Key:
    status = video.stat()
    return str(video), status.st_mtime_ns, status.st_size


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # not there yet, or gone
        return 0


def _look(video: Path, _alive: Callable[[], None]) -> Iterator[tuple[str | None, bool]]:
    """Body of a process: the media type, and whether the pictures can be copied into an MP4."""
    kind = media_type(video)
    yield kind, kind is not None or fits_an_mp4(video)


def _write(video: Path, target: Path, fits: bool, alive: Callable[[], None]) -> Iterator[float]:
    """Body of a process: writes the MP4; the time of the video that is 0 in it."""
    found = probe(video, on_progress=alive)
    write_clip(found, Stretch(0, found.num_frames), target, exact=not fits, on_packet=alive)
    yield float(found.timestamps_s[0])


def _times(video: Path, alive: Callable[[], None]) -> Iterator[list[float]]:
    """Body of a process."""
    found = probe(video, on_progress=alive)
    yield [*found.timestamps_s.tolist(), float(found.timestamps_s[0]) + found.duration_s]
