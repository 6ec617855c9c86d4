"""Follows one call while it is written, in whatever process: first what is stored, then the rest.

The file is read every few milliseconds, which works on every system and between containers. It is
not kept open in between. A call whose writer is gone ends as interrupted.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from ..chunk import StreamChunk
from ..completion import Outcome
from ..errors import RecordingError, VesselogError
from .file_lock import has_writer
from .recorded_frame import chunks_of
from .recording import ending_error, recorded_outcome
from .scan import ScannedLine, Torn, open_recording, scan

__all__ = ["Follow", "follow"]

# How much is read from the file before chunks are handed out.
_BYTES_AT_ONCE = 1 << 18


class Follow:
    """The chunks of one call, to be iterated once, with `for` or `async for`, until the call's end.

    call: its number; without it the one begun last. after: begin after the chunk with this `seq`.
    poll: seconds between two reads of the file. interrupted: the call has no end, and nobody is
    left to write one. Raises RecordingError if there is no such file or call; iterating raises
    RecordingError and RecordingCorruptError.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        call: int | None = None,
        after: int = -1,
        poll: float = 0.02,
        sleep: Callable[[float], None] = time.sleep,
        async_sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._path = Path(path)
        self._after = after
        self._poll = poll
        self._sleep = sleep
        self._async_sleep = async_sleep
        self._offset = 0
        self._number = 0
        self._started: int | None = None
        self._end: dict[str, Any] | None = None
        self.interrupted = False
        self.call = call
        if call is None:
            self._find_last()

    @property
    def outcome(self) -> Outcome | None:
        """How the call ended; "interrupted" if it has no end and nobody is left to write one.

        None before that.
        """
        return recorded_outcome(self._end) if self._end or self.interrupted else None

    @property
    def error(self) -> VesselogError | None:
        """The error with which the call ended, or None. Following does not raise it."""
        return None if self.outcome is None else ending_error(self._end)

    def __iter__(self) -> Iterator[StreamChunk]:
        while True:
            chunks, wait = self._look()
            yield from chunks
            if self.outcome is not None:
                return
            if wait:
                self._sleep(self._poll)

    async def __aiter__(self) -> AsyncIterator[StreamChunk]:
        while True:
            chunks, wait = self._look()
            for chunk in chunks:
                yield chunk
                # Without a pause the loop cannot notice that nobody wants the chunks any more.
                await self._async_sleep(0)
            if self.outcome is not None:
                return
            if wait:
                await self._async_sleep(self._poll)

    def _look(self) -> tuple[list[StreamChunk], bool]:
        """The new chunks, and whether to wait before the next read."""
        before = self._offset
        lines = self._read()
        # Asked only if nothing was found, and then read again: the writer may have written its end
        # and gone in between.
        if not lines and not has_writer(self._path):
            lines = self._read()
            if not lines:
                self.interrupted = True
                if self._started is None:
                    missing = "no call" if self.call is None else f"no call {self.call}"
                    raise RecordingError(f"{self._path} has {missing}")
        chunks = [chunk for line in lines for chunk in self._take(line)]
        return chunks, self._offset - before < _BYTES_AT_ONCE

    def _take(self, line: ScannedLine) -> Iterator[StreamChunk]:
        fields = line.fields
        if self._end is not None or fields.get("call") != self.call or self.call is None:
            return
        if fields["type"] == "request":
            self._started = line.t
        elif fields["type"] == "end":
            self._end = fields
        elif fields["type"] == "frame" and self._started is not None:
            for chunk in chunks_of(line, self.call, line.t - self._started):
                if chunk.seq > self._after:
                    yield chunk

    def _read(self) -> list[ScannedLine]:
        """The next complete lines. An incomplete one is read again the next time."""
        lines: list[ScannedLine] = []
        enough = self._offset + _BYTES_AT_ONCE
        with open_recording(self._path) as file:
            for line in scan(file, self._path, offset=self._offset, number=self._number):
                if isinstance(line, Torn):
                    break
                lines.append(line)
                self._offset, self._number = line.end, line.number
                if self._offset >= enough:
                    break
        return lines

    def _find_last(self) -> None:
        """Begin at the last request in the file, if there is one yet."""
        with open_recording(self._path) as file:
            for line in scan(file, self._path):
                if not isinstance(line, Torn) and line.fields["type"] == "request":
                    self.call = line.call
                    self._offset, self._number = line.offset, line.number - 1


follow = Follow  # the verb, for where it is called
