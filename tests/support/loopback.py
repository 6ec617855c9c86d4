"""A model server on loopback that does what a test tells it to, byte by byte.

A script is a function that gets the `Conversation` of one request and answers it. Scripts block on
events, never on time.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from patience import PATIENCE

__all__ = [
    "Conversation",
    "LoopbackServer",
    "ollama_body",
    "ollama_lines",
    "openai_body",
    "openai_events",
    "sse",
    "unanswering_port",
]


@dataclass
class Request:
    """What the client sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Hangup(Exception):  # noqa: N818 - ends a script
    """The client closed the connection."""


@dataclass
class Conversation:
    """One request and the means to answer it."""

    server: LoopbackServer
    connection: int
    request: Request
    _socket: socket.socket
    closed: bool = False
    tunnel: ssl.SSLContext | None = None
    _held: bytearray | None = None

    def head(
        self, status: int = 200, content_type: str = "application/x-ndjson", **headers: str
    ) -> None:
        """The status line and headers of a chunked answer."""
        lines = [
            f"HTTP/1.1 {status} Scripted",
            f"content-type: {content_type}",
            "transfer-encoding: chunked",
        ]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.raw(("\r\n".join(lines) + "\r\n\r\n").encode())

    def whole(
        self, body: bytes, status: int = 200, content_type: str = "application/json", **headers: str
    ) -> None:
        """An answer in one piece."""
        lines = [
            f"HTTP/1.1 {status} Scripted",
            f"content-type: {content_type}",
            f"content-length: {len(body)}",
        ]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.raw(("\r\n".join(lines) + "\r\n\r\n").encode() + body)

    def chunk(self, data: bytes) -> None:
        """One piece of a chunked body."""
        self.raw(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def end(self) -> None:
        """The clean end of a chunked body."""
        self.raw(b"0\r\n\r\n")

    def raw(self, data: bytes | bytearray) -> None:
        """Bytes as they are."""
        if self._held is not None:
            self._held += data
            return
        try:
            self._socket.sendall(data)
        except OSError:
            raise Hangup from None

    def cork(self, *pieces: bytes) -> None:
        """Send each piece by itself, all in one segment: over TLS, each is a record."""
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        for piece in pieces:
            self._socket.sendall(piece)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What is sent in this block leaves in one write: no pause of a busy machine is in it."""
        self._held = held = bytearray()
        yield
        self._held = None
        self.raw(held)

    def tunnelled(self, tls: ssl.SSLContext) -> None:
        """Answer a proxy's CONNECT, and be the server behind it: what follows is TLS."""
        self.raw(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.tunnel = tls

    def cut(self) -> None:
        """Close the connection without an end."""
        self.closed = True
        self._socket.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Close the connection by RST."""
        self.closed = True
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def wait_for_hangup(self) -> None:
        """Block until the client closes the connection."""
        self.closed = True
        try:
            while self._socket.recv(4096):
                pass
        except OSError:
            pass

    @property
    def asked_for_stream(self) -> bool:
        """What `stream` in the request says, or the dialect where it says nothing."""
        return bool(self.request.json.get("stream", "/api/" in self.request.path))

    def begin(self) -> None:
        """The headers of a streamed answer in the dialect of the request's path."""
        ollama = "/api/" in self.request.path
        self.head(content_type="application/x-ndjson" if ollama else "text/event-stream")

    def frames(self, *texts: str) -> list[bytes]:
        """The frames of a streamed answer in the dialect of the request's path."""
        return ollama_lines(*texts) if "/api/" in self.request.path else openai_events(*texts)

    def answer(self, *texts: str) -> None:
        """A good answer: a stream or a body, as asked, in the dialect of the request's path."""
        if self.asked_for_stream:
            self.begin()
            for frame in self.frames(*texts):
                self.chunk(frame)
            self.end()
        elif "/api/" in self.request.path:
            self.whole(ollama_body("".join(texts)))
        else:
            self.whole(openai_body("".join(texts)))

    def stream(self, frames: Iterable[bytes], content_type: str = "application/x-ndjson") -> None:
        """A whole chunked answer, one piece a frame."""
        self.head(content_type=content_type)
        for frame in frames:
            self.chunk(frame)
        self.end()


Script = Callable[[Conversation], None]


@dataclass
class LoopbackServer:
    """Answers each request by the next script; the last script goes on for ever."""

    scripts: list[Script]
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0
    failures: list[BaseException] = field(default_factory=list)
    reading: threading.Event | None = None
    """If there is one, nothing is read before it is set."""

    def __post_init__(self) -> None:
        self._lock = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._served = 0
        self.port = self._listener.getsockname()[1]
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        self._threads.append(thread)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.released.set()
        with suppress(OSError):  # it may have stopped already
            self.stop_listening()
        with self._lock:
            sockets = list(self._sockets)
        for each in sockets:
            _shut(each)
        for thread in self._threads:
            thread.join(PATIENCE)
        assert not self.failures, self.failures

    def stop_listening(self) -> None:
        """Refuse connections from now on."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def wait_until(self, true: Callable[[], bool]) -> None:
        """Block until the server's state is such."""
        with self._lock:
            assert self._lock.wait_for(true, PATIENCE), "the server never got there"

    def _secured(self, connection: socket.socket, tls: ssl.SSLContext) -> socket.socket:
        with self._lock:
            self._sockets.discard(connection)
        secured = tls.wrap_socket(connection, server_side=True)
        with self._lock:
            self._sockets.add(secured)
        return secured

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            self.open_connections += 1
            number = self.connections
            self._sockets.add(connection)
            self._lock.notify_all()
        readers = ExitStack()
        try:
            if self.tls is not None:
                connection = self._secured(connection, self.tls)
            reader = readers.enter_context(connection.makefile("rb"))
            if self.reading is not None:
                self.reading.wait(PATIENCE)
            while (request := _read_request(reader)) is not None:
                with self._lock:
                    script = self.scripts[min(self._served, len(self.scripts) - 1)]
                    self._served += 1
                    self.requests.append(request)
                    self._lock.notify_all()
                conversation = Conversation(self, number, request, connection)
                script(conversation)
                if conversation.closed:
                    break
                if conversation.tunnel is not None:
                    connection = self._secured(connection, conversation.tunnel)
                    reader = readers.enter_context(connection.makefile("rb"))
        except (Hangup, OSError):
            pass
        except BaseException as failure:  # noqa: BLE001 - told by __exit__
            self.failures.append(failure)
        finally:
            readers.close()
            connection.close()
            with self._lock:
                self.open_connections -= 1
                self._sockets.discard(connection)
                self._lock.notify_all()


def _read_request(reader: Any) -> Request | None:
    try:
        start = reader.readline().decode(errors="replace")
    except OSError:
        return None
    if len(start.split()) != 3 or not start.rstrip().endswith(("HTTP/1.0", "HTTP/1.1")):
        return None  # not HTTP: a client that wants TLS, say
    method, path, _version = start.split()
    headers: dict[str, str] = {}
    while line := reader.readline().decode():
        if not line.strip():
            break
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    else:
        return None  # the client left in the midst of its headers
    size = int(headers.get("content-length", 0))
    body = reader.read(size)
    if len(body) < size:
        return None
    return Request(method, path, headers, body)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def unanswering_port() -> Iterator[int]:
    """A port of this machine where connecting neither succeeds nor fails: its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port: int = listener.getsockname()[1]
        while True:
            knock = stack.enter_context(socket.socket())
            knock.setblocking(False)
            knock.connect_ex(("127.0.0.1", port))
            _, connected, _ = select.select([], [knock], [], 0.1)
            if not connected:
                break
        yield port


def ollama_lines(*texts: str, model: str = "m") -> list[bytes]:
    """The frames of an `/api/chat` answer."""
    lines: list[dict[str, Any]] = [
        {"model": model, "message": {"role": "assistant", "content": text}, "done": False}
        for text in texts
    ]
    lines.append(
        {
            "model": model,
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "stop",
            "prompt_eval_count": 3,
            "eval_count": len(texts),
            "eval_duration": 1_000_000,
            "total_duration": 2_000_000,
        }
    )
    return [json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines]


def ollama_body(text: str, model: str = "m") -> bytes:
    """An `/api/chat` answer in one piece."""
    last = json.loads(ollama_lines(*text, model=model)[-1])
    return json.dumps({**last, "message": {"role": "assistant", "content": text}}).encode()


def openai_events(*texts: str, model: str = "m") -> list[bytes]:
    """The frames of a `/chat/completions` answer."""
    head = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": model}
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": text}, None) for text in texts]
    deltas.append(({}, "stop"))
    choices = [{"index": 0, "delta": delta, "finish_reason": finish} for delta, finish in deltas]
    usage = {"prompt_tokens": 3, "completion_tokens": len(texts), "total_tokens": 3 + len(texts)}
    return sse(
        *({**head, "choices": [choice]} for choice in choices),
        {**head, "choices": [], "usage": usage},
    )


def openai_body(text: str, model: str = "m") -> bytes:
    """A `/chat/completions` answer in one piece."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    head = {"id": "c-1", "object": "chat.completion", "created": 1, "model": model}
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    return json.dumps({**head, "choices": [choice], "usage": usage}).encode()


def sse(*events: Any, done: bool = True) -> list[bytes]:
    """Server-sent events of these JSON values, with `[DONE]` behind them."""
    frames = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    return [*frames, b"data: [DONE]\n\n"] if done else frames
