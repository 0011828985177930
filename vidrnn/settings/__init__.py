"""Every setting of a run, one file per section of the configuration."""
