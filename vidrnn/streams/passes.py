"""The passes that a configuration asks for: one per stream of pictures and view, and one per stream of another kind."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vidrnn.annotations import Annotation
from vidrnn.backbones.backbone import Backbone, load_backbone, views
from vidrnn.errors import ConfigError, MissingPathError, VideoError
from vidrnn.extraction.embedder import Computed, Embedder, Pass
from vidrnn.names import quoted
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.streams import BACKBONE_STREAMS, PICTURE_STREAMS, OtherStream, Stream
from vidrnn.stages import stage
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.stream_specs import identity_of
from vidrnn.streams.audio import ReadSound
from vidrnn.streams.external import ReadArray, in_time, read_array
from vidrnn.streams.pixel_rows import Rows


@stage("load what the streams need")
def load_passes(features: FeatureSettings, extraction: ExtractionSettings) -> tuple[Embedder, ...]:
    """One embedder per stream of pictures, in the order of ``features.streams``, each with its mirrored view behind it.

    All that need a network share one, with its engine; it is only loaded when there is such a stream.

    Raises:
        ConfigError, WeightsError: as from `load_backbone` and `Backbone.of_stream`.
    """
    by_network: tuple[Embedder, ...] = ()
    if BACKBONE_STREAMS & set(features.streams):
        by_network = views(load_backbone(features, extraction), features)
    passes: list[Embedder] = []
    for stream in features.streams:
        passes += [view for view in by_network if view.spec.stream == stream]
        if stream == "rows":
            passes += [Rows(features), *([Rows(features, mirrored=True)] if features.mirrored else [])]
    return tuple(passes)


def all_passes(
    annotations: Sequence[Annotation], *, root: Path, features: FeatureSettings, extraction: ExtractionSettings
) -> tuple[Pass, ...]:
    """The passes of `load_passes`, then of `file_passes`: all that is made of one reading of the videos."""
    return (*load_passes(features, extraction), *file_passes(annotations, root=root, settings=features))


def notes_of(passes: Sequence[Pass]) -> tuple[str, ...]:
    """What a user should know about the choice of the engine, each once."""
    notes = [note for backbone in passes if isinstance(backbone, Backbone) for note in backbone.notes]
    return tuple(dict.fromkeys(notes))


def title_of(spec: FeatureSpec, *, streams: int) -> str:
    """How a pass is called in reports: the view, and the stream where there are several or it is not of pictures."""
    named = streams > 1 or spec.stream not in PICTURE_STREAMS
    return " ".join([*(["mirrored"] if spec.is_mirrored else []), *([spec.stream] if named else [])])


def file_passes(annotations: Sequence[Annotation], *, root: Path, settings: FeatureSettings) -> tuple[Computed, ...]:
    """The passes over what is no picture, in the order of ``features.streams``: sound, and arrays beside the videos.

    Texts are not among them: they are embedded here, without a look at the videos (`vidrnn.streams.text`).

    Args:
        annotations: the videos, of which the first array tells the length of a step.
        root: what their paths are relative to.
        settings: of the features.

    Raises:
        ConfigError: no video has an array. MissingPathError: the folder of the arrays does not exist.
    """
    passes: list[Computed] = []
    for stream in settings.streams:
        if stream == "audio":
            sound = ReadSound(settings.audio.bands, settings.audio.rate)
            passes.append(
                Computed(_spec_of(settings, stream, dim=2 * sound.bands), sound, change_since=sound.change_since)
            )
        elif stream == "external":
            array = _array_reader(annotations, root=root, settings=settings)
            spec = _spec_of(settings, stream, dim=array.dim)
            passes.append(Computed(spec, array, array.sources, array.change_since))
    return tuple(passes)


def unseen_streams(settings: FeatureSettings) -> tuple[Stream, ...]:
    """The streams in ``features.streams`` that are not made of pictures."""
    return tuple(stream for stream in settings.streams if stream not in PICTURE_STREAMS)


def _array_reader(annotations: Sequence[Annotation], *, root: Path, settings: FeatureSettings) -> ReadArray:
    external = settings.external
    assert external.folder is not None, "settings that name the stream name its folder"
    folder = root / external.folder
    if not folder.is_dir():
        raise MissingPathError(f"features.external.folder {quoted(folder)} is not a folder")
    read = ReadArray(root, folder, external.suffix, external.rate, external.dim or 0, external.layout)
    return read if external.dim else replace(read, dim=_first_dim(annotations, read))


def _first_dim(annotations: Sequence[Annotation], read: ReadArray) -> int:
    """Length of a step in the first array that can be read."""
    for annotation in annotations:
        try:
            array, _ = read_array(read.source(annotation.source(read.root)))
            return int(in_time(array, read.layout).shape[-1])
        except (VideoError, OSError, IndexError):  # the pass over the videos says why
            continue
    example = annotations[0].path if annotations else "a/b.mp4"
    raise ConfigError(
        f"features.external: no video has an array below {read.folder}; the array of {quoted(example)} is named as "
        f"the video, with {read.suffix} in place of or behind its suffix"
    )


def _spec_of(settings: FeatureSettings, stream: OtherStream, *, dim: int) -> FeatureSpec:
    identity = identity_of(settings, stream)
    assert identity is not None
    return FeatureSpec(stream=stream, dim=dim, grid=1, weights_digest="", **identity)
