"""The event loop of a sync client, in a thread of its own.

Every wait of a caller is `wait_for`, which Ctrl-C ends, and which a signal handler may interrupt
and then wait for the loop itself: no lock is held that the loop's thread could need.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, Never, TypeVar, cast

from ..errors import ClientStateError
from ..waiting import wait_for

__all__ = ["LoopThread"]

_Result = TypeVar("_Result")
_Reply = SimpleQueue[Callable[[], Any]]
"""Gets what gives a result, or raises what was raised."""

# Seconds that the interpreter's exit and `close` wait for the thread's end.
_PATIENCE = 5.0


class LoopThread:
    """Runs an event loop until it is closed, the interpreter exits, or nobody holds this object.

    last: what the loop does before it stops; it must not hold this object. Raises ClientStateError
    if there can be no loop.
    """

    def __init__(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            self.loop = asyncio.new_event_loop()
        except OSError as error:
            raise ClientStateError(f"the client has no event loop: {error.strerror}") from None
        self._last = last
        self._process = os.getpid()
        self._waiting: set[_Reply] = set()
        self._thread = threading.Thread(
            target=_run, args=(self.loop, self._waiting), name="vesselog client", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:
            self.loop.close()
            raise ClientStateError("no thread can be started for the client") from None
        self._dropped = weakref.finalize(self, _drop, self.loop, last, self._process)
        self._dropped.atexit = False
        self._at_exit = partial(_close_at_exit, weakref.ref(self))
        atexit.register(self._at_exit)

    def call(self, function: Callable[..., _Result], *args: object) -> _Result:
        """Call a function in the loop's thread; its result. Raises what it raises."""

        def start(reply: _Reply) -> None:
            try:
                result = function(*args)
            except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
                reply.put(partial(_raise, error))
            else:
                reply.put(lambda: result)

        return cast("_Result", self._ask(start))

    def run(self, make: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
        """Run a coroutine in the loop; its result. Raises what it raises."""

        def start(reply: _Reply) -> None:
            self.loop.create_task(make()).add_done_callback(lambda task: reply.put(task.result))

        return cast("_Result", self._ask(start))

    def _ask(self, start: Callable[[_Reply], None]) -> object:
        """Start something in the loop, and wait for its reply.

        Raises ClientStateError if the loop is closed, or is closed meanwhile.
        """
        reply: _Reply = SimpleQueue()
        self._waiting.add(reply)
        try:
            try:
                self.loop.call_soon_threadsafe(start, reply)
            except RuntimeError:
                _say_closed()
            return wait_for(reply)()
        finally:
            self._waiting.discard(reply)

    def close(self) -> None:
        """Stop the loop, which does its last work first. Does nothing the second time."""
        if not self._dropped.detach():
            return
        atexit.unregister(self._at_exit)
        if os.getpid() != self._process:
            return  # a fork, where there is no such thread
        try:
            self.run(self._last)
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(_PATIENCE)

    def drop(self) -> None:
        """Stop the loop, which was not used, without its last work."""
        if self._dropped.detach():
            atexit.unregister(self._at_exit)
            self.loop.call_soon_threadsafe(self.loop.stop)


def _run(loop: asyncio.AbstractEventLoop, waiting: set[_Reply]) -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(_cancel_the_rest())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
        for reply in tuple(waiting):
            reply.put(_say_closed)


async def _cancel_the_rest() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _raise(error: BaseException) -> Never:
    raise error


def _say_closed() -> Never:
    raise ClientStateError("the client is closed")


def _drop(
    loop: asyncio.AbstractEventLoop, last: Callable[[], Coroutine[Any, Any, None]], process: int
) -> None:
    """In a finaliser, which may run in any thread at any moment: nothing is waited for."""
    if os.getpid() != process:
        return

    async def end() -> None:
        try:
            await last()
        finally:
            loop.stop()

    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(lambda: loop.create_task(end()))


def _close_at_exit(reference: weakref.ref[LoopThread]) -> None:
    if (thread := reference()) is not None:
        thread.close()
