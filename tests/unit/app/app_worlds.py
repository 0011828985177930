"""A page on small folders, asked without a network."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient
from starlette.types import ASGIApp

from tests.media import pictures, write_clip
from vidrnn.app.server import make_app
from vidrnn.app.serving import Asked, session_of
from vidrnn.app.session import Session
from vidrnn.inference.prediction import Prediction

TOKEN, PORT = "a-token", 8000
BASE = f"http://127.0.0.1:{PORT}/{TOKEN}/"


@contextmanager
def page(*folders: Path, run: Path | None = None, **more: Any) -> Iterator[tuple[TestClient, Session]]:
    """A client whose addresses begin behind the token, and the session behind it."""
    with session_of(Asked(folders, run, **more)) as session:
        app = make_app(session, token=TOKEN, port=PORT)
        with TestClient(app, base_url=BASE) as client:
            yield client, session


class SaysItsSuffix:
    """In place of a model: says the suffix of a file, when it is let."""

    classes = ("avi", "mp4")

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.seen: list[Path] = []

    def predict(self, path: Path) -> Prediction:
        assert self.may_answer.wait(60)
        self.seen.append(path)
        if path.read_bytes()[:4] == b"fail":
            return Prediction(str(path), "failed", error="no video at all")
        label, other = path.suffix[1:], "avi"
        row = {"label": label, "score": 0.75, "top_k": [(label, 0.75), (other, 0.25)]}
        return Prediction(str(path), "ok", (row,))


def answered(client: TestClient, word: str) -> dict[str, Any]:
    """What the model says, as soon as it does."""
    until = time.monotonic() + 60
    while (found := client.get(f"{BASE}asked/{word}").json()["answer"]) is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    return dict(found)


def clips_in(folder: Path, *names: str) -> Path:
    """Small videos of half a second that browsers play."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_clip(folder / name, pictures(12, width=64, height=48))
    return folder


def status(app: ASGIApp, path: str, *, headers: dict[str, str] | None = None) -> int:
    """Of a request exactly as it is written here: clients tidy paths up before they send them."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    given = {"host": f"127.0.0.1:{PORT}"} | (headers or {})
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(errors="surrogateescape"),
        "query_string": b"",
        "root_path": "", "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", PORT),
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    return int(sent[0]["status"])
