"""The session's turn: one writer at a time, times in order, interrupts and finalisers survived."""

from __future__ import annotations

import threading
from collections import deque

import pytest

from sessions import ManualClock
from vesselog.core.truth.turn import Turn


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def make(clock: ManualClock, waiting: deque[str] | None = None, settle=lambda: None) -> Turn:
    return Turn(clock, 0, (waiting if waiting is not None else deque()).__len__, settle)


def test_times_are_microseconds_that_never_decrease(clock: ManualClock) -> None:
    turn = make(clock)
    times = []
    for seconds in (0, 1.5, -3600, 0.25):
        clock.pass_seconds(seconds)
        with turn as t:
            times.append(t)
    assert times == [0, 1_500_000, 1_500_000, 1_500_000]


def test_the_turn_is_given_to_one_thread_at_a_time(clock: ManualClock) -> None:
    turn = make(clock)
    order: list[str] = []
    with turn:
        other = threading.Thread(target=lambda: (turn.__enter__(), order.append("other")))
        other.start()
        order.append("first")
    other.join()
    assert order == ["first", "other"]


def test_a_finaliser_inside_a_turn_of_its_own_thread_does_not_get_it(clock: ManualClock) -> None:
    turn = make(clock)
    with turn:
        assert not turn.try_enter()
    assert turn.try_enter()
    turn.leave()


def test_what_was_put_aside_is_settled_when_the_turn_ends(clock: ManualClock) -> None:
    waiting: deque[str] = deque()
    turn = make(clock, waiting, waiting.clear)
    with turn:
        waiting.append("an end")
        assert waiting
    assert not waiting


def test_a_turn_left_open_by_an_interrupt_is_closed_with_the_next(clock: ManualClock) -> None:
    turn = make(clock)
    turn.__enter__()  # as if a KeyboardInterrupt had come before the body began
    with turn:
        pass
    got: list[bool] = []
    other = threading.Thread(target=lambda: got.append(turn.try_enter()))
    other.start()
    other.join()
    assert got == [True]
