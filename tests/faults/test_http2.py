"""Faults of HTTP/2 itself, frame by frame: RST_STREAM, GOAWAY and what else ends a connection."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import pytest
import trustme

from dialects import VESSELS, Dialect, dialect_of
from http_faults import PATIENT, SILENCE, TEXTS, TIMEOUTS
from invariants import check, yielded_by
from lateness import MOST_LATE, Lateness
from loopback import Request
from patience import PATIENCE
from reporting import Figure
from talking import talking
from vesselog import (
    AsyncClient,
    ConnectionFailedError,
    ProtocolError,
    Retries,
    StreamTimeoutError,
    TruncatedError,
)

BROKEN = (ConnectionFailedError,)


@dataclass
class Answer:
    """One stream of one connection; a script answers it and returns."""

    connection: h2.connection.H2Connection
    socket: ssl.SSLSocket
    stream: int
    dialect: Dialect

    @property
    def frames(self) -> list[bytes]:
        return self.dialect.frames(*TEXTS)

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
class Http2Server:
    """Answers every stream by `script`."""

    context: ssl.SSLContext
    script: Callable[[Answer], None] = Answer.whole
    failures: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        self._sockets: list[ssl.SSLSocket] = []
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
                self._speak(connection)
        except (OSError, h2.exceptions.ProtocolError):
            pass  # the client, or the script, ended it
        except BaseException as failure:  # noqa: BLE001 - told by __exit__
            self.failures.append(failure)

    def _speak(self, connection: ssl.SSLSocket) -> None:
        state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        state.initiate_connection()
        connection.sendall(state.data_to_send())
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
                    with suppress(h2.exceptions.ProtocolError):  # the connection is closed already
                        self.script(Answer(state, connection, event.stream_id, dialect))
            connection.sendall(state.data_to_send())


@pytest.fixture(scope="module")
def certificates() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For the server, and for its clients."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    server.set_alpn_protocols(["h2"])
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


@pytest.fixture
def server(certificates: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[Http2Server]:
    with Http2Server(certificates[0]) as running:
        yield running


def reset_at(count: int, code: int) -> Callable[[Answer], None]:
    def script(answer: Answer) -> None:
        if count >= 0:
            answer.some(count)
        answer.reset(code)

    return script


def end_in_a_frame(answer: Answer) -> None:
    answer.some(1)
    answer.data(answer.frames[1][:-15], end=True)


def go_away_and_cut(answer: Answer) -> None:
    answer.some(2)
    answer.go_away(h2.errors.ErrorCodes.INTERNAL_ERROR)
    answer.cut()


def cut(answer: Answer) -> None:
    answer.some(2)
    answer.cut()


def garbage(answer: Answer) -> None:
    answer.some(2)
    answer.socket.sendall(b"\x00\x00\x05\xff\xff\xff\xff\xff\xffHTTP/1.1 200 OK\r\n\r\n" * 50)


def too_large_a_frame(answer: Answer) -> None:
    answer.some(2)
    answer.socket.sendall(b"\xff\xff\xff\x00\x00" + answer.stream.to_bytes(4, "big"))
    answer.socket.sendall(bytes(1 << 20))


def data_before_headers(answer: Answer) -> None:
    answer.socket.sendall(b"\x00\x00\x02\x00\x00" + answer.stream.to_bytes(4, "big") + b"{}")


def many_pings(answer: Answer) -> None:
    for _ in range(500):
        answer.connection.ping(b"pingping")
    answer.whole()


def trailers(answer: Answer) -> None:
    answer.some(len(answer.frames))
    answer.connection.send_headers(answer.stream, [("x-checksum", "1")], end_stream=True)
    answer.flush()


FAULTS: dict[str, tuple[Callable[[Answer], None], tuple[type[Exception] | None, ...]]] = {
    **{
        f"rst-{code.name.lower().replace('_', '-')}-at-{count}": (
            reset_at(count, code),
            (*BROKEN, None) if count == 9 else BROKEN,
        )
        for code in (
            h2.errors.ErrorCodes.NO_ERROR,
            h2.errors.ErrorCodes.INTERNAL_ERROR,
            h2.errors.ErrorCodes.REFUSED_STREAM,
            h2.errors.ErrorCodes.CANCEL,
        )
        for count in (-1, 0, 1, 2, 9)
    },
    "go-away-unprocessed": (lambda answer: answer.go_away(last=0), BROKEN),
    "go-away-with-an-error": (lambda answer: answer.go_away(2), BROKEN),
    "go-away-and-cut": (go_away_and_cut, BROKEN),
    "cut": (cut, BROKEN),
    "garbage": (garbage, (*BROKEN, StreamTimeoutError)),
    "too-large-a-frame": (too_large_a_frame, (*BROKEN, StreamTimeoutError)),
    "data-before-headers": (data_before_headers, (*BROKEN, ProtocolError)),
    "end-with-headers": (lambda answer: answer.head(end=True), (TruncatedError, *BROKEN)),
    "end-in-a-frame": (end_in_a_frame, (TruncatedError, *BROKEN)),
    "silence": (lambda answer: None, (StreamTimeoutError,)),
    "silence-after-headers": (Answer.head, (StreamTimeoutError,)),
    "many-pings": (many_pings, (None,)),
    "trailers": (trailers, (None,)),
}


# The client still waits for the rest of a frame. httpcore has no way to find out that nothing will
# come (no PING of its own), and gives the connection to later streams too.
WEDGED = {"garbage", "too-large-a-frame"}


@pytest.mark.parametrize("name", FAULTS)
def test_fault(
    name: str, server: Http2Server, certificates: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """All vessels at once, over one connection; the client then goes on as if nothing had been."""
    script, verdicts = FAULTS[name]
    server.script = script
    vessels = {each.name: each.vessel(base_url=server.url) for each in VESSELS.values()}
    settings: dict[str, Any] = {
        "vessels": vessels,
        "timeouts": TIMEOUTS if StreamTimeoutError in verdicts else PATIENT,
        "retries": Retries(count=0),
        "http2": True,
        "ssl_context": certificates[1],
    }
    with talking("async", **settings) as talker:
        assert isinstance(talker.client, AsyncClient)
        streams = {each: talker.stream(f"{each}/m") for each in vessels}
        with Lateness() as lateness:
            begun = time.monotonic()
            answers = [talker.begin(stream) for stream in streams.values()]
            heard = [answer.result(PATIENCE) for answer in answers]
            took = time.monotonic() - begun
        assert took < SILENCE + MOST_LATE + lateness.seconds
        for vessel, one in zip(vessels, heard, strict=True):
            kind = None if one.error is None else type(one.error)
            assert kind in verdicts, repr(one.error)
            name_of = {None: "complete", TruncatedError: "truncated"}
            one.check(name_of.get(kind, "error"), error=kind)
            (call,) = check(one.stream.path, yielded=yielded_by(one))
            frames = VESSELS[vessel].frames(*TEXTS)
            assert b"".join(frames).startswith(b"".join(each.raw for each in call.frames()))
        server.script = Answer.whole
        for each in () if name in WEDGED else vessels:
            talker.hear(f"{each}/m", timeouts=PATIENT).check("complete")


def test_figure(figure: Figure) -> None:
    figure(f"{len(FAULTS)} HTTP/2 faults × {len(VESSELS)} vessels: one typed ending each")
