"""The sync client's pool: threads that wait get their turn, and lose no place."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest

from patience import PATIENCE
from vesselog.core.client.interrupt import Alarm, Interrupted, Wait
from vesselog.core.client.pool import Pool, SocketConnection
from vesselog.core.client.settings import Limits
from vesselog.core.client.socket_stream import SocketStream

HERE, THERE = ("http", "here.example", 80), ("https", "there.example", 443)


class Threads:
    """Threads that take from a pool, and the other ends of its connections."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.far: dict[SocketConnection, socket.socket] = {}
        self._executor = ThreadPoolExecutor()

    def take(self, origin: tuple[str, str, int] = HERE) -> SocketConnection:
        """Taken, and connected."""
        connection = self.pool.take(origin, PATIENCE)
        if connection.stream is None:
            near, self.far[connection] = socket.socketpair()
            near.setblocking(False)
            connection.stream = SocketStream(near)
        return connection

    def waiting(self, timeout: float | None = PATIENCE) -> Future[SocketConnection]:
        """Taken by another thread, which waits by now."""
        places = self.pool._places
        before = len(places._waiting)
        future = self._executor.submit(self.pool.take, HERE, timeout)
        while len(places._waiting) == before and not future.done():
            pass
        return future

    def end(self) -> None:
        self.pool.close()
        self._executor.shutdown()
        for far in self.far.values():
            far.close()


@pytest.fixture
def threads() -> Iterator[Threads]:
    threads = Threads(Pool(Limits(max_connections=1)))
    yield threads
    threads.end()


def test_an_idle_one_is_used_again(threads: Threads):
    held = threads.take()
    threads.pool.keep(held)
    assert threads.take() is held


def test_an_idle_one_that_its_server_closed_is_not(threads: Threads):
    held = threads.take()
    threads.pool.keep(held)
    threads.far[held].close()
    assert threads.take() is not held


@pytest.mark.parametrize("ends", ["keep", "drop"])
def test_those_who_wait_get_their_turn_in_order(threads: Threads, ends: str):
    held = threads.take()
    first, second = threads.waiting(), threads.waiting()
    getattr(threads.pool, ends)(held)
    place = first.result(PATIENCE)
    assert (place is held) == (ends == "keep")
    assert not second.done()
    threads.pool.drop(place)
    assert second.result(PATIENCE).stream is None


def test_waiting_ends_at_its_deadline_and_takes_nothing(threads: Threads):
    held = threads.take()
    with pytest.raises(httpx.PoolTimeout):
        threads.pool.take(HERE, 0.01)
    threads.pool.keep(held)
    assert threads.pool.take(HERE, 0.01) is held


@pytest.mark.parametrize("moment", ["before", "late"])
def test_one_who_is_cancelled_loses_no_place(threads: Threads, moment: str):
    """While he waits, and in the moment in which his turn has come."""
    held = threads.take()
    alarm = Alarm(lambda: (None, "total"))
    cancelled = threads.waiting(Wait.of(alarm, PATIENCE))
    if moment == "late":
        with threads.pool._lock:  # which he needs to leave
            alarm.ring()
            threads.pool._places.keep(held)
    else:
        alarm.ring()
    with pytest.raises(Interrupted):
        cancelled.result(PATIENCE)
    if moment == "before":
        threads.pool.keep(held)
    assert threads.take() is held
    alarm.close()


def test_closing_tells_those_who_wait_and_wakes_who_reads(threads: Threads):
    held = threads.take()
    waiting = threads.waiting()
    reading = threading.Event()

    def read() -> bytes:
        assert held.stream is not None
        reading.set()
        return held.stream.receive(10, PATIENCE)

    with ThreadPoolExecutor() as executor:
        reader = executor.submit(read)
        assert reading.wait(PATIENCE)
        threads.pool.close()
        with pytest.raises(httpx.ConnectError, match="closed"):
            waiting.result(PATIENCE)
        with suppress(OSError):  # closed before he waited
            assert reader.result(PATIENCE) == b""
