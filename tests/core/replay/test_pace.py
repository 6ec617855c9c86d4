"""How long to wait for what was recorded."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sessions import ManualClock
from vesselog import ConfigurationError
from vesselog.core.replay.pace import Pace, checked_speed


@pytest.mark.parametrize(("speed", "seconds"), [(1.0, 2.0), (2.0, 1.0), (0.5, 4.0), (0.0, 0.0)])
def test_what_came_later_is_due_later(speed: float, seconds: float) -> None:
    clock = ManualClock()
    pace = Pace(speed, clock)
    assert pace.wait(2_000_000) == seconds
    clock.pass_seconds(seconds)
    assert pace.wait(2_000_000) == 0.0
    clock.pass_seconds(100)
    assert pace.wait(2_000_000) == 0.0


def test_what_follows_a_wait_that_was_cut_short_comes_that_much_earlier() -> None:
    clock = ManualClock()
    pace = Pace(1.0, clock, longest=3)
    assert pace.wait(10_000_000) == 3.0
    clock.pass_seconds(3)
    assert pace.wait(11_000_000) == 1.0


def test_no_wait_is_more_than_a_sleep_takes() -> None:
    assert Pace(1e-300, ManualClock()).wait(1 << 53) == 1e9


@pytest.mark.parametrize(("speed", "factor"), [("max", 0), (0, 0), (1, 1), (2.5, 2.5), ("3", 3)])
def test_a_speed_is_a_factor(speed: Any, factor: float) -> None:
    assert checked_speed(speed) == factor


@pytest.mark.parametrize("speed", [-1, math.nan, math.inf, "fast", None, [], {}, True, 10**400])
def test_other_speeds_are_refused(speed: Any) -> None:
    with pytest.raises(ConfigurationError, match="no speed") as caught:
        checked_speed(speed)
    assert caught.value.setting == "speed"
