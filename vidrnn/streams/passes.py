"""The passes that a configuration asks for: one per stream of pictures and view, and one per stream of another kind."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

from vidrnn.annotations import Annotation
from vidrnn.backbones.backbone import Backbone, load_backbone, views
from vidrnn.errors import ConfigError, MissingPathError, VideoError
from vidrnn.extraction.embedder import Embedder
from vidrnn.extraction.extract import Progress, fill
from vidrnn.extraction.jobs import Failure, Job
from vidrnn.extraction.pipeline import read_videos
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.streams import BACKBONE_STREAMS, OtherStream
from vidrnn.store.folders import FeatureFolder, FeatureStore
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.stream_specs import identity_of
from vidrnn.store.video_features import VideoFeatures
from vidrnn.streams.audio import ReadSound
from vidrnn.streams.external import ReadArray, read_array
from vidrnn.streams.pixel_rows import Rows
from vidrnn.streams.text import TextReader, check_text, embed_text, extract_text
from vidrnn.streams.text_encoder import TextEncoder


def load_passes(settings: FeatureSettings) -> tuple[Embedder, ...]:
    """One embedder per stream of pictures, in the order of ``features.streams``, each with its mirrored view behind it.

    All that need a network share one, with its engine; it is only loaded when there is such a stream. So whoever has a
    video embeds it with the passes of a model, one after the other.

    Raises:
        ConfigError, WeightsError: as from `load_backbone` and `Backbone.of_stream`.
    """
    by_network = views(load_backbone(settings), settings) if BACKBONE_STREAMS & set(settings.streams) else ()
    passes: list[Embedder] = []
    for stream in settings.streams:
        passes += [each for each in by_network if each.spec.stream == stream]
        if stream == "rows":
            passes += [Rows(settings), *([Rows(settings, mirrored=True)] if settings.mirrored else [])]
    return tuple(passes)


def notes_of(passes: Sequence[Embedder]) -> tuple[str, ...]:
    """What a user should know about the choice of the engine, each once."""
    notes = [note for each in passes if isinstance(each, Backbone) for note in each.notes]
    return tuple(dict.fromkeys(notes))


def title_of(embedder: Embedder, *, streams: int) -> str:
    """How a pass is called in reports: the stream where there are several, and the view."""
    words = [*(["mirrored"] if embedder.spec.is_mirrored else []), *([embedder.spec.stream] if streams > 1 else [])]
    return " ".join(words)


def other_streams(settings: FeatureSettings) -> tuple[OtherStream, ...]:
    """Those of ``features.streams`` that are no pictures, in their order there."""
    own: tuple[OtherStream, ...] = get_args(OtherStream)
    return tuple(other for stream in settings.streams for other in own if other == stream)


def extract_stream(
    annotations: Sequence[Annotation],
    *,
    stream: OtherStream,
    root: Path,
    settings: FeatureSettings,
    progress: Progress,
    retry_failed: bool = False,
    on_video: Callable[[], object] = lambda: None,
) -> FeatureFolder:
    """Fill the store with one stream of all annotated videos, as `extract` of `vidrnn.extraction.extract` does.

    Videos that do not have the stream are listed in ``progress.absent``, and remembered until they change.

    Raises:
        ConfigError: the text encoder is not installed, or no video has a text or an array.
        MissingPathError: a folder of texts or arrays does not exist.
        OSError: the store cannot be written.
    """
    if stream == "text":
        return extract_text(annotations, root=root, settings=settings, progress=progress, on_video=on_video)
    read = _reader_of(stream, annotations, root=root, settings=settings)
    folder = FeatureStore(settings.store).create(_spec_of(settings, stream, read))
    fill(
        folder,
        annotations,
        root=root,
        results_of=partial(read_videos, read=read, settings=settings),
        progress=progress,
        source_of=read.source if isinstance(read, ReadArray) else lambda video: video,
        retry_failed=retry_failed,
        on_video=on_video,
    )
    return folder


def stream_features(
    annotations: Sequence[Annotation], *, stream: OtherStream, root: Path, settings: FeatureSettings
) -> Iterator[tuple[str, VideoFeatures | Failure]]:
    """One stream of new videos, without a store: just what `extract_stream` would have put there.

    Yields:
        (path, features or failure), each video once, in no order; the stage of the failure of a video that does not
        have the stream is `ABSENT`.

    Raises:
        ConfigError, MissingPathError: as `extract_stream`.
    """
    if stream == "text":
        check_text(annotations, root=root, settings=settings.text)
        encoder, reader = TextEncoder(settings), TextReader(settings.text, root)
        for annotation in annotations:
            found = reader.read(annotation)
            yield annotation.path, found if isinstance(found, Failure) else embed_text(encoder, found)
        return
    read = _reader_of(stream, annotations, root=root, settings=settings)
    yield from read_videos([Job(each.path, each.source(root)) for each in annotations], read, settings=settings)


def _reader_of(
    stream: OtherStream, annotations: Sequence[Annotation], *, root: Path, settings: FeatureSettings
) -> ReadSound | ReadArray:
    if stream == "audio":
        return ReadSound(settings.audio.bands, settings.audio.rate)
    own = settings.external
    assert own.folder is not None, "settings that name the stream name its folder"
    folder = root / own.folder
    if not folder.is_dir():
        raise MissingPathError(f"features.external.folder {str(folder)!r} is not a folder")
    read = ReadArray(root, folder, own.suffix, own.rate, own.dim or 0)
    return read if own.dim else replace(read, dim=_first_dim(annotations, read))


def _first_dim(annotations: Sequence[Annotation], read: ReadArray) -> int:
    """Length of a step in the first array that can be read."""
    for annotation in annotations:
        try:
            return int(read_array(read.source(annotation.source(read.root)))[0].shape[-1])
        except (VideoError, OSError, IndexError):  # the pass over the videos says why
            continue
    example = annotations[0].path if annotations else "a/b.mp4"
    raise ConfigError(
        f"features.external: no video has an array below {read.folder}; that of {example!r} is named as the "
        f"video, with {read.suffix} in place of or behind its suffix"
    )


def _spec_of(settings: FeatureSettings, stream: OtherStream, read: ReadSound | ReadArray) -> FeatureSpec:
    identity = identity_of(settings, stream)
    assert identity is not None
    dim = read.dim if isinstance(read, ReadArray) else 2 * read.bands
    spec = FeatureSpec(stream=stream, dim=dim, grid=1, weights_digest="", **identity)
    return FeatureSpec.from_json(spec.to_json())
