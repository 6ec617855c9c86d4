"""How much is injected: moderate numbers by default, any by environment variable.

VESSELOG_TEST_KILLS=1000 pytest tests/faults/test_kill.py
"""

from __future__ import annotations

import os

__all__ = ["amount", "asked"]

DEFAULTS = {
    "KILLS": 60,  # kill -9 at random moments
    "POWER_CUTS": 20,  # for each durability level
    "RACES": 1000,  # of two processes for one session
    "FLIPS": 2000,  # random bits of shipped recordings; of a small one every bit is flipped
    "CANCELS": 1000,  # for each client
    "SCHEDULES": 500,  # of interleaved faults, each from a seed of its own
    "ODD_VALUES": 400,  # in recordings, each read by everything that reads one
    "READERS": 500,  # of one running answer
    "USERS": 200,  # who leave their answers and return
    "LEAVING_SECONDS": 15,  # for so long
    "FUZZ_SECONDS": 60,  # in which hostile answers are tried, over all clients
    "SEED": 0,  # the first of them, and that of every other random choice
}


def amount(name: str) -> int:
    """The number in the environment variable VESSELOG_TEST_`name`, or its default."""
    return int(os.environ.get(f"VESSELOG_TEST_{name}", DEFAULTS[name]))


def asked() -> str:
    """All of them, as one would write them before the command."""
    return " ".join(f"VESSELOG_TEST_{name}={amount(name)}" for name in DEFAULTS)
