"""Ends the answers that a server sends, when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

__all__ = ["Running", "stop_all"]


class Running(Protocol):
    """An answer that is being sent. over: nothing is sent any more."""

    over: asyncio.Event

    async def stop(self) -> None:
        """End it, since the server stops."""


async def stop_all(running: Iterable[Running], within: float) -> None:
    """End these answers, and wait until they are over, at most `within` seconds."""
    stopped = tuple(running)
    for each in stopped:
        await each.stop()
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            await asyncio.gather(*(each.over.wait() for each in stopped))
