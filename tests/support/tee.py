"""A relay between a client and a server that keeps what passes, byte by byte, in both directions.

So a test knows what was really sent and what really arrived, whatever the library says.
"""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from patience import PATIENCE

__all__ = ["Tee"]


class Tee:
    """Relays connections to the server at `url`. sent, received: by the client, all together."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._upstream = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self.sent = bytearray()
        self.received = bytearray()

    @property
    def request_body(self) -> Any:
        """The JSON body of the first request."""
        _head, _, body = bytes(self.sent).partition(b"\r\n\r\n")
        return json.loads(body)

    @property
    def payload(self) -> bytes:
        """The body of the first, chunked answer, as far as it came."""
        head, _, rest = bytes(self.received).partition(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head.lower()
        payload = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            payload += rest[:length]
            rest = rest[length + 2 :]
        return payload

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for each in [self._listener, *self._sockets]:
            _end(each)
        for thread in self._threads:
            thread.join(PATIENCE)
        for each in [self._listener, *self._sockets]:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._upstream)
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets += [client, server]
            self.connections += 1
            self._start(self._relay, client, server, self.sent)
            self._start(self._relay, server, client, self.received)

    def _relay(self, source: socket.socket, target: socket.socket, kept: bytearray) -> None:
        try:
            while data := source.recv(65536):
                kept += data
                target.sendall(data)
        except OSError:
            pass  # reset by the one side: the other is told by the end
        _end(source)
        _end(target)

    def _start(self, run: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()


def _end(each: socket.socket) -> None:
    with suppress(OSError):  # it is over already
        each.shutdown(socket.SHUT_RDWR)
