"""Who may ask the server: only who knows the address, and only by the name of this machine."""

import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import quote

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TOKEN_BYTES = 24
_HEADERS: Mapping[bytes, bytes] = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}
_WRONG = "The address is not complete. Open the one that `vidrnn app` printed.\n"


def new_token() -> str:
    """A word that nobody guesses, safe in an address."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


class Guard:
    """In front of everything: the first part of each path must be the token, the host this machine.

    The host is checked because a page from elsewhere may give its own name the address 127.0.0.1 (DNS rebinding): the
    browser then sends that name. The origin of a request, where there is one, must be this server too.

    Args:
        app: gets the path without the token.
        token: see `new_token`; compared in constant time.
        port: on which the server listens.
    """

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        self._app, self._token = app, token.encode()
        self._hosts = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost")}
        self._origins = {b"http://" + host for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it with 403."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS.items()]
            await send(message)

        rest = self._behind_token(scope)
        if rest is None:
            await PlainTextResponse(_WRONG, status_code=403)(scope, receive, send_safely)
            return
        inner = {**scope, "path": rest, "raw_path": quote(rest, errors="surrogateescape").encode()}
        await self._app(inner, receive, send_safely)

    def _behind_token(self, scope: Scope) -> str | None:
        headers = scope["headers"]
        hosts = [value for name, value in headers if name == b"host"]
        origins = {value for name, value in headers if name == b"origin"}
        parts = scope["path"].split("/", 2)
        given = parts[1] if len(parts) == 3 else ""  # without a slash behind it, links of the page would not hold it
        knows = hmac.compare_digest(given.encode(errors="surrogateescape"), self._token)
        if not knows or len(hosts) != 1 or hosts[0] not in self._hosts or not origins <= self._origins:
            return None
        return f"/{parts[2]}"
