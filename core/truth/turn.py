"""Whose turn it is to write to a session, and what time it is then.

Times are taken with the turn, so that they are in the order of the file. A turn that an interrupt
(a KeyboardInterrupt between two instructions) left open blocks nobody in its own thread, and is
closed with that thread's next one. Finalisers, which may run in the middle of their own thread's
turn, only try.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from ..clock import Clock

__all__ = ["Turn"]


class Turn:
    """`with turn as t`: a session's lock, and its time in microseconds, which never decreases.

    Where it is taken for every read, `enter` and `leave` do the same for less. `waiting` and
    `settle`: what others left to be done is done when a turn ends.
    """

    def __init__(
        self, clock: Clock, t: int, waiting: Callable[[], Any], settle: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._waiting = waiting
        self._settle = settle
        self._renew_lock()
        self.start(t)

    def start(self, t: int) -> None:
        """Let it be `t` now."""
        self._zero = self._clock.monotonic() - t
        self._last = t

    def now(self) -> int:
        """The time; called inside a turn."""
        t = self._clock.monotonic() - self._zero
        if t < self._last:
            return self._last
        self._last = t
        return t

    def enter(self) -> int:
        """Take the turn; the time."""
        self._lock.acquire()
        t = self._clock.monotonic() - self._zero
        if t < self._last:
            return self._last
        self._last = t
        return t

    def leave(self) -> None:
        """End the turn, and those that interrupts left open; then do what was left to be done."""
        while self._owned():  # as `release`
            self._lock.release()
        if self._waiting():
            self._settle()

    def __enter__(self) -> int:
        return self.enter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave()

    def try_enter(self) -> bool:
        """Take the turn if nobody, this thread included, is inside one."""
        return not self._owned() and self._lock.acquire(blocking=False)

    def release(self) -> None:
        """End the turn, and those that interrupts left open."""
        while self._owned():
            self._lock.release()

    def after_fork(self) -> None:
        """In a forked child: the thread that held the lock may not exist here."""
        self._renew_lock()

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()
        # What threading.Condition asks of a lock, too; no other way tells who holds it.
        self._owned: Callable[[], bool] = getattr(self._lock, "_is_owned")  # noqa: B009
