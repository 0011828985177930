"""Videos that come from the browser: of bounded size, whole or not there."""

import secrets
from pathlib import Path, PurePosixPath

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from vidrnn.annotations.suffixes import VIDEO_SUFFIXES
from vidrnn.names import quoted

MOST_BYTES = 2_000_000_000
"""Most bytes of one upload."""


async def receive(request: Request, folder: Path, *, name: str, limit: int = MOST_BYTES) -> Path:
    """Write the body of a request into a new file of the folder, as it comes.

    A connection that breaks, a body that is too large and a disk that is full leave nothing.

    Args:
        request: its body is the file and nothing else.
        folder: for uploads.
        name: of the file where it comes from; only its suffix is taken.
        limit: bytes.

    Raises:
        HTTPException: 400: no video by its name, or nothing was sent, or the connection broke. 413: too large.
        OSError: it cannot be written.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in VIDEO_SUFFIXES:
        raise HTTPException(
            400, f"{quoted(name)} is no video by its name; known are {' '.join(sorted(VIDEO_SUFFIXES))}"
        )
    told = request.headers.get("content-length", "0")
    if told.isdecimal() and int(told) > limit:
        raise HTTPException(413, f"{quoted(name)} has {int(told)} bytes; at most {limit} are taken")
    target = folder / f"{secrets.token_hex(8)}{suffix}"
    size, is_whole = 0, False
    try:
        async with await anyio.open_file(target, "xb") as file:
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise HTTPException(413, f"{quoted(name)} has more than {limit} bytes, which is the most")
                await file.write(part)
        if size == 0 or (told.isdecimal() and int(told) not in {0, size}):
            raise HTTPException(400, f"{quoted(name)} has {size} bytes, and {told} were announced; send it again")
        is_whole = True
    except ClientDisconnect as error:
        raise HTTPException(400, "the connection broke; nothing was kept") from error
    finally:
        if not is_whole:
            target.unlink(missing_ok=True)
    return target
