"""One connection as asyncio has it: bytes that are handed over where they arrive, or read.

httpcore's own backend goes through anyio, whose every read makes a cancel scope, runs the event
loop once more, and takes the socket off the selector and puts it back.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any, Protocol, cast

import httpcore

from .bridge import as_core
from .interrupt import poll

__all__ = ["AsyncioStream", "Listener", "wake"]

# Bytes that may wait for a reader before the socket is left alone.
_ENOUGH = 64 * 1024


class Listener(Protocol):
    """Takes what arrives on a connection, in the event loop's own calls."""

    def data_came(self, data: bytes) -> None:
        """Bytes have arrived."""
        ...

    def connection_ended(self, error: Exception | None) -> None:
        """Nothing more comes: the server has ended it, or it is lost."""
        ...


class AsyncioStream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """For httpcore, which calls `read`, or for a listener, which is called."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._listener: Listener | None = None
        self._unread = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._paused = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._full = False

    def listen(self, listener: Listener) -> None:
        """Hand over what arrived unread, and what arrives from now on."""
        self._listener = listener
        self.resume()
        if self._unread:
            unread, self._unread = bytes(self._unread), bytearray()
            listener.data_came(unread)
        if self._ended:
            listener.connection_ended(self._error)

    def pause(self) -> None:
        """Leave what arrives with the system for now."""
        if not self._paused and not self._open.is_closing():
            self._paused = True
            self._open.pause_reading()

    def resume(self) -> None:
        """Go on."""
        if self._paused:
            self._paused = False
            if not self._open.is_closing():
                self._open.resume_reading()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """What has come unread, or comes next; nothing at the end."""
        with as_core(httpcore.ReadTimeout, httpcore.ReadError):
            if not self._unread and not self._ended:
                async with asyncio.timeout(timeout):
                    await self._news()
            if not self._unread and self._error is not None:
                raise self._error
        data = bytes(self._unread[:max_bytes])
        del self._unread[:max_bytes]
        self.resume()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send it; wait while too much of it waits to be sent."""
        if not buffer:
            return
        with as_core(httpcore.WriteTimeout, httpcore.WriteError):
            if self._ended or self._open.is_closing():
                raise self._error or ConnectionError("the connection is closed")
            self._open.write(buffer)
            if self._full:
                async with asyncio.timeout(timeout):
                    await self._room()

    @property
    def readable(self) -> bool:
        """Whether something has come, or the end, of which the loop may not have told yet."""
        if self._unread or self._ended or self._open.is_closing():
            return True
        return poll(self._open.get_extra_info("socket"), seconds=0)

    async def aclose(self) -> None:
        """Close it."""
        self.abort()

    def abort(self) -> None:
        """Close it. What is not sent yet is not wanted any more."""
        if self._transport is not None:
            self._transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
    ) -> httpcore.AsyncNetworkStream:
        """Go on under TLS."""
        try:
            with as_core(httpcore.ConnectTimeout, httpcore.ConnectError):
                async with asyncio.timeout(timeout):
                    secured = await self._loop.start_tls(
                        self._open, self, ssl_context, server_hostname=server_hostname
                    )
            if secured is None:
                raise httpcore.ConnectError("the connection was closed meanwhile")
        except BaseException:
            self.abort()
            raise
        self._transport = secured
        return self

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks, or asyncio's transport knows."""
        if info == "is_readable":
            return self.readable
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return self._open.get_extra_info(names.get(info, info))

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is connected."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """The server has sent this."""
        if self._listener is not None:
            self._listener.data_came(data)
            return
        self._unread += data
        if len(self._unread) > _ENOUGH:
            self.pause()
        wake(self._reader)

    def eof_received(self) -> None:
        """The server sends no more."""
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed."""
        self._end(exc)
        self.resume_writing()

    def pause_writing(self) -> None:
        """Enough waits to be sent."""
        self._full = True

    def resume_writing(self) -> None:
        """It is sent."""
        self._full = False
        wake(self._writer)

    def _end(self, error: Exception | None) -> None:
        if self._ended:
            return
        self._ended = True
        self._error = error
        wake(self._reader)
        if self._listener is not None:
            self._listener.connection_ended(error)

    @property
    def _open(self) -> asyncio.Transport:
        if self._transport is None:
            raise RuntimeError("the connection is not made yet")
        return self._transport

    async def _news(self) -> None:
        self._reader = self._loop.create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    async def _room(self) -> None:
        self._writer = self._loop.create_future()
        try:
            await self._writer
        finally:
            self._writer = None
        if self._error is not None:
            raise self._error


def wake(waiter: asyncio.Future[None] | None) -> None:
    """Let whoever waits go on, if he does still: asyncio.run's Ctrl-C may end that at any step."""
    if waiter is not None:
        with suppress(asyncio.InvalidStateError):
            waiter.set_result(None)
