"""When a request is sent again: never where the provider may already be working on it.

A connection that could not be made, and the statuses 408, 429, 502, 503 and 504, are worth another
try. A request that was sent and then lost its connection is not: it may have been paid for.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ..errors import ConnectionFailedError, ProviderError, StreamTimeoutError, VesselogError

__all__ = ["Retries", "parse_retry_after"]

_STATUSES = frozenset({408, 429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how soon.

    count: tries after the first. backoff: seconds before the first of them, doubled each time, with
    up to a quarter taken off at random so that many clients do not come back together. longest: the
    most seconds ever waited, also where the server's Retry-After asks for more.
    """

    count: int = 2
    backoff: float = 0.5
    longest: float = 60.0

    def delay(self, attempt: int, error: VesselogError, chance: random.Random) -> float | None:
        """Seconds to wait after the failed `attempt` (from 0).

        None if it must not be tried again.
        """
        if attempt >= self.count or not _worth_another_try(error):
            return None
        if error.retry_after is not None:
            return min(error.retry_after, self.longest)
        wait = self.backoff * 2.0**attempt * (1 - 0.25 * chance.random())
        return min(wait, self.longest)


def _worth_another_try(error: VesselogError) -> bool:
    if isinstance(error, ProviderError):
        return error.status in _STATUSES
    return (
        isinstance(error, (ConnectionFailedError, StreamTimeoutError)) and error.phase == "connect"
    )


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, in either of its forms (RFC 9110, 10.2.3)."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - now).total_seconds())
