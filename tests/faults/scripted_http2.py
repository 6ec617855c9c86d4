"""An HTTP/2 server over TLS on loopback that answers each stream by a script, frame by frame."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import trustme

from dialects import Dialect, dialect_of
from http_faults import TEXTS
from loopback import Request
from patience import PATIENCE

__all__ = ["Answer", "ScriptedHttp2", "certificates", "frame", "tunnelling"]


@cache
def certificates() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For the server, and for its clients."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "models.example").configure_cert(server)
    server.set_alpn_protocols(["h2"])
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


@contextmanager
def tunnelling(url: str) -> Iterator[str]:
    """A proxy whose tunnels all lead to this server; gives its address."""
    host, port = url.removeprefix("https://").split(":")
    threads: list[threading.Thread] = []

    def run(target: Callable[..., None], *args: Any) -> None:
        threads.append(threading.Thread(target=target, args=args, daemon=True))
        threads[-1].start()

    def relay(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def serve(client: socket.socket) -> None:
        with client, socket.create_connection((host, int(port))) as behind:
            while not client.recv(65536).endswith(b"\r\n\r\n"):
                pass
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            run(relay, behind, client)
            relay(client, behind)

    def accept() -> None:
        with suppress(OSError):
            while True:
                run(serve, listener.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        run(accept)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join(PATIENCE)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """An HTTP/2 frame (RFC 9113, 4.1), legal or not."""
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
    return head + payload


@dataclass
class Answer:
    """One stream of one connection; a script answers it and returns.

    number: the connection's, from 1. heard: set by the test when the client's caller has a chunk.
    """

    connection: h2.connection.H2Connection
    socket: ssl.SSLSocket
    number: int
    heard: threading.Event
    stream: int
    dialect: Dialect

    @property
    def frames(self) -> list[bytes]:
        return self.dialect.frames(*TEXTS)

    def raw(self, *frames: bytes) -> None:
        """Send frames that the server's own state does not know of, in one write."""
        self.socket.sendall(b"".join(frames))

    def wait_until_heard(self) -> None:
        """Wait until the client's caller has had a chunk of it."""
        assert self.heard.wait(PATIENCE), "the client never got a chunk"

    def flush(self) -> None:
        self.socket.sendall(self.connection.data_to_send())

    def head(self, *, end: bool = False) -> None:
        headers = [(":status", "200"), ("content-type", self.dialect.content_type)]
        self.connection.send_headers(self.stream, headers, end_stream=end)
        self.flush()

    def data(self, data: bytes, *, end: bool = False) -> None:
        self.connection.send_data(self.stream, data, end_stream=end)
        self.flush()

    def some(self, count: int) -> None:
        self.head()
        for frame in self.frames[:count]:
            self.data(frame)

    def whole(self) -> None:
        self.some(len(self.frames))
        self.connection.end_stream(self.stream)
        self.flush()

    def reset(self, code: int) -> None:
        self.connection.reset_stream(self.stream, code)
        self.flush()

    def go_away(self, code: int = 0, *, last: int | None = None) -> None:
        self.connection.close_connection(code, last_stream_id=last)
        self.flush()

    def cut(self) -> None:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


@dataclass
class ScriptedHttp2:
    """Answers every stream by `script`.

    streams: of each request, its connection's number and its stream's. greeting: sent in place of
    the server's SETTINGS.
    """

    context: ssl.SSLContext
    script: Callable[[Answer], None] = Answer.whole
    failures: list[BaseException] = field(default_factory=list)
    streams: list[tuple[int, int]] = field(default_factory=list)
    heard: threading.Event = field(default_factory=threading.Event)
    greeting: bytes | None = None

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        self._sockets: list[ssl.SSLSocket] = []
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        assert not self.failures, self.failures

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(plain,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with self.context.wrap_socket(plain, server_side=True) as connection:
                self._sockets.append(connection)
                self._speak(connection, len(self._sockets))
        except (OSError, h2.exceptions.ProtocolError):
            pass  # the client, or the script, ended it
        except BaseException as failure:  # noqa: BLE001 - told by __exit__
            self.failures.append(failure)

    def _speak(self, connection: ssl.SSLSocket, number: int) -> None:
        state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        state.initiate_connection()
        settings = state.data_to_send()
        connection.sendall(settings if self.greeting is None else self.greeting)
        paths: dict[int, str] = {}
        while data := connection.recv(65536):
            for event in state.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    headers = {bytes(name): bytes(value) for name, value in event.headers}
                    paths[event.stream_id] = headers[b":path"].decode()
                elif isinstance(event, h2.events.DataReceived):
                    state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    dialect = dialect_of(Request("POST", paths[event.stream_id], {}, b""))
                    stream = event.stream_id
                    self.streams.append((number, stream))
                    with suppress(h2.exceptions.ProtocolError):  # the connection is closed already
                        self.script(Answer(state, connection, number, self.heard, stream, dialect))
            connection.sendall(state.data_to_send())
