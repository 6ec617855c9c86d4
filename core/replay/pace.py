"""When the parts of a recorded answer are due while it is played."""

from __future__ import annotations

import math
from typing import Literal

from ..clock import Clock
from ..errors import ConfigurationError

__all__ = ["Pace", "Speed", "checked_speed"]

Speed = float | Literal["max"]
"""1.0 is the recorded pace, 2.0 twice as fast; 0 or "max" is without waiting."""

# 31 years: what is longer, in a recording that says anything, would overflow in time.sleep.
_LONGEST_WAIT_SECONDS = 1e9


def checked_speed(speed: Speed) -> float:
    """The speed as a number, 0 for "max". Raises ConfigurationError."""
    try:
        factor = 0.0 if speed == "max" else math.nan if isinstance(speed, bool) else float(speed)
    except (TypeError, ValueError, OverflowError):
        factor = math.nan
    if not math.isfinite(factor) or factor < 0:
        raise ConfigurationError(f'no speed {speed!r}: give 0 or more, or "max"', setting="speed")
    return factor


class Pace:
    """Tells how long to wait. The answer begins now.

    speed: a factor from `checked_speed`. longest: seconds that no wait exceeds; what follows comes
    that much earlier.
    """

    def __init__(self, speed: float, clock: Clock, longest: float = _LONGEST_WAIT_SECONDS) -> None:
        self._speed = speed
        self._clock = clock
        self._longest = min(longest, _LONGEST_WAIT_SECONDS) * 1e6
        self._begun: float = clock.monotonic()

    def wait(self, t: float) -> float:
        """Seconds until that is due which came `t` microseconds after the beginning."""
        if not self._speed:
            return 0.0
        wait = max(0.0, self._begun + t / self._speed - self._clock.monotonic())
        if wait > self._longest:
            self._begun -= wait - self._longest
            wait = self._longest
        return wait / 1e6
