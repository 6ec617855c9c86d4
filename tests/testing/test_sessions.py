"""`recording` and `replaying`, sync and async, over a scripted model server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loopback import Conversation, LoopbackServer
from vesselog import (
    ConfigurationError,
    ProviderError,
    Recording,
    RecordingError,
    ReplayMissError,
    SessionNameError,
    verify,
)
from vesselog.testing import recording, replaying

FILE = Path("answers.jsonl")


def model(conversation: Conversation) -> None:
    conversation.answer("Scattered ", "light.")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    with LoopbackServer([model] * 3) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        yield server


def ask(question: str = "Why?", **settings: object) -> str:
    with replaying(FILE, **settings) as client:  # type: ignore[arg-type]
        return client.complete("ollama/m", question).text


@pytest.fixture
def recorded(server: LoopbackServer) -> None:
    with recording(FILE) as client:
        client.complete("ollama/m", "Why?")


def test_what_was_recorded_is_replayed_chunk_for_chunk(server: LoopbackServer) -> None:
    with recording(FILE) as client, client.stream("ollama/m", "Why?") as stream:
        live = list(stream)
    with replaying(FILE) as client, client.stream("ollama/m", "Why?") as stream:
        replayed = list(stream)
    assert [chunk.text for chunk in live[:2]] == ["Scattered ", "light."]
    assert replayed == live
    assert len(server.requests) == 1


async def test_both_are_async_too(server: LoopbackServer) -> None:
    async with recording(FILE) as client:
        live = await client.complete("ollama/m", "Why?")
    async with replaying(FILE) as client:
        replayed = await client.complete("ollama/m", "Why?")
    assert (replayed.text, replayed.metrics) == (live.text, live.metrics)
    with pytest.raises(AssertionError, match="not asked for"):
        async with replaying(FILE):
            pass


def test_all_sessions_of_a_block_are_in_one_sound_file(server: LoopbackServer) -> None:
    with recording(FILE) as client:
        for session in ("one", "two", "one"):
            client.complete("ollama/m", "Why?", session=session)
    assert [call.number for call in Recording(FILE).calls()] == [1, 2, 3]
    assert [(f.severity, f.kind) for f in verify(FILE).findings] == []
    with replaying(FILE) as client:
        for session in ("one", "two", "one"):
            client.complete("ollama/m", "Why?", session=session)
        assert len(client.recording("one").messages()) == 2
        assert len(list(client.recording("one").calls())) == 2


def test_a_failing_block_keeps_what_was_recorded(server: LoopbackServer) -> None:
    with pytest.raises(ZeroDivisionError), recording(FILE) as client:  # noqa: PT012
        client.complete("ollama/m", "Why?")
        raise ZeroDivisionError
    assert len(list(Recording(FILE).calls())) == 1


def test_a_block_without_calls_leaves_the_file_alone(recorded: None) -> None:
    before = FILE.read_bytes()
    with recording(FILE):
        pass
    assert FILE.read_bytes() == before


def test_a_miss_shows_the_nearest_request_and_both_values(recorded: None) -> None:
    with pytest.raises(ReplayMissError) as raised:
        ask("Why not?")
    assert str(raised.value) == (
        "POST /api/chat is not what was recorded; the nearest is call 1 of answers.jsonl, and it "
        'differs:\n  body.messages[0].content\n    recorded: "Why?"\n    asked:    "Why not?"'
    )


def test_a_miss_that_the_code_hides_fails_the_block(recorded: None) -> None:
    with pytest.raises(AssertionError, match="changed") as raised, replaying(FILE) as it:  # noqa: PT012
        it.complete("ollama/m", "Why?")
        with pytest.raises(ReplayMissError, match="is asked for once more"):
            it.complete("ollama/m", "Why?")
    assert "recorded once in answers.jsonl" in str(raised.value)


def test_what_is_not_asked_for_fails_the_block_unless_allowed(recorded: None) -> None:
    with pytest.raises(AssertionError, match=r"not asked for:\ncall 1: POST http"), replaying(FILE):
        pass
    with replaying(FILE, leftover=True):
        pass


def test_a_failing_block_fails_with_its_own_error(recorded: None) -> None:
    with pytest.raises(ZeroDivisionError), replaying(FILE):
        raise ZeroDivisionError


def test_an_answer_is_repeated_where_that_is_asked_for(recorded: None) -> None:
    with replaying(FILE, repeat=True) as client:
        assert {client.complete("ollama/m", "Why?").text for _ in range(3)} == {"Scattered light."}


def test_questions_for_models_are_answered_by_what_was_asked(recorded: None) -> None:
    with replaying(FILE) as client:
        assert [model.name for model in client.models("ollama")] == ["m"]
        client.complete("ollama/m", "Why?")


def test_a_provider_error_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(conversation: Conversation) -> None:
        conversation.whole(b'{"error": "no such model"}', status=404)

    with LoopbackServer([refuse]) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        with recording(FILE) as client, pytest.raises(ProviderError):
            client.complete("ollama/m", "Why?")
    with pytest.raises(ProviderError, match="no such model") as raised:
        ask()
    assert raised.value.status == 404


def test_a_secret_is_refused_with_its_place_and_never_shown(server: LoopbackServer) -> None:
    secret = "sk-" + "a1" * 20
    with pytest.raises(RecordingError) as raised, recording(FILE) as client:
        client.complete("ollama/m", f"My key is {secret}")
    assert "call 1, request body.messages[0].content: an API key" in str(raised.value)
    assert secret not in str(raised.value)
    assert not FILE.exists()
    with recording(FILE, scrub=[r"sk-\w+"]) as client:
        client.complete("ollama/m", f"My key is {secret}")
    assert secret not in FILE.read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "error"), [("a.json", ConfigurationError), ("a b.jsonl", SessionNameError)]
)
def test_a_name_that_no_recording_has_is_refused(name: str, error: type[Exception]) -> None:
    for use in (recording, replaying):
        with pytest.raises(error):
            use(name)
