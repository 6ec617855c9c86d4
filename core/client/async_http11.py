"""The async transport for HTTP/1.1, whose answers are handed over where they arrive.

httpcore's hands an answer on through six generators, each piece of it by itself. Here what one read
of the socket brings goes to its taker whole, in the call of the event loop that brings it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx

from .async_answer import AsyncAnswer
from .async_pool import AsyncConnection, AsyncPool
from .asyncio_stream import AsyncioStream
from .bridge import as_httpx
from .parsers import H11Parser, LlhttpParser
from .places import Origin, origin_of
from .settings import Limits
from .sockets import AsyncioBackend

__all__ = ["AsyncHttp11Transport"]


class AsyncHttp11Transport(httpx.AsyncBaseTransport):
    """An httpx transport to servers that no proxy stands before. fast: answers by llhttp."""

    def __init__(self, limits: Limits, ssl_context: ssl.SSLContext, *, fast: bool = False) -> None:
        self._pool = AsyncPool(limits)
        self._backend = AsyncioBackend()
        self._context = ssl_context
        self._parser = LlhttpParser if fast else H11Parser

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; return with the head of its response."""
        if not isinstance(request.stream, httpx.AsyncByteStream):
            raise TypeError("an async transport takes an async request body")
        timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
        origin = origin_of(request.url)
        trace = request.extensions.get("trace")
        if trace is not None:
            await trace("http11.take_connection.started", {"request": request})
        connection = await self._pool.take(origin, timeouts.get("pool"))
        try:
            if connection.stream is None:
                stream = await self._connect(origin, timeouts.get("connect"))
                self._pool.connected(connection, stream)
            else:
                stream = connection.stream
            closed = partial(self._closed, connection, trace)
            parser = H11Parser if request.method == "HEAD" else self._parser
            answer = AsyncAnswer(stream, parser(), timeouts, closed)
            stream.listen(answer)
            await answer.send(request)
            head = await answer.head()
        except BaseException:
            if trace is not None:
                await trace("http11.response_closed.started", {})
            self._pool.drop(connection)
            raise
        return head.response(answer, pour=answer.pour)

    async def aclose(self) -> None:
        """Close all connections."""
        self._pool.close()

    async def _connect(self, origin: Origin, seconds: float | None) -> AsyncioStream:
        scheme, host, port = origin
        with as_httpx():
            stream = await self._backend.connect_tcp(host, port, seconds)
            if scheme == "https":
                # Each time: a client that shares the context may have said that it speaks HTTP/2.
                self._context.set_alpn_protocols(["http/1.1"])
                await stream.start_tls(self._context, host, seconds)
        return stream

    async def _closed(
        self,
        connection: AsyncConnection,
        trace: Callable[[str, dict[str, Any]], Any] | None,
        reusable: bool,  # noqa: FBT001 - what an answer tells
    ) -> None:
        if trace is not None:
            await trace("http11.response_closed.started", {})
        if reusable:
            self._pool.keep(connection)
        else:
            self._pool.drop(connection)
