"""The passes over the videos that a configuration asks for: one per stream of pictures and view."""

from collections.abc import Sequence

from vidrnn.backbones.backbone import Backbone, load_backbone, views
from vidrnn.extraction.embedder import Embedder
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.streams import BACKBONE_STREAMS
from vidrnn.streams.pixel_rows import Rows


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
