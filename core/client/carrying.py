"""Tells a stream which shared connection carries it, so that it can be reset without harm."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol

__all__ = ["CARRIER_LISTENER", "Carrier"]


class Carrier(Protocol):
    """An HTTP/2 connection, which carries many streams."""

    def reset(self, stream: int) -> None:
        """End the stream of this number for whoever waits for it here."""
        ...

    async def tell_reset(self, stream: int) -> None:
        """Tell the server that nobody wants the stream any more."""
        ...


CARRIER_LISTENER: ContextVar[Callable[[Carrier], None] | None] = ContextVar(
    "vesselog_carrier_listener", default=None
)
"""Set in the task that sends a request; called whenever the task uses a shared connection."""
