"""Turn a folder of videos into an action recogniser."""

__version__ = "0.1.0"
