"""The async stream: entered once, iterated once, left in every way that a task can end."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE
from vesselog import AsyncClient, ClientStateError, Recording, TruncatedError
from vesselog.vessels.ollama import Ollama

FAST = pytest.mark.parametrize("fast", [False, True], ids=["plain", "fast"])


def client_of(server: LoopbackServer, **settings: Any) -> AsyncClient:
    return AsyncClient(vessels={"lab": Ollama(base_url=server.url)}, environment={}, **settings)


def answer(conversation: Conversation) -> None:
    conversation.answer("Hi", " there")


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


def ended_once(path: Path, *outcomes: str) -> None:
    """The recording's calls have these outcomes, each said once."""
    recording = Recording(path)
    assert [call.outcome for call in recording.calls()] == list(outcomes)
    ends = [line for line in recording.lines() if line["type"] == "end"]
    assert len(ends) == len(outcomes)


def signal_main(*, until: threading.Event) -> None:
    """Signal the main thread, again and again.

    Python handles one that comes just before the loop begins to wait only when the loop goes on.
    """
    main = threading.main_thread().ident
    assert main is not None
    while not until.wait(0.2):
        signal.pthread_kill(main, signal.SIGUSR1)


@FAST
class TestOnce:
    async def test_it_can_be_iterated_without_with(self, *, fast: bool):
        with LoopbackServer([answer]) as server:
            async with client_of(server, fast=fast) as client:
                stream = client.stream("lab/m", "hi")
                assert server.requests == []
                assert [chunk.text async for chunk in stream] == ["Hi", " there", ""]
                assert stream.outcome == "complete"
                assert await anext(stream, None) is None
                assert len(server.requests) == 1

    async def test_what_came_together_is_ready_together(self, *, fast: bool):
        """It is handed out then: iteration goes on behind it, and the sum has it."""
        more = threading.Event()

        def in_two_reads(conversation: Conversation) -> None:
            lines = ollama_lines("a", "b", "c")
            conversation.begin()
            conversation.chunk(lines[0] + lines[1])
            assert more.wait(PATIENCE)
            conversation.chunk(lines[2] + lines[3])
            conversation.end()

        with LoopbackServer([in_two_reads]) as server:
            async with client_of(server, fast=fast) as client:
                stream = client.stream("lab/m", "hi")
                assert stream.ready() == []
                chunks = aiter(stream)
                assert (await anext(chunks)).text == "a"
                assert [chunk.text for chunk in stream.ready()] == ["b"]
                assert stream.ready() == []
                more.set()
                assert [chunk.text async for chunk in chunks] == ["c", ""]
                assert stream.completion.text == "abc"

    async def test_a_cancelled_stream_has_nothing_ready(self, *, fast: bool):
        with LoopbackServer([talks_on]) as server:
            async with (
                client_of(server, fast=fast) as client,
                client.stream("lab/m", "hi") as stream,
            ):
                await anext(stream)
                stream.cancel()
                assert stream.ready() == []

    async def test_it_is_entered_once(self, *, fast: bool):
        with LoopbackServer([answer]) as server:
            async with client_of(server, fast=fast) as client:
                stream = client.stream("lab/m", "hi")
                async with stream:
                    with pytest.raises(ClientStateError, match="entered once"):
                        await stream.__aenter__()
                    assert [chunk.text async for chunk in stream] == ["Hi", " there", ""]
                with pytest.raises(ClientStateError, match="entered once"):
                    await stream.__aenter__()
                assert stream.outcome == "complete"
                assert len(server.requests) == 1

    async def test_it_is_iterated_once(self, *, fast: bool):
        with LoopbackServer([answer]) as server:
            async with (
                client_of(server, fast=fast) as client,
                client.stream("lab/m", "hi") as stream,
            ):
                chunks = aiter(stream)
                assert (await anext(chunks)).text == "Hi"
                for again in (lambda: aiter(stream), stream.frames):
                    with pytest.raises(ClientStateError, match="iterated once"):
                        again()
                assert (await anext(stream)).text == " there"
                assert [chunk.text async for chunk in chunks] == [""]
                with pytest.raises(ClientStateError, match="iterated once"):
                    aiter(stream)

    async def test_what_went_wrong_is_raised_once(self, *, fast: bool):
        def cut(conversation: Conversation) -> None:
            conversation.stream(ollama_lines("Hi")[:1])

        with LoopbackServer([cut]) as server:
            async with client_of(server, fast=fast) as client:
                stream = client.stream("lab/m", "hi")
                assert (await anext(stream)).text == "Hi"
                with pytest.raises(TruncatedError) as caught:
                    await anext(stream)
                assert stream.error is caught.value
                assert [chunk async for chunk in stream] == []


class TestCancel:
    @FAST
    async def test_takes_effect_in_the_loops_next_turn(self, *, fast: bool):
        with LoopbackServer([falls_silent]) as server:
            async with (
                client_of(server, fast=fast) as client,
                client.stream("lab/m", "hi") as stream,
            ):
                await anext(stream)
                stream.cancel()
                assert stream.outcome is None
                await asyncio.sleep(0)
                assert stream.outcome == "cancelled"
                assert [chunk async for chunk in stream] == []

    @FAST
    async def test_from_a_signal_handler(self, *, fast: bool):
        """Of Python's own, which runs between any two steps of the loop."""
        with LoopbackServer([falls_silent]) as server:
            async with (
                client_of(server, fast=fast) as client,
                client.stream("lab/m", "hi") as stream,
            ):
                ended = threading.Event()
                sender = threading.Thread(target=signal_main, kwargs={"until": ended})
                before = signal.signal(signal.SIGUSR1, lambda *_: stream.cancel())
                try:
                    async for _ in stream:
                        sender.start()
                finally:
                    ended.set()
                    sender.join(PATIENCE)
                    signal.signal(signal.SIGUSR1, before)
                assert stream.outcome == "cancelled"
                ended_once(stream.path, "cancelled")

    @FAST
    async def test_from_a_thread_while_the_loop_is_busy(self, *, fast: bool):
        with LoopbackServer([talks_on]) as server:
            async with (
                client_of(server, fast=fast) as client,
                client.stream("lab/m", "hi") as stream,
            ):
                await anext(stream)
                thread = threading.Thread(target=stream.cancel)
                thread.start()
                thread.join(PATIENCE)
                assert [chunk async for chunk in stream] == []
                assert stream.outcome == "cancelled"


class TestTasks:
    @FAST
    @pytest.mark.parametrize("script", [silent, falls_silent, talks_on])
    async def test_a_cancelled_task_leaves_at_once(
        self, script: Callable[[Conversation], None], *, fast: bool
    ):
        with LoopbackServer([script, answer]) as server:
            async with client_of(server, fast=fast) as client:
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
    async def test_cancelled_twice_some_ticks_apart(self, ticks: int, *, fast: bool):
        with LoopbackServer([talks_on]) as server:
            async with client_of(server, fast=fast) as client:
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
    async def test_a_timeout_of_the_callers_own(self, *, fast: bool):
        with LoopbackServer([falls_silent]) as server:
            async with client_of(server, fast=fast) as client:
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
    async def test_a_chunk_that_was_waited_for_in_vain_is_not_lost(self, *, fast: bool):
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
            async with (
                client_of(server, fast=fast) as client,
                client.stream("lab/m", "hi") as stream,
            ):
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
