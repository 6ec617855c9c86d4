"""HTTP/2 without sharing: each running stream has a connection of its own.

httpcore cannot end one stream of a shared connection: it sends no RST_STREAM, so the server goes on
generating an answer that nobody reads. So a connection carries one stream at a time here, and is
closed when that stream is left early. A connection whose answer was read to its end is used again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

import httpx

from ..settings import Limits
from .body import has_bytes_behind
from .connection_limit import LimitedTransport

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["UnsharedHttp2"]

_Origin = tuple[str, str, int | None]


class UnsharedHttp2(LimitedTransport):
    """Speaks HTTP/2 where the server does."""

    def __init__(
        self, limits: Limits, ssl_context: SSLContext, proxy: httpx.Proxy | None = None
    ) -> None:
        super().__init__(limits.max_connections)
        self._limits = limits
        self._context = ssl_context
        self._proxy = proxy
        self._kept: deque[tuple[_Origin, httpx.AsyncHTTPTransport]] = deque()

    async def _send(self, request: httpx.Request) -> httpx.Response:
        origin = (request.url.scheme, request.url.host, request.url.port)
        transport = self._take(origin)
        try:
            response = await transport.handle_async_request(request)
            body = cast("httpx.AsyncByteStream", response.stream)
            response.stream = _Body(body, self, origin, transport)
        except BaseException:
            await transport.aclose()
            raise
        return response

    async def aclose(self) -> None:
        """Close the connections that wait to be used again."""
        while self._kept:
            await self._kept.pop()[1].aclose()

    async def keep(self, origin: _Origin, transport: httpx.AsyncHTTPTransport) -> None:
        """Keep a connection whose answer was read to its end."""
        self._kept.append((origin, transport))
        if len(self._kept) > self._limits.max_keepalive:
            await self._kept.popleft()[1].aclose()

    def _take(self, origin: _Origin) -> httpx.AsyncHTTPTransport:
        """A transport for one stream; httpcore makes a new connection where the kept one is old."""
        for kept in reversed(self._kept):
            if kept[0] == origin:
                self._kept.remove(kept)
                return kept[1]
        return httpx.AsyncHTTPTransport(
            verify=self._context,
            trust_env=False,
            http2=True,
            proxy=self._proxy,
            limits=httpx.Limits(max_connections=1, keepalive_expiry=self._limits.keepalive_expiry),
        )


class _Body(httpx.AsyncByteStream):
    """The body of one response; its connection is kept if the body was read to its end."""

    def __init__(
        self,
        inner: httpx.AsyncByteStream,
        pool: UnsharedHttp2,
        origin: _Origin,
        transport: httpx.AsyncHTTPTransport,
    ) -> None:
        self._inner = inner
        self._pool = pool
        self._origin = origin
        self._transport = transport
        self._whole = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._inner:
            yield data
        self._whole = True

    async def aclose(self) -> None:
        """Close the body, and its connection too if the body was not read to its end."""
        if self._whole and not has_bytes_behind(self._inner):
            await self._inner.aclose()
            await self._pool.keep(self._origin, self._transport)
        else:
            await self._transport.aclose()
