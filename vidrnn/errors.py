"""The errors that users see, each also the builtin that a library user would expect, and the exit codes."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What scripts can rely on."""

    OK = 0
    ERROR = 1
    USAGE = 2
    SOME_FAILED = 3


class VidrnnError(Exception):
    """Base of every error that vidrnn raises on purpose; the message says value, allowed values and next step.

    Attributes:
        exit_code: of the command line: 2 when what was given cannot be used, 1 when something went wrong on the way.
    """

    exit_code = 2


class ConfigError(VidrnnError, ValueError):
    """A setting, override or command-line value is wrong."""


class AnnotationError(VidrnnError, ValueError):
    """Annotations cannot be read, or their splits and groups do not fit the task."""


class VideoError(VidrnnError, ValueError):
    """One video cannot give frames; a run records it and goes on."""


class AbsentStreamError(VideoError):
    """A video lacks the stream that was asked for, such as sound or text: listed as absent, not as a failure."""


class StoreError(VidrnnError, ValueError):
    """A feature store does not hold what was asked for, or a feature file is damaged."""


class WeightsError(VidrnnError, ValueError):
    """A backbone's weights are not at hand or do not fit it."""


class ModelFileError(VidrnnError, ValueError):
    """A model file is not one, or belongs to another version."""


class ComparisonError(VidrnnError, ValueError):
    """Two results cannot be compared: they are not about the same, or predictions.csv cannot be read."""


class MissingPathError(VidrnnError, FileNotFoundError):
    """A file or folder that a setting or argument names does not exist."""


class DecoderError(VidrnnError, RuntimeError):
    """No process that decodes videos can be started."""

    exit_code = 1


class TrainingError(VidrnnError, RuntimeError):
    """A fit cannot go on: the loss is no longer a number, or a run folder cannot be continued."""

    exit_code = 1
