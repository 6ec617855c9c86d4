"""How much is tried: little in the fast suite, much with VESSELOG_THOROUGH=1, as in .ci/run."""

from __future__ import annotations

import os

__all__ = ["THOROUGH", "tries"]

THOROUGH = bool(os.environ.get("VESSELOG_THOROUGH"))


def tries(few: int, many: int) -> int:
    """How many examples of a kind are tried."""
    return many if THOROUGH else few
