"""The async client's own HTTP/1.1 connections, under httpx, against a server of raw bytes."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from socket import SO_SNDBUF, SOL_SOCKET
from typing import Any

import httpx
import pytest
import trustme

from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from vesselog.core.client.async_http11 import AsyncHttp11Transport
from vesselog.core.client.settings import Limits

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
every_parser = pytest.mark.parametrize("fast", [False, True], ids=["h11", "llhttp"])


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@asynccontextmanager
async def talking(serve: Serve, *, fast: bool, **limits: Any) -> AsyncGenerator[httpx.AsyncClient]:
    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = AsyncHttp11Transport(Limits(**limits), ssl.create_default_context(), fast=fast)
    async with (
        server,
        asyncio.timeout(30),
        httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{port}") as client,
    ):
        yield client


async def asked(reader: asyncio.StreamReader) -> bytes:
    """The next request's head."""
    return await reader.readuntil(b"\r\n\r\n")


@asynccontextmanager
async def poured(client: httpx.AsyncClient) -> AsyncGenerator[Any]:
    """A response's way to hand its body over."""
    async with client.stream("POST", "/v1", content=b"{}") as response:
        yield response.extensions["pour"]


@every_parser
async def test_a_connection_is_used_again(fast: bool):  # noqa: FBT001
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            assert (await asked(reader)).startswith(b"GET /v1/models HTTP/1.1\r\n")
            writer.write(HELLO)

    async with talking(serve, fast=fast) as client:
        for _ in range(3):
            response = await client.get("/v1/models")
            assert (response.status_code, response.text) == (200, "hello")
            assert response.reason_phrase == "OK"
            assert response.http_version == "HTTP/1.1"
    assert connections == 1


@every_parser
@pytest.mark.parametrize(
    "behind", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"], ids=["closes", "says more"]
)
async def test_a_connection_that_its_server_gave_up_is_not_used_again(
    fast: bool,  # noqa: FBT001
    behind: bytes,
):
    connections, over = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await asked(reader)
        writer.write(HELLO)
        await asyncio.sleep(0.05)
        writer.write(behind)
        if not behind:
            writer.close()
        over.set()
        await reader.read()

    async with talking(serve, fast=fast) as client:
        for _ in range(2):
            assert (await client.get("/")).text == "hello"
            await over.wait()
            await asyncio.sleep(0.05)
            over.clear()
    assert connections == 2


@every_parser
async def test_what_ended_while_the_loop_stood_still_is_not_used_again(fast: bool):  # noqa: FBT001
    """A caller that computes between two requests: the loop has not told of the end yet."""
    ended = threading.Semaphore(0)

    def once(conversation: Conversation) -> None:
        conversation.whole(b"hello")
        conversation.cut()
        ended.release()

    transport = AsyncHttp11Transport(Limits(), ssl.create_default_context(), fast=fast)
    with LoopbackServer([once]) as server:
        async with httpx.AsyncClient(transport=transport) as client:
            for _ in range(3):
                assert (await client.post(server.url, content=b"{}")).text == "hello"
                assert ended.acquire(timeout=PATIENCE)
        assert server.connections == 3


@every_parser
async def test_a_connection_that_ends_behind_its_answer_is_not_handed_on(fast: bool):  # noqa: FBT001
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(HELLO)

    async with talking(serve, fast=fast, max_connections=1) as client:
        answers = await asyncio.gather(*(client.get("/") for _ in range(5)))
    assert {each.text for each in answers} == {"hello"}


@every_parser
async def test_the_answer_to_head_has_no_body(fast: bool):  # noqa: FBT001
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            assert (await asked(reader)).startswith(b"HEAD /")
            writer.write(HELLO[: -len(b"hello")])

    async with talking(serve, fast=fast) as client:
        for _ in range(2):
            assert (await client.head("/", timeout=10)).content == b""
    assert connections == 1


@every_parser
async def test_a_context_shared_with_a_client_that_speaks_http2(fast: bool):  # noqa: FBT001
    chosen: list[str | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chosen.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await asked(reader)
        writer.write(HELLO)
        await reader.read()
        writer.close()

    authority = trustme.CA()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    theirs.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    authority.configure_trust(ours)
    transport = AsyncHttp11Transport(Limits(), ours, fast=fast)
    ours.set_alpn_protocols(["http/1.1", "h2"])  # as httpcore does for each of its connections
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=theirs)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, asyncio.timeout(30), httpx.AsyncClient(transport=transport) as client:
        assert (await client.get(url)).text == "hello"
    assert chosen == ["http/1.1"]


@every_parser
async def test_idle_connections_expire(fast: bool):  # noqa: FBT001
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await asked(reader)
            writer.write(HELLO)

    async with talking(serve, fast=fast, keepalive_expiry=0.01) as client:
        for _ in range(2):
            await client.get("/")
            await asyncio.sleep(0.03)
    assert connections == 2


@every_parser
async def test_the_answer_to_a_request_that_the_server_does_not_read(fast: bool):  # noqa: FBT001
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nless")
        await writer.drain()
        writer.transport.close()

    async with talking(serve, fast=fast) as client:
        response = await client.post("/", content=b"x" * 200_000)
        assert (response.status_code, response.text) == (413, "less")


@every_parser
async def test_a_server_that_has_answered_is_sent_no_more(fast: bool):  # noqa: FBT001
    """It would take the rest some time, or never."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.transport.pause_reading()
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nless")
        await over.wait()

    async with talking(serve, fast=fast) as client:
        for data in (bytes(20_000_000), pieces()):
            response = await client.post("/", content=data, timeout=20)
            assert (response.status_code, response.text) == (413, "less")
        over.set()


async def pieces() -> AsyncGenerator[bytes]:
    for _ in range(100):
        yield bytes(200_000)


@every_parser
async def test_what_one_read_brings_is_handed_over_at_once(fast: bool):  # noqa: FBT001
    go_on = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(HEAD)
        await go_on.wait()
        writer.write(chunk(b"one ") + chunk(b"two ") + chunk(b"thr"))
        await asyncio.sleep(0.05)
        writer.write(chunk(b"ee") + b"0\r\n\r\n")
        await reader.read()

    heard: list[tuple[bytes, asyncio.Task[Any] | None]] = []

    def into(data: bytes) -> bool:
        heard.append((data, asyncio.current_task()))
        return True

    async with talking(serve, fast=fast) as client, poured(client) as pour:
        go_on.set()
        assert await pour(into)
        assert heard == [(b"one two thr", None), (b"ee", None)]


@every_parser
async def test_a_taker_that_wants_no_more_stops_the_server(fast: bool):  # noqa: FBT001
    sent = 0
    data = bytes(range(256)) * 256
    whole = 400 * len(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await asked(reader)
        writer.write(HEAD)
        for _ in range(400):
            writer.write(chunk(data))
            await writer.drain()
            sent += len(data)
        writer.write(b"0\r\n\r\n")
        await reader.read()

    heard = bytearray()

    def into(data: bytes) -> bool:
        heard.extend(data)
        return len(heard) > whole // 2

    async with talking(serve, fast=fast) as client, poured(client) as pour:
        assert not await pour(into)
        await asyncio.sleep(0.2)
        assert len(heard) <= sent < whole, "the rest waits in the system's buffers"
        while not await pour(into):
            pass
    assert bytes(heard) == data * 400


@every_parser
async def test_a_taker_that_takes_little_at_a_time_bounds_what_waits(fast: bool):  # noqa: FBT001
    sent = 0
    data = bytes(1024) * 256

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, len(data))
        await asked(reader)
        writer.write(HEAD)
        with suppress(ConnectionError):
            while True:
                writer.write(chunk(data))
                await writer.drain()
                sent += len(data)

    heard = 0

    def into(data: bytes) -> bool:
        nonlocal heard
        heard += len(data)
        return False

    async with talking(serve, fast=fast) as client, poured(client) as pour:
        while heard < 4_000_000:
            assert not await pour(into)
            for _ in range(10):
                await asyncio.sleep(0)
        assert sent - heard < 16_000_000, "the buffers of the system, and little more"


@every_parser
async def test_what_the_taker_raises_is_raised(fast: bool):  # noqa: FBT001
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(HEAD + chunk(b"one"))
        await reader.read()

    def into(data: bytes) -> bool:
        raise ValueError(data.decode())

    async with talking(serve, fast=fast) as client, poured(client) as pour:
        with pytest.raises(ValueError, match="one"):
            await pour(into)


@every_parser
async def test_what_came_before_an_error_is_handed_over(fast: bool):  # noqa: FBT001
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(HEAD + chunk(b"one") + b"zz\r\n\r\n")
        await reader.read()

    heard: list[bytes] = []

    async with talking(serve, fast=fast) as client, poured(client) as pour:
        with pytest.raises(httpx.RemoteProtocolError):
            await pour(lambda data: heard.append(data) is None)
    assert heard == [b"one"]


@every_parser
async def test_a_body_may_be_read_piece_by_piece_too(fast: bool):  # noqa: FBT001
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(HEAD + chunk(b"one"))
        await asyncio.sleep(0.05)
        writer.write(chunk(b"two") + b"0\r\n\r\n")
        await reader.read()

    async with talking(serve, fast=fast) as client, client.stream("GET", "/") as response:
        assert [part async for part in response.aiter_raw()] == [b"one", b"two"]


@every_parser
async def test_silence_ends_at_the_read_deadline(fast: bool):  # noqa: FBT001
    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with talking(serve, fast=fast) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/", timeout=0.05)


@every_parser
async def test_one_that_is_left_in_the_middle_is_closed(fast: bool):  # noqa: FBT001
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(HEAD + chunk(b"one"))
        with suppress(ConnectionError):
            await reader.read()
        closed.set()

    async with talking(serve, fast=fast) as client:
        async with poured(client) as pour:
            assert not await pour(lambda _: False)
        await closed.wait()


@every_parser
async def test_whoever_waits_hears_that_the_client_is_closed(fast: bool):  # noqa: FBT001
    waits = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await asked(reader)
        waits.set()
        with suppress(ConnectionError):
            await reader.read()

    async with talking(serve, fast=fast) as client:
        asking = asyncio.create_task(client.get("/", timeout=None))
        await waits.wait()
        await client.aclose()
        with pytest.raises(httpx.RemoteProtocolError):
            await asking


@every_parser
async def test_a_client_closed_while_one_connects_sends_nothing(
    fast: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
):
    connecting, go_on, over = asyncio.Event(), asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect
    heard: list[bytes] = []

    async def slowly(*where: Any) -> None:
        connecting.set()
        await go_on.wait()
        await connect(*where)

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            heard.append(await reader.read())
        over.set()

    monkeypatch.setattr(loop, "sock_connect", slowly)
    async with talking(serve, fast=fast) as client:
        asking = asyncio.create_task(client.get("/"))
        await connecting.wait()
        await client.aclose()
        go_on.set()
        with pytest.raises(httpx.ConnectError, match="closed"):
            await asking
        await over.wait()
    assert heard in ([], [b""])
