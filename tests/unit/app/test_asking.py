"""A model is asked about clips and uploads; uploads are bounded, whole or not there, gone when they are answered."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.unit.app.app_worlds import BASE, PORT, TOKEN, SaysItsSuffix, answered, clips_in, page
from vidrnn.app import uploads
from vidrnn.app.asking import MOST_WAITING, Asker
from vidrnn.app.server import make_app
from vidrnn.app.session import Session

World = tuple[TestClient, Session, SaysItsSuffix]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    model = SaysItsSuffix()
    with page(clips_in(tmp_path, "a.mp4", "b.avi")) as (client, session):
        session.asker = Asker(model)
        yield client, session, model


def left(session: Session) -> list[str]:
    """Files in the folder for uploads."""
    return [path.name for path in session.scratch.iterdir() if path.is_file() and path.name != ".lock"]


def test_the_answer_for_a_clip_stays_with_it(world: World) -> None:
    client, _, _ = world
    assert client.get(f"{BASE}about").json()["classes"] == ["avi", "mp4"]
    answer = answered(client, client.post(f"{BASE}clips/1/ask").json()["word"])
    assert (answer["predicted"], answer["score"], answer["top_k"][0]) == ("avi", 0.75, ["avi", 0.75])
    assert client.get(f"{BASE}clips/1").json()["predicted"] == "avi"
    assert [row["id"] for row in client.get(f"{BASE}clips?show=uncertain&anew=1").json()["rows"]] == [1]
    client.post(f"{BASE}clips/1/label", json={"label": "mp4"})
    assert [row["id"] for row in client.get(f"{BASE}clips?show=wrong&anew=1").json()["rows"]] == [1]


def test_the_page_answers_while_the_model_works(world: World) -> None:
    client, _, model = world
    model.may_answer.clear()
    word = client.post(f"{BASE}clips/0/ask").json()["word"]
    assert client.get(f"{BASE}asked/{word}").json() == {"answer": None}
    assert client.get(f"{BASE}clips").json()["total"] == 2
    model.may_answer.set()
    assert answered(client, word)["predicted"] == "mp4"


def test_an_upload_is_answered_and_gone(world: World) -> None:
    client, session, model = world
    word = client.post(f"{BASE}uploads?name=../../x.MP4", content=b"a clip").json()["word"]
    assert answered(client, word)["predicted"] == "mp4"
    (seen,) = model.seen
    assert seen.parent == session.scratch and not seen.exists() and left(session) == []
    failed = answered(client, client.post(f"{BASE}uploads?name=x.avi", content=b"fail").json()["word"])
    assert failed["note"] == "failed: no video at all" and left(session) == []


@pytest.mark.parametrize(
    ("name", "content", "status", "message"),
    [
        ("x.txt", b"a", 400, "'x.txt' is no video by its name; known are "),
        ("", b"a", 400, "'' is no video by its name; known are "),
        ("x.mp4", b"", 400, "'x.mp4' has 0 bytes, and 0 were announced; send it again"),
        ("x.mp4", b"a" * 101, 413, "'x.mp4' has 101 bytes; at most 100 are taken"),
        ("x.mp4", iter([b"a" * 60, b"a" * 60]), 413, "'x.mp4' has more than 100 bytes, which is the most"),
    ],
)
def test_uploads_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch, name, content, status, message) -> None:
    client, session, _ = world
    monkeypatch.setitem(uploads.receive.__kwdefaults__, "limit", 100)
    answer = client.post(f"{BASE}uploads", params={"name": name}, content=content)
    assert answer.status_code == status and answer.json()["error"].startswith(message)
    assert left(session) == []


@pytest.mark.parametrize("parts", [[], [b"half of "], [b"half ", b"of "]])
def test_a_connection_that_breaks_leaves_nothing(world: World, parts: list[bytes]) -> None:
    _, session, model = world
    app = make_app(session, token=TOKEN, port=PORT)
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    during: list[list[str]] = []

    async def receive() -> dict[str, Any]:
        during.append(left(session))
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(_message: Any) -> None:
        pass

    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": f"/{TOKEN}/uploads", "raw_path": b"", "query_string": b"name=x.mp4", "root_path": "",
        "headers": [(b"host", f"127.0.0.1:{PORT}".encode()), (b"content-length", b"1000")],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", PORT),
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    assert len(during[-1]) == 1 and left(session) == [] and model.seen == []


def test_a_line_that_is_full_takes_no_more(world: World) -> None:
    client, session, model = world
    model.may_answer.clear()
    words = [client.post(f"{BASE}clips/0/ask").json()["word"] for _ in range(MOST_WAITING)]
    for refused in (client.post(f"{BASE}clips/0/ask"), client.post(f"{BASE}uploads?name=x.mp4", content=b"a")):
        assert refused.status_code == 400
        assert refused.json()["error"] == f"{MOST_WAITING} questions wait for the model; wait for their answers"
    assert left(session) == []
    model.may_answer.set()
    assert [answered(client, word)["predicted"] for word in words] == ["mp4"] * MOST_WAITING
    assert client.get(f"{BASE}asked/none").status_code == 404


def test_without_a_model_nothing_is_taken(tmp_path: Path) -> None:
    with page(clips_in(tmp_path, "a.mp4")) as (client, session):
        for answer in (client.post(f"{BASE}clips/0/ask"), client.post(f"{BASE}uploads?name=x.mp4", content=b"a")):
            assert answer.json()["error"] == "there is no model to ask; start `vidrnn app` with --model"
        assert left(session) == []
