"""The verb ``vidrnn explain``: which moments of a video count for the answer of a model, and whether that holds."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidrnn.cli.options import (
    Arrays,
    Device,
    FrameRate,
    Model,
    Output,
    Overrides,
    Texts,
    Weights,
    load_settings,
    print_note,
    warn_missing,
)
from vidrnn.errors import ConfigError, ExitCode
from vidrnn.names import writable

if TYPE_CHECKING:
    from vidrnn.reporting.explaining import Explained
    from vidrnn.settings.run import RunSettings

_Config = Annotated[
    Path | None, typer.Option("--config", help="YAML file: explain the stored videos of a split instead.")
]
_Label = Annotated[str | None, typer.Option(help="The class in question, in place of the likeliest of each video.")]


def explain(
    model: Model,
    output: Output,
    paths: Annotated[list[Path] | None, typer.Argument(help="Video files, folders of videos or of frames.")] = None,
    config: _Config = None,
    split: Annotated[str, typer.Option(help="With --config: train, val or test.")] = "test",
    label: _Label = None,
    method: Annotated[str, typer.Option(help="occlusion, attention or gradients.")] = "occlusion",
    clips: Annotated[int, typer.Option(min=0, help="Most videos that the page shows.")] = 60,
    videos: Annotated[
        Path | None, typer.Option(help="Folder that the paths of the videos begin in, when they have moved.")
    ] = None,
    weights: Weights = None,
    device: Device = "auto",
    frame_rate: FrameRate = None,
    texts: Texts = None,
    arrays: Arrays = None,
    overrides: Overrides = None,
) -> int:
    """Say which moments of a video count for the answer, and whether removing them hurts more than removing others."""
    if bool(paths) == (config is not None):
        raise ConfigError("explain needs videos, or --config for the videos of a split: give one of the two")
    from tqdm import tqdm

    from vidrnn.api import explain as explain_source
    from vidrnn.api import load

    notes: list[str] = []
    recogniser = load(model, device=device, weights=weights, frame_rate=frame_rate) if paths else model
    with tqdm(unit="video", disable=None) as bar:
        explained = explain_source(
            load_settings(config, overrides) if config is not None else paths or (),
            recogniser,
            output=output,
            split=split,
            label=label,
            method=method,
            clips=clips,
            videos=videos,
            device=device,
            texts=texts,
            arrays=arrays,
            training=_config_beside(model) if paths else None,
            on_video=bar.update,
            on_note=notes.append,
        )
    _report(explained, notes)
    return ExitCode.SOME_FAILED if explained.failed else ExitCode.OK


def _report(explained: "Explained", notes: list[str]) -> None:
    from vidrnn.explanation.removal import describe_removal

    warn_missing(explained.missing)
    for path, error in explained.failed.items():
        print(f"failed: {writable(path)}: {error}", file=sys.stderr)
    for note in (*notes, *explained.page.notes):
        print_note(note)
    print(describe_removal(explained.removal))
    done, failed = len(explained.explanations), len(explained.failed)
    print(f"explained {done}, failed {failed}; wrote {', '.join(writable(str(path)) for path in explained.files)}")


def _config_beside(model: Path) -> "RunSettings | None":
    """The configuration of the training, which lies beside the model where nobody moved it."""
    config = model.parent / "config.yaml"
    try:
        return load_settings(config, None) if config.is_file() else None
    except ConfigError:  # of another version
        return None
