"""The write lock: one writer at a time, times in order, interrupts and finalisers survived."""

from __future__ import annotations

import threading
from collections import deque

import pytest

from sessions import ManualClock
from vesselog.core.truth.write_lock import WriteLock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def make(clock: ManualClock, waiting: deque[str] | None = None, settle=lambda: None) -> WriteLock:
    return WriteLock(clock, (waiting if waiting is not None else deque()).__len__, settle)


def test_times_are_microseconds_that_never_decrease(clock: ManualClock) -> None:
    lock = make(clock)
    times = []
    for seconds in (0, 1.5, -3600, 0.25):
        clock.pass_seconds(seconds)
        with lock as t:
            times.append(t)
    assert times == [0, 1_500_000, 1_500_000, 1_500_000]


def test_the_lock_is_given_to_one_thread_at_a_time(clock: ManualClock) -> None:
    lock = make(clock)
    order: list[str] = []
    with lock:
        other = threading.Thread(target=lambda: (lock.__enter__(), order.append("other")))
        other.start()
        order.append("first")
    other.join()
    assert order == ["first", "other"]


def test_a_finaliser_does_not_get_the_lock_that_its_own_thread_holds(clock: ManualClock) -> None:
    lock = make(clock)
    with lock:
        assert not lock.try_enter()
    assert lock.try_enter()
    lock.leave()


def test_what_could_not_be_done_is_done_when_the_lock_is_released(clock: ManualClock) -> None:
    waiting: deque[str] = deque()
    lock = make(clock, waiting, waiting.clear)
    with lock:
        waiting.append("an end")
        assert waiting
    assert not waiting


def test_a_lock_left_held_by_an_interrupt_is_released_with_the_next(clock: ManualClock) -> None:
    lock = make(clock)
    lock.__enter__()  # as if a KeyboardInterrupt had come before the body began
    with lock:
        pass
    got: list[bool] = []
    other = threading.Thread(target=lambda: got.append(lock.try_enter()))
    other.start()
    other.join()
    assert got == [True]
