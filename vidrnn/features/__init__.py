"""Videos to features on disk: backbones, preprocessing, specs, extraction and the store."""
