"""The async driver, from outside: what it leaves in the event loop."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer, ollama_lines, unanswering_port
from vesselog import (
    AsyncClient,
    ConnectionFailedError,
    Limits,
    ProviderError,
    Recording,
    StreamTimeoutError,
    Timeouts,
    VesselogError,
)
from vesselog.vessels import Ollama


@pytest.mark.parametrize("fast", [False, True])
async def test_a_stream_that_is_over_leaves_no_timer_that_holds_it(*, fast: bool) -> None:
    """Ten thousand streams would be held for as long as their timers run."""
    if fast:
        pytest.importorskip("httptools")
    loop: Any = asyncio.get_running_loop()
    with LoopbackServer([lambda talk: talk.answer("Hel", "lo")]) as server:
        vessels = {"own": Ollama(base_url=server.url)}
        async with AsyncClient(vessels=vessels, fast=fast) as client:
            for _ in range(3):
                async with client.stream("own/m", "Hi") as stream:
                    async for _chunk in stream:
                        pass
    held = [timer for timer in loop._scheduled if not timer.cancelled()]
    assert [timer for timer in held if _ours(timer)] == []


def _ours(timer: Any) -> bool:
    return timer._callback.__module__.startswith("vesselog")


def in_one_segment(conversation: Conversation, *pieces: bytes) -> None:
    """Send the head, these pieces of a chunked body, and what follows, all at once."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in pieces)
    conversation.raw(head + b"transfer-encoding: chunked\r\n\r\n" + chunks)


def ends_well(conversation: Conversation) -> None:
    in_one_segment(conversation, *ollama_lines("a", "b", "c"), b"")


def fails_in_band(conversation: Conversation) -> None:
    lines = [*ollama_lines("a", "b", "c")[:3], b'{"error":"out of memory"}\n']
    in_one_segment(conversation, *lines)
    conversation.wait_for_hangup()


def is_no_http_any_more(conversation: Conversation) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    lines = b"".join(ollama_lines("a", "b", "c")[:3])
    conversation.raw(head + b"%x\r\n%b\r\nno size\r\n" % (len(lines), lines))


@pytest.mark.parametrize(
    ("behaves", "error"),
    [
        (ends_well, None),
        (fails_in_band, ProviderError),
        (is_no_http_any_more, ConnectionFailedError),
    ],
)
async def test_what_came_in_one_read_is_written_at_once(
    behaves: Any, error: type[VesselogError] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And all of it before what is wrong with the rest is told."""
    written: list[bytes] = []
    write = os.write

    def spy(fd: int, data: bytes) -> int:
        if data.startswith(b'{"type":'):
            written.append(data)
        return write(fd, data)

    monkeypatch.setattr(os, "write", spy)
    seen: list[str] = []
    caught: VesselogError | None = None
    with LoopbackServer([behaves]) as server:
        vessels = {"own": Ollama(base_url=server.url)}
        async with AsyncClient(vessels=vessels, recordings=tmp_path) as client:
            try:
                async with client.stream("own/m", "Hi") as stream:
                    async for chunk in stream:
                        seen.append(chunk.text)  # noqa: PERF401 - those before an error count
            except VesselogError as told:
                caught = told
    assert "".join(seen) == "abc", caught
    assert type(caught) is (error or type(None))
    assert stream.path is not None
    (call,) = Recording(stream.path).calls()
    assert call.completion().text == "abc"
    assert len([data for data in written if b'"type":"frame"' in data]) == 1


@pytest.mark.parametrize("fast", [False, True])
async def test_one_that_is_left_while_it_connects_is_gone_at_once(*, fast: bool) -> None:
    """Its connection is not made to be closed, and holds no place."""
    with unanswering_port() as port:
        vessels = {"own": Ollama(base_url=f"http://127.0.0.1:{port}")}
        limits = Limits(max_connections=1)
        async with AsyncClient(
            vessels=vessels, fast=fast, recordings=None, limits=limits
        ) as client:
            for _ in range(3):
                stream = client.stream("own/m", "Hi")
                asking = asyncio.create_task(anext(stream, None))
                async with asyncio.timeout(5):
                    while not _owners():  # noqa: ASYNC110 - it tells nobody
                        await asyncio.sleep(0)
                    (owner,) = _owners()
                    await asyncio.sleep(0.05)
                    stream.cancel()
                    assert await asking is None
                    await asyncio.wait([owner])
                assert stream.outcome == "cancelled"


def _owners() -> list[asyncio.Task[Any]]:
    """The tasks that own a connection."""
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("vesselog ")]


@pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="it came with Python 3.12")
@pytest.mark.parametrize("fast", [False, True])
async def test_where_tasks_are_eager(*, fast: bool) -> None:
    """The owner has gone a good way before the task is handed out."""
    asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory", None))

    with LoopbackServer([ends_well]) as server:
        vessels = {"own": Ollama(base_url=server.url)}
        async with (
            asyncio.timeout(60),
            AsyncClient(vessels=vessels, fast=fast, recordings=None) as client,
        ):
            with pytest.raises(StreamTimeoutError):
                await client.complete("own/m", "Hi", timeouts=Timeouts(total=0))
            assert (await client.complete("own/m", "Hi")).text == "abc"
            assert _owners() == []


@pytest.mark.parametrize("fast", [False, True])
async def test_the_time_that_a_caller_holds_the_loop_up_does_not_count(*, fast: bool) -> None:
    """Also where the deadline passes in the turn of the loop that brings the next data."""
    held_up, sent = threading.Semaphore(0), threading.Semaphore(0)

    def behaves(conversation: Conversation) -> None:
        conversation.begin()
        for line in ollama_lines("a", "b", "c", "d"):
            held_up.acquire(timeout=10)
            conversation.chunk(line)
            sent.release()
        conversation.end()

    idle = 0.2
    with LoopbackServer([behaves]) as server:
        vessels = {"own": Ollama(base_url=server.url)}
        timeouts = Timeouts(idle=idle)
        async with (
            asyncio.timeout(60),
            AsyncClient(vessels=vessels, fast=fast, recordings=None, timeouts=timeouts) as client,
            client.stream("own/m", "Hi") as stream,
        ):
            held_up.release()
            async for _chunk in stream:
                assert sent.acquire(timeout=10)
                held_up.release()
                time.sleep(1.5 * idle)  # noqa: ASYNC251 - it computes; meanwhile the next comes
        assert stream.completion.text == "abcd"
