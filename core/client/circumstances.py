"""What is the same for all attempts of a stream."""

from __future__ import annotations

from dataclasses import dataclass

from ..clock import Clock
from .origins import Origins
from .retry import Retries
from .settings import Limits, Timeouts

__all__ = ["Circumstances"]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The settings that hold for one stream."""

    timeouts: Timeouts
    limits: Limits
    retries: Retries
    clock: Clock
    origins: Origins
