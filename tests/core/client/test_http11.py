"""The sync client's own HTTP/1.1 connections, under httpx, against a server of raw bytes."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from vesselog import Client, ConfigurationError
from vesselog.core.client.http11 import Http11Transport
from vesselog.core.client.settings import Limits
from vesselog.vessels.ollama import Ollama

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"

every_parser = pytest.mark.parametrize("fast", [False, True], ids=["h11", "llhttp"])


@contextmanager
def talking(
    script: Callable[[Conversation], None], *, fast: bool, **limits: Any
) -> Iterator[tuple[httpx.Client, LoopbackServer]]:
    transport = Http11Transport(Limits(**limits), ssl.create_default_context(), fast=fast)
    with (
        LoopbackServer([script]) as server,
        httpx.Client(transport=transport, base_url=server.url, timeout=PATIENCE) as client,
    ):
        yield client, server


@every_parser
def test_a_connection_is_used_again(fast: bool):  # noqa: FBT001
    with talking(lambda conversation: conversation.raw(HELLO), fast=fast) as (client, server):
        for _ in range(3):
            response = client.get("/v1/models")
            assert (response.status_code, response.text) == (200, "hello")
            assert response.reason_phrase == "OK"
            assert response.http_version == "HTTP/1.1"
        assert {each.path for each in server.requests} == {"/v1/models"}
        assert server.open_connections == 1


@every_parser
@pytest.mark.parametrize(
    "behind", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"], ids=["closes", "says more"]
)
def test_a_connection_that_its_server_gave_up_is_not_used_again(
    fast: bool,  # noqa: FBT001
    behind: bytes,
):
    used: list[int] = []
    heard, over = threading.Event(), threading.Event()

    def gives_up(conversation: Conversation) -> None:
        used.append(conversation.connection)
        conversation.raw(HELLO)
        heard.wait(PATIENCE)
        if behind:
            conversation.raw(behind)
        else:
            conversation.cut()
        over.set()

    with talking(gives_up, fast=fast) as (client, _):
        for _ in range(2):
            assert client.get("/").text == "hello"
            heard.set()
            assert over.wait(PATIENCE)
            heard.clear()
            over.clear()
    assert len(set(used)) == 2


@every_parser
def test_the_answer_to_a_request_that_the_server_does_not_read(fast: bool):  # noqa: FBT001
    def refuses(conversation: Conversation) -> None:
        conversation.raw(b"HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nless")
        conversation.cut()

    with talking(refuses, fast=fast) as (client, _):
        response = client.post("/", content=b"x" * 200_000)
        assert (response.status_code, response.text) == (413, "less")


@every_parser
def test_a_server_that_has_answered_is_sent_no_more(fast: bool):  # noqa: FBT001
    """It would take the rest some time, or never."""
    answered: list[socket.socket] = []

    def serve(listener: socket.socket) -> None:
        for _ in range(2):
            connection, _address = listener.accept()
            connection.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nless")
            answered.append(connection)

    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield bytes(200_000)

    transport = Http11Transport(Limits(), ssl.create_default_context(), fast=fast)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        httpx.Client(transport=transport, timeout=PATIENCE) as client,
    ):
        server = threading.Thread(target=serve, args=[listener])
        server.start()
        for data in (bytes(20_000_000), pieces()):
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            response = client.post(url, content=data)
            assert (response.status_code, response.text) == (413, "less")
        server.join(PATIENCE)
        for each in answered:
            each.close()


@every_parser
def test_interim_answers_are_passed_over(fast: bool):  # noqa: FBT001
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n"
    with talking(lambda conversation: conversation.raw(hints + HELLO), fast=fast) as (client, _):
        assert client.get("/").text == "hello"


@every_parser
def test_a_large_read_is_handed_over_in_pieces(fast: bool):  # noqa: FBT001
    data = bytes(range(256)) * 512

    def floods(conversation: Conversation) -> None:
        conversation.raw(HEAD)
        conversation.chunk(data)
        conversation.end()

    with talking(floods, fast=fast) as (client, _), client.stream("GET", "/") as response:
        pieces = list(response.iter_raw())
        assert b"".join(pieces) == data
        assert max(map(len, pieces)) <= 16 * 1024


@every_parser
def test_what_came_before_an_error_is_handed_over(fast: bool):  # noqa: FBT001
    def errs(conversation: Conversation) -> None:
        conversation.raw(HEAD + b"3\r\none\r\n" + b"zz\r\n\r\n")

    heard: list[bytes] = []
    with talking(errs, fast=fast) as (client, server):
        with pytest.raises(httpx.RemoteProtocolError), client.stream("GET", "/") as response:
            heard.extend(response.iter_raw())
        assert heard == [b"one"]
        server.wait_until(lambda: server.open_connections == 0)


@every_parser
def test_silence_ends_at_the_read_deadline(fast: bool):  # noqa: FBT001
    with talking(Conversation.wait_for_hangup, fast=fast) as (client, server):
        with pytest.raises(httpx.ReadTimeout):
            client.get("/", timeout=0.05)
        server.wait_until(lambda: server.open_connections == 0)


@every_parser
def test_one_that_is_left_in_the_middle_is_closed(fast: bool):  # noqa: FBT001
    def begins(conversation: Conversation) -> None:
        conversation.raw(HEAD + b"3\r\none\r\n")
        conversation.wait_for_hangup()

    with talking(begins, fast=fast) as (client, server):
        with client.stream("GET", "/") as response:
            assert next(response.iter_raw()) == b"one"
        server.wait_until(lambda: server.open_connections == 0)


def test_fast_streams_and_records_the_same():
    def answer(conversation: Conversation) -> None:
        conversation.answer("Hi", " there")

    with LoopbackServer([answer]) as server:
        vessels = {"lab": Ollama(base_url=server.url)}
        with Client(vessels=vessels, environment={}, fast=True) as client:
            for _ in range(2):
                with client.stream("lab/m", "hi") as stream:
                    assert "".join(chunk.text for chunk in stream) == "Hi there"
                assert stream.outcome == "complete"


def test_fast_says_which_extra_it_needs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "httptools", None)
    with pytest.raises(ConfigurationError, match=r"vesselog\[fast\]") as caught:
        Client(fast=True)
    assert caught.value.setting == "fast"
