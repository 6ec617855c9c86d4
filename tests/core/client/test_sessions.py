"""A client's sessions: found by name, listed and deleted, in both clients alike."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE
from sessions import record
from talking import Talker, talking
from vesselog import (
    AsyncClient,
    Client,
    ConfigurationError,
    Recording,
    RecordingError,
    RecordingLockedError,
    SessionNameError,
    SessionSummary,
)
from vesselog.core.truth import session_list

BOTH = pytest.mark.parametrize("kind", ["sync", "async"])


def sessions(talker: Talker) -> list[SessionSummary]:
    if isinstance(talker.client, Client):
        return list(talker.client.sessions())

    async def listed() -> list[SessionSummary]:
        return [each async for each in talker.client.sessions()]

    return talker._call(listed)  # type: ignore[no-any-return]


def delete(talker: Talker, name: str) -> None:
    talker._call(lambda: talker.client.delete(name))


@BOTH
def test_a_session_is_read_listed_and_deleted_by_its_name(kind: str) -> None:
    scripts: list[Any] = [lambda talk: talk.answer("Hi"), lambda talk: talk.answer("there")]
    with (
        LoopbackServer(scripts) as server,
        talking(kind, server, recordings="chats") as talker,
    ):
        assert sessions(talker) == []
        for name in ("one", "two"):
            talker.hear(session=name)
        listed = sessions(talker)
        assert [each.name for each in listed] == ["two", "one"]
        assert [(each.calls, each.outcome, each.running) for each in listed] == [
            (1, "complete", False)
        ] * 2
        recording = talker.client.recording("one")
        assert isinstance(recording, Recording)
        assert recording.session == "one"
        (call,) = recording.calls()
        assert call.completion().text == "Hi"
        delete(talker, "one")
        assert [each.name for each in sessions(talker)] == ["two"]
        for absent in (talker.client.recording, lambda name: delete(talker, name)):
            with pytest.raises(RecordingError, match="there is no recording"):
                absent("one")
            with pytest.raises(SessionNameError):
                absent("../one")


@BOTH
def test_a_session_that_is_written_can_be_read_but_not_deleted(kind: str) -> None:
    def begins(talk: Conversation) -> None:
        talk.head()
        talk.chunk(ollama_lines("Hi")[0])
        talk.wait_for_hangup()

    with (
        LoopbackServer([begins]) as server,
        talking(kind, server, recordings="chats") as talker,
    ):
        stream = talker.stream(session="chat")
        talker.open(stream)
        assert talker.take(stream, 1)[0].text == "Hi"
        (call,) = talker.client.recording("chat").calls()
        assert next(call.chunks()).text == "Hi"
        with pytest.raises(RecordingLockedError, match="being written"):
            delete(talker, "chat")
        (summary,) = sessions(talker)
        assert (summary.name, summary.models, summary.running) == ("chat", ("ollama/m",), True)
        talker.leave(stream)


@BOTH
def test_a_client_that_records_nothing_has_no_sessions(kind: str, tmp_path: Path) -> None:
    for settings in ({"recordings": None}, {"replay": record(tmp_path, "a")}):
        with talking(kind, "http://127.0.0.1:9", **settings) as talker:
            for ask in (
                sessions,
                lambda each: each.client.recording("a"),
                lambda each: delete(each, "a"),
            ):
                with pytest.raises(ConfigurationError, match="records nothing") as caught:
                    ask(talker)
                assert caught.value.setting == "recordings"


async def test_the_event_loop_runs_while_sessions_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        record(Path("chats"), name)
    reading, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    summarize = session_list.summarize

    def slow(path: Path) -> SessionSummary:
        loop.call_soon_threadsafe(reading.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(PATIENCE)
        return summarize(path)

    monkeypatch.setattr(session_list, "summarize", slow)
    async with AsyncClient(recordings="chats", environment={}) as client:
        first = asyncio.create_task(anext(client.sessions()))
        await reading.wait()
        assert not first.done()
        go_on.set()
        assert (await first).name == "c"
