"""An application at an address; tests/faults/test_gateway_hostile.py tries all limits."""

from __future__ import annotations

import gc
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from patience import PATIENCE
from vesselog import ConfigurationError
from vesselog.server.serving import Serving


async def hello(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})
        await send({"type": "http.response.body", "body": b"hello"})


@contextmanager
def running(server: Serving) -> Iterator[Serving]:
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(PATIENCE)
    assert not thread.is_alive()


def answer_to(server: Serving, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_any_free_port_is_told_and_only_the_applications_headers_are_sent() -> None:
    with running(Serving(hello, "127.0.0.1", 0)) as server:
        answer = httpx.get(server.url, trust_env=False)
    assert answer.text == "hello"
    assert answer.headers.keys() == {"x-own", "transfer-encoding"}


@pytest.mark.parametrize(
    ("host", "url"), [("127.0.0.1", "http://127.0.0.1:{}"), ("0.0.0.0", "http://127.0.0.1:{}")]
)
def test_the_url_is_one_that_this_machine_reaches(host: str, url: str) -> None:
    with running(Serving(hello, host, 0)) as server:
        assert server.url == url.format(server.port)


def refusal(host: str, port: int) -> str:
    """Why nothing can be served there. uvicorn leaves the socket to the garbage collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            Serving(hello, host, port)
        except ConfigurationError as error:
            told = error.message
        else:
            told = ""
        gc.collect()
    return told


def test_an_address_that_cannot_be_used_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port}: Address already in use; choose another port" in refusal(
            "127.0.0.1", port
        )
    assert "cannot listen at 192.0.2.1:0: " in refusal("192.0.2.1", 0)


def test_what_is_to_end_is_ended_before_connections_are() -> None:
    ended: list[bool] = []

    async def end() -> None:
        ended.append(True)

    with running(Serving(hello, "127.0.0.1", 0, before_end=end)) as server:
        assert httpx.get(server.url, trust_env=False).text == "hello"
        assert not ended
    assert ended == [True]
