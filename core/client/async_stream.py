"""The async stream that callers hold."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Protocol, Self

from ..chunk import StreamChunk
from ..exchange import Step
from .reading import Facts, Reading

__all__ = ["AsyncSource", "AsyncStream"]


class AsyncSource(Protocol):
    """Where an async stream's steps come from: a server, or a recording."""

    @property
    def facts(self) -> Facts:
        """What is known of it."""
        ...

    async def open(self) -> None:
        """Send the request; return when the answer has begun or failed."""
        ...

    async def read(self) -> list[Step]:
        """The next steps; none when the answer is over."""
        ...

    def cancel(self) -> None:
        """End it, from any task or thread."""
        ...

    def leave(self) -> None:
        """The caller wants no more."""
        ...

    def abandon(self) -> None:
        """Nobody holds the stream any more; safe in a finaliser."""
        ...


class AsyncStream(Reading):
    """One answer, chunk by chunk: each is on disk before it is handed out.

    The request leaves at `async with` (which raises if there is no connection or an error status),
    or at the first chunk when iterated directly. Iteration ends with the answer, or raises what
    went wrong after all chunks that arrived. Leaving early, by break, exception or a cancelled
    task, is recorded as `cancelled`.
    """

    def __init__(self, source: AsyncSource) -> None:
        super().__init__(source.facts)
        self._source = source
        self._opened = False
        self._finalizer = weakref.finalize(self, source.abandon)

    async def __aenter__(self) -> Self:
        try:
            if not self._opened:
                await self._open()
            if self.error is not None:
                self._steps.extend(await self._source.read())  # what came before it, read ahead
                self._raise_if_nothing_came()
        except BaseException:
            self._source.leave()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamChunk:
        while True:
            chunk = self._take_chunk()
            if chunk is not None:
                return chunk
            if not await self._read():
                raise StopAsyncIteration

    async def frames(self) -> AsyncGenerator[Step]:
        """The answer frame by frame instead.

        Each with its exact bytes and the chunks made of it.
        """
        while True:
            step = self._take_step()
            if step is not None:
                yield step
            elif not await self._read():
                return

    def cancel(self) -> None:
        """End the stream, from any task or thread.

        Iteration then ends, the outcome is `cancelled`.
        """
        self._refuse_more()
        self._source.cancel()

    async def aclose(self) -> None:
        """Leave the stream, at once; its connection is freed in the background."""
        self._source.leave()
        self._finalizer.detach()

    async def _open(self) -> None:
        self._opened = True
        await self._source.open()

    async def _read(self) -> bool:
        """Get more to hand out. False at the end; raises what went wrong, once."""
        if not self._opened:
            await self._open()
        steps = await self._source.read()
        self._steps.extend(steps)
        if not steps:
            self._raise_at_the_end()
        return bool(steps)
