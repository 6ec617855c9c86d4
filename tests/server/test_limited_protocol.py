"""What a connection may do; tests/faults/test_gateway_hostile.py tries all limits."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from patience import PATIENCE
from vesselog.server.limited_protocol import ConnectionLimits
from vesselog.server.loopback import NO_DELAY
from vesselog.server.receiving import read_body
from vesselog.server.serving import Serving


async def echo(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        body = await read_body(receive) or b""
        headers = [(b"content-length", b"%d" % len(body))]
        headers += [each for each in scope["headers"] if each[0] == b"x-own"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def silent(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        while (await receive())["type"] != "http.disconnect":
            pass


@contextmanager
def serving(
    app: Any = echo, **limits: Any
) -> Iterator[tuple[Serving, Callable[[], socket.socket]]]:
    """A server, and what connects to it."""
    server = Serving(app, "127.0.0.1", 0, limits=ConnectionLimits(**limits))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield (
            server,
            lambda: socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE),
        )
    finally:
        server.stop()
        thread.join(PATIENCE)


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_a_header_is_bounded_in_size_and_time() -> None:
    with serving(header_bytes=1_000, header_seconds=0.1) as (server, connect):
        with connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 2_000)
            assert read_all(connection).startswith(b"HTTP/1.1 431 ")
        with connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n")
            assert read_all(connection) == b""
        assert httpx.post(server.url, content=b"hi", trust_env=False).text == "hi"


OFFER = b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n"
CHUNKED = b"Transfer-Encoding: chunked"


@pytest.mark.parametrize("length", [b"Content-Length: 5", CHUNKED])
@pytest.mark.parametrize("apart", [False, True])
def test_a_request_that_offers_http2_keeps_its_body_and_its_connection(
    length: bytes, *, apart: bool
) -> None:
    """Java's HttpClient offers it with the first request of a connection."""
    body = b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n" if length == CHUNKED else b"hello"
    head = b"POST /a?b HTTP/1.1\r\nHost: localhost\r\nX-Own: 1\r\n%b%b\r\n\r\n" % (OFFER, length)
    again = b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    again += b"Content-Length: 5\r\n\r\nagain"
    with serving() as (_, connect), connect() as connection:
        connection.setsockopt(*NO_DELAY, 1)
        for part in (head, body) if apart else (head + body,):
            connection.sendall(part)
        got = b""
        while not got.endswith(b"hello"):
            got += connection.recv(65_536)
        assert b"\r\nx-own: 1\r\n" in got
        connection.sendall(again)
        assert read_all(connection).endswith(b"again")


@pytest.mark.parametrize("apart", [False, True])
def test_a_header_is_sent_with_what_follows_at_once_and_does_not_wait_for_what_does_not(
    *, apart: bool
) -> None:
    read = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            start = {"type": "http.response.start", "status": 200, "headers": []}
            await send(start)
            if apart:
                assert await asyncio.to_thread(read.wait, PATIENCE)
            for more in (True, False):
                await send({"type": "http.response.body", "body": b"hi", "more_body": more})

    with serving(app) as (_, connect), connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        got = connection.recv(65_536)
        assert got.startswith(b"HTTP/1.1 200 OK\r\n")
        assert (got.partition(b"\r\n\r\n")[2] == b"") is apart
        read.set()
        assert (got + read_all(connection)).endswith(b"\r\n2\r\nhi\r\n2\r\nhi\r\n0\r\n\r\n")


def test_a_tunnel_is_refused() -> None:
    with serving() as (_, connect), connect() as connection:
        connection.sendall(b"CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\nConnection: close\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 400 ")


HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = b"8000\r\n" + b"b" * 0x8000 + b"\r\n"


def test_a_body_may_be_larger_than_a_header() -> None:
    with serving(header_bytes=10_000) as (_, connect), connect() as connection:
        connection.sendall(HEAD + BODY * 3 + b"0\r\n\r\n")
        got = b""
        while not got.endswith(b"\r\n\r\n" + b"b" * 0x18000):
            got += connection.recv(65_536)


@pytest.mark.parametrize(
    ("app", "begin", "more"),
    [
        (echo, HEAD + BODY + b"0\r\n", b"T: %b\r\n" % (b"a" * 500)),
        (echo, HEAD + BODY + b"0\r\nT: ", b"a" * 500),
        (echo, HEAD + BODY + b"1;", b"a" * 500),
        (silent, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nX: ", b"a" * 500),
    ],
    ids=["trailers", "a trailer", "a chunk's extension", "a header behind a request that runs"],
)
def test_nothing_that_is_no_body_grows_without_end(app: Any, begin: bytes, more: bytes) -> None:
    with serving(app, header_bytes=10_000) as (_, connect), connect() as connection:
        connection.sendall(begin)
        with pytest.raises(OSError, match=r"reset|pipe"):  # noqa: PT012 - whichever comes first
            for _ in range(10_000):
                connection.sendall(more)
            read_all(connection)
