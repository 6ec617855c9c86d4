"""Follows one call while it is written, in whatever process: first what is stored, then the rest.

A follower waits until there is something new (tail.py, file_watcher.py) and reads on; the file is
not kept open in between. Where an attempt failed and another one follows, the follower goes on with
that. A call whose writer is gone ends as interrupted.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from ..chunk import StreamChunk
from ..completion import Outcome
from ..errors import RecordingCorruptError, RecordingError, UsageError, VesselogError
from ..truth.file_lock import has_writer
from ..truth.find_request import FoundRequest, check_position, find_request
from ..truth.recording import Recording, ending_error, recorded_outcome
from ..truth.scan import ScannedLine, is_whole
from .following import Following
from .tail import Batch, Tail

__all__ = ["Follow", "follow"]

# Seconds that the next attempt's request may be late.
_LATENESS = 1.0
# Seconds in which an attempt that is stored may follow where the end does not tell of it: earlier
# versions wrote no `retry_in`.
_UNTOLD_DELAY = 120.0
_LONGEST_DELAY = 86_400.0


class Follow:
    """The chunks of one call, to be iterated once, with `for` or `async for`, until the call's end.

    The attribute `interrupted` becomes True if the call has no end and no process is left that
    could write one. If an attempt failed and was retried, the chunks are those of the last attempt,
    and the attribute `call` becomes its number.

    Args:
        path: The recording.
        call: The call's number; by default the last one that began.
        after: Begin after the chunk with this `seq`.
        poll: Seconds between two checks of the file; by default 0.5 if the writer or the system
            reports changes, else 0.02.

    Raises:
        UsageError: `call`, `after` or `poll` is not a possible number.
        RecordingError: There is no such file, or no such call and no process that could still make
            it. Iterating raises it if the file cannot be read.
        RecordingCorruptError: Raised by iterating: the file is damaged.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        call: int | None = None,
        after: int = -1,
        poll: float | None = None,
    ) -> None:
        check_position(call, after)
        if poll is not None and (type(poll) not in {int, float} or not poll > 0):
            raise UsageError(f"poll={poll!r}: give a number of seconds above 0")
        self._poll = poll
        self._path = Path(path)
        self._after = after
        self._started: int | None = None
        self._first = 0  # the first attempt's number
        self._had_chunks = False
        self._end: dict[str, Any] | None = None
        # After a failed attempt: until when the next one may come, by the session's time and, where
        # it was promised, by the monotonic clock.
        self._latest = 0.0
        self._deadline: float | None = None
        self._over = False
        self.interrupted = False
        self.call = call
        self._offset, self._number = self._find()

    @property
    def session(self) -> str:
        """The session's name."""
        return Recording(self._path).session

    @property
    def outcome(self) -> Outcome | None:
        """How the call ended; "interrupted" if it has no end and no process can still write one.

        None before that.
        """
        return recorded_outcome(self._end) if self._over else None

    @property
    def error(self) -> VesselogError | None:
        """The error with which the call ended, or None. Following does not raise it."""
        return ending_error(self._end) if self._over else None

    def __iter__(self) -> Iterator[StreamChunk]:
        with closing(Following(self._path)) as following:
            for chunks, seen in self._read(following, in_task=False):
                yield from chunks
                if seen is not None:
                    following.tail.wait(seen, None if self._end is None else self._left())

    async def __aiter__(self) -> AsyncIterator[StreamChunk]:
        with closing(Following(self._path)) as following:
            tail, paused = following.tail, True
            for chunks, seen in self._read(following, in_task=True):
                for chunk in chunks:
                    if not paused:
                        # Else the loop cannot notice that nobody wants the chunks any more.
                        await asyncio.sleep(0)
                    yield chunk
                    paused = False
                if seen is not None:
                    await tail.wait_async(seen, None if self._end is None else self._left())
                else:
                    await asyncio.sleep(0)
                paused = True

    def _find(self) -> tuple[int, int]:
        """Where to begin: at the call's request, or at one before it if it may still be written."""
        found = find_request(self._path, self.call)
        if not self._is_there(found) and not has_writer(self._path):
            # Whoever has written it meanwhile may be gone already.
            found = find_request(self._path, self.call)
            if not self._is_there(found):
                raise self._missing()
        if found is None:
            return 0, 0
        self.call = self.call or found.call
        return found.offset, found.number

    def _is_there(self, found: FoundRequest | None) -> bool:
        return found is not None and self.call in {None, found.call}

    def _missing(self) -> RecordingError:
        missing = "no call" if self.call is None else f"no call {self.call}"
        return RecordingError(f"{self._path} has {missing}")

    def _read(
        self, following: Following, *, in_task: bool
    ) -> Iterator[tuple[list[StreamChunk], int | None]]:
        """The chunks as they come.

        With them the tail's version, at which there was nothing more; None: do not wait.
        """
        tail = following.tail
        while self.outcome is None:
            gone = tail.left or tail.failure is not None
            batch = tail.read(self._offset, self._number)
            chunks: list[StreamChunk] = []
            damage = self._take(batch, chunks)
            self._offset, self._number = batch.end, batch.number
            wait = not (batch.more or tail.version != batch.seen or damage)
            if wait and (gone or self._end is not None) and not batch.lines:
                self._has_read_all(tail, gone=gone)
            if wait and (gone or self._over or following.watch(self._poll, in_task=in_task)):
                wait = False
            yield chunks, batch.seen if wait else None
            if damage is not None:
                raise damage

    def _take(self, batch: Batch, chunks: list[StreamChunk]) -> RecordingCorruptError | None:
        """Add the call's chunks; what keeps the rest from being read, None if nothing does."""
        try:
            for place, line in enumerate(batch.lines):
                fields = line.fields
                kind = fields["type"]
                if kind == "request":
                    self._take_request(line)
                elif self._end is not None:
                    t = fields.get("t")
                    self._over = is_whole(t) and t > self._latest
                elif self.call is None or self._started is None or fields.get("call") != self.call:
                    continue
                elif kind == "frame":
                    self._had_chunks = True
                    made = batch.chunks(place, self.call, self._started)
                    chunks += [chunk for chunk in made if chunk.seq > self._after]
                elif kind == "end":
                    self._take_end(line)
                if self._over:
                    break
        except RecordingCorruptError as damage:
            return damage
        return None

    def _take_request(self, line: ScannedLine) -> None:
        retry_of = line.fields.get("retry_of")
        if self._started is None:
            if self.call not in {None, line.call}:
                return
            self._first = retry_of if is_whole(retry_of) else line.call
        elif self._end is None or retry_of != self._first:
            return
        elif self._had_chunks:
            self._after = -1  # it counted the chunks of the attempt before
        self.call, self._started, self._end = line.call, line.t, None

    def _take_end(self, line: ScannedLine) -> None:
        """The attempt has ended, and may not be the last one."""
        self._end = fields = line.fields
        self._deadline = None
        delay, error = fields.get("retry_in"), fields.get("error")
        if isinstance(delay, int | float) and 0 <= delay <= _LONGEST_DELAY:
            self._deadline = time.monotonic() + delay + _LATENESS
        elif isinstance(error, dict) and cast("dict[str, Any]", error).get("retryable") is True:
            delay = _UNTOLD_DELAY
        else:
            self._over = True
            return
        self._latest = line.t + (delay + _LATENESS) * 1e6

    def _has_read_all(self, tail: Tail, *, gone: bool) -> None:
        """There is nothing more, and an attempt has ended or nobody is left who could write."""
        if tail.failure is not None:
            raise tail.failure
        if self._end is not None:
            late = self._deadline is None or time.monotonic() >= self._deadline
            self._over = gone or late
        elif self._started is None:
            raise self._missing()
        else:
            self._over = self.interrupted = True

    def _left(self) -> float:
        """Seconds until the next attempt is late."""
        return 0.0 if self._deadline is None else max(0.0, self._deadline - time.monotonic())


follow = Follow  # the verb, for where it is called
