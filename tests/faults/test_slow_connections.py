"""Connections that are made a byte at a time, or never: every client's deadlines and cancel hold.

What is slow is TLS, the proxy's answer to CONNECT, or TLS behind it.
"""

from __future__ import annotations

import gc
import select
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import pytest
import trustme

from lateness import lasting
from loopback import LoopbackServer
from patience import PATIENCE
from talking import Talker, talking
from vesselog import Retries, StreamTimeoutError, Timeouts
from vesselog.vessels import OpenAI

pytestmark = [
    pytest.mark.usefixtures("nothing_left"),
    # anyio leaves the socket of a handshake that was cancelled to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SOON = 0.5  # seconds
PAUSE = 0.05  # seconds between two bytes: a handshake takes a minute and more

# The kind that `talking` knows, and what else the client is given.
CLIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "sync": ("sync", {}),
    "sync-fast": ("sync-fast", {}),
    "sync-http2": ("sync", {"http2": True}),
    "async": ("async", {}),
    "async-fast": ("fast", {}),
    "async-http2": ("async", {"http2": True}),
}


@cache
def certificates() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Of the server, and of its clients."""
    authority = trustme.CA()
    tls, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1", "models.example").configure_cert(tls)
    authority.configure_trust(trusting)
    return tls, trusting


class SlowServer:
    """Passes on what its clients say to a server, and the answers a byte at a time.

    tunnels: how the answer to CONNECT is given, if it is a proxy.
    """

    def __init__(self, port: int | None, tunnels: Callable[[SlowServer, Any], None] | None) -> None:
        self._port = port
        self._tunnels = tunnels
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.asked = threading.Event()
        self.over = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self.over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._threads:
            each.join(PATIENCE)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(PATIENCE)
            if self._tunnels is not None:
                while not connection.recv(1, socket.MSG_PEEK):
                    pass
                connection.recv(65536)
                self.asked.set()
                self._tunnels(self, connection)
            if self._port is None:
                self.asked.set()
                self._wait_for_hangup(connection)
                return
            with socket.create_connection(("127.0.0.1", self._port)) as server:
                self._pass_on(connection, server)

    def _wait_for_hangup(self, connection: socket.socket) -> None:
        while not self.over.is_set():
            ready, _, _ = select.select([connection], [], [], PAUSE)
            if ready and not connection.recv(65536):
                return

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        while not self.over.is_set():
            ready, _, _ = select.select([client], [], [], 0)
            if ready:
                data = client.recv(65536)
                if not data:
                    return
                server.sendall(data)
                self.asked.set()
            ready, _, _ = select.select([server], [], [], PAUSE)
            if ready:
                client.sendall(server.recv(1))
                self.over.wait(PAUSE)

    def drip(self, connection: socket.socket, text: bytes) -> None:
        """Send this without end, a byte at a time."""
        at = 0
        while not self.over.wait(PAUSE):
            connection.sendall(text[at % len(text) :][:1])
            at += 1


def silent(_: SlowServer, __: Any) -> None:
    """No answer to CONNECT."""


def dripping(server: SlowServer, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    server.drip(connection, b"x-slow: yes\r\n")


def at_once_open(_: SlowServer, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")


# Whether there is a server behind it, and how the answer to CONNECT is given.
WAYS: dict[str, tuple[bool, Callable[[SlowServer, Any], None] | None]] = {
    "tls-silent": (False, None),
    "tls-dripped": (True, None),
    "connect-silent": (False, silent),
    "connect-dripped": (False, dripping),
    "tls-silent-in-tunnel": (False, at_once_open),
    "tls-dripped-in-tunnel": (True, at_once_open),
}


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What is left to the garbage collector is collected within its test."""
    yield
    gc.collect()


@contextmanager
def talking_slowly(client: str, way: str, **settings: Any) -> Generator[tuple[Talker, SlowServer]]:
    behind, tunnels = WAYS[way]
    kind, more = CLIENTS[client]
    tls, trusting = certificates()
    with LoopbackServer([lambda conversation: conversation.answer("a")], tls=tls) as server:
        slow = SlowServer(server.port if behind else None, tunnels)
        try:
            with pytest.MonkeyPatch.context() as patch:
                url = f"https://127.0.0.1:{slow.port}/v1"
                if tunnels is not None:
                    patch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{slow.port}")
                    url = "https://models.example/v1"
                given = {
                    "vessels": {"far": OpenAI(base_url=url, api_key="k")},
                    "retries": Retries(count=0),
                    "ssl_context": trusting,
                    **more,
                    **settings,
                }
                with talking(kind, **given) as talker:
                    yield talker, slow
        finally:
            slow.close()


@pytest.mark.parametrize("setting", ["connect", "total", "first_chunk"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("client", CLIENTS)
def test_it_ends_at_a_deadline(client: str, setting: str, way: str) -> None:
    with talking_slowly(client, way, timeouts=Timeouts(**{setting: SOON})) as (talker, _):
        with lasting(SOON):
            heard = talker.hear("far/m")
        heard.check("error", error=StreamTimeoutError)
        assert heard.error.phase == setting


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("client", CLIENTS)
def test_it_ends_with_a_cancel(client: str, way: str) -> None:
    with talking_slowly(client, way) as (talker, slow):
        stream = talker.stream("far/m")
        future = talker.begin(stream)
        assert slow.asked.wait(PATIENCE)
        with lasting(0):
            stream.cancel()
            assert future.result(PATIENCE).outcome == "cancelled"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("client", CLIENTS)
def test_questions_and_closing_end(client: str, way: str) -> None:
    with talking_slowly(client, way, timeouts=Timeouts(total=SOON)) as (talker, _):
        with lasting(SOON), pytest.raises(StreamTimeoutError):
            talker.models("far")
        with lasting(0):
            talker.close()
