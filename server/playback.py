"""One recorded call as an HTTP answer: its status, and its exact bytes at their recorded times.

An answer ends as it did when it was recorded. One that was complete, or that the provider ended
with an error, ends cleanly. Any other (truncated, cancelled, without an end) is cut: the connection
is closed before the end of the body, so that no client takes a part for the whole. When the server
stops, a stream of a known dialect ends with an error of it, and cleanly.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any, cast

from ..core.clock import Clock
from ..core.errors import ProviderError, RecordingCorruptError, RecordingError
from ..core.replay.pace import Pace
from ..core.truth.recording import RecordedCall
from .asgi import Receive, Scope, Send
from .gateway.answering import is_stream
from .gateway.problems import problem_event, problem_response
from .metrics import CallMeter, Metrics
from .protocols.problem import STOPPING
from .receiving import cancel_when_left

__all__ = ["Playback"]

_LOGGER = logging.getLogger("vesselog")

# What a header may hold (RFC 9110, 5.5 and 5.6.2); anything else could end it.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_A_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

# They belong to the original connection, or to bytes that were recorded after they were unpacked.
_OF_THE_CONNECTION = frozenset(
    {
        *("connection", "content-encoding", "content-length", "date", "server"),
        *("transfer-encoding", "via"),
    }
)


class Playback:
    """The answer of `call`. Raises RecordingCorruptError without a response that can be served.

    speed: 1.0 is the recorded pace, 2.0 twice as fast, 0 without waiting. longest_wait: seconds
    that no wait exceeds; what follows comes that much earlier. dialect: of the request. meter:
    counts what is sent, as if it came from the provider. over: nothing is sent any more. When the
    client leaves, the playback stops. If the recording cannot be read on, the answer is cut.
    """

    def __init__(
        self,
        call: RecordedCall,
        *,
        speed: float,
        longest_wait: float,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
        dialect: str | None = None,
        meter: CallMeter | None = None,
    ) -> None:
        self._call = call
        self._head = _head(call)
        self._dialect = dialect
        self._meter = meter or Metrics().begin("", dialect)
        self._pace = Pace(speed, clock, longest_wait)
        self._sleep = sleep
        self._playing: asyncio.Task[None] | None = None
        self._started = False
        self._ended = False
        self._stopped = False
        self._outcome = "cancelled"
        self.over = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Play it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._playing = playing = tasks.create_task(self._play(send))
                watching = tasks.create_task(cancel_when_left(receive, playing))
                playing.add_done_callback(lambda _: watching.cancel())
            if self._stopped and not self._ended:
                await self._say_stopped(send)
        finally:
            self._meter.end(self._outcome)
            self.over.set()

    async def stop(self) -> None:
        """End it, since the server stops."""
        if self._playing is not None and not self._playing.done():
            self._stopped = True
            self._playing.cancel()

    async def _play(self, send: Send) -> None:
        try:
            self._outcome = await self._send_all(send)
        except RecordingError as error:
            _LOGGER.warning("an answer was cut: %s", error)
            self._outcome = "error"
        except OSError:  # how servers of ASGI 2.4 tell that the client has left
            return

    async def _send_all(self, send: Send) -> str:
        """Send the answer, and the end of the body if it has one; gives how it ended."""
        status, headers = self._head
        await self._until(self._call.responded)
        self._started = True
        await send({"type": "http.response.start", "status": status, "headers": headers})
        read, counted = -1, False
        for frame in self._call.frames():
            await self._until(frame.t)
            if frame.t == read and counted:
                self._meter.more(len(frame.fields), len(frame.raw))
            else:
                self._meter.read(len(frame.fields), len(frame.raw))
            read, counted = frame.t, bool(frame.fields)
            await send({"type": "http.response.body", "body": frame.raw, "more_body": True})
        outcome = self._call.outcome
        if outcome == "complete" or isinstance(self._call.error, ProviderError):
            self._ended = True
            self._meter.end(outcome)  # before the client knows
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            # To return without the last message is how ASGI cuts a connection.
            await self._until(self._call.ended or 0)
        return outcome

    async def _say_stopped(self, send: Send) -> None:
        status, (headers, body) = STOPPING.status, problem_response(self._dialect, STOPPING)
        if not self._started:
            raw = [(name.encode(), value.encode()) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": status, "headers": raw})
            await send({"type": "http.response.body", "body": body})
            return
        kind = dict(self._head[1]).get(b"content-type", b"").decode("latin-1")
        event = problem_event(self._dialect, STOPPING)
        if is_stream({"content-type": kind}) and event is not None:
            await send({"type": "http.response.body", "body": event})

    async def _until(self, t: int) -> None:
        """Wait until what came at `t` is due.

        Sleeps even when it is due: without a pause the loop does not notice that the client left.
        """
        await self._sleep(self._pace.wait(t - self._call.started))


def _head(call: RecordedCall) -> tuple[int, list[tuple[bytes, bytes]]]:
    """The response's status and headers."""
    response = call.response or {}
    status = response.get("status")
    headers = response.get("headers")
    if type(status) is not int or not 200 <= status <= 599 or not isinstance(headers, dict):
        raise RecordingCorruptError(
            f"{call.path}: the response of call {call.number} has no HTTP status or no headers"
        )
    raw = [
        (name.lower().encode("latin-1", "replace"), str(value).encode("latin-1", "replace"))
        for name, value in cast("dict[str, Any]", headers).items()
        if _TOKEN.fullmatch(name) and name.lower() not in _OF_THE_CONNECTION
    ]
    clean = [(name, _NOT_IN_A_VALUE.sub(b" ", value)) for name, value in raw]
    return status, clean
