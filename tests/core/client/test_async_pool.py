"""The async client's pool: who gets a connection, and what becomes of those that nobody needs."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import httpx
import pytest

from vesselog.core.client.async_pool import AsyncConnection, AsyncPool
from vesselog.core.client.settings import Limits

HERE, THERE = ("http", "here.example", 80), ("https", "there.example", 443)


class Line:
    """Stands for a connection's stream."""

    def __init__(self) -> None:
        self.aborted = self.readable = False
        self.listener: Any = None

    def listen(self, listener: Any) -> None:
        self.listener = listener

    def abort(self) -> None:
        self.aborted = True


async def made(pool: AsyncPool, origin: Any = HERE, seconds: float | None = 10) -> AsyncConnection:
    """Taken, and connected."""
    connection = await pool.take(origin, seconds)
    connection.stream = connection.stream or Line()  # type: ignore[assignment]
    return connection


async def started(*asking: Any) -> list[asyncio.Task[AsyncConnection]]:
    """Tasks that wait."""
    tasks = [asyncio.create_task(each) for each in asking]
    await asyncio.sleep(0)
    return tasks


async def test_the_one_used_last_is_used_again():
    pool = AsyncPool(Limits())
    first, second = await made(pool), await made(pool)
    pool.keep(first)
    pool.keep(second)
    assert await pool.take(HERE, 1) is second
    assert await pool.take(HERE, 1) is first
    assert await pool.take(HERE, 1) not in {first, second}


async def test_a_connection_leads_to_one_server():
    pool = AsyncPool(Limits())
    pool.keep(here := await made(pool))
    there = await made(pool, THERE)
    assert there is not here
    assert there.origin == THERE


async def test_an_idle_one_makes_room_for_another_server():
    pool = AsyncPool(Limits(max_connections=2))
    pool.keep(oldest := await made(pool))
    pool.keep(other := await made(pool, THERE))
    assert await pool.take(("http", "third.example", 80), 0.1) not in {oldest, other}
    assert oldest.stream.aborted
    assert not other.stream.aborted


async def test_those_who_wait_get_their_turn_in_order():
    pool = AsyncPool(Limits(max_connections=1))
    held = await made(pool)
    first, second, third = await started(made(pool), made(pool, THERE), made(pool))
    pool.keep(held)
    assert await first is held
    assert not second.done()
    pool.keep(held)
    other = await second
    assert other.origin == THERE
    assert held.stream.aborted, "it leads elsewhere"
    pool.drop(other)
    assert (await third).origin == HERE


async def test_waiting_ends_at_its_deadline_and_takes_nothing():
    pool = AsyncPool(Limits(max_connections=1))
    held = await made(pool)
    with pytest.raises(httpx.PoolTimeout):
        await pool.take(HERE, 0.01)
    pool.keep(held)
    assert await pool.take(HERE, 0.01) is held


async def test_those_who_gave_up_waiting_are_forgotten():
    def futures() -> int:
        gc.collect()
        return sum(type(each) is asyncio.Future for each in gc.get_objects())

    pool = AsyncPool(Limits(max_connections=1))
    await made(pool)
    before = futures()
    for each in (waiting := await started(*(made(pool) for _ in range(100)))):
        each.cancel()
    await asyncio.wait(waiting)
    del each, waiting  # whose errors know where they were raised, and all that was there
    assert futures() < before + 50


@pytest.mark.parametrize("idle", [True, False])
async def test_one_that_is_found_ended_makes_room_for_another(idle: bool):  # noqa: FBT001
    pool = AsyncPool(Limits(max_connections=1))
    ended = await made(pool)
    if idle:
        pool.keep(ended)
        ended.stream.readable = True
        connection = await pool.take(HERE, 1)
    else:
        (waiting,) = await started(pool.take(HERE, 10))
        ended.stream.readable = True
        pool.keep(ended)
        connection = await waiting
    assert connection is not ended
    assert connection.stream is None
    assert ended.stream.aborted
    pool.drop(ended)
    assert (await started(pool.take(HERE, 10)))[0].cancel(), "that has the only place"


@pytest.mark.parametrize("ends", ["keep", "drop"])
async def test_one_who_is_cancelled_loses_no_place(ends: str):
    """While waiting, and in the moment in which the turn has come."""
    pool = AsyncPool(Limits(max_connections=1))
    for late in (False, True):
        held = await made(pool)
        first, second = await started(made(pool), made(pool))
        if late:
            getattr(pool, ends)(held)
        first.cancel()
        if not late:
            getattr(pool, ends)(held)
        with pytest.raises(asyncio.CancelledError):
            await first
        pool.drop(await second)


async def test_so_many_are_kept_and_for_so_long(monkeypatch: pytest.MonkeyPatch):
    now = 1000.0
    monkeypatch.setattr("vesselog.core.client.places.time.monotonic", lambda: now)
    pool = AsyncPool(Limits(max_keepalive=2, keepalive_expiry=30))
    three = [await made(pool) for _ in range(3)]
    for each in three:
        pool.keep(each)
        now += 10
    assert [each.stream.aborted for each in three] == [True, False, False]
    now += 15
    assert await pool.take(HERE, 1) is three[2]
    assert three[1].stream.aborted, "30 s have passed"
    none = AsyncPool(Limits(max_keepalive=0))
    none.keep(only := await made(none))
    assert only.stream.aborted


@pytest.mark.parametrize("what", ["data", "end"])
async def test_an_idle_one_that_hears_anything_is_dropped(what: str):
    pool = AsyncPool(Limits())
    pool.keep(idle := await made(pool))
    if what == "data":
        idle.stream.listener.data_came(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    else:
        idle.stream.listener.connection_ended(None)
    assert idle.stream.aborted
    assert await pool.take(HERE, 1) is not idle


async def test_closing_ends_all_and_tells_those_who_wait():
    pool = AsyncPool(Limits(max_connections=2))
    busy = await made(pool)
    pool.keep(idle := await made(pool))
    (waiting,) = await started(made(pool, THERE))
    other = await waiting
    (waiting,) = await started(made(pool))
    pool.close()
    with pytest.raises(httpx.ConnectError, match="closed"):
        await waiting
    assert busy.stream.aborted
    assert idle.stream.aborted
    assert other.stream.aborted
    pool.keep(other)
    assert await pool.take(THERE, 1) is not other


async def test_what_connects_while_the_pool_is_closed_is_closed_too():
    pool, line = AsyncPool(Limits()), Line()
    connecting = await pool.take(HERE, 1)
    pool.close()
    with pytest.raises(httpx.ConnectError, match="closed"):
        pool.connected(connecting, line)  # type: ignore[arg-type]
    assert line.aborted
