"""The books of one pass: which videos still need it, what became of the others, and who is at work on them."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vidrnn import claims
from vidrnn.annotations import Annotation
from vidrnn.annotations.lengths import contradicted_length
from vidrnn.errors import VideoError
from vidrnn.extraction.embedder import Computed, Pass
from vidrnn.extraction.failures import FailureList, MissingLists
from vidrnn.extraction.jobs import ABSENT, Failure
from vidrnn.extraction.progress import Progress
from vidrnn.extraction.stored import Standing, Stored
from vidrnn.names import quoted
from vidrnn.stages import LOG
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.not_made import FAILURE_LIST
from vidrnn.store.source import Places
from vidrnn.store.video_features import VideoFeatures


class Ledger:
    """The books of one pass. Context manager: its claims vanish at the end.

    Args:
        folder: of the pass, in the store.
        one_pass: whose books these are.
        root: what paths are relative to.
        progress: kept up to date.
        retry_failed: also try videos that failed in an earlier run and have not changed since.
        plain: folder of the same pass over frames that are not mirrored: what failed there fails here.
    """

    def __init__(
        self,
        folder: FeatureFolder,
        one_pass: Pass,
        *,
        root: Path,
        progress: Progress,
        retry_failed: bool,
        plain: FeatureFolder | None,
    ) -> None:
        self.folder, self.progress = folder, progress
        self._source_of: Callable[[Path], Places] = (
            one_pass.source_of if isinstance(one_pass, Computed) else lambda video: video
        )
        self._root, self._retry_failed = root, retry_failed
        self._known = MissingLists(folder.path)
        self._known_plain = FailureList(plain.path / FAILURE_LIST) if plain and not retry_failed else None
        self._claims = claims.Claims(folder.path / claims.FILE)
        self._stored = Stored(folder)
        self._stored_plain = Stored(plain) if plain else None
        self._counting = threading.Lock()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_error: object) -> None:
        self._claims.close()
        for stored in (self._stored, self._stored_plain):
            if stored is not None:
                stored.close()

    def close(self) -> None:
        """Put the lists in order. Raises OSError."""
        self._known.tidy()
        self.progress.sort()

    def is_settled(self, path: str) -> bool:
        """Whether the video needs nothing more, or nothing that can be had; this is entered."""
        source = self._source(path)
        if _standing(self._stored, path, source).what == "right":
            self._reuse(path)
        elif not self._retry_failed and (failure := self._known.known(path, source)):
            self.progress.not_retried += failure.stage != ABSENT
            self.progress.miss(failure)
        elif failure := self._failure_of_plain(path, source):
            self.fail(failure)
        else:
            return False
        return True

    def take(self, path: str) -> bool:
        """Claim a video; False while another extraction has it."""
        return self._claims.take(path)

    def was_done_meanwhile(self, path: str) -> bool:
        """Whether another extraction did a video that has just been claimed; this is entered."""
        if _standing(self._stored, path, self._source(path)).what != "right":
            return False
        self._claims.give_back(path)
        self._reuse(path)
        return True

    def made_before(self, path: str) -> VideoFeatures | None:
        """The features that an earlier version of the reading made of just this source, without values."""
        return _standing(self._stored, path, self._source(path)).made

    def keep(self, path: str) -> None:
        """Enter that this version would make the same features as an earlier one, which stay."""
        self._stored.confirm(path)
        self._claims.give_back(path)
        self._reuse(path)

    def fail(self, failure: Failure) -> None:
        """Enter a failure, or that the video does not have this stream. Raises OSError."""
        LOG.info("%s: no %s (%s)", quoted(failure.path), self.folder.spec.stream, failure.cause)
        self._known.add(failure, self._source(failure.path))
        self._claims.give_back(failure.path)
        self.progress.miss(failure)

    def finish(self, annotation: Annotation, video: VideoFeatures) -> None:
        """Put features on disk and enter them. Raises OSError.

        Args:
            annotation: of the video; what it says of its length is compared.
            video: its features.
        """
        path, listed_frames = annotation.path, annotation.listed_frames
        held = video.metadata.num_frames
        if listed_frames is not None and held not in {0, listed_frames}:
            note = f"the list says {listed_frames} frames, there are {held}; all of these count"
            video = replace(video, notes=(*video.notes, note))
        self._stored.write(path, video)
        LOG.info("%s: %s of %d steps stored", quoted(path), self.folder.spec.stream, len(video.features))
        self._claims.give_back(path)  # from here on another extraction finds them
        self._known.solve(path)
        self.progress.extracted += 1
        self.progress.notes += [(path, note) for note in video.notes]
        if contradicted := contradicted_length(annotation, video.metadata.duration_s):
            self.progress.notes.append((path, contradicted))

    def _reuse(self, path: str) -> None:
        self._known.solve(path)  # a run that was killed may have left its failure behind
        with self._counting:  # a thread that looks for work, or the one that takes the results
            self.progress.reused += 1

    def _source(self, path: str) -> Places:
        """What decides the features; the video itself where that cannot be told, which fails by name then."""
        try:
            return self._source_of(self._root / path)
        except VideoError:
            return self._root / path

    def _failure_of_plain(self, path: str, source: Places) -> Failure | None:
        """What the view that is not mirrored failed with, unless it has been solved since."""
        failure = self._known_plain.known(path, source) if self._known_plain else None
        if failure is None or (self._stored_plain and _standing(self._stored_plain, path, source).what == "right"):
            return None
        return failure


def _standing(stored: Stored, path: str, source: Places) -> Standing:
    try:
        return stored.find(path, source)
    except (OSError, ValueError):  # no permission, or no possible name: the decoder reports it for this video
        return Standing("missing")
