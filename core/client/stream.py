"""The sync stream that callers hold."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from ..chunk import StreamChunk
from ..exchange import Step
from .reading import Facts, Reading

__all__ = ["Source", "Stream"]


class Source(Protocol):
    """Where a stream's steps come from: a server, or a recording."""

    @property
    def facts(self) -> Facts:
        """What is known of it."""
        ...

    def open(self) -> None:
        """Send the request; return when the answer has begun or failed."""
        ...

    def read(self) -> list[Step]:
        """The next steps; none when the answer is over."""
        ...

    def cancel(self) -> None:
        """End it, from any thread."""
        ...

    def leave(self) -> None:
        """The caller wants no more."""
        ...

    def abandon(self) -> None:
        """Nobody holds the stream any more; safe in a finaliser."""
        ...


class Stream(Reading):
    """One answer, chunk by chunk: each is on disk before it is handed out.

    The request leaves at `with` (which raises if there is no connection or an error status), or at
    the first chunk when iterated directly. Iteration ends with the answer, or raises what went
    wrong after all chunks that arrived. Leaving early, by break or exception, is recorded as
    `cancelled`.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source.facts)
        self._source = source
        self._opened = False
        self._finalizer = weakref.finalize(self, source.abandon)

    def __enter__(self) -> Self:
        if not self._opened:
            self._open()
        self._raise_if_nothing_came()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[StreamChunk]:
        # A new generator each time, which the stream itself does not hold: a stream that is dropped
        # in mid-loop is then freed at once, and recorded as abandoned.
        while self._chunks or self._steps or self._read():
            if (chunk := self._take_chunk()) is not None:
                yield chunk

    def __next__(self) -> StreamChunk:
        while (chunk := self._take_chunk()) is None:
            if not self._read():
                raise StopIteration
        return chunk

    def frames(self) -> Iterator[Step]:
        """The answer frame by frame instead.

        Each with its exact bytes and the chunks made of it.
        """
        while True:
            step = self._take_step()
            if step is not None:
                yield step
            elif not self._read():
                return

    def cancel(self) -> None:
        """End the stream, from any thread.

        Iteration then ends normally, the outcome is `cancelled`.
        """
        self._refuse_more()
        self._source.cancel()

    def close(self) -> None:
        """Leave the stream. One that is over stays as it is."""
        self._source.leave()
        self._finalizer.detach()

    def _open(self) -> None:
        self._opened = True
        self._source.open()

    def _read(self) -> bool:
        """Get more to hand out. False at the end; raises what went wrong, once."""
        if not self._opened:
            self._open()
        steps = self._source.read()
        if not steps:
            self._raise_at_the_end()
            return False
        self._steps.extend(steps)
        return True
