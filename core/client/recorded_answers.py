"""The waits of streams whose answers come from recordings: in a thread, and in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from ..errors import RecordingError
from ..exchange import Step
from ..truth.replayed_answer import ReplayedAnswer, Replaying
from ..truth.session_pool import Entry

__all__ = ["AsyncRecordedSource", "RecordedSource"]


class RecordedSource(ReplayedAnswer):
    """One recorded answer, for a stream of the sync client."""

    def __init__(
        self,
        replaying: Replaying,
        request: Mapping[str, Any],
        open_session: Callable[[], Entry] | None,
    ) -> None:
        super().__init__(replaying, request, open_session)
        self._wakes: SimpleQueue[None] = SimpleQueue()

    def open(self) -> None:
        """Find the answer, and wait until it begins. Raises ReplayMissError, RecordingError."""
        try:
            self.find()
            self._wait(self.until_begin())
            self.begin()
        except RecordingError as error:
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

    def _wait(self, seconds: float) -> None:
        if seconds:
            with suppress(Empty):
                self._wakes.get(timeout=seconds)

    def wake(self) -> None:
        """End a wait. Safe from any thread and in a signal handler."""
        self._wakes.put(None)


class AsyncRecordedSource(ReplayedAnswer):
    """One recorded answer, for an async stream."""

    _loop: asyncio.AbstractEventLoop | None = None
    _left: asyncio.Event

    async def open(self) -> None:
        """Find the answer, in a thread. Raises ReplayMissError, RecordingError."""
        self._left, self._loop = asyncio.Event(), asyncio.get_running_loop()
        try:
            async with self.turn():
                await asyncio.to_thread(self.find)
            await self._wait(self.until_begin())
            self.begin()
        except RecordingError as error:
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

    def wake(self) -> None:
        """End a wait. Safe from any thread and in a signal handler."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nothing runs any more
                self._loop.call_soon_threadsafe(self._left.set)
