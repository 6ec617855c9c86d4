"""A stream's owner: whatever way a stream is left or ends, it is recorded once and frees all."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import httpx
import pytest

from loopback import Conversation, LoopbackServer, ollama_lines, openai_events, unanswering_port
from patience import PATIENCE
from talking import Heard, every_client, talking
from vesselog import (
    AsyncClient,
    ClientStateError,
    ConnectionFailedError,
    Limits,
    ProviderError,
    Recording,
    StreamTimeoutError,
    Timeouts,
    VesselogError,
)
from vesselog.core.truth.session import Session
from vesselog.vessels.ollama import Ollama


def silent(conversation: Conversation) -> None:
    conversation.wait_for_hangup()


def falls_silent(conversation: Conversation) -> None:
    conversation.begin()
    conversation.chunk(conversation.frames("Hi", " there")[0])
    conversation.wait_for_hangup()


def talks_on(conversation: Conversation) -> None:
    """A chunk every few milliseconds, for ever."""
    conversation.begin()
    while not conversation.server.released.wait(0.005):
        conversation.chunk(ollama_lines("on ")[0])


def answer(conversation: Conversation) -> None:
    conversation.answer("Hi", " there")


def ended_once(path: Path, *outcomes: str) -> None:
    """The recording's calls have these outcomes, each said once."""
    recording = Recording(path)
    assert [call.outcome for call in recording.calls()] == list(outcomes)
    ends = [line for line in recording.lines() if line["type"] == "end"]
    assert len(ends) == len(outcomes)


class TestFromAnotherThread:
    @every_client
    def test_before_the_headers(self, kind: str):
        with LoopbackServer([silent, answer]) as server, talking(kind, server) as talker:
            stream = talker.stream()
            future = talker.begin(stream)
            server.wait_until(lambda: len(server.requests) == 1)
            stream.cancel()
            heard = future.result(PATIENCE).check("cancelled")
            assert heard.chunks == []
            server.wait_until(lambda: server.open_connections == 0)
            assert talker.hear().check("complete").text == "Hi there"

    @every_client
    def test_in_the_body(self, kind: str):
        with LoopbackServer([falls_silent, answer]) as server, talking(kind, server) as talker:
            begun = threading.Event()
            stream = talker.stream()
            future = talker.begin(stream, lambda chunk: begun.set())
            assert begun.wait(PATIENCE)
            stream.cancel()
            assert future.result(PATIENCE).check("cancelled").text == "Hi"
            server.wait_until(lambda: server.open_connections == 0)
            assert talker.hear().check("complete").text == "Hi there"

    @every_client
    def test_while_chunks_keep_coming(self, kind: str):
        with LoopbackServer([talks_on]) as server, talking(kind, server) as talker:
            begun = threading.Event()
            stream = talker.stream()
            future = talker.begin(stream, lambda chunk: begun.set())
            assert begun.wait(PATIENCE)
            stream.cancel()
            future.result(PATIENCE).check("cancelled")
            server.wait_until(lambda: server.open_connections == 0)

    @every_client
    def test_while_connecting(self, kind: str):
        with (
            unanswering_port() as port,
            talking(kind, f"http://127.0.0.1:{port}", timeouts=Timeouts(connect=60)) as talker,
        ):
            stream = talker.stream()
            future = talker.begin(stream)
            while stream.call is None:  # its request line is written before it connects
                assert not future.done()
            stream.cancel()
            future.result(PATIENCE).check("cancelled")

    @every_client
    def test_while_it_waits_to_try_again(self, kind: str):
        def busy(conversation: Conversation) -> None:
            conversation.whole(b'{"error": "busy"}', 503, retry_after="50")

        with LoopbackServer([busy]) as server, talking(kind, server) as talker:
            stream = talker.stream()
            future = talker.begin(stream)
            server.wait_until(lambda: len(server.requests) == 1)
            while b'"end"' not in stream.path.read_bytes():
                assert not future.done()
            assert (stream.outcome, stream.error) == (None, None)
            stream.cancel()
            heard = future.result(PATIENCE)
            assert (heard.error, heard.outcome, heard.chunks) == (None, "cancelled", [])
            assert len(server.requests) == 1
            ended_once(stream.path, "error")

    @every_client
    def test_while_it_waits_for_a_free_connection(self, kind: str):
        limits = Limits(max_connections=1)
        with (
            LoopbackServer([falls_silent]) as server,
            talking(kind, server, limits=limits, timeouts=Timeouts(pool=None)) as talker,
        ):
            holder = talker.stream()
            talker.open(holder)
            stream = talker.stream()
            future = talker.begin(stream)
            while stream.call is None:
                assert not future.done()
            stream.cancel()
            future.result(PATIENCE).check("cancelled")
            assert len(server.requests) == 1
            talker.leave(holder)

    @every_client
    def test_before_it_began_nothing_is_sent_or_written(self, kind: str):
        with LoopbackServer([answer]) as server, talking(kind, server) as talker:
            stream = talker.stream()
            stream.cancel()
            heard = talker.begin(stream).result(PATIENCE)
            assert (heard.error, heard.outcome, heard.chunks) == (None, "cancelled", [])
            assert (server.requests, stream.path, Path("recordings").exists()) == ([], None, False)

    @every_client
    def test_of_a_stream_that_is_over_changes_nothing(self, kind: str):
        with LoopbackServer([answer]) as server, talking(kind, server) as talker:
            heard = talker.hear().check("complete")
            heard.stream.cancel()
            heard.check("complete")
            ended_once(heard.stream.path, "complete")

    @every_client
    def test_many_times_at_once(self, kind: str):
        with LoopbackServer([falls_silent]) as server, talking(kind, server) as talker:
            begun = threading.Event()
            stream = talker.stream()
            future = talker.begin(stream, lambda chunk: begun.set())
            assert begun.wait(PATIENCE)
            threads = [threading.Thread(target=stream.cancel) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            future.result(PATIENCE).check("cancelled")
            ended_once(stream.path, "cancelled")


@every_client
@pytest.mark.parametrize("how", ["cancel", "close"])
def test_ended_in_the_middle_of_a_large_request(kind: str, how: str):
    """The server takes nothing of it: the sockets are full, and the owner waits to send more."""
    taken = threading.Event()
    with LoopbackServer([answer], reading=taken) as server, talking(kind, server) as talker:
        stream = talker.stream(messages="x" * 8_000_000)
        future = talker.begin(stream)
        server.wait_until(lambda: server.open_connections == 1)
        if how == "cancel":
            stream.cancel()
        else:
            talker.close()
        heard = future.result(PATIENCE).check("cancelled")
        assert heard.chunks == []
        taken.set()
        server.wait_until(lambda: server.open_connections == 0)
        assert server.requests == []


@every_client
def test_cancelled_in_the_middle_of_one_read_nothing_more_is_handed_out(kind: str):
    def at_once(conversation: Conversation) -> None:
        conversation.begin()
        conversation.chunk(b"".join(ollama_lines(*"abcdefgh")[:-1]))
        conversation.wait_for_hangup()

    with LoopbackServer([at_once]) as server, talking(kind, server) as talker:
        stream = talker.stream()
        heard = talker.begin(
            stream, lambda chunk: stream.cancel() if chunk.text == "c" else None
        ).result(PATIENCE)
        heard.check("cancelled")
        assert heard.text == "abc"
        server.wait_until(lambda: server.open_connections == 0)


@every_client
def test_cancelled_in_the_middle_of_a_frame_what_had_arrived_of_it_is_recorded(kind: str):
    first, second, *_ = ollama_lines("a", "b")
    arrived = first + second[:10]

    def cut_short(conversation: Conversation) -> None:
        conversation.begin()
        conversation.chunk(arrived)
        conversation.wait_for_hangup()

    with LoopbackServer([cut_short]) as server, talking(kind, server) as talker:
        stream = talker.stream()
        heard = talker.begin(stream, lambda _: stream.cancel()).result(PATIENCE)
        heard.check("cancelled")
        (call,) = heard.calls
        *_, last = frames = list(call.frames())
        assert b"".join(frame.raw for frame in frames) == arrived
        assert (last.raw, last.partial) == (second[:10], True)
        assert call.end is not None
        assert call.end["bytes"] == len(arrived)


@every_client
def test_left_by_break(kind: str):
    with LoopbackServer([talks_on]) as server, talking(kind, server) as talker:
        stream = talker.stream()
        talker.open(stream)
        taken = talker.take(stream, 3)
        talker.leave(stream)
        Heard(stream, taken).check("cancelled")
        server.wait_until(lambda: server.open_connections == 0)


@every_client
def test_left_by_an_exception_of_the_callers_own(kind: str):
    class OwnError(Exception):
        pass

    def fail(chunk: object) -> None:
        raise OwnError

    with LoopbackServer([talks_on]) as server, talking(kind, server) as talker:
        heard = talker.begin(talker.stream(), fail).result(PATIENCE)
        heard.check("cancelled", error=OwnError)
        server.wait_until(lambda: server.open_connections == 0)


@every_client
@pytest.mark.parametrize("model", ["lab/m", "open/m"])
def test_left_when_the_answer_was_whole_already_it_is_complete(kind: str, model: str):
    """A caller that stops at the finish_reason, as many do, has missed nothing of the answer."""

    def lingers(conversation: Conversation) -> None:
        conversation.begin()
        frames = openai_events("Hi")[:3] if model == "open/m" else ollama_lines("Hi")
        conversation.chunk(b"".join(frames))
        conversation.wait_for_hangup()

    with LoopbackServer([lingers]) as server, talking(kind, server) as talker:
        stream = talker.stream(model)
        talker.open(stream)
        taken = talker.take(stream, 1)
        while taken[-1].finish_reason is None:
            taken += talker.take(stream, 1)
        talker.leave(stream)
        Heard(stream, taken).check("complete")
        server.wait_until(lambda: server.open_connections == 0)


@every_client
def test_left_before_it_began_nothing_is_sent_or_written(kind: str):
    with LoopbackServer([answer]) as server, talking(kind, server) as talker:
        stream = talker.stream()
        talker.leave(stream)
        heard = talker.begin(stream).result(PATIENCE)
        assert (heard.error, heard.outcome, heard.chunks) == (None, "cancelled", [])
        assert (server.requests, stream.path) == ([], None)


@every_client
@pytest.mark.parametrize("cyclic", ["by-count", "by-collector"])
def test_dropped_it_is_recorded_as_abandoned_and_its_connection_is_free(kind: str, cyclic: str):
    with LoopbackServer([talks_on, answer]) as server, talking(kind, server) as talker:
        stream = talker.stream()
        talker.open(stream)
        talker.take(stream, 2)
        path = stream.path
        if cyclic == "by-collector":
            circle: list[Any] = [stream]
            circle.append(circle)
            del circle
        del stream
        gc.collect()
        server.wait_until(lambda: server.open_connections == 0)
        ended_once(path, "abandoned")
        assert talker.hear().check("complete").text == "Hi there"


@every_client
@pytest.mark.parametrize("durability", ["process", "power"])
def test_ended_and_dropped_it_is_freed_without_the_garbage_collector(kind: str, durability: str):
    """The key that it was sent with is let go before that, at its end: see the next test."""
    freed = threading.Event()
    with (
        LoopbackServer([answer]) as server,
        talking(kind, server, durability=durability) as talker,
    ):
        gc.disable()
        try:
            heard = talker.hear().check("complete")
            weakref.finalize(heard.stream._facts, freed.set)
            del heard
            assert freed.wait(PATIENCE)
        finally:
            gc.enable()


@every_client
def test_an_error_that_is_kept_keeps_neither_the_request_nor_the_key(kind: str):
    """Its traceback does keep the stream, which still says all that it said."""

    def cut(conversation: Conversation) -> None:
        conversation.begin()
        conversation.chunk(conversation.frames("Hi")[0])
        conversation.cut()

    with LoopbackServer([cut]) as server, talking(kind, server) as talker:
        stream = talker.stream()
        masker = weakref.ref(stream._facts.plan.masker)
        heard = talker.begin(stream).result(PATIENCE)
        gc.collect()
        assert masker() is None
        heard.check("error", error=ConnectionFailedError)
        assert (heard.text, stream.status, bool(stream.headers)) == ("Hi", 200, True)
        assert stream.completion.metrics.chunks == 1


async def test_stopped_while_a_transport_that_tells_nothing_sends_it_records_no_answer(
    tmp_path: Path,
) -> None:
    """Such as one of httpx's for tests: nothing of a call comes after its end."""
    sending, answered = asyncio.Event(), asyncio.Event()

    async def answer_late(_: httpx.Request) -> httpx.Response:
        sending.set()
        await answered.wait()
        return httpx.Response(200, content=b"")

    http = httpx.AsyncClient(transport=httpx.MockTransport(answer_late))
    vessels = {"lab": Ollama(base_url="http://127.0.0.1:9")}
    async with http, AsyncClient(recordings=tmp_path, vessels=vessels, http_client=http) as client:
        stream = client.stream("lab/m", "Hi")
        opening = asyncio.create_task(stream.open())
        async with asyncio.timeout(PATIENCE):
            await sending.wait()
            await stream.aclose()
            await opening
            answered.set()
            await asyncio.wait([stream._source._driver._gate.task])
        assert stream.path is not None
        kinds = [line["type"] for line in Recording(stream.path).lines()]
        assert kinds[-3:] == ["request", "end", "close"]
        assert (stream.outcome, stream.status) == ("cancelled", None)


@every_client
def test_cancelled_and_dropped_at_once_it_is_cancelled(kind: str):
    """What the caller said counts, not what became of the stream."""
    with LoopbackServer([talks_on]) as server, talking(kind, server) as talker:
        stream = talker.stream()
        talker.open(stream)
        talker.take(stream, 2)
        path = stream.path
        stream.cancel()
        del stream
        gc.collect()
        server.wait_until(lambda: server.open_connections == 0)
        ended_once(path, "cancelled")


async def test_left_before_the_owners_first_step_nothing_is_sent_or_written(tmp_path: Path):
    """Another task leaves the stream in the very turn in which it was opened."""
    with LoopbackServer([answer]) as server:
        vessels = {"lab": Ollama(base_url=server.url)}
        async with AsyncClient(vessels=vessels, environment={}) as client:
            stream = client.stream("lab/m", "hi")
            reading = asyncio.create_task(anext(stream, None))
            await asyncio.sleep(0)
            await stream.aclose()
            assert await reading is None
            assert (stream.outcome, stream.error) == ("cancelled", None)
            assert (server.requests, list(tmp_path.iterdir())) == ([], [])  # noqa: ASYNC240


@every_client
def test_left_while_it_connects_and_dropped(kind: str):
    """The collector may take it before its owner is done with connecting."""
    with (
        unanswering_port() as port,
        talking(kind, f"http://127.0.0.1:{port}", timeouts=Timeouts(connect=60)) as talker,
    ):
        stream = talker.stream()
        future = talker.begin(stream)
        while stream.call is None:
            assert not future.done()
        path = stream.path
        stream.cancel()
        future.result(PATIENCE).check("cancelled")
        del stream, future
        gc.collect()
        ended_once(path, "cancelled")


@every_client
def test_closing_the_client_cancels_what_still_runs(kind: str):
    with LoopbackServer([talks_on]) as server, talking(kind, server) as talker:
        begun = threading.Event()
        streams = [talker.stream() for _ in range(3)]
        futures = [talker.begin(stream, lambda chunk: begun.set()) for stream in streams]
        for stream in streams:
            assert begun.wait(PATIENCE)
            while not stream.completion.text:
                pass
        talker.close()
        for future in futures:
            future.result(PATIENCE).check("cancelled")
        server.wait_until(lambda: server.open_connections == 0)


@every_client
def test_closing_the_client_ends_what_still_connects(kind: str):
    with unanswering_port() as port, talking(kind, f"http://127.0.0.1:{port}") as talker:
        stream = talker.stream(timeouts=Timeouts(connect=60))
        future = talker.begin(stream)
        while stream.call is None:
            assert not future.done()
        talker.close()
        future.result(PATIENCE).check("cancelled")


@every_client
def test_an_answer_in_one_piece_that_the_closing_cut_is_no_answer(kind: str):
    with LoopbackServer([silent]) as server, talking(kind, server) as talker:
        caught: list[BaseException] = []

        def ask() -> None:
            try:
                talker.complete()
            except ClientStateError as error:
                caught.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        server.wait_until(lambda: len(server.requests) == 1)
        talker.close()
        thread.join(PATIENCE)
        assert len(caught) == 1


@every_client
def test_a_stream_made_before_its_client_was_closed_sends_and_writes_nothing(kind: str):
    with LoopbackServer([answer]) as server, talking(kind, server) as talker:
        stream = talker.stream()
        talker.close()
        heard = talker.begin(stream).result(PATIENCE)
        assert type(heard.error) is ClientStateError
        assert (server.requests, Path("recordings").exists()) == ([], False)


@pytest.mark.asyncio(loop_factories=["asyncio"])  # only this one tells its timers
@pytest.mark.parametrize("fast", [False, True])
async def test_a_stream_that_is_over_leaves_no_timer_that_holds_it(*, fast: bool) -> None:
    """Ten thousand streams would be held for as long as their timers run."""
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
    in_one_segment(conversation, b"".join(ollama_lines("a", "b", "c")), b"")


def fails_in_band(conversation: Conversation) -> None:
    lines = [*ollama_lines("a", "b", "c")[:3], b'{"error":"out of memory"}\n']
    in_one_segment(conversation, b"".join(lines))
    conversation.wait_for_hangup()


def is_no_http_any_more(conversation: Conversation) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    lines = b"".join(ollama_lines("a", "b", "c")[:3])
    conversation.raw(head + b"%x\r\n%b\r\nno size\r\n" % (len(lines), lines))
    conversation.wait_for_hangup()


def written_at_once(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is written to recordings from now on, write by write."""
    written: list[bytes] = []
    write = os.write

    def spy(fd: int, data: bytes) -> int:
        if data.startswith(b'{"type":'):
            written.append(data)
        return write(fd, data)

    monkeypatch.setattr(os, "write", spy)
    return written


@every_client
@pytest.mark.parametrize(("behaves", "error"), [(ends_well, None), (fails_in_band, ProviderError)])
def test_what_came_in_one_read_is_written_at_once(
    kind: str, behaves: Any, error: type[VesselogError] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And all of it before what is wrong with the rest is told."""
    written = written_at_once(monkeypatch)
    with LoopbackServer([behaves]) as server, talking(kind, server) as talker:
        heard = talker.hear().check("error" if error else "complete", error=error)
    assert heard.text == "abc"
    assert len([data for data in written if b'"type":"frame"' in data]) == 1


@every_client
def test_what_came_in_one_read_with_garbage_counts_where_the_library_gives_it(kind: str) -> None:
    """aiohttp gives nothing of a read in which something is no HTTP."""
    with LoopbackServer([is_no_http_any_more]) as server, talking(kind, server) as talker:
        heard = talker.hear().check("error", error=ConnectionFailedError)
        assert heard.text == ("" if kind.endswith("fast") else "abc")
        assert len(server.requests) == 1


@pytest.mark.parametrize("fast", [False, True])
async def test_one_that_is_left_while_it_connects_is_over_at_once(*, fast: bool) -> None:
    """Its outcome is there at once; its place is free when no connecting can be under way.

    aiohttp may be cancelled while it connects, httpcore may not.
    """
    timeouts = Timeouts(connect=60 if fast else 0.2, pool=0 if fast else 0.2)
    with unanswering_port() as port:
        vessels = {"own": Ollama(base_url=f"http://127.0.0.1:{port}")}
        async with AsyncClient(
            vessels=vessels,
            fast=fast,
            recordings=None,
            limits=Limits(max_connections=1),
            timeouts=timeouts,
        ) as client:
            for _ in range(3):
                stream = client.stream("own/m", "Hi")
                asking = asyncio.create_task(anext(stream, None))
                async with asyncio.timeout(PATIENCE):
                    while not _owners():  # noqa: ASYNC110 - it tells nobody
                        await asyncio.sleep(0)
                    (owner,) = _owners()
                    await asyncio.sleep(0.05)
                    assert not owner.done()
                    stream.cancel()
                    assert await asking is None
                    assert stream.outcome == "cancelled"
                    await asyncio.wait([owner])


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
    """Also where the deadline passes in the iteration that brings the next data, each time."""
    held_up, sent = threading.Semaphore(0), threading.Semaphore(0)

    def behaves(conversation: Conversation) -> None:
        conversation.begin()
        for line in ollama_lines(*"abcdefghij"):
            conversation.chunk(line)
            sent.release()
            held_up.acquire(timeout=10)
        conversation.end()
        sent.release()

    idle = 0.05
    with LoopbackServer([behaves]) as server:
        vessels = {"own": Ollama(base_url=server.url)}
        timeouts = Timeouts(idle=idle)
        async with (
            asyncio.timeout(60),
            AsyncClient(vessels=vessels, fast=fast, recordings=None, timeouts=timeouts) as client,
            client.stream("own/m", "Hi") as stream,
        ):
            assert sent.acquire(timeout=10)
            async for _chunk in stream:
                held_up.release()
                assert sent.acquire(timeout=10)  # the next one is there
                time.sleep(2 * idle)  # noqa: ASYNC251 - it computes
        assert stream.completion.text == "abcdefghij"


@every_client
def test_a_caller_is_told_if_the_recording_cannot_be_closed(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fails there, nobody waits for ever."""

    def fails(_: Session) -> None:
        raise LookupError("no close")

    with LoopbackServer([answer]) as server, talking(kind, server) as talker:
        monkeypatch.setattr(Session, "close", fails)
        heard = talker.hear()
        monkeypatch.undo()
        assert isinstance(heard.error, LookupError)
