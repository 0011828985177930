"""Options that several verbs take, each described once, and the configuration that they lead to."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidrnn.names import quoted

if TYPE_CHECKING:
    from vidrnn.settings.run import RunSettings

Config = Annotated[Path, typer.Option("--config", help="YAML configuration file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one setting; may be repeated."),
]
Model = Annotated[Path, typer.Option("--model", help="A model.safetensors written by `vidrnn train`.")]
Hysteresis = Annotated[
    float, typer.Option(help="How much likelier another class must be to end the event of the present one.")
]
MinLength = Annotated[float, typer.Option(help="Seconds; shorter events are left out.")]
MinGap = Annotated[float, typer.Option(help="Seconds; events of a class with a shorter gap are one.")]
Output = Annotated[Path, typer.Option("--output", help="Folder for the results.")]
Weights = Annotated[str | None, typer.Option(help="Backbone weights file, when it has moved since training.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
UnknownBelow = Annotated[
    float | None, typer.Option(help="Score below which the label is 'unknown', in place of the model's own.")
]
FrameRate = Annotated[
    float | None, typer.Option(help="Pictures per second in folders of frames, when not as in training.")
]
Texts = Annotated[
    Path | None, typer.Option(help="Texts of the videos: a CSV path,text, or the folder of their text files.")
]
Arrays = Annotated[Path | None, typer.Option(help="Folder of the videos' arrays, for models with the stream external.")]
Jobs = Annotated[int | None, typer.Option(help="Fits at the same time, one thread each; default: cores.", min=1)]


def load_settings(config: Path, overrides: list[str] | None) -> "RunSettings":
    """Read a configuration. Raises ConfigError, MissingPathError."""
    from vidrnn.api import load_settings as read

    return read(config, overrides or ())


def warn_missing(missing: Sequence[str]) -> None:
    """Say on stderr that annotated videos have no features, when some have none."""
    if missing:
        print(
            f"warning: {len(missing)} annotated videos have no features and were left out, first {quoted(missing[0])}",
            file=sys.stderr,
        )


def print_note(note: str) -> None:
    """Something that deserves a second look and stops nothing."""
    print(f"note: {note}")
