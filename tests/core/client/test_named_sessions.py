"""Named sessions of both clients: turns, other writers, meta, and what opening costs the loop."""

from __future__ import annotations

import asyncio
import enum
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from sessions import kinds, read, record, request
from talking import every_client, talking
from vesselog import (
    AsyncClient,
    Client,
    ConfigurationError,
    RecordingLockedError,
    Retries,
    StreamTimeoutError,
    Timeouts,
)
from vesselog.core.truth.session import Session
from vesselog.vessels.ollama import Ollama

BOTH = pytest.mark.parametrize("kind", [Client, AsyncClient])


def answer(talk: Conversation) -> None:
    talk.answer("Hel", "lo")


class Held:
    """A server that answers each request when it is told to."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def __call__(self, talk: Conversation) -> None:
        talk.head()
        frames = talk.frames("Hel", "lo")
        talk.chunk(frames[0])
        assert self.go_on.wait(PATIENCE)
        for frame in frames[1:]:
            talk.chunk(frame)
        talk.end()


@every_client
@pytest.mark.parametrize("exclusive", [False, True])
def test_exclusive_turns_do_not_overlap(tmp_path: Path, kind: str, *, exclusive: bool) -> None:
    held = Held()
    with LoopbackServer([held]) as server, talking(kind, server, recordings=tmp_path) as talker:
        turns = [talker.begin(talker.stream(session="a", exclusive=exclusive)) for _ in range(3)]
        server.wait_until(lambda: len(server.requests) == (1 if exclusive else 3))
        held.go_on.set()
        for turn in turns:
            turn.result(PATIENCE).check("complete")
    lines = [line["type"] for line in read(tmp_path / "a.jsonl")]
    calls = [each for each in lines if each in {"request", "end"}]
    assert (calls == ["request", "end"] * 3) is exclusive


@every_client
def test_a_queued_turn_that_is_cancelled_sends_nothing(tmp_path: Path, kind: str) -> None:
    held = Held()
    with LoopbackServer([held]) as server, talking(kind, server, recordings=tmp_path) as talker:
        first = talker.begin(talker.stream(session="a", exclusive=True))
        server.wait_until(lambda: len(server.requests) == 1)
        queued = talker.stream(session="a", exclusive=True)
        waiting = talker.begin(queued)
        third = talker.begin(talker.stream(session="a", exclusive=True))
        queued.cancel()
        heard = waiting.result(PATIENCE)
        assert (heard.outcome, heard.error, heard.chunks) == ("cancelled", None, [])
        held.go_on.set()
        for turn in (first, third):
            turn.result(PATIENCE).check("complete")
        assert len(server.requests) == 2


@every_client
def test_a_turn_ends_with_its_outcome(tmp_path: Path, kind: str) -> None:
    """A stream that was left lets the next one begin, whatever its connection still does."""
    held = Held()
    with (
        LoopbackServer([held, answer]) as server,
        talking(kind, server, recordings=tmp_path) as talker,
    ):
        left = talker.stream(session="a", exclusive=True)
        talker.open(left)
        talker.leave(left)
        talker.hear(session="a", exclusive=True).check("complete")
        held.go_on.set()


@every_client
def test_total_limits_the_wait_for_a_turn(tmp_path: Path, kind: str) -> None:
    held = Held()
    with LoopbackServer([held]) as server, talking(kind, server, recordings=tmp_path) as talker:
        first = talker.begin(talker.stream(session="a"))
        server.wait_until(lambda: len(server.requests) == 1)
        late = talker.hear(session="a", exclusive=True, timeouts=Timeouts(total=0.05))
        assert isinstance(late.error, StreamTimeoutError)
        assert (late.outcome, late.stream.error) == ("error", late.error)
        held.go_on.set()
        first.result(PATIENCE).check("complete")
        assert len(server.requests) == 1


@every_client
def test_a_retry_stays_in_its_turn(tmp_path: Path, kind: str) -> None:
    def busy(talk: Conversation) -> None:
        talk.whole(b"{}", 503)

    with (
        LoopbackServer([busy, answer]) as server,
        talking(kind, server, recordings=tmp_path, retries=Retries(backoff=0.01)) as talker,
    ):
        turns = [talker.begin(talker.stream(session="a", exclusive=True)) for _ in range(2)]
        for turn in turns:
            turn.result(PATIENCE).check("complete")
    asked = [line for line in read(tmp_path / "a.jsonl") if line["type"] == "request"]
    assert [line.get("retry_of") for line in asked] == [None, 1, None]


@BOTH
def test_only_a_named_session_can_be_exclusive(kind: Any) -> None:
    with pytest.raises(ConfigurationError, match="session=") as caught:
        kind(recordings=None).stream("ollama/m", "hi", exclusive=True)
    assert caught.value.setting == "exclusive"


@every_client
def test_lock_wait_waits_for_another_writer(tmp_path: Path, kind: str) -> None:
    other = Session.open(tmp_path, "a")
    writer = other.begin(request())
    with LoopbackServer([answer]) as server:
        with talking(kind, server, recordings=tmp_path, lock_wait=0.05) as talker:
            heard = talker.hear(session="a")
            assert type(heard.error) is RecordingLockedError
            assert "of waiting" in str(heard.error)
            assert heard.error.retryable
            assert server.requests == []
        with talking(kind, server, recordings=tmp_path, lock_wait=PATIENCE) as talker:
            waiting = talker.begin(talker.stream(session="a"))
            elsewhere = talker.hear(session="b").check("complete")
            assert elsewhere.stream.session == "b"
            assert not waiting.done()
            writer.end("complete")
            other.close()
            assert waiting.result(PATIENCE).check("complete").stream.call == 2


@BOTH
@pytest.mark.parametrize("seconds", [-1, "1", None, True, float("nan"), float("inf"), 10**400])
def test_a_wait_that_is_none_is_refused(kind: Any, seconds: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        kind(lock_wait=seconds)
    assert caught.value.setting == "lock_wait"


@every_client
def test_meta_is_kept_with_the_file_and_each_request(tmp_path: Path, kind: str) -> None:
    shared = {"user": "u", "trace": 1}
    with (
        LoopbackServer([answer]) as server,
        talking(kind, server, recordings=tmp_path, meta=shared) as talker,
    ):
        shared["user"] = "changed later"
        talker.hear(session="a", meta={"trace": 2, "tags": ["é", None]}).check("complete")
        talker.complete(session="a", meta={"turn": {"n": 2}})
        assert b"trace" not in server.requests[0].body
    with LoopbackServer([answer]) as server, talking(kind, server, recordings=tmp_path) as talker:
        talker.hear(session="a").check("complete")
    header, *lines = read(tmp_path / "a.jsonl")
    first = {"user": "u", "trace": 2, "tags": ["é", None]}
    assert header["meta"] == first
    assert [line.get("meta") for line in lines if line["type"] == "request"] == [
        first,
        {"user": "u", "trace": 1, "turn": {"n": 2}},
        None,
    ]


class Colour(enum.Enum):
    RED = "red"


@BOTH
@pytest.mark.parametrize(
    "meta",
    [
        {"x": {1}},
        {"x": float("nan")},
        {"x": (1,)},
        {"x": datetime.now(UTC)},
        {"x": Colour.RED},
        {"x": 2**70},
        {"x": "\ud800"},
        {1: "x"},
        ["x"],
        "x",
        {"x": "y" * 16 * 1024},
    ],
)
def test_meta_that_json_cannot_hold_or_that_is_large_is_refused(kind: Any, meta: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        kind(recordings=None, meta=meta)
    assert caught.value.setting == "meta"
    with pytest.raises(ConfigurationError):
        kind(recordings=None).stream("ollama/m", "hi", meta=meta)


@pytest.mark.parametrize("closed", [True, False])
async def test_other_streams_go_on_while_a_session_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, closed: bool
) -> None:
    """A session that was not closed is read in a thread, a closed one not at all."""
    record(tmp_path, closed=closed)
    go_on, begun = threading.Event(), threading.Event()
    real = Session.read_file

    def read_file(session: Session) -> None:
        begun.set()
        assert go_on.wait(PATIENCE)
        real(session)

    monkeypatch.setattr(Session, "read_file", read_file)
    with LoopbackServer([answer]) as server:
        vessels = {"lab": Ollama(base_url=server.url)}
        async with AsyncClient(recordings=tmp_path, vessels=vessels, environment={}) as client:
            opening = asyncio.create_task(client.complete("lab/m", "hi", session="a"))
            if not closed:
                await asyncio.to_thread(begun.wait, PATIENCE)
            assert (await client.complete("lab/m", "hi", session="b")).text == "Hello"
            assert closed or not opening.done()
            go_on.set()
            assert (await opening).call == 2
    assert begun.is_set() is not closed
    assert kinds(tmp_path / "a.jsonl")[-1] == "close"


@every_client
def test_a_client_can_be_closed_while_it_opens_a_session(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = record(tmp_path)
    go_on, begun = threading.Event(), threading.Event()
    real = Session.read_file

    def read_file(session: Session) -> None:
        begun.set()
        assert go_on.wait(PATIENCE)
        real(session)

    monkeypatch.setattr(Session, "read_file", read_file)
    with LoopbackServer([answer]) as server, talking(kind, server, recordings=tmp_path) as talker:
        waiting = talker.begin(talker.stream(session="a"))
        assert begun.wait(PATIENCE)
        talker.close()
        assert waiting.result(PATIENCE).outcome == "cancelled"
        go_on.set()
    assert server.requests == []
    assert kinds(path).count("request") == 1
