"""uvicorn's protocol for a connection, with what it does not have.

- Limits: it waits for ever for the rest of a request's header, takes any amount of what is no body
  (a header, the trailers, the header of a request that waits for another's answer), and waits
  for ever for a client that does not read.
- A request that offers another protocol (`Upgrade: h2c`, as Java's HttpClient and `curl --http2`
  send it) is answered as it is, which RFC 9110, 7.8 allows. uvicorn loses the body of such a one.
- The header of an answer is sent together with what follows it in the same iteration of the event
  loop: a write to a socket costs more than all that the server does for a piece of the body.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["ConnectionLimits", "limited_protocol"]

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain\r\ncontent-length: 29\r\nconnection: close\r\n\r\n"
    b"The request header is too big"
)
_UPGRADES = frozenset({b"http2-settings", b"upgrade"})


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits on one connection.

    header_bytes: of a request's line and header, and of what else is no body. header_seconds: for
    sending them, from the connection or from their first byte on. unread_seconds: how long
    a client may leave an answer unread that waits for it. idle_seconds: between two requests.
    """

    header_bytes: int = 64 * 1024
    header_seconds: float = 30.0
    unread_seconds: float = 300.0
    idle_seconds: int = 75


class _WithoutUpgrades(HttpToolsProtocol):
    """Reads a request that offers another protocol again, without the offer."""

    parser: Any
    _data = b""

    def data_received(self, data: bytes) -> None:
        self._data = data
        super().data_received(data)
        self._data = b""

    def _should_upgrade(self) -> bool:
        """Whether the request's header is not taken as it is: nothing of it has been used yet."""
        return bool(self.parser.should_upgrade()) and self.parser.get_method() != b"CONNECT"

    def handle_websocket_upgrade(self) -> None:
        """The parser has stopped behind the header. It reads no more; a new one goes on."""
        stopped: Any = sys.exception()
        rest = self._data[stopped.args[0] :]
        version = self.scope["http_version"].encode()
        lines = [b"%b %b HTTP/%b" % (self.scope["method"].encode(), self.url, version)]
        lines += [b"%b: %b" % each for each in self.headers if each[0] not in _UPGRADES]
        self.parser = type(self.parser)(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        super().data_received(b"\r\n".join([*lines, b"", rest]))


class _HeaderWriter:
    """The transport of an answer until its header is sent; then uvicorn gets its own back.

    A header is held until the body begins, at most until the loop's next iteration.
    """

    def __init__(self, cycle: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._cycle = cycle
        self._loop = loop
        self._transport = cycle.transport
        self._held = b""

    def write(self, data: bytes) -> None:
        if self._held:
            self._send(self._held + data)
        else:
            self._held = data
            self._loop.call_soon(self._send_held)

    def is_closing(self) -> bool:
        return bool(self._transport.is_closing())

    def close(self) -> None:
        self._send_held()
        self._transport.close()

    def _send_held(self) -> None:
        if self._held:
            self._send(self._held)

    def _send(self, data: bytes) -> None:
        self._held = b""
        self._cycle.transport = self._transport
        self._transport.write(data)


def limited_protocol(  # noqa: C901 - one class
    limits: ConnectionLimits,
) -> type[asyncio.Protocol]:
    """The protocol with these limits. None of them costs anything per message sent."""

    class Limited(_WithoutUpgrades):
        _deadline: asyncio.TimerHandle | None = None
        _unread: asyncio.TimerHandle | None = None
        _received = 0  # since the last byte of a body

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._deadline = self.loop.call_later(limits.header_seconds, transport.abort)

        def connection_lost(self, exc: Exception | None) -> None:
            self._in_time()
            self.resume_writing()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            answering = self._answering
            self._received += len(data)
            before = self.cycle
            super().data_received(data)
            if self.cycle is not before:  # the header is there
                self._in_time()
            elif self._received > limits.header_bytes:
                if answering:
                    self.transport.abort()
                else:
                    self.transport.write(_TOO_LARGE)
                    self.transport.close()
            elif not (answering or self._deadline or self.transport.is_closing()):
                self._deadline = self.loop.call_later(limits.header_seconds, self.transport.abort)

        def on_headers_complete(self) -> None:
            before: Any = self.cycle
            super().on_headers_complete()
            cycle: Any = self.cycle
            if cycle is not before:
                cycle.transport = _HeaderWriter(cycle, self.loop)

        def on_body(self, body: bytes) -> None:
            super().on_body(body)
            self._received = 0

        def pause_writing(self) -> None:
            super().pause_writing()
            self._unread = self.loop.call_later(limits.unread_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            if self._unread is not None:
                self._unread.cancel()
                self._unread = None
            super().resume_writing()

        @property
        def _answering(self) -> bool:
            cycle: Any = self.cycle  # None before the first request
            return cycle is not None and not cycle.response_complete

        def _in_time(self) -> None:
            self._received = 0
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    return Limited
