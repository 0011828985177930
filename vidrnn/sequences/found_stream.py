"""Where the features of one stream are: in a pack, in feature files that were read, or computed just now."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from vidrnn.annotations import Annotation
from vidrnn.errors import MissingPathError
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.pack_reader import Pack
from vidrnn.store.reader import READER
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.video_features import VideoFeatures

LOOSE, ABSENT = -1, -2
"""In place of a number in the pack: features in memory, and no features."""


@dataclass(frozen=True)
class FoundStream:
    """Which of n videos have features of a stream, and where.

    Attributes:
        spec: the identity of the features.
        where: the place in which they were looked for, in words.
        pack: the pack that holds some of them; None without a pack.
        places: (n,) int64 number in the pack, or a negative number for features in memory and for none at all.
        loose: position to features in memory.
        replaced: videos of which the store has features of another file than the one that last gave none, with the
            cause; these features are not among them.
        sourceless: videos whose features are there, and whose file was not when it was last wanted.
    """

    spec: FeatureSpec
    where: str
    pack: Pack | None
    places: npt.NDArray[np.int64]
    loose: Mapping[int, VideoFeatures]
    replaced: Mapping[str, str] = field(default_factory=dict)
    sourceless: tuple[str, ...] = ()

    @classmethod
    def in_memory(cls, spec: FeatureSpec, videos: Sequence[VideoFeatures | None]) -> "FoundStream":
        """Features of n videos that were computed just now; None for a video that has no such stream."""
        places = np.asarray([ABSENT if video is None else LOOSE for video in videos], dtype=np.int64)
        loose = {position: video for position, video in enumerate(videos) if video is not None}
        return cls(spec, "memory", None, places, loose)

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the video has features."""
        present: npt.NDArray[np.bool_] = self.places != ABSENT
        return present

    @property
    def readers(self) -> npt.NDArray[np.int64]:
        """(n,) version of the reading that made the features, see `vidrnn.store.reader`; today's without any."""
        readers = np.full(len(self.places), READER, dtype=np.int64)
        packed = self.places >= 0
        if self.pack is not None and packed.any():
            readers[packed] = self.pack.readers[self.places[packed]]
        for position, video in self.loose.items():
            readers[position] = video.reader
        return readers

    def subset(self, positions: npt.NDArray[np.int64]) -> "FoundStream":
        """Some of the videos, by increasing position."""
        loose = {i: self.loose[old] for i, old in enumerate(positions.tolist()) if old in self.loose}
        return replace(self, places=self.places[positions], loose=loose)

    def timestamps_s(self, position: int) -> npt.NDArray[np.float64]:
        """(T,) seconds of a video's steps; in the pack they are looked up only now."""
        place = int(self.places[position])
        if place == ABSENT:
            return np.zeros(0)
        if place == LOOSE:
            return self.loose[position].timestamps_s
        assert self.pack is not None
        return self.pack.timestamps_s(place)

    def content(self, position: int) -> str | None:
        """SHA-256 of the file that a video's features came from; None where that file says nothing about the video.

        Texts and arrays say nothing: two videos may have the same caption. A damaged header gives None too: the video
        still has its name, and `vidrnn store verify` names the damage.
        """
        place = int(self.places[position])
        if place == ABSENT or self.spec.stream in {"text", "external"}:
            return None
        if place == LOOSE:
            return self.loose[position].source.sha256 or None
        assert self.pack is not None
        try:
            found = json.loads(self.pack.header(place))["source"]["sha256"]
        except (ValueError, KeyError, TypeError):
            return None
        return str(found) or None


def find_stream(annotations: Sequence[Annotation], folder: FeatureFolder) -> FoundStream:
    """Look up annotated videos. Raises StoreError when a feature file or the index of the pack is damaged.

    A file may have been replaced by one that gives no features: then its old features do not count, see
    docs/feature_store.md.
    """
    pack, numbers = folder.packed()
    places = np.full(len(annotations), ABSENT, dtype=np.int64)
    replaced, sourceless = _doubtful(annotations, folder)
    loose: dict[int, VideoFeatures] = {}
    for position, annotation in enumerate(annotations):
        if annotation.path in replaced:
            continue
        number = numbers.get(annotation.path)
        if number is None:
            try:
                loose[position] = folder.read(annotation.path)
            except MissingPathError:
                continue
        places[position] = LOOSE if number is None else number
    return FoundStream(folder.spec, str(folder.path), pack, places, loose, replaced, sourceless)


def _doubtful(annotations: Sequence[Annotation], folder: FeatureFolder) -> tuple[dict[str, str], tuple[str, ...]]:
    """The videos whose file was replaced by one without features, with the cause, and those without a file.

    What the last extraction could not make decides: no video is looked at, as these may be on another machine.
    """
    not_made = folder.not_made()
    replaced, sourceless = dict[str, str](), list[str]()
    for path in (annotation.path for annotation in annotations if annotation.path in not_made):
        if (source := folder.source_of(path)) is None:
            continue
        tried = not_made[path]
        if not tried.had_source:
            sourceless.append(path)
        elif not tried.is_of(source.state):
            replaced[path] = tried.cause
    return replaced, tuple(sourceless)
