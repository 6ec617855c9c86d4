"""One exchange on an HTTP/1.1 connection: request and response, by calls that wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import cast

import httpx

from .bodies import READ_BYTES
from .parsers import Head, Parser
from .socket_stream import SocketStream

__all__ = ["Answer"]


class Answer(httpx.SyncByteStream):
    """The exchange, then the response's body piece by piece.

    timeouts: seconds, under httpx's names. closed: called at the end, with whether the connection
    may carry another exchange.
    """

    def __init__(
        self,
        stream: SocketStream,
        parser: Parser,
        timeouts: Mapping[str, float | None],
        closed: Callable[[bool], None],
    ) -> None:
        self._stream = stream
        self._parser = parser
        self._timeouts = timeouts
        self._closed: Callable[[bool], None] | None = closed
        self._refused = False
        self._error: httpx.RemoteProtocolError | None = None

    def send(self, request: httpx.Request) -> None:
        """Send the request. Raises httpx.WriteTimeout and LocalProtocolError, and Interrupted."""
        parser, timeout = self._parser, self._timeouts.get("write")
        data = parser.request(request)
        try:
            for part in cast("httpx.SyncByteStream", request.stream):
                self._stream.send(data + parser.part(part), timeout, self._heard)
                data = b""
                if self._refused:
                    return  # the server takes no more, and has said why
            self._stream.send(data + parser.last(), timeout, self._heard)
        except TimeoutError as error:
            raise httpx.WriteTimeout(str(error)) from error
        except OSError:
            pass  # a server may have answered already, and closed: then the answer tells why

    def head(self) -> Head:
        """Wait for the head of the response. Raises httpx's errors and Interrupted."""
        while self._parser.head is None:
            self._read()
        return self._parser.head

    def __iter__(self) -> Iterator[bytes]:
        body = self._parser.body
        while True:
            if body:
                data = body[0] if len(body) == 1 else b"".join(body)
                body.clear()
                yield data
            elif self._parser.complete:
                return
            else:
                self._read()

    def close(self) -> None:
        """Whoever takes it has enough of it."""
        closed, self._closed = self._closed, None
        if closed is not None:
            closed(self._parser.reusable and not self._refused)

    def _heard(self, data: bytes) -> bool:
        """The server speaks before it has taken the request. Tell whether it is sent the rest."""
        self._feed(data)
        self._refused = self._parser.complete
        return not self._refused

    def _read(self) -> None:
        if self._error is not None:
            raise self._error
        try:
            data = self._stream.receive(READ_BYTES, self._timeouts.get("read"))
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpx.ReadError(str(error)) from error
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        try:
            if data:
                self._parser.feed(data)
            else:
                self._parser.end()
        except httpx.RemoteProtocolError as error:
            if not self._parser.body:
                raise
            self._error = error  # behind what came before it
