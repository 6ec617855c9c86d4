"""The shapes of ASGI, https://asgi.readthedocs.io/en/latest/specs/www.html.

Named here because starlette is an extra, which only functions import.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

__all__ = ["Application", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Application(Protocol):
    """An ASGI application, or an answer that one gives."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request of `scope`."""
        ...
