"""One file as its followers in this process read it.

New lines are read and parsed once, whoever follows. Those who wait are woken: a thread by a queue,
tasks through one callback for each event loop, whichever thread found something new.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

from ..chunk import StreamChunk
from ..errors import RecordingCorruptError, RecordingError
from ..truth.file_lock import has_writer
from ..truth.recorded_frame import chunks_of
from ..truth.scan import ScannedLine, scan
from ..waiting import wait_for

__all__ = ["Batch", "Tail", "running_loop"]

# About what is parsed in 2 ms, which an event loop may have to wait.
_BYTES_AT_ONCE = 1 << 16
# Followers that read at the same place find the last of them.
_KEPT_BATCHES = 2


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines that were read together, from `begin` to `end`, the offsets of their bytes.

    number: how many lines are before `end`. seen: the tail's version before they were read. more:
    more of the file may be there already.
    """

    lines: list[ScannedLine]
    begin: int
    end: int
    number: int
    seen: int
    more: bool
    _made: dict[tuple[int, int], list[StreamChunk]] = field(
        default_factory=dict[tuple[int, int], list[StreamChunk]]
    )

    def chunks(self, place: int, call: int, started: int) -> list[StreamChunk]:
        """The chunks of the frame at this place, the same objects for every follower.

        started: when the call's request was written. Raises RecordingCorruptError.
        """
        made = self._made.get((place, started))
        if made is None:
            line = self.lines[place]
            made = self._made[place, started] = chunks_of(line, call, line.t - started)
        return made


class Tail:
    """The file at `path`, with this device and inode.

    version: changes whenever there may be something new. left: nobody holds the file for writing.
    failure: why the file cannot be followed any longer. followers: how many there are.
    """

    def __init__(self, path: Path, file_id: tuple[int, int]) -> None:
        self.path = path
        self.file_id = file_id
        self.version = 0
        self.left = False
        self.failure: RecordingError | None = None
        self.followers = 0
        self._size = -1
        self._told = False
        self._batches: tuple[Batch, ...] = ()
        self.forget_others()

    def forget_others(self) -> None:
        """In a forked child: those who read or waited do not exist there."""
        self._reading = threading.Lock()
        self._threads: set[SimpleQueue[None]] = set()
        # Where tasks wait: what wakes them, and the loops in which that is about to be done.
        self._loops: dict[asyncio.AbstractEventLoop, asyncio.Event] = {}
        self._called: set[asyncio.AbstractEventLoop] = set()

    def read(self, offset: int, number: int) -> Batch:
        """The next complete lines from `offset`, before which `number` lines are; maybe none.

        Raises RecordingError, RecordingCorruptError.
        """
        for batch in self._batches:
            if batch.begin == offset:
                return batch
        with self._reading:
            for batch in self._batches:
                if batch.begin == offset:  # read by another thread meanwhile
                    return batch
            batch = self._read(offset, number)
            if batch.lines:
                self._batches = (*self._batches[1 - _KEPT_BATCHES :], batch)
            return batch

    def _read(self, offset: int, number: int) -> Batch:
        lines: list[ScannedLine] = []
        seen, end = self.version, offset
        try:
            for line in scan(self.path, offset=offset, number=number):
                lines.append(line)
                end, number = line.end, line.number
                if end - offset >= _BYTES_AT_ONCE:
                    break
        except RecordingCorruptError:
            if not lines:  # what is before the damage comes first
                raise
            seen = -1
        return Batch(lines, offset, end, number, seen, end - offset >= _BYTES_AT_ONCE)

    def told(self, size: int) -> None:
        """A writer of this process has written: the file has this size now."""
        self._told = True
        self._changed(size)

    def look(self, *, whether_left: bool = False) -> bool:
        """Look at the file, and wake those who wait if something is new.

        whether_left: also see whether there is still a writer. Returns whether a writer of this
        process has told of changes since the last look.
        """
        told, self._told = self._told, False
        try:
            status = os.stat(self.path)  # noqa: PTH116 - at a third of the cost
            if (status.st_dev, status.st_ino) != self.file_id:
                raise FileNotFoundError
            if status.st_size != self._size:
                self._changed(status.st_size)
            elif whether_left and not self.left and not has_writer(self.path):
                self.left = True
                self.wake()
        except FileNotFoundError:
            self._fail(RecordingError(f"{self.path} was deleted or replaced while it was followed"))
        except OSError as error:
            self._fail(RecordingError(f"cannot read {self.path}: {error.strerror}"))
        except RecordingError as error:
            self._fail(error)
        return told

    def _changed(self, size: int) -> None:
        self._size = size
        self.left = False
        self.wake()

    def _fail(self, failure: RecordingError) -> None:
        self.failure = self.failure or failure
        self.wake()

    def wake(self) -> None:
        """Wake all who wait. From any thread; never blocks."""
        self.version += 1
        while self._threads:
            try:
                self._threads.pop().put(None)
            except KeyError:  # another thread has woken the last one
                break
        here = running_loop() if self._loops else None
        for loop, news in tuple(self._loops.items()):
            if loop is here:
                self._wake_tasks(loop, news)
            elif loop not in self._called:
                self._called.add(loop)
                try:
                    loop.call_soon_threadsafe(self._wake_tasks, loop, news)
                except RuntimeError:  # it is closed
                    self._loops.pop(loop, None)

    def _wake_tasks(self, loop: asyncio.AbstractEventLoop, news: asyncio.Event) -> None:
        self._called.discard(loop)
        news.set()
        news.clear()  # for those that wait from now on

    def wait(self, seen: int, timeout: float | None) -> None:
        """Block the thread until there may be more than at version `seen`, or for these seconds."""
        queue: SimpleQueue[None] = SimpleQueue()
        self._threads.add(queue)
        try:
            if self.version == seen:
                with suppress(Empty):
                    wait_for(queue, timeout)
        finally:
            self._threads.discard(queue)

    async def wait_async(self, seen: int, timeout: float | None) -> None:  # noqa: ASYNC109
        """Wait in a task; lets the loop go in any case."""
        news = self._loops.setdefault(asyncio.get_running_loop(), asyncio.Event())
        if self.version != seen:
            await asyncio.sleep(0)
        elif timeout is None:
            await news.wait()
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await news.wait()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
