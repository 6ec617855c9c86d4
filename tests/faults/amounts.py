"""How much is injected: moderate numbers by default, any by environment variable.

    FAULT_KILLS=1000 pytest tests/faults/test_kill.py
"""

from __future__ import annotations

import os

__all__ = ["amount", "asked"]

DEFAULTS = {
    "FAULT_KILLS": 60,  # kill -9 at random moments
    "FAULT_POWER_CUTS": 20,  # for each durability level
    "FAULT_FLIPS": 2000,  # random bits of each larger sample; of the smallest every bit is flipped
    "FAULT_CANCELS": 1000,  # for each client
    "FAULT_SEEDS": 500,  # schedules of interleaved faults
    "FAULT_SEED": 0,  # the first of them
}


def amount(name: str) -> int:
    """The number in the environment variable `name`, or its default."""
    return int(os.environ.get(name, DEFAULTS[name]))


def asked() -> str:
    """All of them, as one would write them before the command."""
    return " ".join(f"{name}={amount(name)}" for name in DEFAULTS)
