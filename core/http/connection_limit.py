"""Bounds the connections of a transport that has no bound of the right kind of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import cast

import httpx

__all__ = ["LimitedTransport"]


class LimitedTransport(httpx.AsyncBaseTransport):
    """A transport with at most `count` responses open at once; a request waits for its turn."""

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; the response's headers are there when this returns.

        Raises httpx.PoolTimeout after the request's `pool` timeout.
        """
        seconds = request.extensions.get("timeout", {}).get("pool")
        try:
            async with asyncio.timeout(seconds if self._free.locked() else None):
                await self._free.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("no free connection", request=request) from None
        try:
            response = await self._send(request)
        except BaseException:
            self._free.release()
            raise
        body = cast("httpx.AsyncByteStream", response.stream)
        response.stream = _ReleasingStream(body, self._free.release)
        return response

    async def _send(self, request: httpx.Request) -> httpx.Response:
        raise NotImplementedError


class _ReleasingStream(httpx.AsyncByteStream):
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
