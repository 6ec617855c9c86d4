"""A session's write lock, and the session's time.

Times are taken while the lock is held, so that they are in the order of the file. A lock that an
interrupt (a KeyboardInterrupt between two instructions) left held blocks nobody in its own thread,
and is released with that thread's next use of it. Finalisers may run in the middle of a write of
their own thread: they only try.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..clock import Clock

__all__ = ["WriteLock"]


class WriteLock:
    """`with lock as t`: t is the session's time in microseconds, which never decreases.

    `enter` and `leave` do the same at less cost, for every piece of an answer. has_work, work: what
    others could not do while the lock was held is done when it is released.
    """

    def __init__(self, clock: Clock, has_work: Callable[[], Any], work: Callable[[], None]) -> None:
        self._clock = clock
        self._has_work = has_work
        self._work = work
        self.renew()
        self.start(0)

    def start(self, t: int) -> None:
        """Let the session's time be `t` now."""
        self._zero = self._clock.monotonic() - t
        self._last = t

    def now(self) -> int:
        """The session's time. To be called while the lock is held."""
        t = self._clock.monotonic() - self._zero
        if t < self._last:
            return self._last
        self._last = t
        return t

    def enter(self) -> int:
        """Take the lock. Returns the session's time."""
        self._lock.acquire()
        t = self._clock.monotonic() - self._zero  # as `now`, without the call
        if t < self._last:
            return self._last
        self._last = t
        return t

    def leave(self, *_: object) -> None:
        """Release the lock, also where an interrupt left it held; then do the waiting work."""
        while self._is_held_here():  # as `release`, without the call
            self._lock.release()
        if self._has_work():
            self._work()

    __enter__, __exit__ = enter, leave

    def try_enter(self) -> bool:
        """Take the lock if no thread, this one included, holds it."""
        return not self._is_held_here() and self._lock.acquire(blocking=False)

    def release(self) -> None:
        """Release the lock, also where an interrupt left it held."""
        while self._is_held_here():
            self._lock.release()

    def renew(self) -> None:
        """In a forked child: the thread that held the lock may not exist here."""
        self._lock = threading.RLock()
        # threading.Condition uses this method of a lock, too; nothing else tells who holds it.
        self._is_held_here: Callable[[], bool] = getattr(self._lock, "_is_owned")  # noqa: B009
