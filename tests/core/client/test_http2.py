"""HTTP/2 against a real server over TLS: streams share a connection, and none harms another."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from http2_server import Http2Server, http2_server
from vesselog import (
    AsyncClient,
    Completion,
    ProviderError,
    Recording,
    Retries,
    StreamTimeoutError,
    Timeouts,
)
from vesselog.vessels.ollama import Ollama

CANCELS = int(os.environ.get("VESSELOG_TEST_CANCELS", "60"))
SEED = int(os.environ.get("VESSELOG_TEST_SEED", "20261121"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Http2Server]:
    with http2_server(tmp_path_factory.mktemp("certificates")) as running:
        yield running


def client_of(server: Http2Server, **settings: Any) -> AsyncClient:
    return AsyncClient(
        vessels={"lab": Ollama(base_url=server.url)},
        environment={},
        http2=True,
        ssl_context=server.trusting,
        **settings,
    )


def said(count: int) -> str:
    return "".join(f"{number} " for number in range(count))


def recorded_outcomes() -> list[str]:
    files = Path("recordings").iterdir()
    return [call.outcome for path in files for call in Recording(path).calls()]


async def test_a_stream_and_an_answer_in_one_piece(server: Http2Server):
    async with client_of(server) as client:
        async with client.stream("lab/m", "5") as stream:
            assert "".join([chunk.text async for chunk in stream]) == said(5)
        assert stream.outcome == "complete"
        (call,) = Recording(stream.path).calls()
        assert call.completion() == stream.completion
        assert stream.completion.model.startswith("2 at ")
        assert (await client.complete("lab/m", "1")).text == "whole"


async def test_an_error_status(server: Http2Server):
    async with client_of(server, retries=Retries(count=0)) as client:
        with pytest.raises(ProviderError) as caught:
            await client.complete("lab/m", "503")
        assert caught.value.status == 503


async def test_many_streams_share_a_connection(server: Http2Server):
    async with client_of(server) as client:

        async def listen(count: int) -> Completion:
            async with client.stream("lab/m", str(count)) as stream:
                async for _ in stream:
                    pass
            return stream.completion

        counts = range(10, 30)
        heard = await asyncio.gather(*map(listen, counts))
    assert [completion.text for completion in heard] == [said(count) for count in counts]
    assert len({completion.model for completion in heard}) == 1


async def test_large_requests_and_answers(server: Http2Server):
    async with client_of(server) as client:
        prompts = [f"{'x' * 300_000} 20" for _ in range(4)]
        completions = await asyncio.gather(*(client.complete("lab/m", each) for each in prompts))
        assert [completion.text for completion in completions] == ["whole"] * 4


@pytest.mark.parametrize(("prompt", "phase"), [("mute", "first_chunk"), ("silent", "idle")])
async def test_deadlines(server: Http2Server, prompt: str, phase: str):
    async with client_of(server) as client:

        async def listen() -> None:
            timeouts = Timeouts(**{"first_chunk": 30, phase: 0.3})
            async with client.stream("lab/m", prompt, timeouts=timeouts) as stream:
                async for _ in stream:
                    pass

        with pytest.raises(StreamTimeoutError) as caught:
            await listen()
        assert caught.value.phase == phase
        async with client.stream("lab/m", "3") as stream:
            assert "".join([chunk.text async for chunk in stream]) == said(3)


async def test_a_silent_stream_delays_none_of_its_connection(server: Http2Server):
    async with client_of(server) as client, client.stream("lab/m", "silent") as silent:
        await anext(silent)
        waiting = asyncio.create_task(anext(silent))
        async with client.stream("lab/m", "20") as stream:
            assert "".join([chunk.text async for chunk in stream]) == said(20)
        assert not waiting.done()
        silent.cancel()
        with pytest.raises(StopAsyncIteration):
            await waiting


async def left_at(client: AsyncClient) -> int:
    return int((await client.complete("lab/m", "left")).text)


@pytest.mark.parametrize("prompt", ["mute", "silent", "99"])
async def test_the_server_is_told_of_a_stream_that_is_left(server: Http2Server, prompt: str):
    async with client_of(server) as client:
        before = await left_at(client)
        stream = client.stream("lab/m", prompt)
        reading = asyncio.create_task(anext(stream))
        if prompt == "mute":
            # A round trip on the same connection: the stream's request was sent before.
            await left_at(client)
        else:
            await reading
        stream.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert stream.outcome == "cancelled"
        while await left_at(client) == before:
            pass


async def test_streams_that_are_left_use_nothing_up(server: Http2Server):
    """Neither the streams that a connection may have at once, nor its window."""
    async with client_of(server) as client:
        models: set[str] = set()
        for _ in range(120):
            async with client.stream("lab/m", "silent") as stream:
                models.add((await anext(stream)).model)
        assert (await client.complete("lab/m", "1")).text == "whole"
        assert len(models) == 1


async def test_streams_that_are_left_harm_none_of_their_connection(server: Http2Server):
    """Cancelled anywhere, twice, by break: every other stream of the connection stays whole."""
    chance = random.Random(SEED)
    async with client_of(server) as client:

        async def whole(count: int) -> None:
            async with client.stream("lab/m", str(count)) as stream:
                assert "".join([chunk.text async for chunk in stream]) == said(count)
            assert stream.outcome == "complete"

        async def left() -> None:
            async with client.stream("lab/m", "99") as stream:
                async for _ in stream:
                    pass

        async def cancelled() -> None:
            task = asyncio.create_task(left())
            if chance.random() < 0.3:
                for _ in range(chance.randrange(60)):
                    await asyncio.sleep(0)
            else:
                await asyncio.sleep(chance.random() * 0.05)
            task.cancel()
            if chance.random() < 0.5:
                await asyncio.sleep(0)
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        for _ in range(CANCELS // 10):
            await asyncio.gather(
                *(whole(chance.randrange(10, 40)) for _ in range(5)),
                *(cancelled() for _ in range(10)),
            )
    outcomes = recorded_outcomes()
    assert set(outcomes) <= {"complete", "cancelled"}
    assert outcomes.count("complete") >= CANCELS // 2


async def test_it_speaks_http_1_where_the_server_does_not_speak_2():
    """`http2=True` is an offer."""
    import ssl

    import trustme

    from loopback import LoopbackServer

    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with LoopbackServer([lambda conversation: conversation.answer("Hi")], tls=tls) as server:
        vessels = {"lab": Ollama(base_url=server.url)}
        async with AsyncClient(
            vessels=vessels, environment={}, http2=True, ssl_context=trusting
        ) as client:
            assert (await client.complete("lab/m", "hi")).text == "Hi"


async def test_a_stream_that_ends_by_an_error_in_band_leaves_nothing_behind(server: Http2Server):
    """Its connection goes on, and the server is told to stop talking."""
    async with client_of(server) as client:
        before = await left_at(client)
        with pytest.raises(ProviderError):
            await client.complete("lab/m", "fails", extra_body={"stream": True})
        while await left_at(client) == before:
            pass


async def test_a_caller_that_falls_behind_may_leave(server: Http2Server):
    """More than is read ahead is there, and the stream's task waits for its caller."""
    async with client_of(server) as client:
        before = await left_at(client)
        async with client.stream("lab/m", "flood") as stream:
            await anext(stream)
            for _ in range(20):  # round trips, in which more comes than is read ahead
                await left_at(client)
        assert stream.outcome == "cancelled"
        while await left_at(client) == before:
            pass
