"""A model of clips on a long video: the frames that it takes of a clip are spread over each window of the video."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vidrnn.extraction.embedder import Computed, Embedder, Executor, Pass
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.store.spec import FeatureSpec
from vidrnn.video.sampling import Sampling


@dataclass(frozen=True)
class _Spread:
    """A pass over pictures with another choice of frames."""

    spec: FeatureSpec
    preprocessing: Preprocessing
    executor: Executor


def spread_over(passes: Sequence[Pass], window_s: float) -> tuple[Pass, ...]:
    """The passes with their frames spread over windows of a video, where they are spread over the whole of a clip.

    These are the passes with ``features.sampling: uniform`` or ``features.max_frames``; others stay as they are.

    Args:
        passes: of a model.
        window_s: length of the windows in seconds.
    """
    return tuple(one_pass if isinstance(one_pass, Computed) else _spread(one_pass, window_s) for one_pass in passes)


def is_spread(spec: FeatureSpec) -> bool:
    """Whether the frames of a video are spread over the whole of it."""
    return Sampling(**spec.sampling).most is not None


def _spread(embedder: Embedder, window_s: float) -> Embedder:
    if not is_spread(embedder.spec):
        return embedder
    spec = replace(embedder.spec, sampling={**embedder.spec.sampling, "window_s": window_s})
    return _Spread(spec, embedder.preprocessing, embedder.executor)
