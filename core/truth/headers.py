"""Decides which HTTP headers are recorded: those listed here; any other may be a secret.

The list has headers that explain an answer: its form, the server's ids for it, limits and times.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["recordable"]

_KEPT = frozenset(
    {
        "accept",
        "accept-encoding",
        "anthropic-beta",
        "anthropic-version",
        "api-version",
        "apim-request-id",
        "cache-control",
        "cf-ray",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "openai-beta",
        "openai-model",
        "openai-processing-ms",
        "openai-version",
        "request-id",
        "retry-after",
        "retry-after-ms",
        "server",
        "server-timing",
        "transfer-encoding",
        "user-agent",
        "via",
        "x-accel-buffering",
        "x-envoy-upstream-service-time",
        "x-groq-region",
        "x-ms-client-request-id",
        "x-ms-deployment-name",
        "x-ms-region",
        "x-request-id",
        "x-should-retry",
    }
)
_KEPT_PREFIXES = ("anthropic-ratelimit-", "x-ratelimit-")


def recordable(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that may be recorded, names in lower case."""
    lowered = ((name.lower(), value) for name, value in headers.items())
    return {
        name: value for name, value in lowered if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }
