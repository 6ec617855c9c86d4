"""Decides which HTTP headers are recorded: those listed here; any other may be a secret.

The list has headers that explain an answer: its form, the server's ids for it, limits and times.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["recordable"]

_KEPT = frozenset(
    {
        # HTTP
        *("accept", "accept-encoding", "cache-control", "connection", "date", "retry-after"),
        *("content-encoding", "content-length", "content-type", "transfer-encoding"),
        *("server", "server-timing", "user-agent", "via"),
        # Anthropic and OpenAI
        *("anthropic-beta", "anthropic-version", "request-id", "x-request-id"),
        *("openai-beta", "openai-model", "openai-processing-ms", "openai-version"),
        *("retry-after-ms", "x-should-retry"),
        # Azure
        *("api-version", "apim-request-id", "x-ms-client-request-id"),
        *("x-ms-deployment-name", "x-ms-region"),
        # Proxies and others
        *("cf-ray", "x-accel-buffering", "x-envoy-upstream-service-time", "x-groq-region"),
    }
)
_KEPT_PREFIXES = ("anthropic-ratelimit-", "x-ratelimit-")


def recordable(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that may be recorded, names in lower case."""
    lowered = ((name.lower(), value) for name, value in headers.items())
    return {
        name: value for name, value in lowered if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }
