"""The clock that the library is given; nothing in it reads the time in another way."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["SYSTEM_CLOCK", "Clock"]


class Clock(Protocol):
    """Two clocks, both in whole microseconds."""

    def monotonic(self) -> int:
        """Time that never jumps, from an arbitrary zero."""
        ...

    def wall(self) -> int:
        """Time since 1970-01-01T00:00:00Z; it may jump."""
        ...


class _SystemClock:
    def monotonic(self) -> int:
        return time.monotonic_ns() // 1000

    def wall(self) -> int:
        return time.time_ns() // 1000


SYSTEM_CLOCK: Clock = _SystemClock()
