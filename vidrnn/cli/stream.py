"""The verb ``vidrnn stream``: a trained model answers while pictures still come."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidrnn.cli.options import Device, Hysteresis, MinGap, MinLength, Model, UnknownBelow, Weights
from vidrnn.errors import ConfigError, ExitCode
from vidrnn.names import writable_values

if TYPE_CHECKING:
    from vidrnn.inference.live_session import LiveSession

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def stream(
    source: Annotated[
        str,
        typer.Argument(help="A video file, the number of a camera (from 0), or an address (rtsp, http ...)."),
    ],
    model: Model,
    delay: Annotated[
        float | None,
        typer.Option(help="Seconds that an answer may wait for later pictures; for models of both directions."),
    ] = None,
    window: Annotated[
        float | None,
        typer.Option(help="Seconds looked at together, for models with one answer per video; else the median clip."),
    ] = None,
    limit: Annotated[str | None, typer.Option("--for", help="Stop after this time, such as 30s, 5m or 2h.")] = None,
    hysteresis: Hysteresis = 0.0,
    min_length: MinLength = 0.0,
    min_gap: MinGap = 0.0,
    weights: Weights = None,
    device: Device = "auto",
    unknown_below: UnknownBelow = None,
) -> int:
    """Answer while pictures still come: a line of JSON per answer, and per start and end of an event."""
    from vidrnn.api import load
    from vidrnn.inference.events import EventOptions
    from vidrnn.inference.live_models import note_usual_window
    from vidrnn.inference.live_session import LiveSession
    from vidrnn.video.live_source import find_source

    limit_s = None if limit is None else seconds_of(limit)
    options = EventOptions(hysteresis, min_length, min_gap)
    found = find_source(source)
    recogniser = load(model, device=device, weights=weights, unknown_below=unknown_below, batch_size=1)
    if note := note_usual_window(recogniser.model, window):
        print(note, file=sys.stderr, flush=True)
    session = LiveSession(
        recogniser.stream(delay_s=delay, window_s=window),
        recogniser.model,
        found,
        options=options,
        limit_s=limit_s,
        on_note=lambda note: print(note, file=sys.stderr, flush=True),
    )
    with _stopped_by_signals(session):
        _write(session.lines())
    return ExitCode.OK


def seconds_of(text: str) -> float:
    """A duration such as ``30s``, ``1.5m``, ``2h`` or ``45`` in seconds. Raises ConfigError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if found is None or not float(found[1]):
        raise ConfigError(f"--for {text!r} is no duration; give one above 0, such as 30s, 5m or 2h")
    return float(found[1]) * _UNITS[found[2]]


def _write(lines: Iterable[dict[str, Any]]) -> None:
    """A line at once, so that a program behind a pipe need not wait; when that program has gone, this one ends too."""
    try:
        for line in lines:
            print(json.dumps(writable_values(line)), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it ends


@contextmanager
def _stopped_by_signals(session: "LiveSession") -> Iterator[None]:
    """Ctrl-C and the end of a service end the session cleanly; a second Ctrl-C ends it at once."""
    kinds = (signal.SIGINT, signal.SIGTERM)

    def stop(*_arguments: object) -> None:
        session.stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = [signal.signal(kind, stop) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)
