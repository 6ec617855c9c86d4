"""Leaving before the end: each way of it is recorded once, and frees the connection."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer, ollama_lines, openai_events, unanswering_port
from patience import PATIENCE
from talking import Heard, every_client, talking
from vesselog import AsyncClient, Client, ClientStateError, Recording, Retries, Timeouts
from vesselog.vessels.ollama import Ollama

# How long a left stream may take to end (seconds), on a busy machine.


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
        from vesselog import Limits

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


def test_dropped_inside_the_pools_own_work_it_blocks_nobody():
    """The collector strikes while this very thread holds the lock that closing a response takes."""
    with LoopbackServer([talks_on, answer]) as server, talking("sync", server) as talker:
        dropped = talker.stream()
        talker.open(dropped)
        talker.take(dropped, 1)
        holder = [dropped]
        path = dropped.path
        del dropped
        places = talker.client._http._transport._pool._places
        take = places.take

        def strike(origin: Any) -> Any:  # called by the pool under its lock
            holder.clear()
            return take(origin)

        places.take = strike
        finished = talker.begin(talker.stream())
        assert finished.result(PATIENCE).check("complete").text == "Hi there"
        ended_once(path, "abandoned")
        # It was the first of the two connections, and is closed by the same thread, at once.
        server.wait_until(lambda: server.open_connections == 1)


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


def client_of(server: LoopbackServer, **settings: Any) -> AsyncClient:
    return AsyncClient(vessels={"lab": Ollama(base_url=server.url)}, environment={}, **settings)


FAST = pytest.mark.parametrize("fast", [{}, {"fast": True}], ids=["plain", "fast"])


class TestTasks:
    @FAST
    @pytest.mark.parametrize("script", [silent, falls_silent, talks_on])
    async def test_a_cancelled_task_leaves_at_once(
        self, script: Callable[[Conversation], None], fast: Any
    ):
        with LoopbackServer([script, answer]) as server:
            async with client_of(server, **fast) as client:
                stream = client.stream("lab/m", "hi")

                async def listen() -> None:
                    async with stream:
                        async for _ in stream:
                            pass

                task = asyncio.create_task(listen())
                await asyncio.to_thread(server.wait_until, lambda: len(server.requests) == 1)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert stream.outcome == "cancelled"
                await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0)
                ended_once(stream.path, "cancelled")
                assert (await client.complete("lab/m", "hi")).outcome == "complete"

    @FAST
    @pytest.mark.parametrize("ticks", [0, 1, 2, 3])
    async def test_cancelled_twice_some_ticks_apart(self, ticks: int, fast: Any):
        with LoopbackServer([talks_on]) as server:
            async with client_of(server, **fast) as client:
                stream = client.stream("lab/m", "hi")
                begun = asyncio.Event()

                async def listen() -> None:
                    async with stream:
                        async for _ in stream:
                            begun.set()

                task = asyncio.create_task(listen())
                await begun.wait()
                task.cancel()
                for _ in range(ticks):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0)
                ended_once(stream.path, "cancelled")

    @FAST
    async def test_a_timeout_of_the_callers_own(self, fast: Any):
        with LoopbackServer([falls_silent]) as server:
            async with client_of(server, **fast) as client:
                stream = client.stream("lab/m", "hi")

                async def listen() -> None:
                    async with asyncio.timeout(None) as limit, stream:
                        async for _ in stream:
                            limit.reschedule(asyncio.get_running_loop().time() + 0.1)

                with pytest.raises(TimeoutError):
                    await listen()
                assert stream.outcome == "cancelled"
                assert stream.completion.text == "Hi"
                await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0)
                ended_once(stream.path, "cancelled")

    @FAST
    async def test_a_chunk_that_was_waited_for_in_vain_is_not_lost(self, fast: Any):
        """Giving up on one chunk does not give up the stream."""
        go_on = threading.Event()

        def pauses(conversation: Conversation) -> None:
            conversation.begin()
            first, *rest = ollama_lines("Hi", " there")
            conversation.chunk(first)
            go_on.wait(PATIENCE)
            for line in rest:
                conversation.chunk(line)
            conversation.end()

        with LoopbackServer([pauses]) as server:
            async with client_of(server, **fast) as client, client.stream("lab/m", "hi") as stream:
                assert (await anext(stream)).text == "Hi"
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(stream), 0.1)
                go_on.set()
                assert [chunk.text async for chunk in stream] == [" there", ""]
                assert stream.outcome == "complete"

    async def test_a_group_of_tasks_of_which_one_fails(self):
        class OwnError(Exception):
            pass

        with LoopbackServer([talks_on]) as server:
            async with client_of(server) as client:
                streams = [client.stream("lab/m", "hi") for _ in range(4)]

                async def listen(number: int) -> None:
                    async with streams[number] as stream:
                        async for _ in stream:
                            if number == 2:
                                raise OwnError

                async def listen_to_all() -> None:
                    async with asyncio.TaskGroup() as group:
                        for number in range(4):
                            group.create_task(listen(number))

                with pytest.raises(ExceptionGroup) as caught:
                    await listen_to_all()
                assert caught.group_contains(OwnError)
                await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0)
                for stream in streams:
                    if stream.path is not None and stream.call is not None:
                        ended_once(stream.path, "cancelled")

    async def test_one_task_reads_a_stream_at_a_time(self):
        with LoopbackServer([falls_silent]) as server:
            async with client_of(server) as client, client.stream("lab/m", "hi") as stream:
                await anext(stream)
                waiting = asyncio.create_task(anext(stream))
                await asyncio.sleep(0)
                with pytest.raises(ClientStateError):
                    await anext(stream)
                waiting.cancel()

    async def test_the_client_is_closed_by_a_task_that_is_cancelled_itself(self):
        with LoopbackServer([talks_on]) as server:
            client = client_of(server)
            stream = client.stream("lab/m", "hi")
            await stream.__aenter__()
            closing = asyncio.create_task(client.aclose())
            await asyncio.sleep(0)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0)
            ended_once(stream.path, "cancelled")


SYNC_PROGRAM = """
import sys, vesselog
from vesselog.vessels.ollama import Ollama
client = vesselog.Client(vessels={"lab": Ollama(base_url=sys.argv[1])}, environment={})
stream = client.stream("lab/m", "hi")
"""
ASYNC_PROGRAM = """
import asyncio, sys, vesselog
from vesselog.vessels.ollama import Ollama
async def main():
    global client, stream
    client = vesselog.AsyncClient(vessels={"lab": Ollama(base_url=sys.argv[1])}, environment={})
    stream = client.stream("lab/m", "hi")
"""
FAST_PROGRAM = ASYNC_PROGRAM.replace("environment={}", "environment={}, fast=True")
EXITS = {
    "end": (SYNC_PROGRAM + "print(next(stream).text)", "abandoned", 0),
    "with-end": (
        SYNC_PROGRAM + "stream.__enter__(); print(next(stream).text); raise SystemExit(3)",
        "abandoned",
        3,
    ),
    "interrupt": (
        SYNC_PROGRAM + "\nwith stream:\n    print(next(stream).text)\n    raise KeyboardInterrupt",
        "cancelled",
        -2,
    ),
    "async-end": (
        ASYNC_PROGRAM + "    print((await anext(stream)).text)\nasyncio.run(main())",
        "cancelled",
        0,
    ),
    "async-loop-left-open": (
        ASYNC_PROGRAM + "    print((await anext(stream)).text)\n"
        "loop = asyncio.new_event_loop(); loop.run_until_complete(main())",
        "abandoned",
        0,
    ),
    "fast-end": (
        FAST_PROGRAM + "    print((await anext(stream)).text)\nasyncio.run(main())",
        "cancelled",
        0,
    ),
    "fast-loop-left-open": (
        FAST_PROGRAM + "    print((await anext(stream)).text)\n"
        "loop = asyncio.new_event_loop(); loop.run_until_complete(main())",
        "abandoned",
        0,
    ),
}


@pytest.mark.parametrize("how", EXITS)
def test_the_interpreters_exit_is_recorded(how: str, tmp_path: Path):
    program, outcome, status = EXITS[how]
    with LoopbackServer([falls_silent]) as server:
        ran = subprocess.run(
            [sys.executable, "-c", program, server.url],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert ran.stdout == "Hi\n", ran.stderr
        assert ran.returncode == status, ran.stderr
        assert "Exception ignored" not in ran.stderr
        (path,) = (tmp_path / "recordings").iterdir()
        ended_once(path, outcome)
        assert [chunk.text for chunk in Recording(path).chunks()] == ["Hi"]


def test_an_interrupt_in_the_middle_of_reading_ends_the_stream():
    """Ctrl-C in a blocked read, caught by the caller: the stream is over, and says how."""
    import signal

    with LoopbackServer([falls_silent]) as server, talking("sync", server) as talker:
        stream = talker.stream()
        with stream:
            assert next(stream).text == "Hi"
            main = threading.get_ident()
            threading.Timer(0.5, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
            with pytest.raises(KeyboardInterrupt):
                next(stream)
            assert stream.outcome == "cancelled"
            assert list(stream) == []
        ended_once(stream.path, "cancelled")
        server.wait_until(lambda: server.open_connections == 0)


def test_a_stream_can_be_left_and_cancelled_again_and_again():
    with (
        LoopbackServer([falls_silent]) as server,
        Client(
            vessels={"lab": Ollama(base_url=server.url)}, environment={}, retries=Retries(count=0)
        ) as client,
    ):
        stream = client.stream("lab/m", "hi")
        with stream:
            next(stream)
        for _ in range(2):
            stream.close()
            stream.cancel()
            assert list(stream) == []
        ended_once(stream.path, "cancelled")
