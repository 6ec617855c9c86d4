"""Streams left in every way, a thousand times each client: nothing of them is left behind."""

from __future__ import annotations

import asyncio
import gc
import random
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from amounts import amount
from invariants import Yielded
from leaving import FRAMES, WAYS, check_files, descriptors, leave, leave_all, threads, trickling
from loopback import LoopbackServer
from patience import PATIENCE
from producing import producing
from reporting import Figure
from vesselog import AsyncClient, Client, Limits, Timeouts
from vesselog.core.truth.fsync_thread import SYNC_THREAD
from vesselog.vessels.ollama import Ollama

LIMITS = Limits(max_connections=8)
PATIENT = Timeouts(pool=60)


@pytest.mark.parametrize("fast", [{}, {"fast": True}], ids=["plain", "fast"])
async def test_leaving_the_async_client(fast: Any, tmp_path: Path, figure: Figure) -> None:
    total = amount("CANCELS")
    chance = random.Random(amount("SEED"))
    yielded: list[Yielded] = []
    others = threads()
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
            await leave(client, 0, random.Random(7), yielded)
            before = descriptors()
            for start in range(0, total, 20):
                batch = range(start, min(start + 20, total))
                await asyncio.gather(*(leave(client, each, chance, yielded) for each in batch))
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
    assert threads() == others
    outcomes = check_files(tmp_path / "recordings", yielded)
    figure(
        f"{total} streams left at random awaits in {len(WAYS)} ways "
        f"({'fast' if fast else 'async'}): 0 connections, sockets, tasks, threads or descriptors "
        f"left ({', '.join(f'{count} {name}' for name, count in sorted(outcomes.items()))})"
    )


def test_leaving_the_sync_client(tmp_path: Path, figure: Figure) -> None:
    total = amount("CANCELS")
    yielded: list[Yielded] = []
    others = threads()
    with LoopbackServer([trickling]) as server:
        before_client = descriptors()
        vessels = {"lab": Ollama(base_url=server.url)}
        with (
            ThreadPoolExecutor(16) as pool,
            Client(vessels=vessels, environment={}, limits=LIMITS, timeouts=PATIENT) as client,
        ):
            list(pool.map(lambda number: list(client.stream("lab/m", str(number))), range(16)))
            before = descriptors()
            leave_all(pool, client, total, yielded)
            barrier = threading.Barrier(LIMITS.max_connections)

            def hold() -> None:
                stream = client.stream("lab/m", "after", timeouts=Timeouts(pool=5))
                with stream:
                    barrier.wait(PATIENCE)
                    for _ in stream:
                        pass
                assert stream.outcome == "complete"

            for job in [pool.submit(hold) for _ in range(LIMITS.max_connections)]:
                job.result(PATIENCE)
            assert client._running == set()
            assert descriptors() <= before + LIMITS.max_connections * 2
        server.wait_until(lambda: server.open_connections == 0)
        assert descriptors() <= before_client
    assert threads() == others
    outcomes = check_files(tmp_path / "recordings", yielded)
    figure(
        f"{total} streams left at random moments (sync): 0 connections, sockets, threads or "
        f"descriptors left ({', '.join(f'{n} {name}' for name, n in sorted(outcomes.items()))})"
    )


@pytest.mark.parametrize("level", ["interval", "power"])
async def test_leaving_the_async_client_at_a_level_that_syncs(level: str, tmp_path: Path) -> None:
    """Also while a sync is waited for."""
    chance = random.Random(amount("SEED"))
    yielded: list[Yielded] = []
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
                await asyncio.gather(*(leave(client, number, chance, yielded) for number in each))
            gc.collect()
            async with client.stream("lab/m", "after") as stream:
                async for _ in stream:
                    pass
            assert stream.outcome == "complete"
        assert len(asyncio.all_tasks()) == 1
        await asyncio.to_thread(server.wait_until, lambda: server.open_connections == 0)
    check_files(tmp_path / "recordings", yielded)


@pytest.mark.parametrize("level", ["interval", "power"])
def test_leaving_the_sync_client_at_a_level_that_syncs(level: str, tmp_path: Path) -> None:
    yielded: list[Yielded] = []
    others = threads()
    with LoopbackServer([trickling]) as server:
        with (
            ThreadPoolExecutor(16) as pool,
            Client(
                vessels={"lab": Ollama(base_url=server.url)},
                environment={},
                durability=level,
                limits=LIMITS,
                timeouts=PATIENT,
            ) as client,
        ):
            leave_all(pool, client, amount("CANCELS") // 5, yielded)
            gc.collect()
            with client.stream("lab/m", "after") as stream:
                assert list(stream)
            assert stream.outcome == "complete"
        server.wait_until(lambda: server.open_connections == 0)
    asyncio.run(SYNC_THREAD.flushed())
    assert SYNC_THREAD.files == ()
    for thread in threading.enumerate():
        if thread.name == "vesselog sync":
            thread.join(PATIENCE)  # its last turn
    assert threads() == others
    check_files(tmp_path / "recordings", yielded)
