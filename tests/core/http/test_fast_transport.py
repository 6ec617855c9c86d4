"""What the fast transport adds to httpx-aiohttp's: limits apart, silent connections, true ends."""

from __future__ import annotations

import asyncio
import gc
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trustme

from loopback import Conversation, LoopbackServer, ollama_lines, unanswering_port
from patience import PATIENCE
from vesselog import Limits
from vesselog.core.http.connection_limit import ConnectionLimit
from vesselog.core.http.fast_transport import FastTransport, _Protocol

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@asynccontextmanager
async def transport_of(**limits: Any) -> AsyncIterator[FastTransport]:
    transport = FastTransport(Limits(**limits), CONTEXT)
    try:
        yield transport
    finally:
        await transport.aclose()


def request(url: str, **extensions: Any) -> httpx.Request:
    return httpx.Request(
        "POST", f"{url}/api/chat", content=b'{"stream":true}', extensions=extensions
    )


async def first_of(body: Any) -> bytes:
    """The bytes of the next read."""
    read: list[bytes] = []
    await body.deliver(read.append)  # which returns None
    return b"".join(read)


async def body_of(response: httpx.Response) -> bytes:
    """Read as the driver reads it, and closed."""
    body = response.extensions["body"]
    data = b""

    def receive(piece: bytes) -> bool:
        nonlocal data
        data += piece
        return True

    try:
        assert await body.deliver(receive)
    finally:
        await body.aclose()
        await response.aclose()
    return data


def answer(conversation: Conversation) -> None:
    conversation.answer("Hi")


WHOLE = b"".join(ollama_lines("Hi"))


async def test_the_wait_for_a_connection_and_connecting_have_limits_of_their_own() -> None:
    limit = ConnectionLimit(1)
    with unanswering_port() as port, LoopbackServer([answer]) as server:
        async with transport_of() as transport:
            timeout = {"pool": 30.0, "connect": 0.1}
            with pytest.raises(httpx.ConnectTimeout):
                await limit.send(request(f"http://127.0.0.1:{port}", timeout=timeout), transport)
            held = await limit.send(request(server.url, timeout=timeout), transport)
            with pytest.raises(httpx.PoolTimeout):
                await limit.send(
                    request(server.url, timeout={"pool": 0.1, "connect": 30.0}), transport
                )
            assert await body_of(held) == WHOLE
            again = await limit.send(request(server.url, timeout=timeout), transport)
            assert await body_of(again) == WHOLE


async def test_no_limit_is_no_limit() -> None:
    with LoopbackServer([answer]) as server:
        async with transport_of() as transport:
            for timeout in ({}, {"pool": None, "connect": None}):
                response = await transport.handle_async_request(
                    request(server.url, timeout=timeout)
                )
                assert await body_of(response) == WHOLE


async def test_a_transport_that_takes_no_attributes_is_left_as_it_is() -> None:
    """uvloop's takes none; an error here would leave the connection unread for ever."""

    class Fixed(asyncio.Transport):
        __slots__ = ()

    transport = Fixed()
    protocol = _Protocol(asyncio.get_running_loop())
    protocol.connection_made(transport)
    assert protocol.transport is transport


async def test_it_says_that_it_may_be_cancelled_before_it_waits() -> None:
    told: list[None] = []
    with LoopbackServer([answer]) as server:
        async with transport_of() as transport:
            sent = request(server.url, cancellable=lambda: told.append(None))
            assert await body_of(await transport.handle_async_request(sent)) == WHOLE
    assert told == [None]


async def test_one_that_may_not_be_sent_takes_no_place() -> None:
    class OwnError(Exception):
        pass

    def stopped() -> None:
        raise OwnError

    limit = ConnectionLimit(1)
    with LoopbackServer([answer]) as server:
        async with transport_of() as transport:
            for _ in range(3):
                with pytest.raises(OwnError):
                    await limit.send(request(server.url, cancellable=stopped), transport)
            response = await limit.send(request(server.url), transport)
            assert await body_of(response) == WHOLE
        assert len(server.requests) == 1


async def test_a_whole_answers_connection_is_used_again() -> None:
    with LoopbackServer([answer]) as server:
        async with transport_of() as transport:
            for _ in range(3):
                response = await transport.handle_async_request(request(server.url))
                assert await body_of(response) == WHOLE
        assert (len(server.requests), server.connections) == (3, 1)


async def test_one_that_is_not_to_be_used_again_is_not() -> None:
    with LoopbackServer([answer]) as server:
        async with transport_of() as transport:
            for _ in range(3):
                response = await transport.handle_async_request(request(server.url))
                response.extensions["body"].use_no_more()
                await body_of(response)
        assert (len(server.requests), server.connections) == (3, 3)


async def test_an_answer_that_is_left_closes_its_connection() -> None:
    def falls_silent(conversation: Conversation) -> None:
        conversation.begin()
        conversation.chunk(ollama_lines("Hi")[0])
        conversation.wait_for_hangup()

    limit = ConnectionLimit(1)
    with LoopbackServer([falls_silent, answer]) as server:
        async with transport_of() as transport:
            response = await limit.send(request(server.url), transport)
            body = response.extensions["body"]
            assert await first_of(body) == ollama_lines("Hi")[0]
            await body.aclose()
            await response.aclose()
            await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0)
            response = await limit.send(request(server.url), transport)
            assert await body_of(response) == WHOLE


PLANTED = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nplanted"


@pytest.mark.parametrize("when", ["with the answer", "behind it", "and the loop is busy"])
async def test_what_a_server_sends_unasked_is_nobodys_answer(when: str) -> None:
    read = threading.Event()
    planted = threading.Event()

    def plants(conversation: Conversation) -> None:
        if when == "with the answer":
            with conversation.at_once():
                conversation.answer("Hi")
                conversation.raw(PLANTED)
        else:
            conversation.answer("Hi")
            read.wait(PATIENCE)
            conversation.raw(PLANTED)
        planted.set()

    with LoopbackServer([plants, answer]) as server:
        async with transport_of() as transport:
            response = await transport.handle_async_request(request(server.url))
            assert await body_of(response) == WHOLE
            read.set()
            if when == "and the loop is busy":  # it has come, but asyncio has not read it
                assert planted.wait(PATIENCE)
            else:
                await asyncio.to_thread(planted.wait, PATIENCE)
            response = await transport.handle_async_request(request(server.url))
            assert await body_of(response) == WHOLE
        assert (len(server.requests), server.connections) == (2, 2)


@pytest.mark.parametrize("how", ["garbage", "cut", "reset"])
async def test_a_body_that_breaks_off_is_told_at_once(how: str) -> None:
    """aiohttp alone waits for ever where the body turns out to be no HTTP."""
    read = threading.Event()

    def breaks(conversation: Conversation) -> None:
        conversation.begin()
        conversation.chunk(ollama_lines("Hi")[0])
        read.wait(PATIENCE)
        if how == "garbage":
            conversation.raw(b"no size\r\n")
            conversation.wait_for_hangup()
        else:
            getattr(conversation, how)()

    with LoopbackServer([breaks]) as server:
        async with transport_of() as transport, asyncio.timeout(PATIENCE):
            response = await transport.handle_async_request(request(server.url))
            body = response.extensions["body"]
            assert await first_of(body) == ollama_lines("Hi")[0]
            read.set()
            with pytest.raises(Exception) as caught:  # noqa: PT011 - of aiohttp, classified later
                await first_of(body)
            assert type(caught.value).__module__.startswith("aiohttp")
            await body.aclose()
            await response.aclose()


async def test_a_kept_connection_holds_nothing_of_its_answers() -> None:
    """Ten thousand answers over one connection would add up."""
    with LoopbackServer([answer]) as server:
        async with transport_of() as transport:
            for _ in range(20):
                response = await transport.handle_async_request(request(server.url))
                await body_of(response)
                protocol = response.extensions["body"]._protocol
            del response
            gc.collect()
            assert protocol.body is None
        assert server.connections == 1


async def test_two_requests_at_once_have_bodies_of_their_own() -> None:
    with LoopbackServer([lambda conversation: conversation.answer(conversation.request.path)]) as (
        server
    ):
        async with transport_of() as transport:

            async def ask(number: int) -> bytes:
                sent = httpx.Request(
                    "POST", f"{server.url}/api/{number}", content=b'{"stream":true}'
                )
                return await body_of(await transport.handle_async_request(sent))

            bodies = await asyncio.gather(*(ask(number) for number in range(10)))
        assert bodies == [b"".join(ollama_lines(f"/api/{number}")) for number in range(10)]


@pytest.fixture(scope="module")
def certified() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For a server on this machine, and for who trusts it."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return tls, trusting


def talks_on(conversation: Conversation) -> None:
    conversation.begin()
    while not conversation.server.released.wait(0.002):
        conversation.chunk(ollama_lines("on ")[0])


def deaf(conversation: Conversation) -> None:
    """Neither says nor hears any more."""
    conversation.begin()
    conversation.chunk(ollama_lines("Hi")[0])
    conversation.closed = True
    conversation.server.released.wait(PATIENCE)


async def begun(transport: FastTransport, server: LoopbackServer) -> httpx.Response:
    """An answer whose first bytes have come."""
    response = await transport.handle_async_request(request(server.url))
    assert await first_of(response.extensions["body"])
    return response


@pytest.mark.parametrize("how", ["left over tls", "left", "reset while kept"])
async def test_a_connection_that_is_lost_says_nothing_on_its_own(
    how: str, certified: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """asyncio logs what nobody retrieves."""
    tls, trusting = certified
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    read = threading.Event()

    def resets(conversation: Conversation) -> None:
        conversation.answer("Hi")
        read.wait(PATIENCE)
        conversation.reset()

    script = resets if how == "reset while kept" else talks_on
    with LoopbackServer([script], tls=tls if how.endswith("tls") else None) as server:
        transport = FastTransport(Limits(), trusting)

        async def ask() -> None:
            response = await begun(transport, server)
            if script is resets:
                await body_of(response)
                read.set()
            else:
                await response.extensions["body"].aclose()
                await response.aclose()

        await asyncio.create_task(ask())  # with a context of its own, as every stream has
        await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0)
        await transport.aclose()
        for _ in range(10):
            await asyncio.sleep(0)
        gc.collect()
    assert told == []


async def test_a_left_answer_over_tls_closes_its_socket_at_once(
    certified: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """Without the server, which may not listen, having a say in it."""
    tls, trusting = certified
    with LoopbackServer([deaf], tls=tls) as server:
        transport = FastTransport(Limits(), trusting)
        response = await begun(transport, server)
        body = response.extensions["body"]
        socket = body._protocol.transport.get_extra_info("socket")
        await body.aclose()
        await response.aclose()
        await transport.aclose()
        for _ in range(5):
            await asyncio.sleep(0)
        assert socket.fileno() == -1
