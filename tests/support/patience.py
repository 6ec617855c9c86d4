"""How long tests wait for what has to happen."""

from __future__ import annotations

__all__ = ["PATIENCE"]

# Seconds. Only what hangs takes so long: a disk that others fill has held tests up for one minute.
PATIENCE = 180.0
