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

    left: the seconds until the deadline as it stands, infinite for never, and its phase. The
    deadline may move on before it passes; `watch` is called again where it may come sooner.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        left: Callable[[], tuple[float, str]],
        passed: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._left = left
        self._passed = passed
        self._timer: asyncio.Handle | None = None

    def watch(self) -> None:
        """Look at the deadline when it passes as it stands now."""
        self.stop()
        left, _ = self._left()
        if left < inf:
            self._timer = self._loop.call_later(max(0.0, left), self._look, _ITERATIONS)

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, iterations: int) -> None:
        """The deadline has passed, unless data has moved it.

        A caller may have blocked the loop, and the data with it: so the loop first gets the
        iterations in which data that is there already is recorded.
        """
        left, phase = self._left()
        if left > 0:
            self.watch()
        elif iterations:
            self._timer = self._loop.call_soon(self._look, iterations - 1)
        else:
            self._passed(phase)
