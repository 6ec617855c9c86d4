"""Hands recorded steps from a stream's owner task to its caller: a task, or a thread.

All of them are on disk already. One task puts, one caller takes. The owner tells when the answer
begins and when no more will come. A caller that is slow makes the owner wait once it is some
hundred steps ahead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import suppress
from contextvars import Context
from queue import Empty, SimpleQueue
from typing import Any

from ..errors import ClientStateError
from ..exchange import Step
from ..waiting import wait_for

__all__ = ["ENOUGH", "TaskHandOver", "ThreadHandOver"]

# Steps. This only bounds the memory that a slow caller costs.
ENOUGH = 256


class _HandOver:
    """loop: the owner's. begun: the answer has begun. ended: no more steps will be put."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._owner: asyncio.Future[None] | None = None
        self._failure: BaseException | None = None
        self.begun = False
        self.ended = False

    def begin(self) -> None:
        """The answer begins."""
        self.begun = True
        self._wake()

    def end(self, failure: BaseException | None = None) -> None:
        """No more steps will be put. failure: a bug, to be raised to the caller."""
        self._failure = self._failure or failure
        self.ended = True
        self._wake()

    def _check(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _wake(self) -> None:
        raise NotImplementedError


class _Waiting:
    """What a caller's task awaits; it has what asyncio's tasks use of a future.

    Outside of any task, as in a transport's callback, it resumes its task at once; a future would
    do so in the event loop's next iteration. tasks: how to resume the task that waits, if one does;
    it is a list because an interrupt, which may cancel the task, cannot split `pop`. cancelled: how
    the wait was cancelled; nothing awaits this object again then.
    """

    _asyncio_future_blocking = False

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.tasks: list[tuple[Callable[[Any], object], Context]] = []
        self.cancelled: asyncio.CancelledError | None = None

    def __await__(self) -> Generator[Any]:
        self._asyncio_future_blocking = True
        yield self

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(self, resume: Callable[[Any], object], *, context: Context) -> None:
        self.tasks.append((resume, context))

    def result(self) -> None:
        if self.cancelled is not None:
            raise self.cancelled

    def cancel(self, msg: object = None) -> bool:
        """The task is cancelled. Returns False if it was woken before."""
        if not self.tasks:
            return False
        self.cancelled = asyncio.CancelledError(*(() if msg is None else (msg,)))
        self.wake()
        return True

    def wake(self, *, at_once: bool = False) -> None:
        """Resume the task that waits, if one does."""
        try:
            resume, context = self.tasks.pop()
        except IndexError:
            return
        if at_once and asyncio.current_task(self._loop) is None:
            context.run(resume, self)
        else:
            self._loop.call_soon(resume, self, context=context)


class TaskHandOver(_HandOver):
    """Where the caller is a task of the same event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._steps: list[Step] = []
        self._caller = _Waiting(loop)

    def put(self, steps: list[Step]) -> bool:
        """Add steps, and wake the caller; tell if there are so many that `room` is due.

        Outside of any task, the caller runs before this returns.
        """
        self._steps += steps
        if self._caller.tasks:
            self._caller.wake(at_once=True)
        return len(self._steps) > ENOUGH

    def clear(self) -> None:
        """Forget the steps that were not taken: they can never be shown."""
        self._steps.clear()

    async def room(self) -> None:
        """Wait until the caller has taken enough, which may be so already."""
        while len(self._steps) > ENOUGH:
            self._owner = self.loop.create_future()
            await self._owner

    async def opened(self) -> None:
        """The caller waits for the answer to begin, or for its end."""
        while not (self.begun or self.ended):
            await self._wait()
        self._check()

    async def take(self) -> list[Step]:
        """The caller waits for steps; none at the end.

        Raises ClientStateError if another task waits already.
        """
        while not self._steps and not self.ended:
            await self._wait()
        steps, self._steps = self._steps, []
        if self._owner is not None and not self._owner.done():
            self._owner.set_result(None)
        if self._failure is not None:
            self._check()
        return steps

    def _wait(self) -> _Waiting:
        if self._caller.tasks:
            raise ClientStateError("another task waits for this stream: one reads it at a time")
        if self._caller.cancelled is not None:
            self._caller = _Waiting(self.loop)
        return self._caller

    def _wake(self) -> None:
        self._caller.wake()


class ThreadHandOver(_HandOver):
    """Where the caller is a thread, which calls `opened` and `take`; all else is for the owner.

    No lock is taken: a signal handler may run in the middle of `take`, and wait for the loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._queue: SimpleQueue[list[Step]] = SimpleQueue()
        self._put = 0
        self._taken = 0
        self._early: list[Step] = []

    def put(self, steps: list[Step]) -> bool:
        """Add steps, and wake the caller; tell if there are so many that `room` is due."""
        self._put += len(steps)
        if steps:
            self._queue.put(steps)
        return self._put - self._taken > ENOUGH

    def _wake(self) -> None:
        self._queue.put([])

    def clear(self) -> None:
        """Forget the steps that were not taken: they can never be shown."""
        with suppress(Empty):
            while True:
                self._put -= len(self._queue.get_nowait())

    async def room(self) -> None:
        """Wait until the caller has taken enough."""
        while True:
            self._owner = self.loop.create_future()
            # Looked at behind the future, which the caller looks at behind its count.
            if self._put - self._taken <= ENOUGH:
                return
            await self._owner

    def opened(self) -> None:
        """The caller waits for the answer to begin, or for its end."""
        while not (self.begun or self.ended):
            self._early = self._early + wait_for(self._queue)
        self._check()

    def take(self) -> list[Step]:
        """The caller waits for steps; none at the end."""
        steps, self._early = self._early, []
        while not steps:
            if self.ended and self._queue.empty():
                self._queue.put([])  # another thread may wait, too
                self._check()
                return []
            steps = wait_for(self._queue)
        with suppress(Empty):
            while not self._queue.empty():  # looked at first: an exception is dear
                steps = steps + self._queue.get_nowait()
        self._taken += len(steps)
        if self._owner is not None and self._put - self._taken <= ENOUGH:
            with suppress(RuntimeError):  # the loop is closed, and waits for nobody
                self.loop.call_soon_threadsafe(self._let_in)
        return steps

    def _let_in(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None and not owner.done():
            owner.set_result(None)
