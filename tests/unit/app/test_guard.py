"""Only who knows the address gets an answer, and only by the name of this machine; no path leads to a file."""

from pathlib import Path

import pytest

from tests.unit.app.app_worlds import BASE, PORT, TOKEN, clips_in, page, status
from vidrnn.app.guard import new_token
from vidrnn.app.server import make_app
from vidrnn.app.serving import Asked, session_of


@pytest.fixture
def app(tmp_path: Path):
    (tmp_path / "secret.txt").write_text("secret")
    with session_of(Asked((clips_in(tmp_path / "videos", "a.mp4"),))) as session:
        yield make_app(session, token=TOKEN, port=PORT)


@pytest.mark.parametrize(
    "path", ["/", f"/{TOKEN}", f"/{TOKEN}x/", "/wrong/", f"//{TOKEN}/", f"/x/{TOKEN}/", "/a-\u00e9/", ""]
)
def test_without_the_token_nothing_is_answered(app, path: str) -> None:
    assert status(app, path) == 403
    assert status(app, path + "about") == 403
    assert status(app, f"/{TOKEN}/about") == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": f"evil.example:{PORT}"},
        {"host": "127.0.0.1"},
        {"host": "127.0.0.1:81"},
        {"host": ""},
        {"origin": "http://evil.example"},
        {"origin": "null"},
    ],
)
def test_other_hosts_and_origins_are_refused(app, headers: dict[str, str]) -> None:
    """A page from elsewhere whose name points to 127.0.0.1 sends its own name."""
    assert status(app, f"/{TOKEN}/about", headers=headers) == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_names_of_this_machine_are_answered(app, host: str) -> None:
    headers = {"host": f"{host}:{PORT}", "origin": f"http://{host}:{PORT}"}
    assert status(app, f"/{TOKEN}/about", headers=headers) == 200


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "/etc/passwd", "//etc/passwd", "a.mp4", "videos/a.mp4",
        "page.css/../server.py", "../server.py", "page.css\0", "clips/../../secret.txt", "clips/0/../../../secret.txt",
        "clips/-1/video", "clips/1/video", "clips/99999999999999999999/video", "clips/a.mp4/video",
        "clips/..%2f..%2fsecret.txt/video", "exports/..", "exports/%2e%2e%2fsecret.txt", "exports//etc/passwd",
        "\udcff", "clips/0/video/..",
    ],
)  # fmt: skip
def test_no_path_leads_to_a_file(app, path: str) -> None:
    assert status(app, f"/{TOKEN}/{path}") == 404


def test_every_answer_forbids_what_the_page_does_not_need(tmp_path: Path) -> None:
    with page(clips_in(tmp_path, "a.mp4")) as (client, _):
        for answer in (client.get(BASE), client.get(f"{BASE}none"), client.get("http://127.0.0.1:8000/x/")):
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_tokens_are_long_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100 and min(map(len, tokens)) >= 32
