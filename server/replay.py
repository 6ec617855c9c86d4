"""The replay server: recorded calls served as the providers that answered them.

Every call is served at its dialect's path, so that a client need only be given another base URL.
Which answer a request gets is decided by replay_answers.py; playback.py plays it. What is not
there, or is of another dialect, goes to another application: a gateway, whose client has the same
answers.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from ..core.clock import SYSTEM_CLOCK, Clock
from ..core.errors import ConfigurationError, RecordingError, ReplayMissError
from ..core.jsontext import dumps
from ..core.replay.compare_requests import Match
from ..core.replay.pace import Speed, checked_speed
from ..core.truth.recording import RecordedCall
from ..core.truth.session_names import SUFFIX
from .asgi import Application, Receive, Scope, Send
from .check_arguments import check_application, check_longest_wait, checked_paths
from .gateway.headers import request_headers
from .gateway.problems import invalid, problem_response
from .gateway.upstreams import Upstreams
from .listings import RUNNING, listing
from .metrics import Metrics
from .playback import Playback
from .protocols.problem import STOPPING, Problem
from .receiving import Received, cancel_when_left, read_body
from .replay_answers import ReplayAnswers, recorded_route
from .replay_request import ReplayRequest, read_request
from .stopping import stop_all

__all__ = ["ReplayServer", "replay_app"]

_LOGGER = logging.getLogger("vesselog")

# The upstream of a request that has no answer, in the figures.
_UNKNOWN = "unknown"
# What a listing has if it says anything.
_TOLD = ("models", "data", "version")


def replay_app(
    recordings: Sequence[str | os.PathLike[str]],
    speed: Speed = 1.0,
    *,
    longest_wait: float = math.inf,
    match: Match = "strict",
    repeat: bool = False,
    fallback: Application | None = None,
    list_models: bool | None = None,
    metrics: Metrics | None = None,
    clock: Clock = SYSTEM_CLOCK,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Application:
    """Make an ASGI application that answers requests from recordings, as the model servers did.

    Needs the extra `server`.

    Args:
        recordings: Recordings, and folders of them.
        speed: 1.0 is the recorded pace, 2.0 twice as fast, 0 or "max" without waiting.
        longest_wait: Seconds that no wait exceeds, for models that took minutes to load.
        match: Which answer a request gets: "strict" the next one of the same request, "messages" of
            the same messages and tools, "order" the next one of a model at all, "route" the next
            one of the same method and path. None is given to a request of another dialect, or for
            a stream if it is none, or the reverse. A request without one is answered by 404 and an
            error of its dialect, which names the nearest recording and what differs.
        repeat: Answers are given again: with "strict" and "messages" the last one, else all.
        fallback: Answers what was not recorded, for example a Gateway.
        list_models: Answer `/`, `/api/tags`, `/models` and `/api/version` from what the recordings
            were asked, where they were not recorded. By default so without `fallback`.
        metrics: Where answers are counted, by the vessel that their recording names.
        clock: The source of times, for tests.
        sleep: Waits a number of seconds, for tests.

    Raises:
        ConfigurationError: A setting cannot be used, or the extra is missing.
        RecordingError: A recording cannot be read.
    """
    if fallback is not None:
        check_application(fallback, "fallback")
    if list_models not in (None, True, False):
        raise ConfigurationError(
            f"list_models={list_models!r}: give True, False or None", setting="list_models"
        )
    answers = ReplayAnswers(*checked_paths(recordings), match=match, repeat=repeat)
    if fallback is not None:
        answers.requests()  # all of them are read now: later there are new ones in the folder
    return ReplayServer(
        answers,
        speed,
        longest_wait=longest_wait,
        fallback=fallback,
        list_models=fallback is None if list_models is None else list_models,
        metrics=metrics,
        clock=clock,
        sleep=sleep,
    )


class ReplayServer:
    """Answers requests. Raises nothing then: whatever a client sends gets an answer.

    upstreams: of the gateway that `fallback` is, which translates; None if it is none. folder:
    where what is missing is recorded. The rest is as for `replay_app`. Raises ConfigurationError.
    """

    def __init__(
        self,
        answers: ReplayAnswers,
        speed: Speed,
        *,
        longest_wait: float = math.inf,
        fallback: Application | None = None,
        upstreams: Upstreams | None = None,
        folder: Path | None = None,
        list_models: bool = True,
        metrics: Metrics | None = None,
        clock: Clock = SYSTEM_CLOCK,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        check_longest_wait(longest_wait)
        self._answers = answers
        self._fallback = fallback
        self._upstreams = upstreams
        self._folder = folder
        self._lists = list_models
        self._metrics = metrics or Metrics()
        self._running: set[Playback] = set()
        self._stopping = False
        self._playback = partial(
            Playback,
            speed=checked_speed(speed),
            longest_wait=longest_wait,
            clock=clock,
            sleep=sleep,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if self._fallback is not None:
                await self._fallback(scope, receive, send)
            return
        content = await read_body(receive)
        if content is None:
            return
        asked = read_request(self._upstreams, scope, content)
        received = Received(content, receive)
        shared = self._answers.gives_last and scope["method"] == "POST"
        # What an upstream of another dialect gets, another client may ask for in that dialect.
        translated = asked.translated_line() if shared else None
        lines = (asked.line,) if translated is None else (asked.line, translated)
        async with AsyncExitStack() as held:
            for turn in self._answers.turns(*lines):
                if not await _acquired(turn, receive):
                    return
                held.callback(turn.release)
            found = await self._found(asked)
            missing = shared and not isinstance(found, Problem | RecordedCall | bytes)
            if missing and not await self._has(translated):
                # Meanwhile the same request waits, and then gets this answer from its recording.
                await self._ask(asked.scope, received, send)
                return
        if isinstance(found, Problem):
            await self._refuse(found, asked, send)
        elif isinstance(found, RecordedCall):
            await self._play(found, asked, scope, receive, send)
        elif isinstance(found, bytes):
            kind = "text/plain" if found == RUNNING else "application/json"
            headers = {"content-type": kind, "content-length": str(len(found))}
            await _say(200, headers, found, send)
        else:
            await self._ask(found, received, send)

    async def stop(self, within: float = 5.0) -> None:
        """End what is played, each with an error of its dialect; refuse later requests.

        Args:
            within: Seconds to wait for slow clients.
        """
        self._stopping = True
        await stop_all(self._running, within)

    async def _found(self, asked: ReplayRequest) -> RecordedCall | bytes | Scope | Problem:
        """What answers it; a folder is read in a thread, since it may be large."""
        try:
            return await asyncio.to_thread(self._find, asked)
        except ReplayMissError as miss:
            return _problem_of(miss, asked)
        except RecordingError as error:
            return Problem(500, "recording_unreadable", error.message)

    async def _has(self, line: Mapping[str, Any] | None) -> bool:
        """Whether the other application has a recorded answer to this request."""
        with suppress(RecordingError):  # of which it tells the client
            return line is not None and await asyncio.to_thread(self._answers.has, line)
        return False

    def _find(self, asked: ReplayRequest) -> RecordedCall | bytes | Scope:
        """The answer, a body, or the scope with which the other application is asked.

        Raises ReplayMissError, RecordingError.
        """
        answers, line = self._answers, asked.line
        answers.look_for(line, lambda: True)
        if (answer := answers.take(line)) is not None:
            return answer
        if self._lists and asked.path == "/" and line["method"] in {"GET", "HEAD"}:
            return RUNNING
        told = listing(line["method"], asked.path, answers.requests) if self._lists else None
        if told and (self._fallback is None or any(told.get(name) for name in _TOLD)):
            return dumps(told)  # JSON with lone surrogates, which a recording may hold
        if self._fallback is None:
            return answers.answer(line)  # which says why there is none
        following = answers.next_in_order(line)
        if following is None or self._upstreams is None:
            return asked.scope
        # It is translated by the upstream that speaks its dialect, which the path can name.
        upstream = self._upstreams.speaking(recorded_route(following.request))
        return asked.scope if upstream is None else asked.at(upstream.name)

    async def _play(
        self, call: RecordedCall, asked: ReplayRequest, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if self._stopping:
            await self._refuse(STOPPING, asked, send)
            return
        meter = self._metrics.begin(asked.upstream or call.vessel or _UNKNOWN, asked.route.dialect)
        try:
            playback = self._playback(call, dialect=asked.route.form, meter=meter)
        except RecordingError as error:
            meter.end("error")
            await self._refuse(Problem(500, "recording_unreadable", error.message), asked, send)
            return
        self._running.add(playback)
        try:
            await playback(scope, receive, send)
        finally:
            self._running.discard(playback)

    async def _refuse(self, problem: Problem, asked: ReplayRequest, send: Send) -> None:
        self._metrics.begin(asked.upstream or _UNKNOWN, asked.route.dialect).end("error")
        await _say(problem.status, *problem_response(asked.route.form, problem), send)

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask the other application; what it records of it is an answer from then on.

        Before the client has the end of it, so that its next request finds the answer.
        """
        assert self._fallback is not None  # noqa: S101 - `_find` raises without one
        place: dict[str, str] = {}

        async def send_on(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                place.update(request_headers(message["headers"]))
            elif not message.get("more_body"):
                await self._keep(place.get("x-vesselog-session"), place.get("x-vesselog-call"))
            await send(message)

        await self._fallback(scope, receive, send_on if self._folder else send)

    async def _keep(self, session: str | None, call: str | None) -> None:
        if self._folder and session and call:
            path = self._folder / f"{session}{SUFFIX}"
            try:
                await asyncio.to_thread(self._answers.keep, path, int(call))
            except RecordingError as error:
                _LOGGER.warning("not used for replay: %s", error)


async def _acquired(turn: asyncio.Lock, receive: Receive) -> bool:
    """Wait for the turn; False, without it, if the client leaves meanwhile."""
    if not turn.locked():
        return await turn.acquire()  # which does not wait
    waiting = asyncio.create_task(turn.acquire())
    watching = asyncio.create_task(cancel_when_left(receive, waiting))
    try:
        await asyncio.wait((waiting,))
    except asyncio.CancelledError:
        if not waiting.cancel():
            turn.release()
        raise
    finally:
        watching.cancel()
    return not waiting.cancelled()


def _problem_of(miss: ReplayMissError, asked: ReplayRequest) -> Problem:
    if asked.route.decoded and asked.content and asked.body is None:
        return invalid("the request body is not a JSON object")
    return Problem(404, "not_recorded", miss.message)


async def _say(status: int, headers: Mapping[str, str], body: bytes, send: Send) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
