"""Plays a recording: the stored chunks, at the pace at which they arrived.

Only the time in which a call was running counts; pauses between calls, and between writers, are
left out.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Literal

from ..assembler import Assembler
from ..chunk import StreamChunk
from ..clock import SYSTEM_CLOCK, Clock
from ..completion import Completion
from ..errors import ConfigurationError, RecordingError, VesselogError
from .recorded_frame import chunks_of
from .recording import RecordedCall, Recording

__all__ = ["Replay", "replay"]

# 31 years: what is longer, in a recording that says anything, would overflow in time.sleep.
_LONGEST_WAIT_SECONDS = 1e9


class Replay:
    """The chunks of a recording, from the beginning for each `for` or `async for`.

    speed: 1.0 is the original pace, 2.0 twice as fast; 0 or "max" is as fast as the file can be
    read. call: the number of one call; without it all calls are played, in the order in which their
    chunks came. After the chunks the error is raised with which the call (the last one) ended, if
    it did. Raises RecordingError, RecordingCorruptError, and ConfigurationError for a bad speed.

    The attribute `call` is the number of the call that is played, or was played last; `session` is
    the session's name.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        speed: float | Literal["max"] = 1.0,
        *,
        call: int | None = None,
        clock: Clock = SYSTEM_CLOCK,
        sleep: Callable[[float], None] = time.sleep,
        async_sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        try:
            self._speed = 0.0 if speed == "max" else float(speed)
        except (TypeError, ValueError):
            self._speed = math.nan
        if not math.isfinite(self._speed) or self._speed < 0:
            raise ConfigurationError(
                f'no speed {speed!r}: give a number from 0, or "max"', setting="speed"
            )
        self._recording = Recording(path)
        self._wanted = call
        self._clock = clock
        self._sleep = sleep
        self._async_sleep = async_sleep
        self._begun: int | None = None
        self.session = self._recording.session
        self.call: int | None = None
        self._last: StreamChunk | None = None
        self._assembler = Assembler()
        self._end: dict[str, Any] | None = None
        self._played: RecordedCall | None = None

    @property
    def completion(self) -> Completion:
        """The answer of the call (the last one) as far as it was played.

        Its outcome is None before the end.
        """
        if self._played is None:
            return Completion(session=self.session)
        return self._played.assembled(self._assembler, self._end)

    @property
    def error(self) -> VesselogError | None:
        """The error with which the call ended, None without one; known after the last chunk."""
        error = None if self._played is None else self._played.error_of(self._end)
        if error is not None:
            error.completion = self.completion
            error.seq = None if self._last is None else self._last.seq
        return error

    def __iter__(self) -> Iterator[StreamChunk]:
        for chunk, call, wait in self._play():
            if wait > 0:
                self._sleep(wait)
            yield self._take(chunk, call)
        self._finish()

    async def __aiter__(self) -> AsyncIterator[StreamChunk]:
        for chunk, call, wait in self._play():
            # Even without a wait: without a pause the loop cannot notice that its client left.
            await self._async_sleep(wait)
            yield self._take(chunk, call)
        self._finish()

    def _take(self, chunk: StreamChunk, call: int) -> StreamChunk:
        if call == self.call:
            self._assembler.add(chunk)
            self._last = chunk
        return chunk

    def _finish(self) -> None:
        if self.call is None and self._wanted is not None:
            raise RecordingError(f"{self._recording.path} has no call {self._wanted}")
        if (error := self.error) is not None:
            raise error

    def _wait(self, due: int) -> float:
        """Seconds until a chunk is due that arrived `due` microseconds after the first request."""
        if self._speed == 0:
            return 0.0
        now = self._clock.monotonic()
        if self._begun is None:
            self._begun = now
        wait = (self._begun + due / self._speed - now) / 1e6
        return min(max(wait, 0.0), _LONGEST_WAIT_SECONDS)

    def _play(self) -> Iterator[tuple[StreamChunk, int, float]]:
        """The chunks with their calls, and the seconds to wait before each.

        The time in which no call was running is left out.
        """
        self._begun = self.call = None
        running: dict[int, int] = {}
        skipped = last = 0
        for line in self._recording.scanned():
            fields = line.fields
            kind, call = fields["type"], fields.get("call")
            if kind == "session":
                continue
            t = line.t
            if not running or kind == "open":
                skipped += t - last
            last = t
            if self._wanted is not None and call != self._wanted:
                continue
            if kind == "frame":
                if isinstance(call, int) and (begun := running.get(call)) is not None:
                    for chunk in chunks_of(line, t - begun):
                        yield chunk, call, self._wait(t - skipped)
            elif kind == "request":
                running[line.call] = t
                self._played = RecordedCall(self._recording, line)
                self.call = line.call
                self._last = self._end = None
                self._assembler = Assembler()
            elif kind == "end":
                running.pop(line.call, None)
                if call == self.call:
                    self._end = fields


replay = Replay  # the verb, for where it is called
