"""The sync stream that callers hold."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

from ..chunk import StreamChunk
from ..errors import ClientStateError
from ..exchange import Step
from ..replay.recorded_source import RecordedSource
from .driver import Driver
from .hand_over import ThreadHandOver
from .loop_thread import LoopThread
from .stream_state import StreamState

__all__ = ["Stream", "ThreadSource"]


class ThreadSource:
    """Steps that a driver in a client's loop thread hands over."""

    def __init__(self, driver: Driver, hand_over: ThreadHandOver, thread: LoopThread) -> None:
        self._driver = driver
        self._hand_over = hand_over
        self._thread = thread
        self.facts = driver.facts
        self.cancel = driver.cancel
        self.abandon = driver.abandon

    def open(self) -> None:
        """Send the request; return when the answer has begun or failed."""
        self.facts.check_process()
        try:
            self._thread.call(self._driver.start)
            self._hand_over.opened()
        except BaseException:
            self.leave()
            raise

    def read(self) -> list[Step]:
        """The next steps; none when the answer is over."""
        self.facts.check_process()
        try:
            return self._hand_over.take()
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """The caller wants no more."""
        if not (self._driver.over or self.facts.forked):
            with suppress(ClientStateError):  # the client is closed: nothing runs any more
                self._thread.call(self._driver.leave)


class Stream(StreamState):
    """One answer, chunk by chunk; each chunk is recorded before you get it.

    The request is sent at `with`, which raises if there is no connection or an error status; or at
    the first chunk when iterated directly. Iteration ends with the answer, or raises what went
    wrong after all chunks that arrived. Leaving early, by break or exception, is recorded as
    `cancelled`. A stream is entered and iterated once.

    Raises:
        ConnectionFailedError: There is no connection, or it broke.
        StreamTimeoutError: A deadline passed; `phase` and `setting` name it.
        ProviderError: The provider refused or failed, by HTTP status or within the answer.
        TruncatedError: The answer stopped before its end.
        ProtocolError: The answer cannot be read.
        RecordingError: A chunk could not be recorded; you do not get it.
        ReplayMissError: The client replays, and has no recorded answer for the request.
    """

    def __init__(self, source: ThreadSource | RecordedSource) -> None:
        super().__init__(source.facts)
        self._source = source
        self._finalizer = weakref.finalize(self, source.abandon)

    def __enter__(self) -> Self:
        self._once("entered")
        self._open_once()
        if self.error is not None:
            self._steps.extend(self._source.read())  # what came before it
            self._raise_if_nothing_came()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[StreamChunk]:
        self._once("iterated")
        # A generator that the stream itself does not hold: a stream that is dropped in mid-loop is
        # then freed at once, and recorded as abandoned.
        return self._iterate()

    def __next__(self) -> StreamChunk:
        while (chunk := self._take_chunk()) is None:
            if not self._read():
                raise StopIteration
        return chunk

    def frames(self) -> Iterator[Step]:
        """Iterate by frames instead of chunks; each has its exact bytes and its chunks.

        Raises:
            ClientStateError: The stream is iterated already.
        """
        self._once("iterated")
        return self._iterate_frames()

    def cancel(self) -> None:
        """End the stream, from any thread or signal handler.

        Iteration then ends normally, the outcome is `cancelled`.
        """
        self._hand_out_no_more()
        self._source.cancel()

    def close(self) -> None:
        """Leave the stream. If it has ended, nothing changes."""
        self._source.leave()
        self._finalizer.detach()

    def _iterate(self) -> Iterator[StreamChunk]:
        while self._chunks or self._steps or self._read():
            if (chunk := self._take_chunk()) is not None:
                yield chunk

    def _iterate_frames(self) -> Iterator[Step]:
        while self._steps or self._read():
            if (step := self._take_step()) is not None:
                yield step

    def _open_once(self) -> None:
        if not self._opened:
            self._opened = True
            self._source.open()

    def _read(self) -> bool:
        """Get more to hand out. False at the end; raises what went wrong, once."""
        self._open_once()
        steps = self._source.read()
        self._steps.extend(steps)
        if not steps:
            self._raise_at_the_end()
        return bool(steps)
