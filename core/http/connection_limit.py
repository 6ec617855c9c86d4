"""Bounds how many connections a client uses at once, whichever transports make them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, nullcontext
from typing import cast

import httpx

__all__ = ["ConnectionLimit"]


class ConnectionLimit:
    """At most `count` responses are open at once; a request waits for its turn."""

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)

    async def send(
        self, request: httpx.Request, transport: httpx.AsyncBaseTransport
    ) -> httpx.Response:
        """Send the request; the response's headers are there when this returns.

        Raises httpx.PoolTimeout after the request's `pool` timeout.
        """
        seconds = request.extensions.get("timeout", {}).get("pool")
        async with AsyncExitStack() as held:
            try:
                with request.extensions.get("waiting", nullcontext)():
                    async with asyncio.timeout(seconds if self._free.locked() else None):
                        await held.enter_async_context(self._free)
            except TimeoutError:
                raise httpx.PoolTimeout("no free connection", request=request) from None
            response = await transport.handle_async_request(request)
            body = cast("httpx.AsyncByteStream", response.stream)
            held.push_async_callback(body.aclose)
            response.stream = _HoldingStream(body, held.pop_all())
        return response


class _HoldingStream(httpx.AsyncByteStream):
    """A response's body; closing it lets go of what is held for it, once."""

    def __init__(self, stream: httpx.AsyncByteStream, held: AsyncExitStack) -> None:
        self._stream = stream  # by this name body.py finds it
        self._held = held

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        await self._held.aclose()
