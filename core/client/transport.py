"""The sync transport through proxies: httpcore's, over sockets that a stream's alarm interrupts."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import httpcore
import httpx

from .bridge import as_httpx, core_request, extensions_of, pool_settings, proxy_settings
from .settings import Limits
from .socket_stream import SocketBackend, SocketStream

__all__ = ["ProxyTransport"]


class ProxyTransport(httpx.BaseTransport):
    """An httpx transport for HTTP/1.1 through an HTTP proxy."""

    def __init__(self, limits: Limits, ssl_context: ssl.SSLContext, proxy: httpx.Proxy) -> None:
        self._pool = httpcore.HTTPProxy(
            **proxy_settings(proxy),
            **pool_settings(limits, ssl_context),
            network_backend=SocketBackend(),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; return with the response's headers."""
        if not isinstance(request.stream, httpx.SyncByteStream):
            raise TypeError("a sync transport takes a sync request body")
        with as_httpx():
            response = self._pool.handle_request(core_request(request))
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=extensions_of(response),
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with as_httpx():
            yield from self._response.iter_stream()

    def close(self) -> None:
        stream = extensions_of(self._response).get("network_stream")
        if isinstance(stream, SocketStream):
            stream.rest()
        self._response.close()
