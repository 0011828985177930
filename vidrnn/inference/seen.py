"""What is there of new videos: each is opened once for all that a model takes of it, or found in a feature store."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import torch

from vidrnn.annotations import Annotation
from vidrnn.extraction.embedder import Pass
from vidrnn.extraction.gathering import Gather, InMemory
from vidrnn.extraction.jobs import ABSENT, Failure, Job
from vidrnn.extraction.pipeline import embed_passes
from vidrnn.inference.side_files import SideFiles, absolute
from vidrnn.sequences.host_rows import MappedRows
from vidrnn.sequences.long_sequence import View
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.streams import PICTURE_STREAMS
from vidrnn.store.spec import FeatureSpec
from vidrnn.store.video_features import VideoFeatures
from vidrnn.streams.text import TextReader, embed_text
from vidrnn.streams.text_encoder import TextEncoder

_ROWS_AT_ONCE = 1 << 14


@dataclass
class Seen:
    """What there is of one video.

    Attributes:
        features: the views that are there.
        absent: stream to why the video does not have it.
        failed: the first cause for which there is no prediction.
    """

    features: dict[View, VideoFeatures] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    failed: str | None = None

    def add(self, spec: FeatureSpec, made: VideoFeatures | Failure) -> None:
        """Take what one pass made of it."""
        if isinstance(made, VideoFeatures):
            self.features[spec.stream, spec.is_mirrored] = made
            if not _is_finite(made):
                self.failed = self.failed or "its features hold nan or inf; use another features.precision"
        elif made.stage == ABSENT:
            self.absent[spec.stream] = made.cause
        else:
            stream = "" if spec.stream in PICTURE_STREAMS else f"{spec.stream}: "
            self.failed = self.failed or f"{stream}{made.cause}"

    def times(self) -> dict[str, VideoFeatures]:
        """The streams that it has, in the order of the passes."""
        return {stream: video for (stream, mirrored), video in self.features.items() if not mirrored}

    def refusal(self, streams: Sequence[str]) -> str | None:
        """Why a model that is shown these streams cannot answer; None when it can."""
        if self.failed is not None or self.times():
            return self.failed
        causes = "; ".join(self.absent.values())
        return causes if len(streams) == 1 else f"has none of the streams {', '.join(streams)}: {causes}"


def _is_finite(video: VideoFeatures) -> bool:
    rows, total = MappedRows(video.features, torch.device("cpu")), len(video.features)
    parts = (rows.narrow(0, at, min(_ROWS_AT_ONCE, total - at)) for at in range(0, total, _ROWS_AT_ONCE))
    return all(bool(part.isfinite().all()) for part in parts)


@dataclass(frozen=True)
class Ways:
    """How the features of new videos are made.

    Attributes:
        passes: over the files.
        texts: reads the texts that belong to them; None where the model reads none.
        encoder: of the texts.
        side_files: where texts and arrays are.
        extraction: decoders and their limits.
        gather: where the features of a video are kept until it is whole.
    """

    passes: Sequence[Pass]
    texts: TextReader | None
    encoder: TextEncoder | None
    side_files: SideFiles
    extraction: ExtractionSettings
    gather: Gather = InMemory

    @property
    def specs(self) -> list[FeatureSpec]:
        """The specs of all views that may be there."""
        specs = [one_pass.spec for one_pass in self.passes]
        return specs + ([self.encoder.spec] if self.encoder is not None else [])

    def see(self, videos: Iterable[Path]) -> Generator[tuple[str, Seen], None, None]:
        """Each video and what there is of it, as they finish; one that cannot be read says why."""
        numbers = tuple(range(len(self.passes)))
        if not numbers:  # texts alone: no video is opened
            for video in videos:
                yield str(video), self.with_text(video, Seen())
            return
        jobs = (Job(str(video), absolute(video), numbers) for video in videos)
        results = embed_passes(jobs, self.passes, settings=self.extraction, gather=self.gather)
        with closing(results):
            for path, made in results:
                seen = Seen()
                for number in sorted(made):
                    seen.add(self.passes[number].spec, made[number])
                yield path, self.with_text(Path(path), seen)

    def with_text(self, video: Path, seen: Seen) -> Seen:
        """The same, with the text of the video where the model reads texts."""
        if self.encoder is not None and self.texts is not None and seen.failed is None:
            found = self.texts.read(_annotated(video, self.side_files.texts))
            seen.add(self.encoder.spec, found if isinstance(found, Failure) else embed_text(self.encoder, found))
        return seen


def _annotated(video: Path, texts: Mapping[Path, str] | None) -> Annotation:
    """A new video, whose label is not known; where texts are given, a video without one has an empty text."""
    place = absolute(video)
    text = None if texts is None else texts.get(place, "")
    return Annotation(str(place), "any", None, "any", text=text)
