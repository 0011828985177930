"""What can be wrong with an engine."""


class EngineError(RuntimeError):
    """A network cannot be executed by this engine, or not with the same result."""
