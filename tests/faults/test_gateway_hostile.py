"""Clients that no honest program is, before the gateway: it refuses them and serves the others."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from loopback import Conversation, LoopbackServer, openai_events
from patience import PATIENCE
from vesselog import AsyncClient, Retries
from vesselog.server import Gateway
from vesselog.server.guard import Guard, GuardSettings
from vesselog.server.metrics import Metrics
from vesselog.server.operations import Operations
from vesselog.server.serving import ConnectionLimits, Serving
from vesselog.vessels import OpenAI

CHAT = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}'
LIMIT = 100_000
HOST = b"Host: localhost\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST


def streamed(talk: Conversation) -> None:
    talk.stream(list(openai_events("a", "b")), "text/event-stream")


@contextmanager
def served(
    folder: Path, script: Any = streamed, *, token: str | None = None, **limits: float
) -> Iterator[tuple[Serving, LoopbackServer]]:
    body_seconds = limits.pop("body_seconds", 60.0)
    with LoopbackServer([script] * 60) as upstream:
        vessels = {"up": OpenAI(base_url=f"{upstream.url}/v1")}
        client = AsyncClient(recordings=folder, vessels=vessels, retries=Retries(count=0))
        metrics = Metrics()
        gateway = Gateway(client, vessels, environment={}, metrics=metrics)
        settings = GuardSettings(body_bytes=LIMIT, body_seconds=body_seconds, token=token)
        app = Guard(Operations(gateway, metrics.text), settings)
        server = Serving(app, "127.0.0.1", 0, limits=ConnectionLimits(**limits))  # type: ignore[arg-type]
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield server, upstream
        finally:
            server.stop()
            thread.join(PATIENCE)
        assert not thread.is_alive()


def connect(server: Serving) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)


def sent(server: Serving, data: bytes) -> bytes:
    """What the server says to these bytes until it closes."""
    with connect(server) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return read(connection)


def read(connection: socket.socket) -> bytes:
    parts: list[bytes] = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def statuses(answer: bytes) -> list[int]:
    lines = [line for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    return [int(line.split()[1]) for line in lines]


def still_serves(server: Serving) -> None:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=PATIENCE) as http:
        assert http.get("/healthz").text == "ok\n"
        answer = http.post("/v1/chat/completions", content=CHAT)
        assert (answer.status_code, answer.content) == (200, b"".join(openai_events("a", "b")))


HIDDEN = b"GET /v1/smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
SMUGGLED = {
    "length and chunks": POST
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "chunks and length": POST
    + b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n" % (5 + len(HIDDEN))
    + HIDDEN,
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}" + HIDDEN,
    "a list of lengths": POST + b"Content-Length: 2, 40\r\n\r\n{}" + HIDDEN,
    "a length with a sign": POST + b"Content-Length: +2\r\n\r\n{}" + HIDDEN,
    "a negative length": POST + b"Content-Length: -2\r\n\r\n{}" + HIDDEN,
    "a length that overflows": POST + b"Content-Length: 18446744073709551618\r\n\r\n{}" + HIDDEN,
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "two codings": POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "a vertical tab in the coding": POST
    + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "a folded header": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "a chunk size that overflows": POST
    + b"Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n"
    + HIDDEN,
    "a chunk without its line end": POST
    + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n"
    + HIDDEN,
}


def test_no_request_is_smuggled_in_another(tmp_path: Path) -> None:
    with served(tmp_path) as (server, upstream):
        for name, data in SMUGGLED.items():
            answers = statuses(sent(server, data))
            assert all(400 <= status < 500 for status in answers), (name, answers)
            assert len(answers) <= 1, (name, answers)
        still_serves(server)
        assert [each.path for each in upstream.requests] == ["/v1/chat/completions"]


MALFORMED = {
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "an empty request": b"\r\n\r\n",
    "garbage": bytes(range(256)) * 20,
    "the beginning of TLS": bytes.fromhex("16030100b8010000b40303") + bytes(100),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n",
    "another method": b"BREW /pot HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tunnel": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "another server's address": b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "a NUL in a header": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
    "a space in a name": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X y: z\r\n\r\n",
    "bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path that climbs": b"GET /../../etc/passwd HTTP/1.1\r\nHost: evil\r\n\r\n",
    "a long path": b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "one long header": POST + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
    "many headers": POST + b"".join(b"X-%d: y\r\n" % n for n in range(20_000)) + b"\r\n",
    "a body that is announced too large": POST + b"Content-Length: 999999999999\r\n\r\n{",
    "a body that grows too large": POST
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + (b"4000\r\n" + b"a" * 0x4000 + b"\r\n") * 10,
}


def test_malformed_and_oversized_requests_are_refused(tmp_path: Path) -> None:
    with served(tmp_path) as (server, upstream):
        for name, data in MALFORMED.items():
            answers = statuses(sent(server, data))
            assert all(400 <= status < 500 for status in answers), (name, answers)
        still_serves(server)
        assert len(upstream.requests) == 1


def test_an_endless_header_is_cut_off(tmp_path: Path) -> None:
    """Without waiting for its end: it would fill the memory."""
    with served(tmp_path) as (server, _), connect(server) as connection:
        connection.sendall(POST)
        filled = 0
        try:
            while filled < 50 << 20:
                connection.sendall(b"X: " + b"a" * 10_000 + b"\r\n")
                filled += 10_000
        except OSError:
            pass
        assert filled < 50 << 20
        still_serves(server)


@pytest.mark.parametrize("begun", [b"", b"POST /v1/chat", POST + b"X: y\r\n"])
def test_a_header_that_does_not_come_is_not_waited_for(tmp_path: Path, begun: bytes) -> None:
    with served(tmp_path, header_seconds=0.1) as (server, _), connect(server) as connection:
        connection.sendall(begun)
        assert read(connection) == b""
        still_serves(server)


def test_nor_is_one_after_another_request(tmp_path: Path) -> None:
    with served(tmp_path, header_seconds=0.1) as (server, _), connect(server) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        answer = b""
        while not answer.endswith(b"ok\n"):
            answer += connection.recv(65_536)
        connection.sendall(b"GET /healthz HT")
        assert read(connection) == b""


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    with served(tmp_path, body_seconds=0.1) as (server, _), connect(server) as connection:
        connection.sendall(POST + b"Content-Length: 70\r\n\r\n{")
        assert statuses(read(connection)) == [408]
        still_serves(server)


def test_a_client_that_reads_nothing_is_given_up_and_so_is_its_answer(tmp_path: Path) -> None:
    gone = threading.Event()

    def endless(talk: Conversation) -> None:
        talk.head(content_type="text/event-stream")
        (event, *_) = openai_events("a" * 5_000)
        try:
            while True:
                talk.chunk(event)
        finally:
            gone.set()

    with (
        served(tmp_path, endless, unread_seconds=0.1) as (server, _),
        connect(server) as connection,
    ):
        connection.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(CHAT) + CHAT)
        assert gone.wait(PATIENCE)
        with httpx.Client(base_url=server.url, trust_env=False, timeout=PATIENCE) as http:
            assert http.get("/healthz").text == "ok\n"


def test_many_idle_connections_do_not_keep_others_out(tmp_path: Path) -> None:
    with served(tmp_path) as (server, _):
        idle = [connect(server) for _ in range(200)]
        still_serves(server)
        for connection in idle:
            connection.close()


def test_without_the_token_not_even_the_body_is_read(tmp_path: Path) -> None:
    with (
        served(tmp_path, token="a-token-of-24-characters") as (server, upstream),
        connect(server) as connection,
    ):
        connection.sendall(POST + b"Content-Length: 70\r\n\r\n")
        assert statuses(read(connection)) == [401]
        assert upstream.requests == []
