"""The stored features of a configuration's streams."""

from collections.abc import Iterable

from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.streams import PICTURE_STREAMS, in_order
from vidrnn.store.folders import FeatureFolder, FeatureStore
from vidrnn.store.spec import FeatureSpec


def find_folders(features: FeatureSettings) -> list[FeatureFolder]:
    """The folder of each stream, in canonical order. Raises as `FeatureStore.find`."""
    store = FeatureStore(features.store)
    return [store.find(features, stream=stream) for stream in in_order(features.streams)]


def find_mirrored_folders(features: FeatureSettings) -> list[FeatureFolder]:
    """Those of the mirrored view of each picture stream; empty when the configuration has one view."""
    if not features.mirrored:
        return []
    store = FeatureStore(features.store)
    pictures = [stream for stream in in_order(features.streams) if stream in PICTURE_STREAMS]
    return [store.find_mirrored(features, stream=stream) for stream in pictures]


def name_specs(specs: Iterable[FeatureSpec]) -> str:
    """Digests for a protocol string: of one spec alone, of several with their streams."""
    several = list(specs)
    if len(several) == 1:
        return several[0].digest
    return " + ".join(f"{spec.stream} {spec.digest}" for spec in several)
