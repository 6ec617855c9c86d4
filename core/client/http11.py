"""The sync transport for HTTP/1.1, whose every wait a stream's alarm can end.

httpcore's hands an answer on through five generators, and lets nobody wake who waits for one of its
connections.
"""

from __future__ import annotations

import ssl
from functools import partial

import httpx

from .answer import Answer
from .bridge import as_httpx
from .parsers import H11Parser, LlhttpParser
from .places import Origin, origin_of
from .pool import Pool, SocketConnection
from .settings import Limits
from .socket_stream import SocketBackend, SocketStream

__all__ = ["Http11Transport"]


class Http11Transport(httpx.BaseTransport):
    """An httpx transport to servers that no proxy stands before. fast: answers by llhttp."""

    def __init__(self, limits: Limits, ssl_context: ssl.SSLContext, *, fast: bool = False) -> None:
        self._pool = Pool(limits)
        self._backend = SocketBackend()
        self._context = ssl_context
        self._parser = LlhttpParser if fast else H11Parser

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; return with the head of its response. Raises Interrupted, too."""
        if not isinstance(request.stream, httpx.SyncByteStream):
            raise TypeError("a sync transport takes a sync request body")
        timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
        origin = origin_of(request.url)
        connection = self._pool.take(origin, timeouts.get("pool"))
        try:
            if connection.stream is None:
                stream = self._connect(origin, timeouts.get("connect"))
                self._pool.connected(connection, stream)
            else:
                stream = connection.stream
            parser = H11Parser if request.method == "HEAD" else self._parser
            answer = Answer(stream, parser(), timeouts, partial(self._closed, connection))
            answer.send(request)
            head = answer.head()
        except BaseException:
            self._pool.drop(connection)
            raise
        return head.response(answer)

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def _connect(self, origin: Origin, timeout: float | None) -> SocketStream:
        scheme, host, port = origin
        with as_httpx():
            stream = self._backend.connect_tcp(host, port, timeout)
            if scheme == "https":
                # Each time: a client that shares the context may have said that it speaks HTTP/2.
                self._context.set_alpn_protocols(["http/1.1"])
                stream.start_tls(self._context, host, timeout)
        return stream

    def _closed(self, connection: SocketConnection, reusable: bool) -> None:  # noqa: FBT001
        if reusable:
            self._pool.keep(connection)
        else:
            self._pool.drop(connection)
