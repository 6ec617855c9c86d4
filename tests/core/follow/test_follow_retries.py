"""Following a stream over the attempts that failed to the one that counts."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer
from patience import PATIENCE
from sessions import ManualClock, kinds, read, request, step, write
from talking import every_client, talking
from vesselog import (
    Client,
    Follow,
    ProviderError,
    Recording,
    Retries,
    StreamTimeoutError,
    Timeouts,
    follow,
)
from vesselog.core.truth.session import Session
from vesselog.vessels.ollama import Ollama

BUSY = ProviderError("busy", status=503)
BUSY.retryable = True


def busy(conversation: Conversation) -> None:
    conversation.whole(b'{"error": "busy"}', 503)


def answer(conversation: Conversation) -> None:
    conversation.answer("Hi", " there")


def texts(followed: Follow) -> list[tuple[int, str]]:
    return [(chunk.call, chunk.text) for chunk in followed]


@every_client
def test_a_503_and_its_retry_are_followed_to_the_answer(kind: str) -> None:
    """The end of the first attempt tells that another one comes; that of the last one does not."""
    with (
        LoopbackServer([busy, busy, answer]) as server,
        talking(kind, server, retries=Retries(backoff=0.01)) as talker,
    ):
        heard = talker.hear("lab/m").check("complete")
        path = heard.stream.path
        for call in (1, 2, 3, None):
            followed = follow(path, call=call)
            assert list(followed) == heard.chunks
            assert (followed.call, followed.outcome, followed.error) == (3, "complete", None)
    assert {chunk.call for chunk in heard.chunks} == {3}
    ends = [line.get("retry_in") for line in read(path) if line["type"] == "end"]
    assert [None if each is None else each <= 0.02 for each in ends] == [True, True, None]


def test_a_follower_waits_for_the_retry_and_goes_on_with_it(tmp_path: Path) -> None:
    """While the client waits for it."""
    asked, followed_to_the_end = threading.Event(), threading.Event()

    def second(conversation: Conversation) -> None:
        asked.set()
        answer(conversation)

    def read_slowly(path: Path) -> list[tuple[int, str]]:
        found = texts(follow(path, call=1))
        followed_to_the_end.set()
        return found

    with (
        LoopbackServer([busy, second]) as server,
        Client(
            vessels={"lab": Ollama(base_url=server.url)},
            recordings=tmp_path,
            retries=Retries(backoff=0.5),
        ) as client,
        ThreadPoolExecutor(2) as pool,
        client.stream("lab/m", "hi", session="s") as stream,
    ):
        seen = pool.submit(lambda: [(chunk.call, chunk.text) for chunk in stream])
        path = tmp_path / "s.jsonl"
        while not path.exists() or "end error" not in kinds(path):
            assert not asked.wait(0.001)
        assert not followed_to_the_end.is_set()
        assert pool.submit(read_slowly, path).result(PATIENCE) == seen.result(PATIENCE)
    assert seen.result()[0] == (2, "Hi")


def test_after_the_last_attempt_its_error_is_the_end(tmp_path: Path) -> None:
    with (
        LoopbackServer([busy]) as server,
        Client(
            vessels={"lab": Ollama(base_url=server.url)},
            recordings=tmp_path,
            retries=Retries(count=1, backoff=0.01),
        ) as client,
    ):
        with pytest.raises(ProviderError) as caught:
            client.stream("lab/m", "hi", session="s").__enter__()
        for call in (1, 2):
            followed = follow(tmp_path / "s.jsonl", call=call)
            assert list(followed) == []
            assert (followed.call, followed.outcome) == (2, "error")
            assert isinstance(followed.error, ProviderError)
            assert followed.error.status == caught.value.status == 503
    ends = [line for line in read(tmp_path / "s.jsonl") if line["type"] == "end"]
    assert ["retry_in" in line for line in ends] == [True, False]


def test_a_deadline_that_passes_while_an_error_is_read_promises_no_retry(tmp_path: Path) -> None:
    """The status is the verdict, but what a deadline ended is not tried again."""

    def half(conversation: Conversation) -> None:
        conversation.raw(b"HTTP/1.1 503 Busy\r\ncontent-length: 100\r\n\r\nhalf")
        conversation.wait_for_hangup()

    with (
        LoopbackServer([half]) as server,
        Client(
            vessels={"lab": Ollama(base_url=server.url)},
            recordings=tmp_path,
            timeouts=Timeouts(total=0.1),
        ) as client,
        pytest.raises((ProviderError, StreamTimeoutError)),
    ):
        client.stream("lab/m", "hi", session="s").__enter__()
    (end,) = [line for line in read(tmp_path / "s.jsonl") if line["type"] == "end"]
    assert "retry_in" not in end
    assert len(list(Recording(tmp_path / "s.jsonl").calls())) == 1


@pytest.fixture
def session(tmp_path: Path) -> Any:
    session = Session.open(tmp_path, "a", clock=ManualClock())
    yield session
    session.close()


def test_where_the_caller_left_instead_the_first_attempt_is_the_end(session: Session) -> None:
    """Nobody holds the file any more."""
    session.begin(request()).end("error", error=BUSY, retry_in=3600.0)
    session.close()
    followed = follow(session.path)
    assert list(followed) == []
    assert (followed.outcome, followed.interrupted) == ("error", False)
    assert isinstance(followed.error, ProviderError)


@pytest.mark.parametrize("retry_in", [0.01, None])
async def test_where_other_calls_go_on_the_retry_is_waited_for_as_long_as_it_may_take(
    session: Session, retry_in: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vesselog.core.follow.follow._LATENESS", 0.02)
    other = session.begin(request())
    session.begin(request()).end("error", error=BUSY, retry_in=retry_in)
    for followed in (follow(session.path, call=2), follow(session.path, call=2)):
        assert await asyncio.to_thread(list, followed) == []
        assert followed.outcome == "error"
    followed = follow(session.path, call=2)
    assert [chunk async for chunk in followed] == []
    assert followed.outcome == "error"
    other.end("complete")


def test_lines_of_later_than_that_end_the_wait(tmp_path: Path) -> None:
    clock = ManualClock()
    session = Session.open(tmp_path, "a", clock=clock)
    session.begin(request()).end("error", error=BUSY, retry_in=30.0)
    other = session.begin(request())
    clock.pass_seconds(31.5)
    write(other, [step(0)])
    followed = follow(session.path, call=1)
    assert list(followed) == []
    assert followed.outcome == "error"
    other.end("complete")
    session.close()


def test_a_recording_that_tells_of_no_retry_is_followed_to_one_that_is_stored(
    session: Session,
) -> None:
    """Such as earlier versions made."""
    session.begin(request()).end("error", error=BUSY)
    other = session.begin(request())
    session.begin(request(retry_of=1)).end("error", error=BUSY)
    last = session.begin(request(retry_of=1))
    write(other, [step(0, "other")])
    write(last, [step(0, "answer")])
    last.end("complete")
    other.end("complete")
    for call in (1, 3, 4):
        assert texts(follow(session.path, call=call)) == [(4, "answer")]
    assert texts(follow(session.path, call=2)) == [(2, "other")]


def test_an_error_that_is_not_retryable_is_the_end_at_once(session: Session) -> None:
    session.begin(request()).end("error", error=ProviderError("no", status=400))
    later = session.begin(request(retry_of=1))
    followed = follow(session.path, call=1)
    assert list(followed) == []
    assert (followed.call, followed.outcome) == (1, "error")
    later.end("complete")


@pytest.mark.parametrize(("before", "given"), [("", "bc"), ("xy", "abc")])
def test_after_counts_in_the_attempt_that_has_chunks(
    session: Session, before: str, given: str
) -> None:
    """The chunk that somebody saw was of that attempt, whichever number is asked for."""
    first = session.begin(request())
    write(first, (step(seq, text) for seq, text in enumerate(before)))
    first.end("error", error=BUSY, retry_in=1.0)
    last = session.begin(request(retry_of=1))
    write(last, (step(seq, text) for seq, text in enumerate("abc")))
    last.end("complete")
    found = texts(follow(session.path, call=1, after=0))
    assert "".join(text for call, text in found if call == 2) == given
    assert [text for call, text in found if call == 1] == list(before[1:])


@pytest.mark.parametrize("retry_in", [-1.0, 1e300, "soon", None, [1], True])
def test_a_promise_that_cannot_be_is_none(session: Session, retry_in: Any) -> None:
    error = ProviderError("no", status=400)
    session.begin(request()).end("error", error=error, retry_in=retry_in)
    session.close()
    assert texts(follow(session.path)) == []
