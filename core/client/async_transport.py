"""The async transport: httpcore's connection pool over asyncio's connections.

HTTP/1.1 connections are our own where no proxy stands between (http11.py); httpcore's own speak to
proxies, and HTTP/2.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any

import httpcore
import httpx

from .asyncio_stream import AsyncioStream
from .bodies import Into, Pour
from .bridge import as_httpx, core_request, extensions_of, pool_settings, proxy_settings
from .http11 import Http11Connection
from .parsers import H11Parser, LlhttpParser, Parser
from .settings import Limits
from .shared import SharingBackend
from .sockets import AsyncioBackend

__all__ = ["AsyncTransport"]


class AsyncTransport(httpx.AsyncBaseTransport):
    """An httpx transport for HTTP/1.1, and with `http2` for HTTP/2 where a server speaks it."""

    def __init__(
        self,
        limits: Limits,
        ssl_context: ssl.SSLContext,
        proxy: httpx.Proxy | None = None,
        *,
        http2: bool = False,
        fast: bool = False,
    ) -> None:
        settings: dict[str, Any] = {
            **pool_settings(limits, ssl_context),
            "http2": http2,
            "network_backend": SharingBackend() if http2 else AsyncioBackend(),
        }
        self._pool: httpcore.AsyncConnectionPool
        if proxy is not None:
            self._pool = httpcore.AsyncHTTPProxy(**proxy_settings(proxy), **settings)
        elif http2:
            self._pool = httpcore.AsyncConnectionPool(**settings)
        else:
            self._pool = _Pool(LlhttpParser if fast else H11Parser, settings)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; return with the response's headers."""
        if not isinstance(request.stream, httpx.AsyncByteStream):
            raise TypeError("an async transport takes an async request body")
        with as_httpx():
            response = await self._pool.handle_async_request(core_request(request))
        extensions = extensions_of(response)
        if (pour := extensions.get("pour")) is not None:
            extensions = {**extensions, "pour": partial(_pour, pour)}
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=extensions,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


class _Pool(httpcore.AsyncConnectionPool):
    """httpcore's pool of connections of our own."""

    def __init__(self, parser: Callable[[], Parser], settings: dict[str, Any]) -> None:
        super().__init__(**settings)
        self._parser = parser
        self._context: ssl.SSLContext = settings["ssl_context"]
        self._context.set_alpn_protocols(["http/1.1"])
        self._keepalive: float | None = settings["keepalive_expiry"]

    def create_connection(self, origin: httpcore.Origin) -> Http11Connection:
        """Called by the pool where it has no idle connection."""
        connect = partial(self._connect, origin)
        return Http11Connection(origin, connect, self._parser, self._keepalive)

    async def _connect(self, origin: httpcore.Origin, seconds: float | None) -> AsyncioStream:
        host = origin.host.decode("ascii")
        stream = await AsyncioBackend().connect_tcp(host, origin.port, seconds)
        if origin.scheme == b"https":
            await stream.start_tls(self._context, host, seconds)
        return stream


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        with as_httpx():
            async for part in self._response.aiter_stream():
                yield part

    async def aclose(self) -> None:
        with as_httpx():
            await self._response.aclose()


async def _pour(pour: Pour, into: Into) -> bool:
    with as_httpx():
        return await pour(into)
