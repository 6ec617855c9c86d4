"""Which headers pass through the gateway (RFC 9110, 7.6.1): those from end to end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["CREDENTIALS", "answer_headers", "own_headers", "passed_on", "request_headers"]

_HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te"),
        *("proxy-connection", "trailer", "transfer-encoding", "upgrade"),
    }
)
CREDENTIALS = frozenset({"authorization", "x-api-key", "x-goog-api-key", "api-key"})
"""Headers that carry a key."""

# Made anew for the other connection, or about the gateway's own address, which cookies and origins
# belong to.
_OF_REQUESTS = frozenset(
    {*("accept-encoding", "content-length", "expect", "host"), *("cookie", "origin", "referer")}
)
_OF_ANSWERS = frozenset({"content-length", "content-encoding", "set-cookie", "alt-svc"})
_OF_THE_GATEWAY = "x-vesselog-"


def request_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """A client's headers, names in lower case; repeated ones are joined by commas."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def passed_on(headers: Mapping[str, str], *, with_key: bool) -> dict[str, str]:
    """What of a client's headers goes to the upstream."""
    left = _HOP_BY_HOP | _OF_REQUESTS | _named_by_connection(headers)
    if not with_key:
        left |= CREDENTIALS
    return {
        name: value
        for name, value in headers.items()
        if name not in left and not name.startswith((_OF_THE_GATEWAY, "sec-fetch-"))
    }


def answer_headers(headers: Any) -> list[tuple[bytes, bytes]]:
    """What of an upstream's headers (an httpx.Headers) goes to the client.

    The length is left out: a body may have been unpacked, or a key masked in it.
    """
    left = _HOP_BY_HOP | _OF_ANSWERS | _named_by_connection(headers)
    return [
        (name.encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in headers.multi_items()
        if name not in left and not name.startswith(_OF_THE_GATEWAY)
    ]


def own_headers(**values: str | None) -> list[tuple[bytes, bytes]]:
    """Headers of the gateway's own, without those that have no value."""
    return [
        (f"{_OF_THE_GATEWAY}{name}".encode(), value.encode())
        for name, value in values.items()
        if value is not None
    ]


def _named_by_connection(headers: Mapping[str, str]) -> frozenset[str]:
    return frozenset(each.strip().lower() for each in headers.get("connection", "").split(","))
