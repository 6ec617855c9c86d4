"""httpx-aiohttp's transport, with what it leaves out. Needs the `fast` extra.

aiohttp counts the wait for a free connection, name lookup and connecting under one timeout, which
httpx-aiohttp takes from `pool`. Here the wait for a free connection has a limit of its own, and the
rest is `connect`. No cookies are kept. A kept connection on which the server sent something while
nobody asked is closed instead of used: its bytes would be read as the next answer.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from ..settings import Limits
from .connection_limit import ConnectionLimit, ReleasingStream

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["FastTransport"]


class FastTransport(httpx.AsyncBaseTransport):
    """For requests that go to their server directly, over HTTP/1.1."""

    def __init__(self, limits: Limits, ssl_context: SSLContext) -> None:
        self._expiry = limits.keepalive_expiry
        self._context = ssl_context
        self._limit = ConnectionLimit(limits.max_connections)
        self._inner = AiohttpTransport(
            verify=ssl_context, trust_env=False, client=self._make_session
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; the response's headers are there when this returns."""
        if cancellable := request.extensions.get("cancellable"):
            cancellable()
        timeout = request.extensions.get("timeout", {})
        await self._limit.take(request)
        try:
            request.extensions["timeout"] = {"pool": timeout.get("connect") or None}
            response = await self._send(request)
        except BaseException:
            self._limit.give_back()
            raise
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError("httpx-aiohttp gave a response without an async body")
        response.stream = ReleasingStream(response.stream, self._limit.give_back)
        response.extensions["body"] = _Body(_CONTENT.get())
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    async def _send(self, request: httpx.Request) -> httpx.Response:
        while True:
            try:
                return await self._inner.handle_async_request(request)
            except httpx.TransportError as error:
                # Nothing of the request was sent, and this connection is closed.
                if not isinstance(error.__cause__, _UsedConnectionError):
                    raise

    def _make_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0, keepalive_timeout=self._expiry, ssl=self._context, ttl_dns_cache=10
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            request_class=_Request,
            response_class=_Response,
            trust_env=False,
        )


class _Response(aiohttp.ClientResponse):
    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """Read the headers, and leave the body's reader for the task that sent the request."""
        started = await super().start(connection)
        _CONTENT.set(started.content)
        return started


class _Body:
    """The body as aiohttp reads it: httpx's own way to the same bytes passes four generators."""

    end = b""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self.read = content.readany

    async def aclose(self) -> None:
        """Nothing is left open: the response is closed next."""


_CONTENT: ContextVar[aiohttp.StreamReader] = ContextVar("vesselog_content")


class _UsedConnectionError(aiohttp.ClientConnectionError):
    """The server sent something on a kept connection although nobody had asked."""


class _Request(aiohttp.ClientRequest):
    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        """Send it, unless the connection has bytes of nobody's answer."""
        if conn.protocol is not None and conn.protocol.should_close:
            raise _UsedConnectionError
        return await super().send(conn)
