"""HTTP/1.1 connections for httpcore's async pool, whose answers are handed over where they arrive.

httpcore's own hands an answer on through six generators, each piece of it by itself. Here what one
read of the socket brings goes to its taker whole, in the call of the event loop that brings it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Any

import httpcore

from .answer import Answer
from .asyncio_stream import AsyncioStream
from .bridge import extensions_of
from .parsers import Parser

__all__ = ["Http11Connection"]


class _Phase(Enum):
    NEW = auto()
    ACTIVE = auto()
    IDLE = auto()
    CLOSED = auto()


class Http11Connection(httpcore.AsyncConnectionInterface):
    """One connection to one origin, made at its first request.

    connect: makes it, within so many seconds. parser: makes one for each exchange. keepalive:
    seconds that it may be idle, None for ever.
    """

    def __init__(
        self,
        origin: httpcore.Origin,
        connect: Callable[[float | None], Awaitable[AsyncioStream]],
        parser: Callable[[], Parser],
        keepalive: float | None,
    ) -> None:
        self._origin = origin
        self._connect = connect
        self._parser = parser
        self._keepalive = keepalive
        self._expires: float | None = None
        self._phase = _Phase.NEW
        self._stream: AsyncioStream | None = None

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send the request; return with the head of its response."""
        if self._phase not in {_Phase.NEW, _Phase.IDLE}:
            raise httpcore.ConnectionNotAvailable
        self._phase = _Phase.ACTIVE
        extensions = extensions_of(request)
        timeouts: dict[str, float | None] = extensions.get("timeout", {})
        try:
            if self._stream is None:
                self._stream = await self._connect(timeouts.get("connect"))
            await _tell(extensions, "send_request_headers.started", request)
            answer = Answer(self._stream, self._parser(), timeouts, self._answered(request))
            self._stream.listen(answer)
            await answer.send(request)
            head = await answer.head()
        except BaseException:
            await _tell(extensions, "response_closed.started", request)
            self._close()
            raise
        return httpcore.Response(
            status=head.status,
            headers=head.fields,
            content=answer,
            extensions={
                "http_version": b"HTTP/" + head.version.encode("ascii"),
                "reason_phrase": head.reason,
                "network_stream": self._stream,
                "pour": answer.pour,
            },
        )

    async def aclose(self) -> None:
        """Close it, whatever it does."""
        self._close()

    def can_handle_request(self, origin: httpcore.Origin) -> bool:
        """Whether it leads there."""
        return origin == self._origin

    def is_available(self) -> bool:
        """Whether it may take a request now."""
        return self._phase is _Phase.IDLE

    def has_expired(self) -> bool:
        """Whether it was idle for too long."""
        return self.is_idle() and self._expires is not None and time.monotonic() > self._expires

    def is_idle(self) -> bool:
        """Whether it is open and carries nothing."""
        return self._phase is _Phase.IDLE

    def is_closed(self) -> bool:
        """Whether it is of no more use."""
        return self._phase is _Phase.CLOSED

    def info(self) -> str:
        """For the pool's repr."""
        return f"{str(self._origin)!r}, HTTP/1.1, {self._phase.name}"

    # What an idle connection hears: both mean that no answer can be trusted to be the next one's.

    def data_came(self, data: bytes) -> None:  # noqa: ARG002 - nobody asked for it
        """The server says something that no request is the reason of."""
        self._close()

    def connection_ended(self, error: Exception | None) -> None:  # noqa: ARG002 - nobody waits
        """The server has ended it, or it is lost."""
        self._close()

    def _answered(self, request: httpcore.Request) -> Callable[[bool], Awaitable[None]]:
        """What the request's answer calls when it is closed: whether another may follow it."""

        async def answered(reusable: bool) -> None:  # noqa: FBT001 - its one question
            await _tell(extensions_of(request), "response_closed.started", request)
            if reusable and self._phase is _Phase.ACTIVE and self._stream is not None:
                self._phase = _Phase.IDLE
                if self._keepalive is not None:
                    self._expires = time.monotonic() + self._keepalive
                self._stream.listen(self)
            else:
                self._close()

        return answered

    def _close(self) -> None:
        self._phase = _Phase.CLOSED
        if self._stream is not None:
            self._stream.abort()


async def _tell(extensions: dict[str, Any], event: str, request: httpcore.Request) -> None:
    """As httpcore's own connections tell how far they are."""
    trace = extensions.get("trace")
    if trace is not None:
        await trace(f"http11.{event}", {"request": request})
