"""Settings shared by all attempts of a stream."""

from __future__ import annotations

from dataclasses import dataclass

from ..clock import Clock
from ..http.closing_servers import ClosingServers
from ..settings import Limits, Retries, Timeouts

__all__ = ["SharedSettings"]


@dataclass(frozen=True, slots=True)
class SharedSettings:
    """The settings that one stream runs with."""

    timeouts: Timeouts
    limits: Limits
    retries: Retries
    clock: Clock
    closing_servers: ClosingServers
