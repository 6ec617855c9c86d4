"""Connections by asyncio for httpcore: which address, and when one may be used again."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

import httpcore
import pytest

from loopback import unanswering_port
from patience import PATIENCE
from vesselog.core.client.sockets import AsyncioBackend


def listening() -> socket.socket:
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(10)
    return server


def resolved(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Let every name have these addresses."""

    async def lookup(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup)


async def test_what_is_sent_and_received():
    with listening() as server:
        stream = await AsyncioBackend().connect_tcp(*server.getsockname(), timeout=PATIENCE)
        theirs, _ = server.accept()
        with theirs:
            await stream.write(b"question", 10)
            assert theirs.recv(100) == b"question"
            theirs.sendall(b"answer")
            assert await stream.read(3, 10) == b"ans"
            assert await stream.read(100) == b"wer"
            with pytest.raises(httpcore.ReadTimeout):
                await stream.read(100, 0.01)
        assert await stream.read(100, 10) == b"", "it has closed"
        await stream.aclose()


async def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch):
    with listening() as server, socket.create_server(("127.0.0.1", 0)) as gone:
        closed = gone.getsockname()
        gone.close()
        resolved(monkeypatch, closed, server.getsockname())
        stream = await AsyncioBackend().connect_tcp("models.example", 1, timeout=PATIENCE)
        assert stream.get_extra_info("server_addr") == server.getsockname()
        await stream.aclose()


async def test_an_address_that_does_not_answer_delays_little(monkeypatch: pytest.MonkeyPatch):
    loop = asyncio.get_running_loop()
    real, tried = loop.sock_connect, []

    async def connect(sock: socket.socket, address: Any) -> None:
        tried.append(address)
        await (asyncio.Event().wait() if len(tried) == 1 else real(sock, address))

    monkeypatch.setattr(loop, "sock_connect", connect)
    with listening() as server:
        resolved(monkeypatch, ("192.0.2.1", 9), server.getsockname())
        stream = await AsyncioBackend().connect_tcp("models.example", 1, timeout=PATIENCE)
        assert tried == [("192.0.2.1", 9), server.getsockname()]
        await stream.aclose()


@pytest.mark.parametrize("turns", range(4))
async def test_a_connect_that_is_called_off_leaves_the_next_alone(
    monkeypatch: pytest.MonkeyPatch, turns: int
):
    """They share the number of a descriptor, if the first is closed as the second is made."""
    backend = AsyncioBackend()
    with listening() as server, unanswering_port() as silent:
        resolved(monkeypatch, ("127.0.0.1", silent))
        first = asyncio.create_task(backend.connect_tcp("models.example", 1))
        for _ in range(10):
            await asyncio.sleep(0)
        resolved(monkeypatch, server.getsockname())
        second = asyncio.create_task(backend.connect_tcp("models.example", 1, timeout=PATIENCE))
        for _ in range(turns):
            await asyncio.sleep(0)
        first.cancel()
        await (await second).aclose()
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_no_address_answers(monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        closed = gone.getsockname()
    resolved(monkeypatch, closed)
    with pytest.raises(httpcore.ConnectError, match="Connect call failed"):
        await AsyncioBackend().connect_tcp("models.example", 1, timeout=PATIENCE)
    resolved(monkeypatch)
    with pytest.raises(httpcore.ConnectError, match="no address"):
        await AsyncioBackend().connect_tcp("models.example", 1, timeout=PATIENCE)


async def readable(stream: httpcore.AsyncNetworkStream) -> bool:
    """Whether it is readable, once the event loop has seen what came."""
    async with asyncio.timeout(10):
        while not stream.get_extra_info("is_readable"):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)
    return True


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
async def test_a_connection_that_its_server_ended_is_not_used_again(sent: bytes):
    with listening() as server:
        stream = await AsyncioBackend().connect_tcp(*server.getsockname(), timeout=PATIENCE)
        theirs, _ = server.accept()
        assert not stream.get_extra_info("is_readable")
        if sent:
            theirs.sendall(sent)
            assert await readable(stream)
            assert await stream.read(100, 10) == sent
            assert not stream.get_extra_info("is_readable")
        theirs.close()
        assert await readable(stream)
        await stream.aclose()
        assert stream.get_extra_info("is_readable")


class Ears:
    """Hears what a connection brings."""

    def __init__(self) -> None:
        self.heard: list[bytes | str | None] = []

    def data_came(self, data: bytes) -> None:
        self.heard.append(data)

    def connection_ended(self, error: Exception | None) -> None:
        self.heard.append(error and type(error).__name__)

    async def wait_for(self, *expected: bytes | str | None) -> None:
        async with asyncio.timeout(10):
            while self.heard != list(expected):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.001)


async def test_a_listener_hears_what_came_before_it_and_what_comes():
    with listening() as server:
        stream = await AsyncioBackend().connect_tcp(*server.getsockname(), timeout=PATIENCE)
        theirs, _ = server.accept()
        theirs.sendall(b"early")
        await readable(stream)
        ears = Ears()
        stream.listen(ears)
        await ears.wait_for(b"early")
        theirs.sendall(b"more")
        await ears.wait_for(b"early", b"more")
        theirs.close()
        await ears.wait_for(b"early", b"more", None)
        late = Ears()
        stream.listen(late)
        assert late.heard == [None], "it has ended already"
        await stream.aclose()


async def test_nothing_comes_while_it_pauses():
    with listening() as server:
        stream = await AsyncioBackend().connect_tcp(*server.getsockname(), timeout=PATIENCE)
        ears = Ears()
        stream.listen(ears)
        theirs, _ = server.accept()
        with theirs:
            stream.pause()
            theirs.sendall(b"later")
            await asyncio.sleep(0.05)
            assert ears.heard == []
            stream.resume()
            await ears.wait_for(b"later")
        await stream.aclose()


async def test_what_the_server_does_not_take_ends_at_the_write_deadline():
    with listening() as server:
        stream = await AsyncioBackend().connect_tcp(*server.getsockname(), timeout=PATIENCE)
        with pytest.raises(httpcore.WriteTimeout):
            await stream.write(b"x" * 30_000_000, 0.05)
        await stream.aclose()
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"x")


async def test_a_reset_is_an_error_of_the_reader():
    with listening() as server:
        stream = await AsyncioBackend().connect_tcp(*server.getsockname(), timeout=PATIENCE)
        theirs, _ = server.accept()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        with pytest.raises(httpcore.ReadError):
            await stream.read(100, 10)
        await stream.aclose()


async def test_of_two_that_answer_in_the_same_moment_one_is_closed(
    monkeypatch: pytest.MonkeyPatch,
):
    loop = asyncio.get_running_loop()
    real, both = loop.sock_connect, asyncio.Barrier(2)

    async def connect(sock: socket.socket, address: Any) -> None:
        await real(sock, address)
        await both.wait()

    monkeypatch.setattr(loop, "sock_connect", connect)
    with listening() as first, listening() as second:
        resolved(monkeypatch, first.getsockname(), second.getsockname())
        stream = await AsyncioBackend().connect_tcp("models.example", 1, timeout=PATIENCE)
        await asyncio.sleep(0)
        chosen, other = first, second
        if stream.get_extra_info("server_addr") == second.getsockname():
            chosen, other = second, first
        with chosen.accept()[0] as taken, other.accept()[0] as left:
            left.settimeout(10)
            assert left.recv(1) == b"", "it is closed"
            await stream.write(b"question", 10)
            assert taken.recv(100) == b"question"
        await stream.aclose()


@pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="it came with Python 3.12")
async def test_the_next_address_is_tried_where_tasks_are_eager(monkeypatch: pytest.MonkeyPatch):
    asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory", None))
    await test_the_next_address_is_tried(monkeypatch)
