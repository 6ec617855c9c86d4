"""Which headers of a request and of its answer are kept, and what some of them say.

Any other may be a secret. Those of the answer are on streams, completions and errors, live and
replayed alike.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["kept_headers", "parse_retry_after", "request_id_of"]

_LOGGER = logging.getLogger("vesselog")
# Names under which servers tell the id that their support asks for, the most usual first.
_REQUEST_IDS = (
    *("x-request-id", "request-id", "apim-request-id", "x-goog-request-id", "x-amzn-requestid"),
    *("x-ms-request-id", "cf-ray"),
)
# They explain an answer: its form, the server's ids for it, limits and times.
_KEPT = frozenset(
    {
        # HTTP
        *("accept", "accept-encoding", "cache-control", "connection", "date", "retry-after"),
        *("content-encoding", "content-length", "content-type", "transfer-encoding"),
        *("server", "server-timing", "user-agent", "via"),
        # Anthropic and OpenAI
        *("anthropic-beta", "anthropic-version", "retry-after-ms", "x-should-retry"),
        *("openai-beta", "openai-model", "openai-processing-ms", "openai-version"),
        # Azure
        *("api-version", "x-ms-client-request-id", "x-ms-deployment-name", "x-ms-region"),
        # Proxies and others
        *("x-accel-buffering", "x-envoy-upstream-service-time", "x-groq-region"),
        *_REQUEST_IDS,
    }
)
_KEPT_PREFIXES = ("anthropic-ratelimit-", "x-ratelimit-")


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that may be recorded and shown, names in lower case."""
    lowered = ((name.lower(), value) for name, value in headers.items())
    return {
        name: value for name, value in lowered if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """The server's id for the request, from kept headers; None if it gave none."""
    return next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, in either of its forms (RFC 9110, 10.2.3).

    None for a value that is neither, which is logged.
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
            seconds = math.nan
    if not math.isfinite(seconds):
        _LOGGER.info("a Retry-After header is neither seconds nor a date: %.80r", value)
        return None
    return max(0.0, seconds)
