"""Cancels a stream's owner task only where cancelling cannot leak a connection.

httpcore 1.0 loses pool slots when it is cancelled while it connects or closes
(encode/httpcore#1093). Its `trace` extension tells how far it is: the task is cancelled only
between the first event of the HTTP exchange and the closing of the response. aiohttp may be
cancelled at any await, which its transport says by calling the request's `cancellable` extension.
Where the task cannot be cancelled at once, whoever waits for the stream is told at once, and the
task is cancelled as soon as it may be, at the latest when no connecting can be under way any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from ..errors import StreamTimeoutError
from ..settings import Timeouts

__all__ = ["CancelGate", "Stopped"]


class Stopped(Exception):  # noqa: N818 - ends the sending of a request; never leaves the driver
    """The stream was stopped before its request was sent."""


class CancelGate:
    """Decides when one task may be cancelled.

    task: the task, set when it begins. reason: why it was stopped, None while it was not: the phase
    of a deadline, or "cancelled". blocked: called with the reason where the task cannot be
    cancelled at once.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, timeouts: Timeouts, blocked: Callable[[str], None]
    ) -> None:
        self._loop = loop
        self._timeouts = timeouts
        self._latest = _longest_connecting(timeouts)
        self._blocked: Callable[[str], None] = blocked
        self._allowed = False
        self._closing = False
        self._cancelled = False
        self._tunnelling = False
        self._tunnel: asyncio.Timeout  # while a request is sent
        self._socks: Any = None  # the connection to a SOCKS proxy that has not opened a tunnel yet
        self._socks_timer: asyncio.TimerHandle | None = None
        self._hanging_up: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None
        self.reason: str | None = None

    def stop(self, reason: str) -> None:
        """Make the task end. Only the first reason counts."""
        task = self.task
        if self.reason is not None or task is None or task.done():
            return
        self.reason = reason
        if task is asyncio.current_task(self._loop):
            return  # it looks at the reason itself; cancelled here, it would stop at any next await
        if self._allowed:
            self._cancel()
        else:
            self._blocked(reason)
            self._hang_up()
            if not self._closing and self._latest is not None:
                self._timer = self._loop.call_later(self._latest, self._cancel)

    @asynccontextmanager
    async def sending(self) -> AsyncGenerator[dict[str, Any]]:
        """A request is sent inside, with these extensions, by which the transport tells its state.

        Raises StreamTimeoutError where a proxy opens no tunnel within the `connect` timeout.
        """
        connect = self._timeouts.connect
        try:
            async with asyncio.timeout(None) as self._tunnel:
                yield {
                    "timeout": {
                        "connect": connect,
                        "read": None,  # this and `write` are watched by the client
                        "write": None,
                        "pool": self._timeouts.pool,
                    },
                    "trace": self.trace,
                    "cancellable": self.allow,
                    "waiting": self.allowed,
                }
        except Exception:
            if connect is None or not (self._tunnel.expired() or self._hanging_up):
                raise
            raise StreamTimeoutError(
                f"the proxy opened no tunnel to the server within {connect:g} s; to wait longer, "
                "set Timeouts(connect=…)",
                phase="connect",
                setting="connect",
            ) from None

    def begin(self) -> None:
        """The task begins an attempt."""
        self._allowed = self._closing = False
        self._hanging_up = None

    def allow(self) -> None:
        """The transport may be cancelled from now on. Raises Stopped if the stream was stopped."""
        self._allowed = True
        if self.reason is not None:
            raise Stopped

    @contextmanager
    def allowed(self) -> Generator[None]:
        """The task may be cancelled inside: it does not wait for the transport."""
        before, self._allowed = self._allowed, True
        try:
            yield
        finally:
            self._allowed = before

    def close(self) -> None:
        """The task closes its connection, and must not be cancelled."""
        self._allowed = False
        self._closing = True

    def release(self) -> None:
        """The task is over."""
        self._blocked = lambda _reason: None  # what was called may hold this object
        if self._timer is not None:
            self._timer.cancel()

    async def ended(self) -> None:
        """Wait for the task's end. The client is closed: a connecting task is cancelled too."""
        if self.task is not None:
            if not self._closing:
                self._cancel()
            await asyncio.wait([self.task])

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        """Takes httpcore's trace events.

        A request for a proxy's tunnel (CONNECT) is a part of connecting, as is the TLS handshake
        behind it. httpcore waits for the proxy's answer without a timeout.
        """
        if event.startswith("socks.setup"):
            await self._shake_hands(event, info)
        if not event.startswith(("http11.", "http2.")):
            return
        if event.endswith("response_closed.started"):
            self.close()
        elif event.endswith("send_request_headers.started"):
            self._tunnelling = info["request"].method == b"CONNECT"
            self.allow()
            if self._tunnelling and self._timeouts.connect is not None:
                self._tunnel.reschedule(self._loop.time() + self._timeouts.connect)
        elif event.endswith("receive_response_headers.complete") and self._tunnelling:
            self._allowed = False
            self._tunnel.reschedule(None)

    async def _shake_hands(self, event: str, info: dict[str, Any]) -> None:
        """Bound the wait for a SOCKS proxy, and close its connection if it opens no tunnel.

        httpcore does neither. A cancel would leave an entry in its pool; hanging up leaves none.
        """
        if event.endswith("started"):
            self._socks = info["stream"]
            if self._timeouts.connect is not None:
                self._socks_timer = self._loop.call_later(self._timeouts.connect, self._hang_up)
            return
        connection, self._socks = self._socks, None
        if self._socks_timer is not None:
            self._socks_timer.cancel()
        if event.endswith("failed"):
            await connection.aclose()

    def _hang_up(self) -> None:
        if self._socks is not None:
            self._hanging_up = self._loop.create_task(self._socks.aclose())

    def _cancel(self) -> None:
        """Cancel the task, once: a second time it would be closing its connection."""
        if self.task is not None and not self._cancelled:
            self._cancelled = True
            self.task.cancel()


def _longest_connecting(timeouts: Timeouts) -> float | None:
    """Seconds after which no connection can be waited for or made any more; TCP, then TLS."""
    if timeouts.pool is None or timeouts.connect is None:
        return None
    return timeouts.pool + 2 * timeouts.connect + 1.0
