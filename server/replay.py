"""The replay server: recorded calls served as the providers that answered them.

Every call is served at the path of its own URL, so that a client need only be given another base
URL. What answers a request is in catalogue.py, how it is played in playback.py.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, cast

from ..core.clock import SYSTEM_CLOCK, Clock
from ..core.errors import ConfigurationError, ReplayMissError
from ..core.jsontext import loads
from .asgi import Application
from .catalogue import Catalogue, Match
from .listings import listing
from .playback import Playback

__all__ = ["replay_app"]


def replay_app(
    recordings: Sequence[Path],
    speed: float = 1.0,
    *,
    longest_wait: float = math.inf,
    match: Match = "key",
    clock: Clock = SYSTEM_CLOCK,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Application:
    """An ASGI application that serves these recordings.

    speed: 1.0 is the recorded pace, 2.0 twice as fast, 0 without waiting. longest_wait: seconds
    that no wait exceeds, for models that took minutes to load. match: what becomes of a request
    that was not recorded, see `Catalogue`; a miss is answered by 404 and `{"error": …}`.
    `/api/tags`, `/models` and `/api/version` are answered too where nobody recorded them. Needs the
    `server` extra. Raises ConfigurationError and RecordingError.
    """
    if not (math.isfinite(speed) and speed >= 0):
        raise ConfigurationError(f"no speed {speed!r}: give a number from 0", setting="speed")
    if not longest_wait >= 0:
        raise ConfigurationError(
            f"no wait of {longest_wait!r} seconds: give a number from 0", setting="longest_wait"
        )
    try:
        from starlette.applications import Starlette  # noqa: PLC0415 - an extra
        from starlette.requests import Request  # noqa: PLC0415
        from starlette.responses import JSONResponse, Response  # noqa: PLC0415
        from starlette.routing import Route  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError(
            "serving recordings needs the server extra: pip install 'vesselog[server]'"
        ) from None
    catalogue = Catalogue(recordings, match)

    async def answer(request: Request) -> Response:
        method, path = request.method, request.url.path
        try:
            body = _read_body(await request.body())
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        try:
            call = catalogue.answer(method, path, body)
        except ReplayMissError as miss:
            listed = listing(method, path, catalogue.models)
            if listed is not None:
                return JSONResponse(listed)
            return JSONResponse({"error": miss.message}, 404)
        played = Playback(call, speed=speed, longest_wait=longest_wait, clock=clock, sleep=sleep)
        # Starlette asks no more of a response than that it is an ASGI application.
        return cast("Response", played)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


def _read_body(content: bytes) -> dict[str, Any] | None:
    """The request's JSON object, None without a body. Raises ValueError for anything else."""
    if not content:
        return None
    try:
        value = loads(content)
    except ValueError:
        raise ValueError("the request body is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("the request body is not a JSON object")  # noqa: TRY004 - it is the wire's
    return cast("dict[str, Any]", value)
