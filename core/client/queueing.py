"""Tells a stream when aiohttp waits for a free connection for it, which its errors do not tell."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

__all__ = ["QUEUE_LISTENER", "queue_tracing"]

QUEUE_LISTENER: ContextVar[Callable[[bool], None] | None] = ContextVar(
    "vesselog_queue_listener", default=None
)
"""Set in the task that sends a request; called with True when waiting begins, False at its end."""


def queue_tracing() -> Any:
    """An aiohttp.TraceConfig that calls the listener of the task."""
    from aiohttp import TraceConfig  # noqa: PLC0415 - an extra

    async def begin(*_: object) -> None:
        _tell(waiting=True)

    async def end(*_: object) -> None:
        _tell(waiting=False)

    config = TraceConfig()
    config.on_connection_queued_start.append(begin)
    config.on_connection_queued_end.append(end)
    return config


def _tell(*, waiting: bool) -> None:
    listener = QUEUE_LISTENER.get()
    if listener is not None:
        listener(waiting)
