"""HTTP/2 without sharing: each running stream has a connection of its own.

httpcore cannot end one stream of a shared connection: it sends no RST_STREAM, so the server goes on
generating an answer that nobody reads. So a connection carries one stream at a time here, and is
closed when that stream is left early. A connection whose answer was read to its end is used again.

A server that shuts down gracefully says with GOAWAY which streams it still answers. h2 takes every
GOAWAY for the end of the connection, so one that covers the running stream is not passed on to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

import httpx

from ..settings import Limits
from .body import has_bytes_behind

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["UnsharedHttp2"]

_Origin = tuple[str, str, int | None]


class UnsharedHttp2(httpx.AsyncBaseTransport):
    """Speaks HTTP/2 where the server does."""

    def __init__(
        self, limits: Limits, ssl_context: SSLContext, proxy: httpx.Proxy | None = None
    ) -> None:
        self._most_kept = limits.max_keepalive
        self._kept: deque[_Connection] = deque()
        self._connect = partial(
            _Connection,
            verify=ssl_context,
            trust_env=False,
            http2=True,
            proxy=proxy,
            limits=httpx.Limits(max_connections=1, keepalive_expiry=limits.keepalive_expiry),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; the response's headers are there when this returns."""
        connection = await self._take((request.url.scheme, request.url.host, request.url.port))
        try:
            response = await connection.send(request)
        except BaseException:
            await connection.aclose()
            raise
        body = cast("httpx.AsyncByteStream", response.stream)
        response.stream = _Body(body, self, connection)
        return response

    async def aclose(self) -> None:
        """Close the connections that wait to be used again."""
        while self._kept:
            await self._kept.pop().aclose()

    async def keep(self, connection: _Connection) -> None:
        """Keep a connection whose answer was read to its end."""
        self._kept.append(connection)
        if len(self._kept) > self._most_kept:
            await self._kept.popleft().aclose()

    async def _take(self, origin: _Origin) -> _Connection:
        """A connection for one stream; httpcore makes a new one where the kept one is old."""
        while kept := next((each for each in reversed(self._kept) if each.origin == origin), None):
            self._kept.remove(kept)
            # Mostly its end is what arrives while a connection is idle.
            if not kept.network.get_extra_info("is_readable"):
                return kept
            await kept.aclose()
        return self._connect(origin)


class _Connection(httpx.AsyncHTTPTransport):
    """A transport with one connection, for one stream at a time.

    going_away: the server takes no stream after the running one. network: httpcore's stream of
    bytes.
    """

    def __init__(self, origin: _Origin, **settings: Any) -> None:
        super().__init__(**settings)
        self.origin = origin
        self.going_away = False
        self.network: Any = None
        self._end_by: Any = None  # what h2 does at a GOAWAY

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send the request, and wait for the response's headers."""
        outer_trace, sent = request.extensions.get("trace"), False

        async def trace(event: str, info: dict[str, Any]) -> None:
            nonlocal sent
            if event == "http2.send_request_headers.started":
                self._outlive_go_away(info["stream_id"])
            elif event == "http2.send_request_headers.complete":
                sent = True
            if outer_trace is not None:
                await outer_trace(event, info)

        request.extensions = {**request.extensions, "trace": trace}
        try:
            response = await self.handle_async_request(request)
        except (httpx.LocalProtocolError, ValueError) as failure:
            if not sent:
                raise
            # httpcore takes what h2 cannot read for a mistake of the client, and reads any status.
            raise httpx.RemoteProtocolError("the server breaks the rules of HTTP/2") from failure
        self.network = response.extensions["network_stream"]
        return response

    def _outlive_go_away(self, stream: int) -> None:
        """Receive the connection's GOAWAY frames before h2 does.

        h2 shows its table of frames in no public way: tests/faults/test_hostile_http2.py tells if
        these names change. Where they have, a GOAWAY ends the running stream.
        """
        try:
            (connection,) = attrgetter("_pool.connections")(self)
            table = attrgetter("_connection._h2_state._frame_dispatch_table")(connection)
            (kind,) = (each for each in table if each.__name__ == "GoAwayFrame")
        except (AttributeError, ValueError):
            return
        self._end_by = self._end_by or table[kind]
        table[kind] = partial(self._receive_go_away, stream)

    def _receive_go_away(self, stream: int, frame: Any) -> Any:
        if frame.last_stream_id < stream:
            frame.last_stream_id = 0  # else httpcore sends the request again, which nobody records
        elif frame.error_code == 0:
            self.going_away = True
            return [], []
        return self._end_by(frame)


class _Body(httpx.AsyncByteStream):
    """The body of one response; its connection is kept if the body was read to its end."""

    def __init__(
        self, inner: httpx.AsyncByteStream, pool: UnsharedHttp2, connection: _Connection
    ) -> None:
        self._inner = inner
        self._pool = pool
        self._connection = connection
        self._whole = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._inner:
            yield data
        self._whole = True

    async def aclose(self) -> None:
        """Close the body, and its connection too if it cannot be used again."""
        connection = self._connection
        usable = self._whole and not connection.going_away
        if usable and not has_bytes_behind(self._inner, connection.network):
            await self._inner.aclose()
            await self._pool.keep(connection)
        else:
            await connection.aclose()
