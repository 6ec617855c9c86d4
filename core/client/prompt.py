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
        # Not asked before whether it is done: asyncio.run's Ctrl-C may cancel it just after that.
        try:
            self.set_result(None)
        except asyncio.InvalidStateError:
            return
        waiter, self._waiter = self._waiter, None
        if waiter is None:
            return
        callback, context = waiter
        loop = self.get_loop()
        if asyncio.current_task(loop) is None:
            context.run(callback, self)
        else:
            loop.call_soon(callback, self, context=context)

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancelled with its waiter, which hears of it in the loop's next turn."""
        if not super().cancel(msg):
            return False
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            callback, context = waiter
            self.get_loop().call_soon(callback, self, context=context)
        return True
