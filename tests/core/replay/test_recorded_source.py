"""Replaying: the same requests get the recorded answers, and nothing is sent or written."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE
from talking import Talker, every_client, talking
from vesselog import (
    AsyncClient,
    ClientStateError,
    ProviderError,
    RecordingError,
    ReplayMissError,
    Retries,
    StreamChunk,
    TruncatedError,
)
from vesselog.core.replay import recorded_requests
from vesselog.core.replay.answer_index import AnswerIndex
from vesselog.core.truth import recording
from vesselog.core.truth.scan import ScannedLine, scan
from vesselog.vessels import Ollama

LAB = {"lab": Ollama(base_url="http://127.0.0.1:9")}
BOTH = pytest.mark.parametrize("kind", ["sync", "async"])


def answer(conversation: Conversation) -> None:
    conversation.answer("Hi", " there")


def cut(conversation: Conversation) -> None:
    conversation.stream(ollama_lines("Hi")[:1])


def refuses(conversation: Conversation) -> None:
    conversation.whole(b'{"error": "no such model"}', 404)


def record(kind: str, *scripts: Any, ask: Any = None) -> Any:
    """What is asked of a real server; what came of it. The server is gone afterwards."""
    with (
        LoopbackServer(list(scripts)) as server,
        talking(kind, server, recordings="recorded", retries=Retries(count=0)) as talker,
    ):
        return [(ask or Talker.hear)(talker) for _ in scripts]


def replaying(kind: str) -> Any:
    return talking(kind, "http://127.0.0.1:9", replay="recorded")


@BOTH
def test_a_stream_is_what_it_was(kind: str) -> None:
    (recorded,) = record(kind, answer)
    with replaying(kind) as talker:
        heard = talker.hear()
        assert (heard.error, heard.outcome) == (None, "complete")
        assert heard.chunks == recorded.chunks
        assert heard.stream.completion == recorded.stream.completion
        assert (heard.stream.path, heard.stream.call) == (recorded.stream.path, 1)
        assert heard.stream.session == recorded.stream.session
    assert not Path("recordings").exists()


@BOTH
def test_an_answer_in_one_piece_is_what_it_was(kind: str) -> None:
    (recorded,) = record(kind, answer, ask=Talker.complete)
    with replaying(kind) as talker:
        assert talker.complete() == recorded


@BOTH
@pytest.mark.parametrize(
    ("script", "outcome", "error"),
    [(cut, "truncated", TruncatedError), (refuses, "error", ProviderError)],
)
def test_what_went_wrong_goes_wrong_again(
    kind: str, script: Any, outcome: str, error: type[Exception]
) -> None:
    (recorded,) = record(kind, script)
    with replaying(kind) as talker:
        heard = talker.hear()
        assert type(heard.error) is error
        assert str(heard.error) == str(recorded.error)
        assert (heard.outcome, heard.text) == (outcome, recorded.text)
        assert heard.error.completion.text == recorded.text


@BOTH
def test_a_request_that_was_never_recorded_is_a_miss_of_no_recordings_fault(kind: str) -> None:
    record(kind, answer)
    with replaying(kind) as talker:
        heard = talker.hear(messages="something else")
        assert type(heard.error) is ReplayMissError
        with pytest.raises(ReplayMissError):
            talker.complete(messages="something else")


@BOTH
def test_it_is_left_and_cancelled_as_a_live_one(kind: str) -> None:
    record(kind, answer, answer, answer)
    with replaying(kind) as talker:
        stream = talker.stream()
        talker.open(stream)
        (chunk,) = talker.take(stream, 1)
        talker.leave(stream)
        assert (chunk.text, stream.outcome) == ("Hi", "cancelled")
        stream = talker.stream()
        heard = talker.begin(stream, lambda chunk: stream.cancel()).result(PATIENCE)
        assert (heard.error, heard.text, heard.outcome) == (None, "Hi", "cancelled")
        heard = talker.hear()
        heard.stream.cancel()
        assert heard.outcome == "complete"


@BOTH
def test_it_is_entered_and_iterated_once(kind: str) -> None:
    record(kind, answer)
    with replaying(kind) as talker:
        stream = talker.stream()
        assert talker.begin(stream).result(PATIENCE).text == "Hi there"
        heard = talker.begin(stream).result(PATIENCE)
        assert type(heard.error) is ClientStateError


@BOTH
def test_a_closed_client_replays_nothing(kind: str) -> None:
    record(kind, answer)
    with replaying(kind) as talker:
        talker.close()
        with pytest.raises(ClientStateError):
            talker.stream()


def test_the_sync_client_needs_no_thread() -> None:
    record("sync", answer)
    with replaying("sync") as talker:
        assert talker.hear().text == "Hi there"
        assert talker.client._thread is None


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Reading a recording says that it begins, and waits until it is let go on."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(path: Path, **more: Any) -> Iterator[ScannedLine]:
        begun.set()
        assert go_on.wait(PATIENCE)
        return scan(path, **more)

    for module in (recorded_requests, recording):
        monkeypatch.setattr(module, "scan", slow)
    return begun, go_on


async def test_the_event_loop_runs_while_an_answer_is_looked_for(
    held: tuple[threading.Event, threading.Event],
) -> None:
    """Reading goes on only because another task runs meanwhile."""
    begun, go_on = held
    await asyncio.to_thread(record, "sync", answer)
    begun.clear()
    go_on.clear()
    async with AsyncClient(replay="recorded", vessels=LAB, environment={}) as client:
        asked = asyncio.create_task(client.complete("lab/m", "hi"))
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        assert not asked.done()
        go_on.set()
        assert (await asked).text == "Hi there"


async def test_equal_requests_get_their_answers_in_the_order_they_asked() -> None:
    scripts = [lambda talk, text=str(number): talk.answer(text) for number in range(20)]
    await asyncio.to_thread(record, "sync", *scripts)
    async with AsyncClient(replay="recorded", vessels=LAB, environment={}) as client:
        answers = await asyncio.gather(*(client.complete("lab/m", "hi") for _ in scripts))
    assert [each.text for each in answers] == [str(number) for number in range(20)]


@pytest.mark.parametrize("how", ["cancel", "task"])
async def test_a_stream_that_is_left_stops_looking(
    how: str, held: tuple[threading.Event, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = held
    await asyncio.to_thread(record, "sync", answer)
    begun.clear()
    go_on.clear()
    given: list[object] = []
    monkeypatch.setattr(AnswerIndex, "answer", lambda *asked: given.append(asked))
    async with AsyncClient(replay="recorded", vessels=LAB, environment={}) as client:
        stream = client.stream("lab/m", "hi")

        async def read() -> list[StreamChunk]:
            async with stream:
                return [chunk async for chunk in stream]

        task = asyncio.create_task(read())
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        if how == "cancel":
            stream.cancel()
            go_on.set()
            assert await task == []
        else:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            go_on.set()
        assert stream.outcome == "cancelled"
    await asyncio.get_running_loop().shutdown_default_executor()  # waits for the thread
    assert not given


@BOTH
def test_a_stream_without_an_answer_says_why(kind: str) -> None:
    record(kind, answer)
    with replaying(kind) as talker:
        heard = talker.hear(messages="never asked")
        assert isinstance(heard.error, ReplayMissError)
        assert (heard.stream.outcome, heard.stream.error) == ("error", heard.error)


@every_client
def test_a_stream_whose_session_cannot_be_opened_says_why(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with (
        LoopbackServer([answer]) as server,
        talking(kind, server, recordings=folder) as talker,
    ):
        folder.write_text("in the way")
        heard = talker.hear()
        assert isinstance(heard.error, RecordingError)
        assert (heard.stream.outcome, heard.stream.error) == ("error", heard.error)
        assert not server.requests
