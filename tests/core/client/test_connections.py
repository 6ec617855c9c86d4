"""Connections are reused, bounded, and never lost, however streams are left.

VESSELOG_TEST_CANCELS says how many cancels at random moments each client has to survive (100).
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from loopback import Conversation, LoopbackServer, ollama_lines
from patience import PATIENCE
from talking import every_client, every_dialect, talking
from vesselog import AsyncClient, Client, Limits, Recording, Retries, StreamTimeoutError, Timeouts
from vesselog.vessels.ollama import Ollama

CANCELS = int(os.environ.get("VESSELOG_TEST_CANCELS", "100"))
SEED = int(os.environ.get("VESSELOG_TEST_SEED", "20261121"))


def answer(conversation: Conversation) -> None:
    conversation.answer("Hi", " there")


def falls_silent(conversation: Conversation) -> None:
    conversation.begin()
    conversation.chunk(ollama_lines("Hi")[0])
    conversation.wait_for_hangup()


@every_client
@every_dialect
def test_five_streams_in_a_row_use_one_connection(kind: str, model: str):
    with LoopbackServer([answer]) as server, talking(kind, server) as talker:
        for _ in range(5):
            talker.hear(model).check("complete")
        assert len(server.requests) == 5
        assert server.connections == 1


@every_client
def test_a_server_that_lingers_after_its_last_word_costs_the_drain_or_the_connection(kind: str):
    """The end of the body comes a little after `[DONE]`: within the drain the connection stays."""
    moment = threading.Event()

    def lingers(conversation: Conversation) -> None:
        conversation.begin()
        for frame in conversation.frames("Hi"):
            conversation.chunk(frame)
        moment.wait(0.02)
        conversation.end()

    with LoopbackServer([lingers]) as server, talking(kind, server) as talker:
        patient = Timeouts(drain=5)
        for _ in range(5):
            talker.hear("open/m", timeouts=patient).check("complete")
        assert server.connections == 1
        hasty = Timeouts(drain=0)
        talker.hear("open/m", timeouts=hasty).check("complete")
        talker.hear("open/m", timeouts=patient).check("complete")
        assert server.connections == 2


@every_client
def test_complete_and_models_and_streams_share_connections(kind: str):
    def any_answer(conversation: Conversation) -> None:
        if conversation.request.method == "GET":
            conversation.whole(b'{"models": [{"name": "m"}]}')
        else:
            conversation.answer("Hi")

    with LoopbackServer([any_answer]) as server, talking(kind, server) as talker:
        talker.hear()
        talker.complete()
        talker.models()
        talker.hear()
        assert server.connections == 1


@every_client
def test_past_the_limit_the_wait_and_its_error_name_the_setting(kind: str):
    settings: Any = {"limits": Limits(max_connections=1), "timeouts": Timeouts(pool=0.2)}
    with (
        LoopbackServer([falls_silent, answer]) as server,
        talking(kind, server, **settings) as talker,
    ):
        holder = talker.stream()
        talker.open(holder)
        heard = talker.hear().check("error", error=StreamTimeoutError)
        assert (heard.error.phase, heard.error.setting) == ("pool", "max_connections")
        assert "Limits(max_connections=" in str(heard.error)
        assert "Timeouts(pool=" in str(heard.error)
        assert len(heard.calls) == 1
        assert len(server.requests) == 1
        talker.leave(holder)
        assert talker.hear(timeouts=Timeouts(pool=10)).check("complete").text == "Hi there"


@every_client
def test_a_stream_waits_for_a_connection_and_gets_it(kind: str):
    with (
        LoopbackServer([falls_silent, answer]) as server,
        talking(kind, server, limits=Limits(max_connections=1)) as talker,
    ):
        holder = talker.stream()
        talker.open(holder)
        stream = talker.stream(timeouts=Timeouts(pool=30))
        waiting = talker.begin(stream)
        while stream.call is None:
            assert not waiting.done()
        talker.leave(holder)
        assert waiting.result(PATIENCE).check("complete").text == "Hi there"


@every_client
def test_idle_connections_are_kept_up_to_the_limit_and_closed_with_the_client(kind: str):
    together = threading.Barrier(4)

    def at_once(conversation: Conversation) -> None:
        together.wait(PATIENCE)
        conversation.answer("Hi")

    with LoopbackServer([at_once]) as server:
        with talking(kind, server) as talker:
            futures = [talker.begin(talker.stream()) for _ in range(4)]
            for future in futures:
                future.result(PATIENCE).check("complete")
            assert server.connections == server.open_connections == 4
        server.wait_until(lambda: server.open_connections == 0)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def sound(folder: Path) -> dict[str, int]:
    """How many calls ended how; each has one end."""
    outcomes: dict[str, int] = {}
    for path in folder.iterdir():
        recording = Recording(path)
        calls = list(recording.calls())
        ends = [line["call"] for line in recording.lines() if line["type"] == "end"]
        assert sorted(ends) == [call.number for call in calls], path
        for call in calls:
            outcomes[call.outcome] = outcomes.get(call.outcome, 0) + 1
    return outcomes


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts files in /proc")


def trickles(conversation: Conversation) -> None:
    """An answer that takes some milliseconds, so that a cancel may hit it anywhere."""
    pause = threading.Event()
    pause.wait(0.002)
    conversation.begin()
    for line in ollama_lines("a", "b", "c"):
        pause.wait(0.001)
        conversation.chunk(line)
    conversation.end()


@needs_proc
@pytest.mark.parametrize("fast", [{}, {"fast": True}], ids=["plain", "fast"])
async def test_cancels_at_random_moments_lose_nothing(fast: Any, tmp_path: Path):
    """No connection, socket, task or file is left; afterwards all connections can be had."""
    chance = random.Random(SEED)
    limits = Limits(max_connections=8)
    tasks = len(asyncio.all_tasks())
    with LoopbackServer([trickles]) as server:
        async with AsyncClient(
            vessels={"lab": Ollama(base_url=server.url)},
            environment={},
            limits=limits,
            timeouts=Timeouts(pool=30),
            **fast,
        ) as client:

            async def listen() -> None:
                async with client.stream("lab/m", "hi") as stream:
                    async for _ in stream:
                        pass

            async def cancelled() -> None:
                task = asyncio.create_task(listen())
                if chance.random() < 0.3:
                    for _ in range(chance.randrange(40)):
                        await asyncio.sleep(0)
                else:
                    await asyncio.sleep(chance.random() * 0.012)
                task.cancel()
                if chance.random() < 0.5:
                    for _ in range(chance.randrange(3)):
                        await asyncio.sleep(0)
                    task.cancel()
                await asyncio.gather(task, return_exceptions=True)

            await listen()
            gc.collect()
            before = open_files()
            left = CANCELS
            while left > 0:
                await asyncio.gather(*(cancelled() for _ in range(min(16, left))))
                left -= 16
            while client._running:
                await next(iter(client._running)).finished()
            # All connections at once: none is held by a stream that is gone.
            barrier = asyncio.Barrier(limits.max_connections)

            async def hold() -> None:
                async with client.stream("lab/m", "hi", timeouts=Timeouts(pool=5)) as stream:
                    await barrier.wait()
                    async for _ in stream:
                        pass
                assert stream.outcome == "complete"

            await asyncio.gather(*(hold() for _ in range(limits.max_connections)))
            gc.collect()
            assert open_files() <= before + limits.max_connections * 2
        assert len(asyncio.all_tasks()) == tasks
        await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0)
    outcomes = sound(tmp_path / "recordings")
    assert set(outcomes) <= {"complete", "cancelled"}, outcomes
    assert outcomes["cancelled"] > CANCELS / 10


@needs_proc
def test_cancels_from_threads_at_random_moments_lose_nothing(tmp_path: Path):
    """The same for the sync client: cancelled from another thread, by `break`, or dropped."""
    chance = random.Random(SEED)
    limits = Limits(max_connections=8)
    threads = threading.active_count()
    with LoopbackServer([trickles]) as server:
        vessels = {"lab": Ollama(base_url=server.url)}
        with (
            ThreadPoolExecutor(16) as pool,
            Client(
                vessels=vessels, environment={}, limits=limits, timeouts=Timeouts(pool=30)
            ) as client,
        ):

            def listen(wait: float, way: str, chunks: int) -> None:
                stream = client.stream("lab/m", "hi")
                timer = threading.Timer(wait, stream.cancel)
                if way == "cancel":
                    timer.start()
                with stream:
                    for _, _ in zip(stream, range(chunks), strict=False):
                        pass
                timer.cancel()

            def drop() -> None:
                stream = client.stream("lab/m", "hi")
                stream.__enter__()
                next(stream, None)

            client.complete("lab/m", "hi")
            gc.collect()
            before = open_files()
            jobs = [
                pool.submit(drop)
                if chance.random() < 0.2
                else pool.submit(
                    listen,
                    chance.random() * 0.012,
                    chance.choice(["cancel", "break"]),
                    chance.randrange(1, 6),
                )
                for _ in range(CANCELS)
            ]
            for job in jobs:
                job.result(PATIENCE)
            barrier = threading.Barrier(limits.max_connections)

            def hold() -> None:
                with client.stream("lab/m", "hi", timeouts=Timeouts(pool=5)) as stream:
                    barrier.wait(PATIENCE)
                    for _ in stream:
                        pass
                assert stream.outcome == "complete"

            for job in [pool.submit(hold) for _ in range(limits.max_connections)]:
                job.result(PATIENCE)
            gc.collect()
            assert client._running == set()
            assert open_files() <= before + limits.max_connections * 2
        server.wait_until(lambda: server.open_connections == 0)
    assert threading.active_count() == threads
    outcomes = sound(tmp_path / "recordings")
    assert set(outcomes) <= {"complete", "cancelled", "abandoned"}, outcomes


@needs_proc
@every_client
def test_failures_lose_no_files(kind: str):
    """Refused, truncated, an error status, bad input: again and again, nothing is left open."""

    def cut(conversation: Conversation) -> None:
        conversation.begin()
        conversation.chunk(ollama_lines("Hi")[0])
        conversation.end()

    def missing(conversation: Conversation) -> None:
        conversation.whole(b'{"error": "model not found"}', 404)

    scripts = [cut, missing] * 40
    with (
        LoopbackServer([*scripts, answer]) as server,
        talking(kind, server, retries=Retries(count=0)) as talker,
        talking(kind, "http://127.0.0.1:9", retries=Retries(count=0)) as nowhere,
    ):

        def fail() -> None:
            assert talker.hear().outcome == "truncated"
            assert talker.hear().outcome == "error"
            assert nowhere.hear().outcome == "error"
            talker.leave(talker.stream())

        fail()
        gc.collect()
        before = open_files()
        for _ in range(20):
            fail()
        gc.collect()
        assert open_files() <= before + 4
