"""Bounds the connections of a transport that has no bound of the right kind of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import cast

import httpx

__all__ = ["ConnectionLimit", "LimitedTransport", "ReleasingStream"]


class ConnectionLimit:
    """A number of places; whoever finds none free waits for one."""

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)

    async def take(self, request: httpx.Request) -> None:
        """Take a place, waiting for the request's `pool` timeout.

        Raises httpx.PoolTimeout.
        """
        seconds = request.extensions.get("timeout", {}).get("pool")
        try:
            async with asyncio.timeout(seconds):
                await self._free.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("no free connection", request=request) from None

    def give_back(self) -> None:
        """The connection is not used any more."""
        self._free.release()


class ReleasingStream(httpx.AsyncByteStream):
    """A response's body; `release` is called once, when it has been closed."""

    def __init__(self, inner: httpx.AsyncByteStream, release: Callable[[], None]) -> None:
        self._inner = inner
        self._release: Callable[[], None] | None = release

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._inner)

    async def aclose(self) -> None:
        """Close the body, and release what it held."""
        try:
            await self._inner.aclose()
        finally:
            if self._release is not None:
                release, self._release = self._release, None
                release()


class LimitedTransport(httpx.AsyncBaseTransport):
    """A transport with at most `count` responses open at once."""

    def __init__(self, count: int) -> None:
        self._limit = ConnectionLimit(count)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; the response's headers are there when this returns."""
        await self._limit.take(request)
        try:
            response = await self._send(request)
        except BaseException:
            self._limit.give_back()
            raise
        body = cast("httpx.AsyncByteStream", response.stream)
        response.stream = ReleasingStream(body, self._limit.give_back)
        return response

    async def _send(self, request: httpx.Request) -> httpx.Response:
        raise NotImplementedError
