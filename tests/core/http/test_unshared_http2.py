"""HTTP/2 against a real server over TLS: a connection carries one running stream at a time."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from http2_server import Http2Server, http2_server
from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from talking import Talker, talking
from vesselog import (
    AsyncClient,
    Limits,
    ProviderError,
    Recording,
    Retries,
    StreamTimeoutError,
    Timeouts,
)
from vesselog.vessels.ollama import Ollama

CANCELS = int(os.environ.get("VESSELOG_TEST_CANCELS", "60"))
SEED = int(os.environ.get("VESSELOG_TEST_SEED", "20261121"))

BOTH = pytest.mark.parametrize("kind", ["sync", "async"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Http2Server]:
    with http2_server(tmp_path_factory.mktemp("certificates")) as running:
        yield running


def talking_http2(kind: str, server: Http2Server, **settings: Any) -> Any:
    return talking(kind, server.url, http2=True, ssl_context=server.trusting, **settings)


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


def count_of(talker: Talker, what: str) -> int:
    return int(talker.complete(messages=what).text)


def recorded_outcomes() -> list[str]:
    files = Path("recordings").iterdir()
    return [call.outcome for path in files for call in Recording(path).calls()]


def all_free(client: AsyncClient) -> bool:
    """Whether all connections that its limit allows can be had."""
    http: Any = client._http
    return http._limit._free._value == client._settings.limits.max_connections


@BOTH
def test_a_stream_and_an_answer_in_one_piece(kind: str, server: Http2Server):
    with talking_http2(kind, server) as talker:
        heard = talker.hear(messages="5").check("complete")
        assert heard.text == said(5)
        assert heard.stream.completion.model.startswith("2 at ")
        assert talker.complete(messages="1").text == "whole"


@BOTH
def test_whole_answers_use_one_connection(kind: str, server: Http2Server):
    with talking_http2(kind, server) as talker:
        models = {talker.complete(messages="1").model}
        for _ in range(5):
            models.add(talker.hear(messages="3").check("complete").stream.completion.model)
            models.add(talker.complete(messages="1").model)
        assert len(models) == 1


@BOTH
def test_streams_at_once_have_a_connection_each(kind: str, server: Http2Server):
    counts = range(30, 42)
    with talking_http2(kind, server) as talker:
        futures = [talker.begin(talker.stream(messages=str(count))) for count in counts]
        heard = [future.result(PATIENCE).check("complete") for future in futures]
        assert [each.text for each in heard] == [said(count) for count in counts]
        models = {each.stream.completion.model for each in heard}
        assert len(models) == len(counts)
        # And each of these is used again.
        futures = [talker.begin(talker.stream(messages=str(count))) for count in counts]
        heard = [future.result(PATIENCE).check("complete") for future in futures]
        assert {each.stream.completion.model for each in heard} == models


@BOTH
def test_an_error_status_is_no_reason_for_another_connection(kind: str, server: Http2Server):
    with talking_http2(kind, server, retries=Retries(count=0)) as talker:
        before = talker.complete(messages="1").model
        with pytest.raises(ProviderError) as caught:
            talker.complete(messages="503")
        assert caught.value.status == 503
        assert talker.complete(messages="1").model == before


@BOTH
def test_large_requests_and_answers(kind: str, server: Http2Server):
    with talking_http2(kind, server) as talker:
        prompts = [f"{'x' * 300_000} 20" for _ in range(4)]
        futures = [talker.begin(talker.stream(messages=prompt)) for prompt in prompts]
        for future in futures:
            assert future.result(PATIENCE).check("complete").text == said(20)
        assert talker.complete(messages=prompts[0]).text == "whole"


@BOTH
@pytest.mark.parametrize(("prompt", "phase"), [("mute", "first_chunk"), ("silent", "idle")])
def test_a_deadline_closes_the_connection_of_its_stream(
    kind: str, server: Http2Server, prompt: str, phase: str
):
    with talking_http2(kind, server) as talker:
        before = count_of(talker, "left")
        timeouts = Timeouts(**{"first_chunk": 30, phase: 0.3})
        heard = talker.hear(messages=prompt, timeouts=timeouts)
        heard.check("error", error=StreamTimeoutError)
        assert heard.error.phase == phase
        while count_of(talker, "left") == before:
            pass
        assert talker.hear(messages="3").check("complete").text == said(3)


@BOTH
@pytest.mark.parametrize("way", ["cancel", "leave", "drop"])
@pytest.mark.parametrize("prompt", ["mute", "silent", "99"])
def test_the_server_is_told_of_a_stream_that_is_left(
    kind: str, server: Http2Server, prompt: str, way: str
):
    with talking_http2(kind, server) as talker:
        left, asked = count_of(talker, "left"), count_of(talker, "asked")
        stream = talker.stream(messages=prompt)
        if prompt == "mute":
            if way == "drop":
                pytest.skip("whoever waits for it holds it")
            opening = talker.begin(stream)
        else:
            talker.open(stream)
            talker.take(stream, 1)
        while count_of(talker, "asked") == asked:
            pass
        path = stream.path
        if way == "cancel":
            stream.cancel()
        elif way == "leave":
            talker.leave(stream)
        else:
            del stream
        if prompt == "mute":
            assert opening.result(PATIENCE).outcome == "cancelled"
        while count_of(talker, "left") == left:
            pass
        (call,) = Recording(path).calls()
        assert call.outcome == ("abandoned" if way == "drop" else "cancelled")


@BOTH
def test_streams_that_are_left_use_nothing_up(kind: str, server: Http2Server):
    """Neither the connections that there may be at once, nor what the next answer needs."""
    limits = Limits(max_connections=2)
    with talking_http2(kind, server, limits=limits, timeouts=Timeouts(pool=30)) as talker:
        models = set()
        for _ in range(30):
            stream = talker.stream(messages="silent")
            talker.open(stream)
            (chunk,) = talker.take(stream, 1)
            models.add(chunk.model)
            talker.leave(stream)
        assert len(models) == 30  # none was used again
        assert talker.hear(messages="3").check("complete").text == said(3)


@BOTH
def test_past_the_limit_a_stream_waits_for_its_connection(kind: str, server: Http2Server):
    limits = Limits(max_connections=1)
    with talking_http2(kind, server, limits=limits) as talker:
        holder = talker.stream(messages="silent")
        talker.open(holder)
        heard = talker.hear(messages="3", timeouts=Timeouts(pool=0.1))
        heard.check("error", error=StreamTimeoutError)
        assert (heard.error.phase, heard.error.setting) == ("pool", "max_connections")
        stream = talker.stream(messages="3", timeouts=Timeouts(pool=60))
        waiting = talker.begin(stream)
        while stream.call is None:
            assert not waiting.done()
        talker.leave(holder)
        assert waiting.result(PATIENCE).check("complete").text == said(3)


@BOTH
def test_no_more_are_kept_than_the_limit_says(kind: str, server: Http2Server):
    with talking_http2(kind, server, limits=Limits(max_keepalive=1)) as talker:
        futures = [talker.begin(talker.stream(messages="30")) for _ in range(4)]
        models = {future.result(PATIENCE).stream.completion.model for future in futures}
        futures = [talker.begin(talker.stream(messages="30")) for _ in range(4)]
        again = {future.result(PATIENCE).stream.completion.model for future in futures}
        assert (len(models), len(again), len(models & again)) == (4, 4, 1)


@BOTH
def test_a_silent_stream_delays_no_other(kind: str, server: Http2Server):
    with talking_http2(kind, server) as talker:
        silent = talker.stream(messages="silent")
        waiting = talker.begin(silent)
        assert talker.hear(messages="20").check("complete").text == said(20)
        assert not waiting.done()
        silent.cancel()
        waiting.result(PATIENCE).check("cancelled")


async def test_streams_that_are_left_harm_no_other(server: Http2Server):
    """Cancelled anywhere, twice, by break: every other stream is whole, and no place is lost."""
    chance = random.Random(SEED)
    limits, timeouts = Limits(max_connections=16), Timeouts(pool=60)
    async with client_of(server, limits=limits, timeouts=timeouts) as client:

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
        while client._running:
            await next(iter(client._running)).finished()
        assert all_free(client)
    outcomes = recorded_outcomes()
    assert set(outcomes) <= {"complete", "cancelled"}
    assert outcomes.count("complete") >= CANCELS // 2


@BOTH
def test_it_speaks_http_1_where_the_server_does_not_speak_2(kind: str):
    """`http2=True` is an offer."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def answer(conversation: Conversation) -> None:
        conversation.answer("Hi")

    def falls_silent(conversation: Conversation) -> None:
        conversation.begin()
        conversation.chunk(conversation.frames("Hi")[0])
        conversation.wait_for_hangup()

    with (
        LoopbackServer([answer, answer, falls_silent, answer], tls=tls) as server,
        talking(kind, server, http2=True, ssl_context=trusting) as talker,
    ):
        assert talker.complete().text == "Hi"
        assert talker.hear().check("complete").text == "Hi"
        assert server.connections == 1
        stream = talker.stream()
        talker.open(stream)
        talker.leave(stream)
        server.wait_until(lambda: server.open_connections == 0)
        assert talker.hear().check("complete").text == "Hi"


@BOTH
def test_a_stream_that_ends_by_an_error_in_band_is_left(kind: str, server: Http2Server):
    """The server, which would go on for ever, is told to stop."""
    with talking_http2(kind, server) as talker:
        before = count_of(talker, "left")
        with pytest.raises(ProviderError):
            talker.complete(messages="fails", extra_body={"stream": True})
        while count_of(talker, "left") == before:
            pass


@BOTH
def test_a_caller_that_falls_behind_may_leave(kind: str, server: Http2Server):
    """More than is read ahead is there, and the stream's task waits for its caller."""
    with talking_http2(kind, server) as talker:
        before = count_of(talker, "left")
        stream = talker.stream(messages="flood")
        talker.open(stream)
        talker.take(stream, 1)
        for _ in range(20):  # round trips, in which more comes than is read ahead
            count_of(talker, "left")
        talker.leave(stream)
        assert stream.outcome == "cancelled"
        while count_of(talker, "left") == before:
            pass


@BOTH
def test_closing_the_client_closes_what_runs_and_what_is_kept(kind: str, server: Http2Server):
    with talking_http2(kind, server) as talker, talking_http2(kind, server) as watcher:
        talker.complete(messages="1")
        left = count_of(watcher, "left")
        stream = talker.stream(messages="silent")
        talker.open(stream)
        talker.take(stream, 1)
        talker.close()
        assert stream.outcome == "cancelled"
        while count_of(watcher, "left") == left:
            pass
        assert not talker.client._http._transport._kept
