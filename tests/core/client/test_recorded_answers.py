"""Replaying: the same requests get the recorded answers, and nothing is sent or written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE
from talking import Talker, talking
from vesselog import ClientStateError, ProviderError, ReplayMissError, Retries, TruncatedError

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
