"""Plays a recording: the stored chunks, at the pace at which they arrived.

Only the time in which a call was running counts; pauses between calls, and between writers, are
left out.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from ..assembler import Assembler
from ..chunk import StreamChunk
from ..clock import SYSTEM_CLOCK, Clock
from ..completion import Completion, Outcome
from ..errors import RecordingError, VesselogError
from ..truth.find_request import FoundRequest, check_position, find_request
from ..truth.recorded_frame import chunks_of
from ..truth.recording import RecordedCall, Recording, outcome_of
from ..truth.scan import ScannedLine
from .pace import Pace, Speed, checked_speed

__all__ = ["Replay", "replay"]


class Replay:
    """The chunks of a recording, from the beginning for each `for` or `async for`.

    If the call (of several, the last one) ended with an error, that is raised after the chunks. The
    attribute `call` is the number of the call that is played, or was played last; `session` is the
    session's name.

    Args:
        path: The recording.
        speed: 1.0 is the original pace, 2.0 twice as fast; 0 or "max" is as fast as the file can be
            read.
        call: The number of one call; without it all calls are played, in the order in which their
            chunks came.
        after: Begin after the chunk with this `seq`, without waiting for what was before it;
            without `call` this is a chunk of the last call, and only that call is played.
        clock: The source of times, for tests.
        sleep: Waits a number of seconds, for tests.
        async_sleep: Waits a number of seconds in an event loop, for tests.

    Raises:
        RecordingError: The file cannot be read, or does not have the call.
        RecordingCorruptError: It is damaged.
        UsageError: `call` or `after` is not a possible number.
        ConfigurationError: `speed` is neither "max" nor a number from 0 on.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        speed: Speed = 1.0,
        *,
        call: int | None = None,
        after: int = -1,
        clock: Clock = SYSTEM_CLOCK,
        sleep: Callable[[float], None] = time.sleep,
        async_sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._speed = checked_speed(speed)
        check_position(call, after)
        self._recording = Recording(path)
        self._after = after
        self._start: FoundRequest | None = None
        if call is not None or after >= 0:
            self._start = find_request(self._recording.path, call)
            if self._start is None or (call is not None and self._start.call != call):
                missing = "no call" if call is None else f"no call {call}"
                raise RecordingError(f"{self._recording.path} has {missing}")
        self._clock = clock
        self._sleep = sleep
        self._async_sleep = async_sleep
        self.session = self._recording.session
        self.call: int | None = None
        self._last: StreamChunk | None = None
        self._assembler = Assembler()
        self._end: dict[str, Any] | None = None
        self._played: RecordedCall | None = None

    @property
    def completion(self) -> Completion:
        """The answer of the call (the last one) as far as it was played, or passed over.

        Its outcome is None before the end.
        """
        if self._played is None:
            return Completion(session=self.session)
        return self._played.assembled(self._assembler, self._end)

    @property
    def outcome(self) -> Outcome | None:
        """How the call (the last one) ended; None before its end was played."""
        return outcome_of(self._end)

    @property
    def error(self) -> VesselogError | None:
        """The error with which the call ended, None without one; known after the last chunk."""
        error = None if self._played is None else self._played.error_of(self._end)
        if error is not None:
            error.completion = self.completion
            error.seq = None if self._last is None else self._last.seq
        return error

    def __iter__(self) -> Iterator[StreamChunk]:
        for chunk, wait in self._play():
            if wait > 0:
                self._sleep(wait)
            if self._take(chunk):
                yield chunk
        self._finish()

    async def __aiter__(self) -> AsyncIterator[StreamChunk]:
        for chunk, wait in self._play():
            # Even without a wait: without a pause the loop cannot notice that its client left.
            await self._async_sleep(wait)
            if self._take(chunk):
                yield chunk
        self._finish()

    def _take(self, chunk: StreamChunk) -> bool:
        """Whether the chunk is handed out, and not passed over."""
        if chunk.call == self.call:
            self._assembler.add(chunk)
            self._last = chunk
        return chunk.seq > self._after

    def _finish(self) -> None:
        if (error := self.error) is not None:
            raise error

    def _play(self) -> Iterator[tuple[StreamChunk, float]]:
        """The chunks, those to be passed over too, and the seconds to wait before each.

        The time in which no call was running is left out.
        """
        self.call = None
        pace: Pace | None = None
        wanted, offset, number = self._start or (None, 0, 0)
        running: dict[int, int] = {}
        skipped = last = 0
        for line in self._recording.scanned(offset, number):
            fields = line.fields
            kind, call = fields["type"], fields.get("call")
            if kind == "session":
                continue
            t = line.t
            if not running or kind == "open":
                skipped += t - last
            last = t
            if wanted is not None and call != wanted:
                continue
            if kind == "frame":
                pace = pace or Pace(self._speed, self._clock)
                if type(call) is int and (begun := running.get(call)) is not None:
                    for chunk in chunks_of(line, call, t - begun):
                        if chunk.seq <= self._after:
                            skipped = t
                        yield chunk, pace.wait(t - skipped)
            elif kind == "request":
                running[line.call] = t
                self._start_call(line)
            elif kind == "end":
                running.pop(line.call, None)
                self._end_call(fields)
                if wanted is not None:
                    return

    def _start_call(self, line: ScannedLine) -> None:
        self._played, self.call = RecordedCall(self._recording, line), line.call
        self._assembler, self._last, self._end = Assembler(), None, None

    def _end_call(self, end: dict[str, Any]) -> None:
        if end["call"] == self.call:
            self._end = end


replay = Replay  # the verb, for where it is called
