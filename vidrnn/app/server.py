"""The server of the page: addresses to methods of the session, files by ranges, errors as text."""

import json
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from vidrnn.app.clips import Wanted
from vidrnn.app.guard import Guard
from vidrnn.app.playing import Playable, frame_times
from vidrnn.app.session import Session
from vidrnn.app.uploads import receive
from vidrnn.errors import ConfigError, MissingPathError, VidrnnError
from vidrnn.names import CONSOLE_ERRORS

_PAGE = Path(__file__).with_name("page")
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_BODY_BYTES = 4_000_000  # of what the page sends, but for uploads; some ten thousand segments
_DECODERS = 2  # filmstrips at a time, so that labels never wait for pictures
_UPLOADS = 2  # at a time
_NO_STORE = {"cache-control": "no-store"}

Answering = Callable[[Request], Awaitable[Response]]


def make_app(session: Session, *, token: str, port: int) -> ASGIApp:
    """Everything behind the guard."""
    pages = _Pages(session)
    routes = [
        *(Route(address, partial(_static, path)) for address, path in _static_files().items()),
        Route("/about", pages.about),
        Route("/clips", pages.clips),
        Route("/clips/{number:int}", pages.clip),
        Route("/clips/{number:int}/place", pages.place),
        Route("/clips/{number:int}/play", pages.play),
        Route("/clips/{number:int}/video", pages.video),
        Route("/clips/{number:int}/strip", pages.strip),
        Route("/clips/{number:int}/frames", pages.frames),
        Route("/clips/{number:int}/label", pages.label, methods=["POST"]),
        Route("/clips/{number:int}/segments", pages.segments, methods=["POST"]),
        Route("/clips/{number:int}/ask", pages.ask, methods=["POST"]),
        Route("/uploads", pages.upload, methods=["POST"]),
        Route("/asked/{word}", pages.asked),
        Route("/undo", pages.undo, methods=["POST"]),
        Route("/classes", pages.add_class, methods=["POST"]),
        Route("/crossval", pages.measure, methods=["POST"]),
        Route("/crossval", pages.measured),
        Route("/exports", pages.export, methods=["POST"]),
        Route("/exports/{word}", pages.exported),
    ]
    problems = {VidrnnError: _refused, OSError: _went_wrong, HTTPException: _http, Exception: _fault}
    return Guard(Starlette(routes=routes, exception_handlers=problems), token=token, port=port)


def _static_files() -> dict[str, Path]:
    """Address to file; no others of the folder are ever looked for."""
    files = {f"/{path.name}": path for path in _PAGE.iterdir() if path.suffix in _TYPES}
    return {"/": files.pop("/index.html"), **files}


async def _static(path: Path, _request: Request) -> Response:
    content = await anyio.Path(path).read_bytes()
    return Response(content, media_type=_TYPES[path.suffix], headers={"cache-control": "no-cache"})


class _Pages:
    """The answers. What works on files runs in threads; the two that decode have a thread or two for themselves."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._decoders, self._uploads = anyio.Semaphore(_DECODERS), anyio.Semaphore(_UPLOADS)

    async def about(self, _request: Request) -> Response:
        return _json(await run_in_threadpool(self._session.about))

    async def clips(self, request: Request) -> Response:
        asked = request.query_params
        wanted, first, count = _wanted(request), _whole(asked.get("first", "0")), _whole(asked.get("count", "50"))
        anew = asked.get("anew") == "1"
        return _json(await run_in_threadpool(self._session.page, wanted, first=first, count=count, anew=anew))

    async def clip(self, request: Request) -> Response:
        return _json(await run_in_threadpool(self._session.detail, _number(request)))

    async def place(self, request: Request) -> Response:
        return _json({"place": await run_in_threadpool(self._session.place_in, _wanted(request), _number(request))})

    async def play(self, request: Request) -> Response:
        found = await run_in_threadpool(self._play, _number(request))
        if isinstance(found, Playable):
            return _json({"ready": True, "zero_s": found.zero_s, "is_original": found.is_original})
        return _json({"ready": False, "since_s": found.since_s, "written": found.written})

    def _play(self, number: int) -> Any:  # noqa: ANN401  Playable or Preparing
        return self._session.player.ask(self._session.video(number))

    async def video(self, request: Request) -> Response:
        found = await run_in_threadpool(self._play, _number(request))
        if not isinstance(found, Playable):
            raise HTTPException(409, "the video is still being written; ask for .../play first")
        try:
            status = await run_in_threadpool(found.path.stat)
        except FileNotFoundError as error:
            raise HTTPException(404, "the video is not there any more") from error
        headers = {"cache-control": "private, no-cache"}
        return FileResponse(found.path, media_type=found.media_type, stat_result=status, headers=headers)

    async def strip(self, request: Request) -> Response:
        async with self._decoders:
            if await request.is_disconnected():  # scrolled past meanwhile
                return Response(status_code=204)
            content = await run_in_threadpool(self._strip, _number(request))
        return Response(content, media_type="image/webp", headers={"cache-control": "private, max-age=600"})

    def _strip(self, number: int) -> bytes:
        return self._session.player.strip(self._session.video(number))

    async def frames(self, request: Request) -> Response:
        video = await run_in_threadpool(self._session.video, _number(request))
        times = await run_in_threadpool(frame_times, video)
        return JSONResponse({"times": times}, headers=_NO_STORE)

    async def label(self, request: Request) -> Response:
        told = await _body(request, {"label": str})
        return _json(await run_in_threadpool(self._session.say, _number(request), told["label"]))

    async def segments(self, request: Request) -> Response:
        told = await _body(request, {"segments": list})
        return _json(await run_in_threadpool(self._session.say_segments, _number(request), told["segments"]))

    async def ask(self, request: Request) -> Response:
        await _body(request, {})
        return _json({"word": await run_in_threadpool(self._session.ask, _number(request))})

    async def upload(self, request: Request) -> Response:
        self._session.refuse_questions()
        async with self._uploads:
            video = await receive(request, self._session.scratch, name=request.query_params.get("name", ""))
        try:
            return _json({"word": self._session.ask(video)})
        except ConfigError:
            video.unlink(missing_ok=True)
            raise

    async def asked(self, request: Request) -> Response:
        return _json({"answer": self._session.asked(request.path_params["word"])})

    async def undo(self, request: Request) -> Response:
        await _body(request, {})
        return _json({"clip": await run_in_threadpool(self._session.undo)})

    async def add_class(self, request: Request) -> Response:
        told = await _body(request, {"name": str})
        return _json({"name": await run_in_threadpool(self._session.add_class, told["name"])})

    async def measure(self, request: Request) -> Response:
        told = await _body(request, {"baselines": bool})
        await run_in_threadpool(self._session.measure, baselines=told["baselines"])
        return _json(self._session.measured())

    async def measured(self, _request: Request) -> Response:
        return _json(self._session.measured())

    async def export(self, request: Request) -> Response:
        told = await _body(request, {"format": str})
        word, found = await run_in_threadpool(self._session.export, told["format"])
        return _json({"href": f"exports/{word}", "name": found.path.name, "notes": found.notes})

    async def exported(self, request: Request) -> Response:
        path = self._session.exported(request.path_params["word"])
        if path is None:
            raise HTTPException(404, "there is no such export")
        return FileResponse(path, filename=path.name, headers=_NO_STORE)


def _json(value: object, *, status: int = 200) -> Response:
    return JSONResponse(_readable(value), status_code=status, headers=_NO_STORE)


def _readable(value: Any) -> Any:  # noqa: ANN401  what JSON can hold
    """Bytes of names that are not UTF-8 are shown as on the console; the browser sends no names back."""
    if isinstance(value, dict):
        return {key: _readable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(inner) for inner in value]
    return value.encode(errors=CONSOLE_ERRORS).decode() if isinstance(value, str) else value


def _number(request: Request) -> int:
    number: int = request.path_params["number"]
    return number


def _wanted(request: Request) -> Wanted:
    asked = request.query_params
    show: Any = asked.get("show", "all")
    return Wanted(show, asked.get("text", ""), asked.get("label", ""), asked.get("predicted", ""))


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise ConfigError(f"{text!r} is no whole number from 0 on")
    return int(text)


async def _body(request: Request, wanted: dict[str, type]) -> dict[str, Any]:
    """The JSON object of a request, with the keys that are wanted."""
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > _BODY_BYTES:
            raise HTTPException(413, f"more than {_BODY_BYTES} bytes were sent")
    try:
        told = json.loads(content or b"{}")
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body is no JSON: {error}") from error
    if not isinstance(told, dict) or any(not isinstance(told.get(key), kind) for key, kind in wanted.items()):
        names = ", ".join(f"{key} ({kind.__name__})" for key, kind in wanted.items())
        raise HTTPException(400, f"the body is no object with {names}")
    return told


async def _refused(_request: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, MissingPathError) else 400
    return _json({"error": str(error)}, status=status)


async def _went_wrong(_request: Request, error: Exception) -> Response:
    return _json({"error": f"{error}; what was said before is kept"}, status=507)


async def _fault(_request: Request, error: Exception) -> Response:
    traceback.print_exception(error)  # in the terminal, for whoever reports it
    text = f"vidrnn made a mistake ({type(error).__name__}: {error}); the terminal says where"
    return _json({"error": text}, status=500)


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _json({"error": error.detail}, status=error.status_code)
