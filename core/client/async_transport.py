"""The async transport through proxies, and for HTTP/2: httpcore's, over asyncio's connections."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from typing import Any

import httpcore
import httpx

from .bridge import as_httpx, core_request, extensions_of, pool_settings, proxy_settings
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
    ) -> None:
        settings: dict[str, Any] = {
            **pool_settings(limits, ssl_context),
            "http2": http2,
            "network_backend": SharingBackend() if http2 else AsyncioBackend(),
        }
        self._pool: httpcore.AsyncConnectionPool
        if proxy is None:
            self._pool = httpcore.AsyncConnectionPool(**settings)
        else:
            self._pool = httpcore.AsyncHTTPProxy(**proxy_settings(proxy), **settings)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; return with the response's headers."""
        if not isinstance(request.stream, httpx.AsyncByteStream):
            raise TypeError("an async transport takes an async request body")
        with as_httpx():
            response = await self._pool.handle_async_request(core_request(request))
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=extensions_of(response),
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


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
