"""Features on disk: what names them, one file per video, packs of many, and their upkeep."""
