"""The headers that let pages of another origin use a server (CORS, https://fetch.spec.whatwg.org)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .asgi import Send

__all__ = ["answer_preflight", "with_cors"]

_PREFLIGHT_SECONDS = "600"


def with_cors(send: Send, origin: str) -> Send:
    """A `send` whose answers pages of this origin may read."""

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            kept = _without_cors(message.get("headers", ()))
            own = [*_allowed(origin), (b"access-control-expose-headers", b"*")]
            message = {**message, "headers": [*kept, *own]}
        await send(message)

    return sending


def _without_cors(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [each for each in headers if not each[0].lower().startswith(b"access-control-")]


def _allowed(origin: str) -> list[tuple[bytes, bytes]]:
    return [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin")]


async def answer_preflight(headers: dict[str, str], origin: str, send: Send) -> None:
    """Tell a browser that a page of this origin may send the request that it asks about."""
    told = {
        "access-control-allow-methods": headers["access-control-request-method"],
        "access-control-allow-headers": headers.get("access-control-request-headers", ""),
        "access-control-max-age": _PREFLIGHT_SECONDS,
    }
    if headers.get("access-control-request-private-network") == "true":
        told["access-control-allow-private-network"] = "true"
    own = [(name.encode(), value.encode("latin-1")) for name, value in told.items()]
    raw = [*_allowed(origin), *own]
    await send({"type": "http.response.start", "status": 204, "headers": raw})
    await send({"type": "http.response.body", "body": b""})
