"""The async stream that callers hold."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from typing import Any, Self

from ..chunk import StreamChunk
from ..exchange import Step
from ..replay.recorded_source import AsyncRecordedSource
from .driver import Driver
from .hand_over import TaskHandOver
from .stream_state import StreamState

__all__ = ["AsyncStream", "TaskSource"]


class TaskSource:
    """Steps that a driver in the caller's own event loop hands over."""

    def __init__(self, driver: Driver, hand_over: TaskHandOver) -> None:
        self._driver = driver
        self._hand_over = hand_over
        self.facts = driver.facts
        self.read = hand_over.take
        self.cancel = driver.cancel
        self.leave = driver.leave
        self.abandon = driver.abandon

    async def open(self) -> None:
        """Send the request; return when the answer has begun or failed."""
        self._driver.start()
        await self._hand_over.opened()


class AsyncStream(StreamState):
    """One answer, chunk by chunk; each chunk is recorded before you get it.

    The request is sent at `async with`, which raises if there is no connection or an error status;
    or at the first chunk when iterated directly. Iteration ends with the answer, or raises what
    went wrong after all chunks that arrived. Leaving early, by break, exception or a cancelled
    task, is recorded as `cancelled`. A stream is entered and iterated once.

    Raises:
        ConnectionFailedError: There is no connection, or it broke.
        StreamTimeoutError: A deadline passed; `phase` and `setting` name it.
        ProviderError: The provider refused or failed, by HTTP status or within the answer.
        TruncatedError: The answer stopped before its end.
        ProtocolError: The answer cannot be read.
        RecordingError: A chunk could not be recorded; you do not get it.
        ReplayMissError: The client replays, and has no recorded answer for the request.
    """

    def __init__(self, source: TaskSource | AsyncRecordedSource) -> None:
        super().__init__(source.facts)
        self._source = source
        self._finalizer = weakref.finalize(self, source.abandon)

    async def __aenter__(self) -> Self:
        self._once("entered")
        try:
            await self.open()
            if self.error is not None:
                self._steps.extend(await self._source.read())  # what came before it
                self._raise_if_nothing_came()
        except BaseException:
            self._source.leave()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[StreamChunk]:
        self._once("iterated")
        return _Chunks(self.__anext__)

    async def __anext__(self) -> StreamChunk:
        while (chunk := self._take_chunk()) is None:
            if not self._opened:
                await self.open()
            steps = await self._source.read()
            if not steps:
                self._raise_at_the_end()
                raise StopAsyncIteration
            self._steps.extend(steps)
        return chunk

    async def open(self) -> None:
        """Send the request, and wait until the answer begins or fails. Then call `read`."""
        if not self._opened:
            self._opened = True
            await self._source.open()

    async def read(self) -> list[Step]:
        """The frames that arrived next; an empty list at the end. Raises what went wrong.

        The cheapest way to read: the chunks are not collected in `completion`.
        """
        if not self._opened:
            await self.open()
        steps = await self._source.read()
        if not steps:
            self._raise_at_the_end()
        return steps

    def frames(self) -> AsyncGenerator[Step]:
        """Iterate by frames instead of chunks; each has its exact bytes and its chunks.

        Raises:
            ClientStateError: The stream is iterated already.
        """
        self._once("iterated")
        return self._iterate_frames()

    def cancel(self) -> None:
        """End the stream, from any task, thread or signal handler.

        Iteration then ends normally; the outcome is `cancelled` from the event loop's next
        iteration on.
        """
        self._hand_out_no_more()
        self._source.cancel()

    async def aclose(self) -> None:
        """Leave the stream at once; its connection is released in the background."""
        self._source.leave()
        self._finalizer.detach()

    async def _iterate_frames(self) -> AsyncGenerator[Step]:
        while True:
            while (step := self._take_step()) is not None:
                yield step
            steps = await self.read()
            if not steps:
                return
            self._steps.extend(steps)


class _Chunks:
    """The stream's iterator."""

    def __init__(self, following: Callable[[], Coroutine[Any, Any, StreamChunk]]) -> None:
        self._following = following

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Coroutine[Any, Any, StreamChunk]:
        return self._following()
