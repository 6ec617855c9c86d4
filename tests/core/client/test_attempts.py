"""A stream's attempts: which are made, what is recorded of each, and whose error is raised."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from talking import every_client, every_client_at_once, every_dialect, talking
from vesselog import (
    AsyncClient,
    ConnectionFailedError,
    Limits,
    ProviderError,
    Recording,
    RecordingError,
    Retries,
    Timeouts,
)
from vesselog.core.client import driver
from vesselog.vessels.ollama import Ollama

QUICK = Retries(backoff=0.01)


def answer(conversation: Conversation) -> None:
    conversation.answer("Hi", " there")


def status(code: int, **headers: str) -> Any:
    return lambda conversation: conversation.whole(b'{"error": "no"}', code, **headers)


@every_client
@every_dialect
def test_a_busy_server_is_asked_again_and_each_attempt_recorded(kind: str, model: str):
    scripts = [status(503), status(429), answer]
    with LoopbackServer(scripts) as server, talking(kind, server, retries=QUICK) as talker:
        heard = talker.hear(model).check("complete")
        assert heard.text == "Hi there"
        assert [call.outcome for call in heard.calls] == ["error", "error", "complete"]
        assert [call.retry_of for call in heard.calls] == [None, 1, 1]
        assert [call.error and call.error.status for call in heard.calls] == [503, 429, None]
        assert len({request.body for request in server.requests}) == 1
        assert heard.stream.call == 3
        assert talker.complete(model).outcome == "complete"


@every_client
def test_the_frames_of_attempts_that_failed_are_not_handed_out(kind: str):
    with (
        LoopbackServer([status(503), answer]) as server,
        talking(kind, server, retries=QUICK) as talker,
    ):
        stream = talker.stream()
        talker.open(stream)
        if kind.startswith("sync"):
            first = next(stream.frames())
        else:
            first = talker._loop.begin(anext(stream.frames())).result(PATIENCE)
        assert b"Hi" in first.frame.raw
        talker.leave(stream)


@every_client
def test_after_the_last_attempt_its_error_is_raised(kind: str):
    with LoopbackServer([status(503)]) as server, talking(kind, server, retries=QUICK) as talker:
        heard = talker.hear().check("error", error=ProviderError)
        assert heard.error.status == 503
        assert (heard.error.call, len(server.requests), len(heard.calls)) == (3, 3, 3)


@every_client_at_once
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(kind: str, form: str):
    """In either form; a second is the least that a date can tell."""
    begun = time.monotonic()
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=2))
    scripts = [status(429, retry_after="0.4" if form == "seconds" else date), answer]
    with LoopbackServer(scripts) as server, talking(kind, server, retries=QUICK) as talker:
        heard = talker.hear().check("complete")
        assert time.monotonic() - begun >= (0.4 if form == "seconds" else 0.9)
        assert heard.calls[0].error.status == 429


@every_client
def test_retry_after_is_capped_and_told(kind: str):
    scripts = [status(429, retry_after="86400")]
    retries = Retries(count=1, longest=0.05)
    with LoopbackServer(scripts) as server, talking(kind, server, retries=retries) as talker:
        heard = talker.hear().check("error", error=ProviderError)
        assert heard.error.retry_after == 86400.0
        assert len(server.requests) == 2


@every_client
def test_a_refused_connection_is_tried_again(kind: str):
    """Nothing was sent. The server is there by the third attempt."""
    with LoopbackServer([answer]) as server, talking(kind, server, retries=QUICK) as talker:
        server.stop_listening()
        attempts = 0

        def count(path: Any) -> int:
            return 0 if path is None else len(list(Recording(path).calls()))

        stream = talker.stream()
        heard = talker.begin(stream).result(PATIENCE)
        attempts = count(stream.path)
        heard.check("error", error=ConnectionFailedError)
        assert heard.error.phase == "connect"
        assert "is the server running?" in str(heard.error)
        assert "Connection refused" in str(heard.error)
        assert attempts == 3


@every_client
@pytest.mark.parametrize("how", ["cut", "reset"])
def test_a_server_that_dies_after_the_request_is_never_asked_again(kind: str, how: str):
    def dies(conversation: Conversation) -> None:
        getattr(conversation, how)()

    with LoopbackServer([dies]) as server, talking(kind, server, retries=QUICK) as talker:
        heard = talker.hear().check("error", error=ConnectionFailedError)
        assert heard.error.phase == "response"
        assert "is not sent again" in str(heard.error)
        assert (len(server.requests), len(heard.calls)) == (1, 1)


@every_client
def test_a_kept_connection_that_died_with_the_request_is_never_asked_again(kind: str):
    """On a connection that was good before, too."""

    def dies(conversation: Conversation) -> None:
        conversation.cut()

    with LoopbackServer([answer, dies]) as server, talking(kind, server, retries=QUICK) as talker:
        talker.hear().check("complete")
        talker.hear().check("error", error=ConnectionFailedError)
        assert len(server.requests) == 2


@every_client
def test_a_connection_that_the_server_closed_while_idle_is_not_used(kind: str):
    def answers_and_closes(conversation: Conversation) -> None:
        conversation.answer("Hi")
        conversation.cut()

    with LoopbackServer([answers_and_closes]) as server, talking(kind, server) as talker:
        for _ in range(3):
            talker.hear().check("complete")
            server.wait_until(lambda: server.open_connections == 0)
        assert len(server.requests) == server.connections == 3


@every_client
def test_a_broken_answer_is_never_asked_again(kind: str):
    def breaks(conversation: Conversation) -> None:
        conversation.begin()
        conversation.chunk(conversation.frames("Hi")[0])
        conversation.cut()

    with LoopbackServer([breaks]) as server, talking(kind, server, retries=QUICK) as talker:
        heard = talker.hear().check("error", error=ConnectionFailedError)
        assert (heard.text, heard.error.phase) == ("Hi", "body")
        assert heard.error.completion.text == "Hi"
        assert len(server.requests) == 1


@every_client
def test_no_retries_at_all(kind: str):
    with (
        LoopbackServer([status(503), answer]) as server,
        talking(kind, server, retries=Retries(count=0)) as talker,
    ):
        talker.hear().check("error", error=ProviderError)
        assert len(server.requests) == 1


@every_client_at_once
def test_the_total_is_for_each_attempt(kind: str):
    """Waiting to try again is no part of an answer that takes too long."""
    scripts = [status(503, retry_after="1.2"), answer]
    with LoopbackServer(scripts) as server, talking(kind, server, retries=QUICK) as talker:
        heard = talker.hear(timeouts=Timeouts(total=1)).check("complete")
        assert heard.text == "Hi there"


class CountingChance(random.Random):
    """Counts the numbers that are drawn."""

    drawn = 0

    def random(self) -> float:
        type(self).drawn += 1
        return 0.0


@every_client
def test_the_wait_for_the_next_attempt_is_drawn_once(kind: str, monkeypatch: pytest.MonkeyPatch):
    """However often somebody looks at the outcome and the error while it waits."""
    monkeypatch.setattr(random, "Random", CountingChance)
    monkeypatch.setattr(CountingChance, "drawn", 0)
    retries = Retries(count=1, backoff=50)
    with LoopbackServer([status(503)]) as server, talking(kind, server, retries=retries) as talker:
        stream = talker.stream()
        future = talker.begin(stream)
        server.wait_until(lambda: len(server.requests) == 1)
        while b'"end"' not in stream.path.read_bytes():
            assert not future.done()
        for _ in range(100):
            assert (stream.outcome, stream.error, stream.completion.outcome) == (None, None, None)
        stream.cancel()
        assert future.result(PATIENCE).outcome == "cancelled"
        assert CountingChance.drawn == 1


@every_client
def test_a_cancel_between_an_attempt_and_the_wait_for_the_next(
    kind: str, monkeypatch: pytest.MonkeyPatch
):
    """While the connection of the failed attempt is closed."""

    async def close(*of_the_attempt: Any) -> None:
        stream.cancel()
        await asyncio.sleep(0)
        await close_as_ever(*of_the_attempt)

    close_as_ever = driver.free_connection
    monkeypatch.setattr(driver, "free_connection", close)
    retries = Retries(count=1, backoff=50)
    with LoopbackServer([status(503)]) as server, talking(kind, server, retries=retries) as talker:
        stream = talker.stream()
        assert talker.begin(stream).result(PATIENCE).outcome == "cancelled"
        assert len(server.requests) == 1


@every_client
def test_after_the_last_attempt_none_is_drawn(kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(random, "Random", CountingChance)
    monkeypatch.setattr(CountingChance, "drawn", 0)
    retries = Retries(count=1, backoff=0.01)
    with LoopbackServer([status(503)]) as server, talking(kind, server, retries=retries) as talker:
        heard = talker.hear().check("error", error=ProviderError)
        for _ in range(100):
            assert heard.stream.outcome == "error"
            assert heard.stream.error is heard.error
        assert CountingChance.drawn == 1


@every_client
def test_a_session_that_cannot_be_opened_is_the_streams_error(kind: str, tmp_path: Any):
    with LoopbackServer([answer]) as server, talking(kind, server) as talker:
        (tmp_path / "recordings").write_text("a file where the folder should be")
        stream = talker.stream()
        heard = talker.begin(stream).result(PATIENCE)
        assert isinstance(heard.error, RecordingError)
        assert (stream.outcome, stream.error, stream.call) == ("error", heard.error, None)
        assert server.requests == []


async def test_its_delay_is_part_of_no_other_streams_time() -> None:
    """Streams that wait to try again hold no connection."""
    limits = Limits(max_connections=1)
    scripts = [status(503, retry_after="50"), answer]
    with LoopbackServer(scripts) as server:
        vessels = {"lab": Ollama(base_url=server.url)}
        async with AsyncClient(vessels=vessels, environment={}, limits=limits) as client:
            waits = asyncio.create_task(client.complete("lab/m", "hi"))
            await asyncio.to_thread(server.wait_until, lambda: len(server.requests) == 1)
            completion = await client.complete("lab/m", "hi", timeouts=Timeouts(pool=20))
            assert completion.text == "Hi there"
            assert not waits.done()
            waits.cancel()
            await asyncio.wait([waits])
