"""One recorded call as an HTTP answer: its status, and its exact bytes at their recorded times.

An answer ends as it did then. One that was complete, or that the provider itself ended with an
error, ends cleanly. Any other, truncated, cancelled or left without an end, is cut: the connection
is closed without the end of the body, so that no client can take the part for the whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ..core.clock import Clock
from ..core.errors import ProviderError
from ..core.truth.recording import RecordedCall
from .asgi import Receive, Scope, Send

__all__ = ["Playback"]

# They belong to the connection of then, or to bytes that were recorded after they were unpacked.
_OF_THE_CONNECTION = frozenset(
    {
        *("connection", "content-encoding", "content-length", "date", "server"),
        *("transfer-encoding", "via"),
    }
)


class Playback:
    """The answer of `call`, which must have a response line.

    speed: 1.0 is the recorded pace, 2.0 twice as fast, 0 without waiting. longest_wait: no wait is
    longer than these seconds; what follows comes that much earlier. When the client leaves, the
    playback stops.
    """

    def __init__(
        self,
        call: RecordedCall,
        *,
        speed: float,
        longest_wait: float,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._call = call
        self._speed = speed
        self._longest = longest_wait * 1e6
        self._clock = clock
        self._sleep = sleep
        self._begun: float = clock.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Play it."""
        async with asyncio.TaskGroup() as tasks:
            playing = tasks.create_task(self._play(send))
            # A server tells that the client has left only to who asks.
            watching = tasks.create_task(_stop_when_left(receive, playing))
            playing.add_done_callback(lambda _: watching.cancel())

    async def _play(self, send: Send) -> None:
        response = self._call.response or {}
        await self._until(response.get("t", self._call.started))
        await send(
            {
                "type": "http.response.start",
                "status": int(response.get("status", 200)),
                "headers": _raw_headers(response.get("headers", {})),
            }
        )
        for frame in self._call.frames():
            await self._until(frame.t)
            await send({"type": "http.response.body", "body": frame.raw, "more_body": True})
        if self._call.outcome == "complete" or isinstance(self._call.error, ProviderError):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            # To return without the last message is how ASGI cuts a connection.
            await self._until((self._call.end or {}).get("t", 0))

    async def _until(self, t: int) -> None:
        """Wait until what came at `t` is due.

        Sleeps even when it is: a loop that is never let go does not notice that its client left.
        """
        wait = 0.0
        if self._speed:
            due = self._begun + (t - self._call.started) / self._speed
            wait = max(0.0, due - self._clock.monotonic())
            if wait > self._longest:
                self._begun -= wait - self._longest
                wait = self._longest
        await self._sleep(wait / 1e6)


async def _stop_when_left(receive: Receive, playing: asyncio.Task[None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    playing.cancel()


def _raw_headers(headers: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower().encode("latin-1", "replace"), str(value).encode("latin-1", "replace"))
        for name, value in headers.items()
        if name.lower() not in _OF_THE_CONNECTION
    ]
