"""Watches a call's deadline with the event loop's timers; data that arrives sets no timer anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

__all__ = ["DeadlineTimer"]

# Iterations of the loop between data in the socket and the deadline that it moves: the transport
# reads it, the stream's task records it.
_ITERATIONS = 4


class DeadlineTimer:
    """Calls `passed` with the phase when a deadline has passed.

    now: the time in seconds, by any clock. deadline: the time of the deadline as it stands,
    infinite for never, and its phase. It may move on before it passes; `watch` is called again
    where it may come sooner.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        now: Callable[[], float],
        deadline: Callable[[], tuple[float, str]],
        passed: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._now = now
        self._deadline = deadline
        self._passed = passed
        self._timer: asyncio.Handle | None = None

    def watch(self) -> None:
        """Look at the deadline when it passes as it stands now."""
        self.stop()
        end, _ = self._deadline()
        if end < inf:
            left = max(0.0, end - self._now())
            self._timer = self._loop.call_later(left, self._look, end, _ITERATIONS)

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, seen: float, iterations: int) -> None:
        """The deadline has passed, unless data has moved it from where it was `seen`.

        A caller may have blocked the loop, and the data with it: so the loop first gets the
        iterations in which data that is there already is recorded, and again after such data.
        """
        end, phase = self._deadline()
        if end > self._now():
            self.watch()
        elif iterations or end != seen:
            left = iterations - 1 if end == seen else _ITERATIONS
            self._timer = self._loop.call_soon(self._look, end, left)
        else:
            self._passed(phase)
