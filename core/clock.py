"""The clock that the library is given (nothing in it reads the time in another way), and its text.

Recordings hold wall-clock times as ISO 8601 in UTC, with microseconds.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

__all__ = ["SYSTEM_CLOCK", "Clock", "parse_timestamp", "timestamp"]


class Clock:
    """Two clocks of the system, both in whole microseconds; a subclass may tell another time."""

    def monotonic(self) -> int:
        """Time that never jumps, from an arbitrary zero."""
        return time.monotonic_ns() // 1000

    def wall(self) -> int:
        """Time since 1970-01-01T00:00:00Z; it may jump."""
        return time.time_ns() // 1000


SYSTEM_CLOCK = Clock()


def timestamp(wall: int) -> str:
    """Microseconds since 1970 as ISO 8601 in UTC."""
    seconds, micros = divmod(wall, 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{micros:06d}Z"


def parse_timestamp(text: object) -> int | None:
    """What `timestamp` wrote, in microseconds since 1970; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            return None
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None
