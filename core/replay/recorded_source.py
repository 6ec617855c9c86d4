"""The waits of streams whose answers come from recordings: in a thread, and in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from ..errors import RecordingError, VesselogError
from ..exchange import Step
from ..truth.session_pool import Entry, OpenSession
from ..waiting import wait_for
from .replayed_answer import ReplayedAnswer, Replaying

__all__ = ["AsyncRecordedSource", "RecordedSource"]


class _Source(ReplayedAnswer):
    """open_session: where the answer is recorded again; None to record nothing."""

    _loop: asyncio.AbstractEventLoop | None = None
    _opening: asyncio.Task[Entry] | None = None

    def __init__(
        self, replaying: Replaying, request: Mapping[str, Any], open_session: OpenSession | None
    ) -> None:
        super().__init__(replaying, request)
        self._open_session = open_session

    async def _record(self) -> None:
        """Open the session and record the answer there. Raises RecordingError."""
        # Set before the outcome is read: `wake` reads it after the outcome was set.
        self._loop = asyncio.get_running_loop()
        if self._open_session is None or self.facts.outcome is not None:
            return
        self._opening = asyncio.create_task(self._open_session())
        try:
            self.record(await self._opening)
        except asyncio.CancelledError:
            if self.facts.outcome is None:
                raise
        finally:
            self._opening = None

    def wake(self) -> None:
        """End a wait. Safe from any thread and in a signal handler."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nothing runs any more
                self._loop.call_soon_threadsafe(self._wake_in_loop)

    def _wake_in_loop(self) -> None:
        if self._opening is not None:
            self._opening.cancel()


class RecordedSource(_Source):
    """One recorded answer, for a stream of the sync client.

    run: runs a coroutine in the client's event loop to its end; None where nothing is recorded.
    """

    def __init__(
        self,
        replaying: Replaying,
        request: Mapping[str, Any],
        open_session: OpenSession | None,
        run: Callable[[Callable[[], Coroutine[Any, Any, None]]], None] | None,
    ) -> None:
        super().__init__(replaying, request, open_session)
        self._run = run
        self._wakes: SimpleQueue[None] = SimpleQueue()

    def open(self) -> None:
        """Find the answer, and wait until it begins. Raises ReplayMissError, RecordingError."""
        try:
            self.find()
            if self._run is not None:
                self._run(self._record)
            self._wait(self.until_begin())
            self.begin()
        except VesselogError as error:
            self.fail(error)
            raise
        except BaseException:
            self.leave()
            raise

    def read(self) -> list[Step]:
        """The next frame's step; none when the answer is over."""
        try:
            self._wait(self.until_next())
            steps = self.take()
            if self.gate is not None:
                self.gate.wait()
        except RecordingError as error:
            self.fail(error)
            return []
        except BaseException:
            self.leave()
            raise
        return steps

    def wake(self) -> None:
        """End a wait. Safe from any thread and in a signal handler."""
        self._wakes.put(None)
        super().wake()

    def _wait(self, seconds: float) -> None:
        if seconds:
            with suppress(Empty):
                wait_for(self._wakes, seconds)


class AsyncRecordedSource(_Source):
    """One recorded answer, for an async stream."""

    _left: asyncio.Event

    async def open(self) -> None:
        """Find the answer, in a thread. Raises ReplayMissError, RecordingError."""
        self._left, self._loop = asyncio.Event(), asyncio.get_running_loop()
        try:
            async with self.turn():
                await asyncio.to_thread(self.find)
            await self._record()
            await self._wait(self.until_begin())
            self.begin()
        except VesselogError as error:
            self.fail(error)
            raise
        except BaseException:
            self.leave()  # a thread that still looks then ends
            raise

    async def read(self) -> list[Step]:
        """The next frame's step; none when the answer is over."""
        try:
            await self._wait(self.until_next())
            steps = self.take()
            if self.gate is not None:
                await self.gate.passed()
        except RecordingError as error:
            self.fail(error)
            return []
        return steps

    async def _wait(self, seconds: float) -> None:
        # Even without a wait: a stream that never lets the loop go starves everything else.
        if not seconds:
            await asyncio.sleep(0)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._left.wait()

    def _wake_in_loop(self) -> None:
        self._left.set()
        super()._wake_in_loop()
