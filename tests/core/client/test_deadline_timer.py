"""The timer of a deadline that moves: it fires once, not early, and not where data has come."""

from __future__ import annotations

import asyncio
import time
from math import inf
from typing import Any

import pytest

from patience import PATIENCE
from vesselog.core.client.deadline_timer import DeadlineTimer

# Only asyncio's own loop tells which timers it has.
pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])


class Deadline:
    """A deadline that the test moves."""

    def __init__(self, seconds: float, phase: str = "idle") -> None:
        self._loop = asyncio.get_running_loop()
        self.phase = phase
        self.passed: list[str] = []
        self.over = asyncio.Event()
        self.looks = 0
        self.move(seconds)
        self.timer = DeadlineTimer(self._loop, self._loop.time, self.deadline, self.take)

    def move(self, seconds: float) -> None:
        self.end = self._loop.time() + seconds

    def deadline(self) -> tuple[float, str]:
        self.looks += 1
        return self.end, self.phase

    def take(self, phase: str) -> None:
        self.passed.append(phase)
        self.over.set()

    async def wait(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.over.wait()


def timers() -> list[Any]:
    loop: Any = asyncio.get_running_loop()
    return [each for each in loop._scheduled if not each.cancelled()]


async def test_it_passes_once_and_not_early() -> None:
    deadline = Deadline(0.05)
    begun = time.monotonic()
    deadline.timer.watch()
    await deadline.wait()
    assert time.monotonic() - begun >= 0.05
    for _ in range(10):
        await asyncio.sleep(0)
    assert deadline.passed == ["idle"]
    assert timers() == []


async def test_one_that_was_moved_passes_at_its_new_end_by_the_phase_of_then() -> None:
    """Nobody told the timer."""
    deadline = Deadline(0.05)
    deadline.timer.watch()
    deadline.move(0.15)
    deadline.phase = "grace"
    begun = time.monotonic()
    await deadline.wait()
    assert time.monotonic() - begun >= 0.14
    assert deadline.passed == ["grace"]


async def test_data_that_comes_sets_no_timer_anew() -> None:
    deadline = Deadline(30)
    deadline.timer.watch()
    (timer,) = timers()
    for _ in range(100):
        deadline.move(30)
    assert timers() == [timer]
    assert deadline.looks == 1
    deadline.timer.stop()


async def test_one_that_may_come_sooner_is_watched_anew() -> None:
    deadline = Deadline(300)
    deadline.timer.watch()
    deadline.move(0.02)
    deadline.timer.watch()
    await deadline.wait()
    assert timers() == []


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
async def test_data_that_was_there_already_counts(turns: int) -> None:
    """The loop was held up; its next turns bring what came meanwhile."""
    deadline = Deadline(0.01)
    deadline.timer.watch()
    time.sleep(0.05)  # noqa: ASYNC251 - the caller computes
    for _ in range(turns + 1):
        await asyncio.sleep(0)
    deadline.move(30)
    for _ in range(10):
        await asyncio.sleep(0)
    assert deadline.passed == []
    assert len(timers()) == 1
    deadline.timer.stop()


async def test_data_that_keeps_coming_counts_even_if_the_loop_is_blocked_each_time() -> None:
    """By the time the timer looks, the deadline that the data moved has passed, too."""
    deadline = Deadline(-5)
    deadline.timer.watch()
    for _ in range(20):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        deadline.end += 0.01
    assert deadline.passed == []
    await deadline.wait()


@pytest.mark.parametrize("moment", ["before", "behind"])
async def test_stopped_it_is_silent(moment: str) -> None:
    deadline = Deadline(0.0 if moment == "behind" else 30)
    deadline.timer.watch()
    if moment == "behind":
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    for _ in range(2):
        deadline.timer.stop()
    for _ in range(10):
        await asyncio.sleep(0)
    assert (deadline.passed, timers()) == ([], [])


async def test_never_needs_no_timer() -> None:
    deadline = Deadline(0)
    deadline.end = inf
    deadline.timer.watch()
    assert timers() == []


async def test_one_that_has_passed_already_passes_soon() -> None:
    deadline = Deadline(-5)
    deadline.timer.watch()
    assert deadline.passed == []  # not in the midst of whoever sets it
    await deadline.wait()
