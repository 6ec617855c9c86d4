"""The request key, by which replay finds the answer that was recorded for a request."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from ..jsontext import canonical

__all__ = ["comparable", "request_key"]

# `complete()` finds a recorded `stream()`, and the reverse.
_IGNORED = frozenset({"stream", "stream_options"})


def request_key(route: str, body: Mapping[str, Any] | None) -> str:
    """SHA-256 over the route (the URL's path), a line feed, and the body in canonical JSON.

    `stream` and `stream_options` are left out of the body, and the order of its keys is ignored.
    """
    digest = sha256(route.encode())
    digest.update(b"\n")
    digest.update(canonical(comparable(body)))
    return f"sha256:{digest.hexdigest()}"


def comparable(body: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The part of a body that counts for the key."""
    if body is None:
        return None
    return {name: value for name, value in body.items() if name not in _IGNORED}
