"""Places for connections: never more are taken than there are, and none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE
from talking import every_client, talking
from vesselog import Limits, StreamTimeoutError, Timeouts
from vesselog.core.http.connection_limit import ConnectionLimit


class Body(httpx.AsyncByteStream):
    def __init__(self, failure: BaseException | None = None) -> None:
        self.failure = failure

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async def aclose(self) -> None:
        if self.failure is not None:
            raise self.failure


class Answering(httpx.AsyncBaseTransport):
    """Answers every request with a body; `failure` is raised where it is closed."""

    def __init__(self, failure: BaseException | None) -> None:
        self.failure = failure

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Body(self.failure), request=request)


class Limit(ConnectionLimit):
    """One whose requests are all answered, and the answers that are still open."""

    def __init__(self, count: int, failure: BaseException | None = None) -> None:
        super().__init__(count)
        self.transport = Answering(failure)
        self.responses: list[Any] = []

    async def take(self, request: httpx.Request) -> None:
        self.responses.append(await self.send(request, self.transport))

    async def give_back(self) -> None:
        await self.responses.pop().stream.aclose()


def request(pool: float | None) -> httpx.Request:
    return httpx.Request("POST", "http://h/", extensions={"timeout": {"pool": pool}})


async def taken(limit: Limit, seconds: float | None = 0) -> bool:
    try:
        await limit.take(request(seconds))
    except httpx.PoolTimeout:
        return False
    return True


async def test_as_many_as_there_are() -> None:
    limit = Limit(2)
    assert [await taken(limit) for _ in range(3)] == [True, True, False]
    await limit.give_back()
    assert [await taken(limit) for _ in range(2)] == [True, False]


async def test_who_waits_gets_the_next_that_is_given_back() -> None:
    limit = Limit(1)
    assert await taken(limit)
    waiting = asyncio.create_task(taken(limit, None))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()
    await limit.give_back()
    assert await waiting


async def test_the_error_names_its_request() -> None:
    limit = Limit(1)
    await taken(limit)
    asked = request(0.01)
    with pytest.raises(httpx.PoolTimeout) as caught:
        await limit.take(asked)
    assert caught.value.request is asked


async def test_a_request_without_timeouts_waits() -> None:
    limit = Limit(1)
    await limit.take(httpx.Request("POST", "http://h/"))
    assert not await taken(limit)


async def test_the_wait_is_told_from_what_the_transport_does() -> None:
    """A stream's task may be cancelled in the wait, whichever transport the request goes to."""
    limit = Limit(1)
    told: list[str] = []

    @contextmanager
    def waiting() -> Generator[None]:
        told.append("waits")
        yield
        told.append("goes on")

    await taken(limit)
    asked = request(30)
    asked.extensions["waiting"] = waiting
    task = asyncio.create_task(limit.take(asked))
    await asyncio.sleep(0)
    assert told == ["waits"]
    await limit.give_back()
    await task
    assert told == ["waits", "goes on"]


async def test_a_request_that_fails_gives_its_place_back() -> None:
    class Failing(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("no", request=request)

    limit = Limit(1)
    for _ in range(3):
        with pytest.raises(httpx.ConnectError):
            await limit.send(request(0), Failing())
    assert await taken(limit)


@pytest.mark.parametrize("turns", range(4))
async def test_a_wait_that_is_cancelled_takes_no_place(turns: int) -> None:
    """Also where the place came in the very moment of the cancel."""
    limit = Limit(1)
    await taken(limit)
    waiting = asyncio.create_task(taken(limit, 30))
    for _ in range(3):
        await asyncio.sleep(0)
    await limit.give_back()
    for _ in range(turns):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    if not waiting.cancelled():
        await limit.give_back()
    assert [await taken(limit) for _ in range(2)] == [True, False]


async def test_a_body_that_is_closed_gives_its_place_back_once() -> None:
    limit = Limit(1)
    await taken(limit)
    (response,) = limit.responses
    assert [data async for data in response.stream] == [b"a", b"b"]
    assert not await taken(limit)
    for _ in range(2):
        await response.stream.aclose()
    assert [await taken(limit) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("failure", [OSError(), asyncio.CancelledError()], ids=repr)
async def test_a_body_whose_closing_fails_gives_its_place_back_too(failure: BaseException) -> None:
    limit = Limit(1, failure)
    await taken(limit)
    with pytest.raises(type(failure)):
        await limit.give_back()
    assert [await taken(limit) for _ in range(2)] == [True, False]


def answer(conversation: Conversation) -> None:
    conversation.answer("Hi", " there")


def falls_silent(conversation: Conversation) -> None:
    conversation.begin()
    conversation.chunk(ollama_lines("Hi")[0])
    conversation.wait_for_hangup()


@every_client
def test_past_the_limit_the_wait_and_its_error_name_the_setting(kind: str):
    settings: Any = {"limits": Limits(max_connections=1), "timeouts": Timeouts(pool=0.2)}
    with (
        LoopbackServer([falls_silent, answer]) as server,
        talking(kind, server, **settings) as talker,
    ):
        holder = talker.stream()
        talker.open(holder)
        heard = talker.hear().check("error", error=StreamTimeoutError)
        assert (heard.error.phase, heard.error.setting) == ("pool", "max_connections")
        assert "Limits(max_connections=" in str(heard.error)
        assert "Timeouts(pool=" in str(heard.error)
        assert len(heard.calls) == 1
        assert len(server.requests) == 1
        talker.leave(holder)
        assert talker.hear(timeouts=Timeouts(pool=10)).check("complete").text == "Hi there"


@every_client
def test_a_stream_waits_for_a_connection_and_gets_it(kind: str):
    with (
        LoopbackServer([falls_silent, answer]) as server,
        talking(kind, server, limits=Limits(max_connections=1)) as talker,
    ):
        holder = talker.stream()
        talker.open(holder)
        stream = talker.stream(timeouts=Timeouts(pool=30))
        waiting = talker.begin(stream)
        while stream.call is None:
            assert not waiting.done()
        talker.leave(holder)
        assert waiting.result(PATIENCE).check("complete").text == "Hi there"
