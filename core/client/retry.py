"""When a request is sent again: never where the provider may already be working on it.

A connection that could not be made, and the statuses 408, 429, 502, 503 and 504, are worth another
try. A request that was sent and then lost its connection is not: it may have been paid for.
"""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ..errors import ConnectionFailedError, ProviderError, StreamTimeoutError, VesselogError
from ..settings import Retries

__all__ = ["parse_retry_after", "retry_delay"]

# "refused": the server says that it did not work on the request.
_UNSENT = frozenset({"connect", "refused"})
_STATUSES = frozenset({408, 429, 502, 503, 504})


def retry_delay(
    retries: Retries, attempt: int, error: VesselogError, chance: random.Random
) -> float | None:
    """Seconds to wait after the failed `attempt` (from 0).

    None if it must not be tried again.
    """
    if attempt >= retries.count or not _worth_another_try(error):
        return None
    if error.retry_after is not None:
        return min(error.retry_after, retries.longest)
    wait = retries.backoff * 2.0**attempt * (1 - 0.25 * chance.random())
    return min(wait, retries.longest)


def _worth_another_try(error: VesselogError) -> bool:
    if isinstance(error, ProviderError):
        return error.status in _STATUSES
    return isinstance(error, (ConnectionFailedError, StreamTimeoutError)) and error.phase in _UNSENT


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, in either of its forms (RFC 9110, 10.2.3).

    None for a value that is neither.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
            seconds = (when.replace(tzinfo=when.tzinfo or UTC) - now).total_seconds()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
