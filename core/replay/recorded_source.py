"""The waits of streams whose answers come from recordings: in a thread, and in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from ..errors import RecordingError, VesselogError
from ..exchange import Step
from ..truth.session_pool import OpenSession
from ..waiting import wait_for
from .replayed_answer import ReplayedAnswer, Replaying

__all__ = ["AsyncRecordedSource", "RecordedSource"]


class RecordedSource(ReplayedAnswer):
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
                self._run(self.record)
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


class AsyncRecordedSource(ReplayedAnswer):
    """One recorded answer, for an async stream."""

    _left: asyncio.Event

    async def open(self) -> None:
        """Find the answer, in a thread. Raises ReplayMissError, RecordingError."""
        self._left, self._loop = asyncio.Event(), asyncio.get_running_loop()
        try:
            async with self._replaying.answers.turn(self._asked):
                await asyncio.to_thread(self.find)
            await self.record()
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
