"""A future whose waiter goes on at once, where asyncio's own goes on in the loop's next turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any

__all__ = ["Prompt"]

_Callback = Callable[[Any], object]


class Prompt(asyncio.Future[None]):
    """For one task that waits for what a connection brings.

    A turn of the loop asks the system which connections are ready; so much is saved for each chunk.
    """

    _waiter: tuple[_Callback, Context] | None = None

    def add_done_callback(self, fn: _Callback, /, *, context: Context | None = None) -> None:
        """Called by the task that awaits this."""
        if context is None or self._waiter is not None or self.done():
            super().add_done_callback(fn, context=context)
        else:
            self._waiter = fn, context

    def wake(self) -> None:
        """Let the waiter go on: before this returns if no task is running, else soon."""
        if self.done():
            return
        waiter, self._waiter = self._waiter, None
        if waiter is not None and asyncio.current_task(self.get_loop()) is not None:
            super().add_done_callback(waiter[0], context=waiter[1])
            waiter = None
        self.set_result(None)
        if waiter is not None:
            callback, context = waiter
            context.run(callback, self)

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancelled with its waiter, which hears of it in the loop's next turn."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            super().add_done_callback(waiter[0], context=waiter[1])
        return super().cancel(msg)
