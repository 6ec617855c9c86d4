"""The replay server: recorded calls served as the providers that answered them.

Every call is served at the path of its own URL, so that a client need only be given another base
URL. Which answer a request gets is decided by core/replay/answer_index.py; playback.py plays it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, cast

from ..core.clock import SYSTEM_CLOCK, Clock
from ..core.errors import ConfigurationError, RecordingError, ReplayMissError
from ..core.jsontext import dumps, loads
from ..core.replay.answer_index import AnswerIndex, Match
from ..core.replay.compare_requests import request_key
from ..core.replay.pace import Speed, checked_speed
from .asgi import Application
from .listings import listing
from .playback import Playback

__all__ = ["replay_app"]


def replay_app(
    recordings: Sequence[Path],
    speed: Speed = 1.0,
    *,
    longest_wait: float = math.inf,
    match: Match = "key",
    repeat: bool = False,
    clock: Clock = SYSTEM_CLOCK,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Application:
    """Make an ASGI application that serves recordings, as the servers did that made them.

    `/api/tags`, `/models` and `/api/version` are answered even if they were not recorded. Needs the
    extra `server`.

    Args:
        recordings: Recordings, and folders of them.
        speed: 1.0 is the recorded pace, 2.0 twice as fast, 0 or "max" without waiting.
        longest_wait: Seconds that no wait exceeds, for models that took minutes to load.
        match: With "key", a request that was not recorded, or not that often, is answered by 404
            and `{"error": …}`; with "route" it gets the next recorded answer of its method and
            path, for demos.
        repeat: A request that comes more often than it was recorded gets its last answer again.
        clock: The source of times, for tests.
        sleep: Waits a number of seconds, for tests.

    Raises:
        ConfigurationError: A setting cannot be used, or the extra is missing.
        RecordingError: A recording cannot be read.
    """
    factor = checked_speed(speed)
    if not longest_wait >= 0:
        raise ConfigurationError(
            f"no wait of {longest_wait!r} seconds: give a number from 0", setting="longest_wait"
        )
    try:
        from starlette.applications import Starlette  # noqa: PLC0415 - an extra
        from starlette.requests import Request  # noqa: PLC0415
        from starlette.responses import Response  # noqa: PLC0415
        from starlette.routing import Route  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError(
            "serving recordings needs the server extra: pip install 'vesselog[server]'"
        ) from None
    # On the wire each attempt was a request, and a call without a response cannot be served.
    index = AnswerIndex(*recordings, match=match, repeat=repeat, each_attempt=True)

    def find(key: str, asked: dict[str, Any]) -> Playback | dict[str, Any]:
        index.look_for(key, asked, lambda: True)
        try:
            answer = index.answer(key, asked)
        except ReplayMissError:
            listed = listing(asked["method"], asked["url"], index.requests)
            if listed is None:
                raise
            return listed
        return Playback(answer, speed=factor, longest_wait=longest_wait, clock=clock, sleep=sleep)

    def said(value: dict[str, Any], status: int = 200) -> Response:
        # Not JSONResponse, which fails on lone surrogates; a recording may hold some.
        return Response(dumps(value), status, media_type="application/json")

    async def respond(request: Request) -> Response:
        method, path = request.method, request.url.path
        try:
            body = _read_body(await request.body())
        except ValueError as error:
            return said({"error": str(error)}, 400)
        asked = {"method": method, "url": path, "body": body}
        key = request_key(path, body)
        try:
            async with index.turn(key, asked):
                found = await asyncio.to_thread(find, key, asked)  # it may read a large folder
        except ReplayMissError as miss:
            return said({"error": miss.message}, 404)
        except RecordingError as error:
            return said({"error": error.message}, 500)
        # Starlette asks no more of a response than that it is an ASGI application.
        return said(found) if isinstance(found, dict) else cast("Response", found)

    return Starlette(routes=[Route("/{path:path}", respond, methods=["GET", "POST"])])


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
