"""When a request is sent again: never where the provider may already be working on it.

A connection that could not be made, a request that an HTTP/2 server refused before it worked on it,
and the statuses 408, 429, 502, 503, 504 and 529 (Anthropic: overloaded) are worth another try,
unless the provider says that it is not: by `x-should-retry`, or by an error that waiting does not
cure, such as a used-up quota. A request that was sent and then lost its connection is not: it may
have been paid for.
"""

from __future__ import annotations

import random
from datetime import datetime

from ..errors import ConnectionFailedError, ProviderError, StreamTimeoutError, VesselogError
from ..response_headers import parse_retry_after
from ..settings import Retries

__all__ = ["retry_delay", "take_retry_advice"]

# "refused": the server says that it did not work on the request.
_UNSENT = frozenset({"connect", "refused"})
_STATUSES = frozenset({408, 429, 502, 503, 504, 529})
_ADVICE = {"true": True, "false": False}


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
        advice = _ADVICE.get(error.headers.get("x-should-retry", ""))
        # A vessel that says nothing of it leaves it to the status.
        curable = vars(error).get("retryable", True)
        return curable and (error.status in _STATUSES or advice is True)
    return isinstance(error, (ConnectionFailedError, StreamTimeoutError)) and error.phase in _UNSENT


def take_retry_advice(error: ProviderError, now: datetime) -> None:
    """Take what the headers say of another try, which wins over what the body says.

    `retry-after-ms` and `x-should-retry` are OpenAI's and Anthropic's:
    https://github.com/openai/openai-python/blob/main/src/openai/_base_client.py.
    """
    for name, parts in (("retry-after", 1), ("retry-after-ms", 1000)):  # the exact one wins
        if (wait := parse_retry_after(error.headers.get(name), now)) is not None:
            error.retry_after = wait / parts
    advice = _ADVICE.get(error.headers.get("x-should-retry", ""))
    if advice is not None and error.status is not None:
        error.retryable = advice
