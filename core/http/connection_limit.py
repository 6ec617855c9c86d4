"""Bounds the connections of a transport that has no bound of the right kind of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx

__all__ = ["ConnectionLimit", "ReleasingStream"]


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
