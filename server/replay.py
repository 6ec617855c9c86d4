"""The replay server: recorded calls served as the providers that answered them.

Every call is served at its dialect's path, so that a client need only be given another base URL.
Which answer a request gets is decided by core/replay/answer_index.py; playback.py plays it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..core.clock import SYSTEM_CLOCK, Clock
from ..core.errors import ConfigurationError, RecordingError, ReplayMissError
from ..core.jsontext import dumps
from ..core.replay.answer_index import AnswerIndex
from ..core.replay.compare_requests import Match
from ..core.replay.pace import Speed, checked_speed
from .asgi import Application, Receive, Scope, Send
from .gateway.headers import request_headers
from .gateway.problems import invalid, problem_response
from .gateway.request import json_object, recorded_body
from .gateway.routes import Route, route_of
from .listings import listing
from .playback import Playback
from .protocols.problem import Problem
from .receiving import Received, read_body

__all__ = ["replay_app"]


def replay_app(
    recordings: Sequence[Path],
    speed: Speed = 1.0,
    *,
    longest_wait: float = math.inf,
    match: Match = "strict",
    repeat: bool = False,
    otherwise: Application | None = None,
    list_models: bool | None = None,
    clock: Clock = SYSTEM_CLOCK,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Application:
    """Make an ASGI application that serves recordings, as the servers did that made them.

    Needs the extra `server`.

    Args:
        recordings: Recordings, and folders of them.
        speed: 1.0 is the recorded pace, 2.0 twice as fast, 0 or "max" without waiting.
        longest_wait: Seconds that no wait exceeds, for models that took minutes to load.
        match: Which answer a request gets: "strict" the next one of the same request, "messages" of
            the same messages and tools, "order" the next one at all, "route" the next one of the
            same method and path. A request without one is answered by 404 and an error of its
            dialect, which names the nearest recording and what differs.
        repeat: Answers are given again: with "strict" and "messages" the last one, else all.
        otherwise: Answers what was not recorded: a Gateway that records to the same folder, or one
            whose client replays it, for what was translated when it was recorded.
        list_models: Answer `/api/tags`, `/models` and `/api/version` from what the recordings were
            asked, where they were not recorded. By default so without `otherwise`.
        clock: The source of times, for tests.
        sleep: Waits a number of seconds, for tests.

    Raises:
        ConfigurationError: A setting cannot be used, or the extra is missing.
        RecordingError: A recording cannot be read.
    """
    if not longest_wait >= 0:
        raise ConfigurationError(
            f"no wait of {longest_wait!r} seconds: give a number from 0", setting="longest_wait"
        )
    index = AnswerIndex(*recordings, match=match, repeat=repeat, wire=True)
    if otherwise is not None:
        index.requests()  # all of them are read now: later there are new ones in the folder
    factor = checked_speed(speed)

    def play(call: Any) -> Playback:
        return Playback(call, speed=factor, longest_wait=longest_wait, clock=clock, sleep=sleep)

    lists = otherwise is None if list_models is None else list_models
    return _Replay(index, play, otherwise, lists=lists)


class _Replay:
    """Answers requests. Raises nothing: whatever a client sends gets an answer."""

    def __init__(
        self,
        index: AnswerIndex,
        play: Callable[[Any], Playback],
        otherwise: Application | None,
        *,
        lists: bool,
    ) -> None:
        self._index = index
        self._play = play
        self._otherwise = otherwise
        self._lists = lists

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if self._otherwise is not None:
                await self._otherwise(scope, receive, send)
            return
        content = await read_body(receive)
        if content is None:
            return
        received = Received(content, receive)
        raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        path, method = raw.decode("latin-1"), str(scope["method"])
        query = scope["query_string"].decode("latin-1")
        route = route_of(method, path, query, request_headers(scope["headers"]))
        body = json_object(content)
        asked = {"method": method, "url": path, "body": recorded_body(content, body)}
        try:
            async with self._index.turn(asked):
                found = await asyncio.to_thread(self._find, asked)  # it may read a large folder
        except ReplayMissError as miss:
            if self._otherwise is not None:
                await self._otherwise(scope, received, send)
                return
            problem = _problem_of(miss, route, content, body)
            await _say(problem.status, *problem_response(route.dialect, problem), send)
        except RecordingError as error:
            problem = Problem(500, "recording_unreadable", error.message)
            await _say(problem.status, *problem_response(route.dialect, problem), send)
        else:
            if isinstance(found, Playback):
                await found(scope, receive, send)
            else:
                headers = {"content-type": "application/json", "content-length": str(len(found))}
                await _say(200, headers, found, send)

    def _find(self, asked: Mapping[str, Any]) -> Playback | bytes:
        """The answer, or a body. Raises ReplayMissError, RecordingError."""
        index = self._index
        index.look_for(asked, lambda: True)
        try:
            answer = index.answer(asked)
        except ReplayMissError:
            told = self._lists and listing(asked["method"], asked["url"], index.requests)
            if not told:
                raise
            return dumps(told)  # JSON with lone surrogates, which a recording may hold
        return self._play(answer)


def _problem_of(
    miss: ReplayMissError, route: Route, content: bytes, body: Mapping[str, Any] | None
) -> Problem:
    if route.decoded and content and body is None:
        return invalid("the request body is not a JSON object")
    return Problem(404, "not_recorded", miss.message)


async def _say(status: int, headers: Mapping[str, str], body: bytes, send: Send) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
