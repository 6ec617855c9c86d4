"""Reads a request's body, and gives it to an application as if it had just arrived."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from .asgi import Receive

__all__ = ["Received", "TooLargeError", "cancel_when_left", "read_body", "until_left"]


class TooLargeError(Exception):
    """The body is larger than it may be."""


class Received:
    """`receive` of a request whose body was read already."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> dict[str, Any]:
        """The body, then what else there is."""
        body, self._body = self._body, None
        if body is None:
            return dict(await self._receive())
        return {"type": "http.request", "body": body, "more_body": False}


async def read_body(
    receive: Receive, limit: float = math.inf, count: Callable[[int], None] | None = None
) -> bytes | None:
    """The body; None if the client left before its end.

    count: called with the bytes of each part as it arrives; what it raises ends the reading. Raises
    TooLargeError for more than `limit` bytes.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise TooLargeError
        if count is not None:
            count(len(part))
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


async def until_left(receive: Receive) -> None:
    """Wait until the client leaves, which a server tells only who asks."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def cancel_when_left(receive: Receive, task: asyncio.Task[Any]) -> None:
    """Cancel the task when the client leaves."""
    await until_left(receive)
    task.cancel()
