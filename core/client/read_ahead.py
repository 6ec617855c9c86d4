"""What a connection's owner has read and its caller has not taken yet; for one event loop.

All of it is on disk already. One task puts, one other takes.
"""

from __future__ import annotations

import asyncio

from ..errors import ClientStateError
from ..exchange import Step
from .prompt import Prompt

__all__ = ["ReadAhead", "read_twice"]

# Steps. This only bounds the memory of a slow caller.
_ENOUGH = 256


class ReadAhead:
    """The steps between two tasks."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.steps: list[Step] = []
        self._taker: Prompt | None = None
        self._room: asyncio.Future[None] | None = None

    def put(self, steps: list[Step]) -> None:
        """Add steps."""
        if steps:
            self.steps += steps
            self.wake()

    def take(self, count: int) -> list[Step]:
        """The first `count` steps."""
        taken, self.steps = self.steps[:count], self.steps[count:]
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        return taken

    def clear(self) -> None:
        """Forget the steps: the answer is to be asked for anew, or can never be shown."""
        self.steps.clear()

    def wake(self) -> None:
        """Have whoever waits in `news` look again."""
        if self._taker is not None:
            self._taker.wake()

    async def news(self) -> None:
        """Wait for steps, or whatever else `wake` is called for. Raises ClientStateError."""
        if self._taker is not None:
            raise read_twice()
        self._taker = Prompt(loop=self._loop)
        try:
            await self._taker
        finally:
            self._taker = None

    @property
    def full(self) -> bool:
        """Whether reading further has to wait for `room`."""
        return len(self.steps) > _ENOUGH

    async def room(self) -> None:
        """Wait until enough is taken, which it may be already."""
        while self.full:
            self._room = self._loop.create_future()
            try:
                await self._room
            finally:
                self._room = None


def read_twice() -> ClientStateError:
    """The error of a second task that reads."""
    return ClientStateError("another task waits for this stream: one reads it at a time")
