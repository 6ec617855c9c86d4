"""Hands recorded steps from a stream's owner task to its caller: a task, or a thread.

All of them are on disk already. One task puts, one caller takes. A caller that is slow makes the
owner wait once it is some hundred steps ahead.
"""

from __future__ import annotations

import asyncio
from queue import Empty, SimpleQueue

from ..errors import ClientStateError
from ..exchange import Step

__all__ = ["TaskHandOver", "ThreadHandOver"]

# Steps. This only bounds the memory that a slow caller costs.
_ENOUGH = 256


class TaskHandOver:
    """Where the caller is a task of the same event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._steps: list[Step] = []
        self._caller: asyncio.Future[None] | None = None
        self._owner: asyncio.Future[None] | None = None

    @property
    def full(self) -> bool:
        """Whether to wait for `room` before reading on."""
        return len(self._steps) > _ENOUGH

    def put(self, steps: list[Step]) -> None:
        """Add steps, and wake the caller."""
        self._steps += steps
        self.wake()

    def wake(self) -> None:
        """Wake the caller."""
        if self._caller is not None and not self._caller.done():
            self._caller.set_result(None)

    def clear(self) -> None:
        """Forget the steps that were not taken."""
        self._steps.clear()

    async def room(self) -> None:
        """Wait until the caller has taken enough."""
        while self.full:
            self._owner = self._loop.create_future()
            await self._owner

    def take(self) -> list[Step]:
        """All steps that are there; perhaps none."""
        steps, self._steps = self._steps, []
        if self._owner is not None and not self._owner.done():
            self._owner.set_result(None)
        return steps

    async def wait(self) -> None:
        """Wait for `put` or `wake`. Raises ClientStateError if another task waits already."""
        if self._caller is not None:
            raise ClientStateError("another task waits for this stream: one reads it at a time")
        self._caller = self._loop.create_future()
        try:
            await self._caller
        finally:
            self._caller = None


class ThreadHandOver:
    """Where the caller is a thread; `take` is called there, all else in the loop's thread.

    No lock is taken: a signal handler may run in the middle of `take`, and wait for the loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: SimpleQueue[list[Step]] = SimpleQueue()
        self._put = 0
        self._taken = 0
        self._owner: asyncio.Future[None] | None = None

    @property
    def full(self) -> bool:
        """Whether to wait for `room` before reading on."""
        return self._put - self._taken > _ENOUGH

    def put(self, steps: list[Step]) -> None:
        """Add steps, and wake the caller."""
        self._put += len(steps)
        self._queue.put(steps)

    def wake(self) -> None:
        """Wake the caller."""
        self._queue.put([])

    def clear(self) -> None:
        """Forget the steps that were not taken."""
        try:
            while True:
                self._put -= len(self._queue.get_nowait())
        except Empty:
            return

    async def room(self) -> None:
        """Wait until the caller has taken enough."""
        while True:
            self._owner = self._loop.create_future()
            if not self.full:  # looked at behind the future, which the caller looks at in turn
                return
            await self._owner

    @property
    def empty(self) -> bool:
        """Whether `take` would have to wait."""
        return self._queue.empty()

    def take(self) -> list[Step]:
        """Wait for `put` or `wake`: all steps that are there then; perhaps none."""
        steps = self._queue.get()
        try:
            while True:
                steps = steps + self._queue.get_nowait()
        except Empty:
            pass
        self._taken += len(steps)
        if self._owner is not None and not self.full:
            self._loop.call_soon_threadsafe(self._let_in)
        return steps

    def _let_in(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None and not owner.done():
            owner.set_result(None)
