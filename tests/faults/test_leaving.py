"""Streams left in every way, a thousand times each client: nothing of them is left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import ssl
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from amounts import amount
from invariants import check
from loopback import Conversation, LoopbackServer
from producing import producing, producing_lines
from reporting import Figure
from vesselog import AsyncClient, AsyncStream, Client, Limits, Stream, Timeouts
from vesselog.vessels.ollama import Ollama

LIMITS = Limits(max_connections=8)
PATIENT = Timeouts(pool=60)
FRAMES = 6

WAYS = (
    "break",
    "cancel",
    "cancel-task",
    "cancel-task-twice",
    "drop",
    "exception",
    "from-a-thread",
    "timeout",
    "whole",
)


class Enough(Exception):  # noqa: N818 - a caller's own
    """The caller has seen enough."""


def trickling(conversation: Conversation) -> None:
    """Each frame in its own packets, so that a cancel may hit anywhere."""
    pause = threading.Event()
    prompt = conversation.request.json["messages"][-1]["content"]
    conversation.begin()
    for each in producing_lines(FRAMES)(prompt):
        pause.wait(0.001)
        conversation.chunk(each)
    conversation.end()


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def check_files(folder: Path, expected: set[str]) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for path in folder.glob("*.jsonl"):
        for call in check(path, produced=producing_lines(FRAMES)):
            outcomes[call.outcome] += 1
    assert set(outcomes) <= expected, outcomes
    return outcomes


async def leave(client: AsyncClient, number: int, chance: random.Random) -> None:
    """Begin a stream and leave it at a random await in a random way."""
    way = chance.choice(WAYS)
    moment, ticks = chance.random() * 0.015, chance.randrange(60)
    wanted = chance.randrange(FRAMES)
    session = "shared" if chance.random() < 0.2 else None
    stream: AsyncStream = client.stream("lab/m", str(number), session=session)

    async def wait() -> None:
        if number % 2:
            await asyncio.sleep(moment)
        else:
            for _ in range(ticks):
                await asyncio.sleep(0)

    async def listen(enough: int = FRAMES + 9) -> None:
        async with stream:
            seen = 0
            async for _ in stream:
                seen += 1
                if seen > enough:
                    if way == "exception":
                        raise Enough
                    break

    if way == "drop":
        await stream.__aenter__()
        with suppress(StopAsyncIteration):
            await anext(stream)
        return
    if way == "timeout":
        with suppress(TimeoutError):
            async with asyncio.timeout(moment):
                await listen()
        return
    task = asyncio.create_task(listen(wanted if way in {"break", "exception"} else FRAMES + 9))
    if way not in {"break", "exception", "whole"}:
        await wait()
    if way == "cancel":
        stream.cancel()
    elif way == "from-a-thread":
        await asyncio.to_thread(stream.cancel)
    elif way.startswith("cancel-task"):
        task.cancel()
        if way.endswith("twice"):
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(0)
            task.cancel()
    (result,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(result, asyncio.CancelledError | Enough | None), repr(result)


@pytest.mark.parametrize("fast", [{}, {"fast": True}], ids=["plain", "fast"])
async def test_leaving_the_async_client(fast: Any, tmp_path: Path, figure: Figure) -> None:
    total = amount("CANCELS")
    chance = random.Random(amount("SEED"))
    threads = threading.active_count()
    context = ssl.create_default_context()
    with LoopbackServer([trickling]) as server:
        async with AsyncClient(
            vessels={"lab": Ollama(base_url=server.url)},
            environment={},
            limits=LIMITS,
            timeouts=PATIENT,
            ssl_context=context,
            **fast,
        ) as client:
            await leave(client, 0, random.Random(7))
            before = descriptors()
            for start in range(0, total, 20):
                batch = range(start, min(start + 20, total))
                await asyncio.gather(*(leave(client, each, chance) for each in batch))
            gc.collect()
            while client._running:
                await next(iter(client._running)).finished()
            barrier = asyncio.Barrier(LIMITS.max_connections)

            async def hold() -> None:
                """All connections at once: none is held by what is gone."""
                stream = client.stream("lab/m", "after", timeouts=Timeouts(pool=5))
                async with stream:
                    await barrier.wait()
                    async for _ in stream:
                        pass
                assert stream.outcome == "complete"

            await asyncio.gather(*(hold() for _ in range(LIMITS.max_connections)))
            held = LIMITS.max_connections * 2  # both ends are in this process
            assert descriptors() <= before + held
        for _ in range(10):
            await asyncio.sleep(0)  # a connection's last goodbye
        assert len(asyncio.all_tasks()) == 1
        await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0)
    assert threading.active_count() <= threads + 32  # asyncio's own, for to_thread
    outcomes = check_files(tmp_path / "recordings", {"abandoned", "cancelled", "complete"})
    figure(
        f"{total} streams left at random awaits in {len(WAYS)} ways "
        f"({'fast' if fast else 'async'}): 0 connections, sockets, tasks, threads or descriptors "
        f"left ({', '.join(f'{count} {name}' for name, count in sorted(outcomes.items()))})"
    )


def test_leaving_the_sync_client(tmp_path: Path, figure: Figure) -> None:
    total = amount("CANCELS")
    chance = random.Random(amount("SEED"))
    threads = threading.active_count()
    with LoopbackServer([trickling]) as server:
        before_client = descriptors()
        vessels = {"lab": Ollama(base_url=server.url)}
        with (
            ThreadPoolExecutor(16) as pool,
            Client(vessels=vessels, environment={}, limits=LIMITS, timeouts=PATIENT) as client,
        ):

            def leave_it(number: int, way: str, moment: float, wanted: int, shared: bool) -> None:
                session = "shared" if shared else None
                stream: Stream = client.stream("lab/m", str(number), session=session)
                timer = threading.Timer(moment, stream.cancel)
                if way in {"cancel", "from-a-thread", "timeout"}:
                    timer.start()
                try:
                    if way == "drop":
                        stream.__enter__()
                        next(stream, None)
                        return
                    with stream:
                        for seen, _ in enumerate(stream):
                            if seen >= wanted and way == "exception":
                                raise Enough
                            if seen >= wanted and way == "break":
                                break
                except Enough:
                    pass
                finally:
                    timer.cancel()
                    if timer.ident is not None:
                        timer.join()

            list(pool.map(lambda number: leave_it(number, "whole", 0, 0, False), range(16)))
            before = descriptors()
            jobs = [
                pool.submit(
                    leave_it,
                    number,
                    chance.choice(WAYS),
                    chance.random() * 0.015,
                    chance.randrange(FRAMES),
                    chance.random() < 0.2,
                )
                for number in range(total)
            ]
            for job in jobs:
                job.result(60)
            barrier = threading.Barrier(LIMITS.max_connections)

            def hold() -> None:
                stream = client.stream("lab/m", "after", timeouts=Timeouts(pool=5))
                with stream:
                    barrier.wait(30)
                    for _ in stream:
                        pass
                assert stream.outcome == "complete"

            for job in [pool.submit(hold) for _ in range(LIMITS.max_connections)]:
                job.result(60)
            assert client._running == set()
            assert descriptors() <= before + LIMITS.max_connections * 2
        server.wait_until(lambda: server.open_connections == 0)
        assert descriptors() <= before_client
    assert threading.active_count() == threads
    outcomes = check_files(tmp_path / "recordings", {"abandoned", "cancelled", "complete"})
    figure(
        f"{total} streams left at random moments (sync): 0 connections, sockets, threads or "
        f"descriptors left ({', '.join(f'{n} {name}' for name, n in sorted(outcomes.items()))})"
    )


@pytest.mark.parametrize("level", ["interval", "power"])
async def test_leaving_at_a_level_that_syncs(level: str, tmp_path: Path) -> None:
    """Also while a sync is waited for."""
    chance = random.Random(amount("SEED"))
    with LoopbackServer([producing(FRAMES)]) as server:
        async with AsyncClient(
            vessels={"lab": Ollama(base_url=server.url)},
            environment={},
            durability=level,
            limits=LIMITS,
            timeouts=PATIENT,
        ) as client:
            for start in range(0, amount("CANCELS") // 5, 20):
                each = range(start, start + 20)
                await asyncio.gather(*(leave(client, number, chance) for number in each))
            gc.collect()
            async with client.stream("lab/m", "after") as stream:
                async for _ in stream:
                    pass
            assert stream.outcome == "complete"
        assert len(asyncio.all_tasks()) == 1
        await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0)
    check_files(tmp_path / "recordings", {"abandoned", "cancelled", "complete"})
