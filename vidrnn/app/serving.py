"""From what was asked for on the command line to a page that is served, on this machine only, until it is stopped."""

import asyncio
import signal
import socket
import threading
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import uvicorn

from vidrnn.annotations import Annotation, read_annotations
from vidrnn.api import load, load_settings
from vidrnn.app.answers import Answers, read_answers
from vidrnn.app.asking import Asker
from vidrnn.app.clips import Clips
from vidrnn.app.guard import new_token
from vidrnn.app.label_log import LabelLog
from vidrnn.app.measuring import measuring_for
from vidrnn.app.places import Places
from vidrnn.app.playing import Player
from vidrnn.app.scratch import scratch_folder
from vidrnn.app.server import make_app
from vidrnn.app.session import Session
from vidrnn.errors import ConfigError, VidrnnError

HOST = "127.0.0.1"
_LOG = "vidrnn_labels.jsonl"


@dataclass(frozen=True)
class Asked:
    """What the command line says.

    Attributes:
        folders: that may be read; empty: the root of the videos in the configuration.
        run: a run folder or a file of answers; None: there are none.
        model: that may be asked; None: there is none.
        config: whose annotations are known, and whose store has the features; None: the configuration of the run.
        labels: the file of what people say; None: in the run folder, beside the file of answers, or in the first
            folder.
    """

    folders: tuple[Path, ...]
    run: Path | None = None
    model: Path | None = None
    config: Path | None = None
    labels: Path | None = None


@contextmanager
def session_of(asked: Asked) -> Iterator[Session]:
    """Everything that a page works on; what it made on the way is removed at the end.

    Raises:
        ConfigError, MissingPathError: there is no folder and no run, or one of them cannot be read. ModelFileError,
            WeightsError: as from `vidrnn.api.load`. OSError.
    """
    answers = Answers() if asked.run is None else read_answers(asked.run)
    if asked.config is not None:
        answers = replace(answers, settings=load_settings(asked.config))
    folders = asked.folders or ((answers.settings.data.root,) if answers.settings else ())
    if not folders and asked.run is not None and not asked.run.is_dir():
        folders = (asked.run.resolve().parent,)
    if not folders:
        raise ConfigError(
            "nothing to show: give folders of videos, --config, or --run with a run whose config.yaml names them"
        )
    places = Places(tuple(folders))
    if asked.run is not None and not asked.run.is_dir():  # paths as they were given to the verb
        places = Places(places.folders, (Path(), asked.run.parent))
        answers = replace(answers, by_name={places.name_of(name): one for name, one in answers.by_name.items()})
    known, notes = _known(answers)
    annotated = [one.path for one in known] if asked.config is not None and not asked.folders else []
    names = list(answers.by_name) or annotated or places.names()
    if asked.run is None:
        answers = replace(answers, truths={one.path: one.label for one in known if one.label})
    asker = None if asked.model is None else Asker(load(asked.model))
    with LabelLog(asked.labels or _beside(asked, folders)) as log, scratch_folder() as scratch, ExitStack() as stack:
        measuring, why_not = measuring_for(answers.settings, known, scratch, root=places.root)
        if measuring is not None:
            stack.callback(measuring.close)
        videos = scratch / "videos"
        videos.mkdir()
        title = asked.run.resolve().name if asked.run is not None else folders[0].resolve().name
        yield Session(
            title,
            places,
            Clips(names, answers),
            log,
            Player(videos),
            scratch,
            known,
            (*answers.notes, *notes, *why_not),
            asker,
            measuring,
        )


def _beside(asked: Asked, folders: Sequence[Path]) -> Path:
    if asked.run is None:
        return folders[0] / _LOG
    return asked.run / _LOG if asked.run.is_dir() else asked.run.with_name(f"{asked.run.name}.{_LOG}")


def _known(answers: Answers) -> tuple[tuple[Annotation, ...], list[str]]:
    """The annotations that the configuration names, with splits and groups; none where they cannot be read."""
    if answers.settings is None:
        return (), []
    try:
        return tuple(read_annotations(answers.settings.data)), []
    except (VidrnnError, OSError) as error:
        return (), [f"the annotations of the configuration cannot be read, and splits are not known: {error}"]


def serve(session: Session, *, port: int, browser: bool) -> None:
    """Answer until Ctrl-C or SIGTERM. Raises OSError: the port is taken."""
    with socket.create_server((HOST, port), backlog=128) as listening:
        # Connections inherit it. Else the end of an answer waits some 40 ms for the browser to confirm its beginning.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        port = listening.getsockname()[1]
        token = new_token()
        address = f"http://{HOST}:{port}/{token}/"
        print(f"{len(session.clips)} clips: {address}", flush=True)  # noqa: T201  the answer of the verb
        if browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        app = make_app(session, token=token, port=port)
        config = uvicorn.Config(
            app, log_level="critical", access_log=False, server_header=False, timeout_graceful_shutdown=1, ws="none"
        )
        previous = signal.signal(signal.SIGTERM, _stop)  # uvicorn raises the signal again when it has closed
        try:
            with suppress(KeyboardInterrupt):
                asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))
        finally:
            signal.signal(signal.SIGTERM, previous)


def _stop(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
