"""The verb ``search``: moments in feature stores that are like a moment of a video."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from vidrnn.bars import Bar, nowhere
from vidrnn.errors import ConfigError, MissingPathError, StoreError, VideoError
from vidrnn.explanation.nearest import vectors_of
from vidrnn.extraction.embedder import Pass
from vidrnn.inference.as_trained import features_for, refuse_other, shown_streams
from vidrnn.inference.one_sequence import sequences_of
from vidrnn.inference.seen import Ways
from vidrnn.inference.side_files import SideFiles, absolute
from vidrnn.models.model_file import TrainedModel
from vidrnn.names import quoted
from vidrnn.retrieval.filling import read_streams, up_to_date, vectors_in
from vidrnn.retrieval.index import Moment, MomentIndex, Origin, read_index
from vidrnn.retrieval.moments import Streams, cut, end_of
from vidrnn.sequences.descriptors import Floats
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.run import RunSettings
from vidrnn.settings.streams import in_order
from vidrnn.stages import stage
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.video_features import VideoFeatures
from vidrnn.streams.passes import file_passes, load_passes

WINDOW_S = 4.0
_INDEXES = "_search"
_STRETCH = re.compile(r"(?P<path>.+)@(?P<start>\d+(?:\.\d*)?)-(?P<end>\d+(?:\.\d*)?)")


@dataclass(frozen=True)
class Query:
    """What is looked for.

    Attributes:
        path: of a video.
        start_s: where the moment begins; None: the whole video.
        end_s: where it ends.
    """

    path: Path
    start_s: float | None = None
    end_s: float | None = None

    @classmethod
    def of(cls, text: str) -> "Query":
        """From ``clip.mp4`` or ``clip.mp4@1.5-4``, in seconds. Raises ConfigError."""
        found = _STRETCH.fullmatch(text)
        if found is None or Path(text).exists():
            return cls(Path(text))
        start_s, end_s = float(found["start"]), float(found["end"])
        if start_s >= end_s:
            raise ConfigError(f"--like {quoted(text)}: the start {start_s:g} must be before the end {end_s:g}")
        return cls(Path(found["path"]), start_s, end_s)

    def of_streams(self, streams: Streams) -> tuple[float, float, Streams]:
        """Start, end and features of the moment. Raises ConfigError where the video has nothing there."""
        first = next(iter(streams.values()))
        if self.start_s is None or self.end_s is None:
            return float(first.timestamps_s[0]), end_of(first.timestamps_s), streams
        part = cut(streams, self.start_s, self.end_s)
        if not part:
            raise ConfigError(
                f"{quoted(self.path)} has no step from {self.start_s:g} to {self.end_s:g} s; its steps are from "
                f"{first.timestamps_s[0]:.3f} to {first.timestamps_s[-1]:.3f} s"
            )
        return self.start_s, self.end_s, part


@dataclass(frozen=True)
class Asked:
    """By what moments are compared.

    Attributes:
        settings: a configuration, which names the features; None: the features of the stores, where there is no choice.
        model: whose pooled states are compared; None: descriptors of the features.
        digest: sha256 of its file; empty without one.
        window_s: length of the windows in long videos.
    """

    settings: RunSettings | None = None
    model: TrainedModel | None = None
    digest: str = ""
    window_s: float = WINDOW_S

    def folders(self, store: Path) -> dict[str, FeatureFolder]:
        """Stream to the folder of its plain view in a store.

        Raises:
            ConfigError: nothing says which features are meant. StoreError: they are not there.
        """
        there = FeatureStore(store)
        if self.model is not None:
            streams = shown_streams(self.model)
            specs = [spec for spec in self.model.specs if spec.stream in streams]
            lacking = [spec.digest for spec in specs if not (there.folder(spec).path / "spec.json").exists()]
            if lacking:
                raise StoreError(
                    f"the store {quoted(store)} lacks the features of the model: spec {', '.join(lacking)}"
                )
            return {spec.stream: there.folder(spec) for spec in specs}
        if self.settings is not None:
            features = self.settings.features
            return {stream: there.find(features, stream=stream) for stream in in_order(features.streams)}
        plain = [folder for folder in there.folders() if not folder.spec.is_mirrored]
        found = {folder.spec.stream: folder for folder in plain}
        if not plain or len(found) < len(plain):
            kinds = ", ".join(sorted(folder.spec.stream for folder in plain)) or "none"
            raise ConfigError(
                f"the store {quoted(store)} holds {len(plain)} kinds of features ({kinds}); give --config or --model, "
                "which say what to compare"
            )
        return {stream: found[stream] for stream in sorted(found)}


@stage("look for moments that are alike")
def search(
    query: Query,
    stores: Sequence[Path],
    asked: Asked,
    *,
    count: int,
    index: Path | None = None,
    update: bool = True,
    bar: Bar = nowhere,
) -> list[tuple[Path, Moment]]:
    """The moments most alike, the nearest first, each with its store.

    Args:
        query: what is looked for; its features are taken from a store, or else made.
        stores: where to look.
        asked: by what.
        count: most moments.
        index: folder of the index of the one store; None: below each store.
        update: bring the indexes up to date first.
        bar: shows how far they have come.

    Raises:
        ConfigError, StoreError, MissingPathError: see `Asked.folders`, `vidrnn.retrieval.index.read_index`; or there is
            no index to search. VideoError: the video cannot be read.
    """
    if index is not None and len(stores) != 1:
        raise ConfigError(f"--index {quoted(index)} needs one store, there are {len(stores)}; leave it out")
    places = [asked.folders(store) for store in stores]
    specs = {stream: folder.spec.digest for stream, folder in places[0].items()}
    for store, folders in zip(stores, places, strict=True):
        if (here := {stream: folder.spec.digest for stream, folder in folders.items()}) != specs:
            raise StoreError(
                f"{quoted(stores[0])} and {quoted(store)} hold features of different specs ({specs}, {here}), which "
                "cannot be compared; search them one after the other"
            )
    origin = Origin(specs, asked.digest, asked.window_s)
    path, streams = _streams_of(query, places, asked)
    start_s, end_s, part = query.of_streams(streams)
    by_model = None if asked.model is None else partial(_by_model, asked.model)
    found: list[tuple[Path, Moment]] = []
    for store, folders in zip(stores, places, strict=True):
        place = index or store / _INDEXES / _name_of(origin)
        made = up_to_date(place, origin, folders, by_model=by_model, bar=bar) if update else read_index(place, origin)
        if made is None:
            raise MissingPathError(f"there is no index {quoted(place)}; leave --no-update out, and it is made")
        if not made.paths:
            raise StoreError(f"the store {quoted(store)} holds no features of spec {', '.join(specs.values())}")
        vector = _vector(part, made, by_model)
        found += [(store, moment) for moment in made.search(vector, count=count, without=(path, start_s, end_s))]
    return sorted(found, key=lambda one: -one[1].similarity)[:count]


def _vector(part: Streams, index: MomentIndex, by_model: "partial[Floats] | None") -> Floats:
    vectors = vectors_in(index.space, [part]) if by_model is None else by_model([part])
    if not np.isfinite(vectors).all():
        raise StoreError("the features of what is looked for hold nan or inf; extract it again")
    vector: Floats = vectors[0]
    return vector


def _by_model(model: TrainedModel, parts: Sequence[Streams]) -> Floats:
    """(n, F) pooled states of moments, each taken as a video of its own."""
    views = [{(name, False): video for name, video in part.items()} for part in parts]
    streams = shown_streams(model)
    specs = [spec for spec in model.specs if spec.stream in streams]
    return vectors_of(model, sequences_of(model, specs, views, streams=streams))


def _name_of(origin: Origin) -> str:
    return hashlib.sha256(repr(origin.as_dict()).encode()).hexdigest()[:16]


def _streams_of(
    query: Query, places: Sequence[Mapping[str, FeatureFolder]], asked: Asked
) -> tuple[str, dict[str, VideoFeatures]]:
    """The path as a store has it, and the features of the video: stored, or made now."""
    root = None if asked.settings is None else absolute(asked.settings.data.root)
    place = absolute(query.path)
    names = [query.path.as_posix(), place.as_posix()]
    if root is not None and place.is_relative_to(root):
        names.insert(0, place.relative_to(root).as_posix())
    for name in names:
        for folders in places:
            if len(streams := read_streams(name, folders)) == len(folders):
                return name, streams
    return place.as_posix(), _made(query.path, asked, places[0])


def _made(path: Path, asked: Asked, folders: Mapping[str, FeatureFolder]) -> dict[str, VideoFeatures]:
    if not path.exists():
        raise MissingPathError(
            f"--like {quoted(path)} is no file, and no store has features of it; give a video, or a path as a store "
            "has it"
        )
    features, extraction = _settings_for(asked)
    if unfit := {"text", "external"} & set(folders):
        raise ConfigError(
            f"features of {', '.join(sorted(unfit))} are not made here; give a video that is in the store"
        )
    passes: tuple[Pass, ...] = (*load_passes(features, extraction), *file_passes((), root=Path("/"), settings=features))
    for one in passes:
        refuse_other(one.spec, folders[one.spec.stream].spec)
    with closing(Ways(passes, None, None, SideFiles(), extraction).see([path])) as seen:
        _, found = next(seen)
    if (refusal := found.refusal(list(folders))) is not None:
        raise VideoError(f"{quoted(path)}: {refusal}")
    return found.times()


def _settings_for(asked: Asked) -> tuple[FeatureSettings, ExtractionSettings]:
    """The plain views of what is compared, and how they are made. Raises ConfigError."""
    if asked.model is not None:
        extraction = asked.model.settings.extraction
        features = features_for(asked.model, {}, device=extraction.device)
    elif asked.settings is not None:
        features, extraction = asked.settings.features, asked.settings.extraction
    else:
        raise ConfigError("the video is in no store: give --config or --model, which say how its features are made")
    return features.model_copy(update={"mirrored": False}), extraction
