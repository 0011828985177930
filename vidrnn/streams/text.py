"""The stream ``text``: read for every video, embedded where it is new or has changed."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidrnn.annotations import Annotation
from vidrnn.errors import AbsentStreamError, ConfigError, MissingPathError, StoreError, VideoError
from vidrnn.extraction.failures import MissingLists
from vidrnn.extraction.jobs import ABSENT, Failure
from vidrnn.extraction.progress import Progress
from vidrnn.names import quoted
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.streams import TextSettings
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.sidecar import sidecar_of
from vidrnn.store.source import Source
from vidrnn.store.video_features import VideoFeatures, VideoMetadata
from vidrnn.streams.text_encoder import TextEncoder
from vidrnn.streams.text_files import Document, read_document, text_file, whole_document


@dataclass(frozen=True)
class FoundText:
    """What is written of a video, and the identity of its bytes, whose time is 0 where they are in a column."""

    document: Document
    source: Source


@dataclass(frozen=True)
class TextReader:
    """Finds the text of a video.

    Attributes:
        settings: where it is.
        root: of the videos.
    """

    settings: TextSettings
    root: Path

    def read(self, annotation: Annotation) -> "FoundText | Failure":
        """The text of a video; as a failure, why there is none."""
        try:
            if self.settings.source == "column":
                text = annotation.text or ""
                return FoundText(whole_document(text), _source(text.encode(), mtime_ns=0))
            path = self.file_of(annotation)
            content = text_file(path)
            return FoundText(read_document(content, self.settings), _source(content, mtime_ns=path.stat().st_mtime_ns))
        except AbsentStreamError as error:
            return Failure(annotation.path, ABSENT, str(error))
        except VideoError as error:
            return Failure(annotation.path, "read", str(error))

    def source_of(self, annotation: Annotation) -> Path:
        """What decides the text of a video: its file, or the video where the annotations hold it or two files do."""
        try:
            return annotation.source(self.root) if self.settings.source == "column" else self.file_of(annotation)
        except VideoError:
            return annotation.source(self.root)

    def file_of(self, annotation: Annotation) -> Path:
        """Where the text of a video is, or should be. Raises VideoError when there are two."""
        folder = None if self.settings.folder is None else self.root / self.settings.folder
        suffix = f".{self.settings.source}"
        return sidecar_of(annotation.source(self.root), root=self.root, folder=folder, suffix=suffix)


def extract_text(
    annotations: Sequence[Annotation],
    *,
    root: Path,
    features: FeatureSettings,
    extraction: ExtractionSettings,
    progress: Progress,
    on_video: Callable[[], object] = lambda: None,
) -> FeatureFolder:
    """Fill the store with the embedded texts of all annotated videos.

    A text is read in any case, which is as quick as asking whether it has changed; so every failure is tried again.

    Raises:
        ConfigError: the encoder is not installed, or the annotations have no texts.
        MissingPathError: ``features.text.folder`` does not exist.
        OSError: the store cannot be written.
    """
    check_text(annotations, root=root, settings=features.text)
    encoder, reader = TextEncoder(features, device=extraction.device), TextReader(features.text, root)
    folder = FeatureStore(extraction.store).create(encoder.spec)
    missing = MissingLists(folder.path)
    for annotation in annotations:
        found = reader.read(annotation)
        if isinstance(found, Failure):
            missing.add(found, reader.source_of(annotation))
            progress.miss(found)
        else:
            if _is_there(folder, annotation.path, found.source):
                progress.reused += 1
            else:
                video = embed_text(encoder, found)
                folder.write(annotation.path, video)
                progress.extracted += 1
                progress.notes += [(annotation.path, note) for note in video.notes]
            missing.solve(annotation.path)
        on_video()
    missing.tidy()
    return folder


def check_text(annotations: Sequence[Annotation], *, root: Path, settings: TextSettings) -> None:
    """Refuse settings that give no text at all. Raises ConfigError, MissingPathError."""
    if settings.source == "column" and all(annotation.text is None for annotation in annotations):
        raise ConfigError(
            "features.text.source: column needs data.format csv and a column 'text' in data.annotations; for files "
            "beside the videos set txt, srt or vtt"
        )
    if settings.folder is not None and not (root / settings.folder).is_dir():
        raise MissingPathError(f"features.text.folder {quoted(root / settings.folder)} is not a folder")


def _source(content: bytes, *, mtime_ns: int) -> Source:
    return Source(len(content), mtime_ns, hashlib.sha256(content).hexdigest())


def _is_there(folder: FeatureFolder, path: str, source: Source) -> bool:
    try:
        return folder.read(path, check=True).source.sha256 == source.sha256
    except (StoreError, MissingPathError):
        return False


def embed_text(encoder: TextEncoder, found: FoundText) -> VideoFeatures:
    """Features of one text, a step for each passage."""
    passages, notes = found.document.passages, found.document.notes
    vectors, cut = encoder.encode([passage.text for passage in passages])
    times = np.asarray([passage.time_s for passage in passages], dtype=np.float64)
    if cut:
        notes += (f"{cut} of its texts are longer than the encoder takes at once; their parts are averaged",)
    metadata = VideoMetadata(0, 0, 0, float(times[-1]))
    return VideoFeatures(vectors.astype(np.float16), times, metadata, found.source, notes)
