"""What the functions of this room share."""

from os import PathLike

AnyPath = str | PathLike[str]


def warm_up() -> None:
    """Decoders import PyTorch in a process of their own, beside this one."""
    from vidrnn.extraction.processes import warm_up as start_importing

    start_importing()
