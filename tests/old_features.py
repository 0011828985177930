"""Feature files as earlier versions of vidrnn left them; their values are others, which shows where they stay."""

import json

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from vidrnn.store import feature_file
from vidrnn.store.feature_folder import FeatureFolder

OLD = 7.0
"""All their values."""


def make_old(folder: FeatureFolder, path: str, *, reader: int = 0, later_s: float = 0.0) -> None:
    """Take back what a version of the reading does not say of itself, see `vidrnn.store.reader`.

    Args:
        folder: has features of the video.
        path: of the video.
        reader: 0 or 1.
        later_s: added to the times.
    """
    file = folder.file_of(path)
    with safe_open(file, framework="numpy") as opened:
        header, times = json.loads(opened.metadata()["vidrnn"]), opened.get_tensor("timestamps_s") + later_s
    header.pop("reader", None)
    if reader == 1:
        header["metadata"]["pixel_aspect"] = 1.0
    features = np.full((len(times), folder.spec.dim), OLD, np.float16)
    header["sha256"] = feature_file.checksum_of(features, times)
    save_file({"features": features, "timestamps_s": times}, file, metadata={"vidrnn": json.dumps(header)})


def is_old(folder: FeatureFolder, path: str) -> bool:
    """Whether the features of a video are those of `make_old`."""
    return bool((folder.read(path, check=True).features == OLD).all())
