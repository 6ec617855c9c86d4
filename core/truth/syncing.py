"""Has what sessions wrote on the medium: one thread for all of them, and none while none asks.

Every 50 ms the thread looks at each open file, and syncs it if lines were written since the last
sync: that is the level "interval", and costs a writer nothing. At "power" whoever is about to hand
out a chunk asks and waits; all that was written to the file until then, by whatever stream, shares
that sync (group commit). A file's first sync takes the folder's entry for it along. A failed sync
is not tried again: the kernel may have dropped the data and report success the second time (the
"fsyncgate" of PostgreSQL, 2018). Nothing here takes a lock that a finaliser could need.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import RecordingError
from .files import sync_file, sync_folder, unlock_file

__all__ = ["INTERVAL_SECONDS", "SYNC_THREAD", "SyncThread", "SyncedFile"]

# What a power cut may take at "interval". A sync costs a disk 0.04 to 6 ms: at 20 a second it is
# hardly noticed.
INTERVAL_SECONDS = 0.05

_LOGGER = logging.getLogger("vesselog")

Wake = Callable[[], object]


class SyncedFile:
    """An open file that its writer wants on the medium.

    written: its size; the writer says so after each write. folders: those that got new entries.
    failure: why it will never be on the medium. Owns the descriptor once `close` was called.
    """

    def __init__(
        self,
        fd: int,
        path: Path,
        folders: tuple[Path, ...],
        thread: SyncThread,
        poison: Callable[[str], object],
    ) -> None:
        self._fd = fd
        self._path = path
        self._folders = folders
        self._thread = thread
        self._poison = poison
        self._waiting: deque[tuple[int, Wake]] = deque()
        self._closing = False
        self._closed = False
        self._synced = 0
        self.written = 0
        self.failure: str | None = None

    def wait(self) -> None:
        """Return when all that is written now is on the medium. Raises RecordingError."""
        if self._synced < self.written and self.failure is None:
            done = threading.Event()
            self.ask(done.set)
            done.wait()
        self._check()

    async def passed(self) -> None:
        """The same, without blocking the event loop. Raises RecordingError."""
        if self._synced < self.written and self.failure is None:
            await self.settled()
        self._check()

    async def settled(self) -> None:
        """Return when it is on the medium, or has failed to get there."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def resolve() -> None:
            with contextlib.suppress(asyncio.InvalidStateError):  # nobody waits any more
                done.set_result(None)

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(resolve)

        self.ask(wake)
        await done

    def ask(self, wake: Wake) -> None:
        """Have `wake` called, by any thread, when what is written now is on the medium or failed.

        In a file that is being closed, when it is closed.
        """
        self._waiting.append((self.written, wake))
        if self._closed:
            self._wake(self.written)  # asked too late: its last sync is over, and the thread may be
        else:
            self._thread.request(self)

    def close(self) -> None:
        """Drop the lock now; sync and close soon. Never blocks: safe in a finaliser."""
        try:
            unlock_file(self._fd)
        except OSError as error:
            _LOGGER.warning("cannot unlock %s: %s", self._path, error.strerror)
        self._closing = True
        self._thread.request(self)

    def attend(self) -> None:
        """Sync what is not synced, close what is to be closed, and wake who waits for that.

        Called by one thread at a time.
        """
        # Asked before the size: what is written while this syncs is not to be closed unsynced.
        closing = self._closing
        size = self.written
        if self._synced < size and self.failure is None and not self._closed:
            try:
                for folder in self._folders:
                    sync_folder(folder)
                sync_file(self._fd)
            except OSError as error:
                self._fail(error.strerror or str(error))
            except Exception as error:  # noqa: BLE001 - who waits must hear of it, whatever it is
                self._fail(f"{type(error).__name__}: {error}")
            else:
                self._folders = ()
                self._synced = size
        if closing and not self._closed:
            fd, self._fd = self._fd, -1  # before it is closed: a fork in between must not do it too
            try:
                os.close(fd)
            except OSError as error:
                # Where writes are put off (NFS), it is only now that they may fail.
                self._fail(error.strerror or str(error))
            self._thread.forget(self)
            self._closed = True
        self._wake(size)

    def close_in_child(self) -> None:
        """In a forked child: close the copy. The lock and what is not synced are the parent's."""
        self.failure = f"cannot record to {self._path}: the session belongs to the parent process"
        self._closed = True
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _wake(self, size: int) -> None:
        later: list[tuple[int, Wake]] = []
        with contextlib.suppress(IndexError):
            while True:
                position, wake = self._waiting.popleft()
                # Either has asked for another round: who wrote more, and who closes meanwhile.
                closes = self._closing and not self._closed
                if closes or (position > size and self.failure is None):
                    later.append((position, wake))
                else:
                    wake()
        self._waiting.extend(later)

    def _fail(self, reason: str) -> None:
        self.failure = f"cannot record to {self._path}: cannot sync: {reason}"
        self._poison(f"cannot sync: {reason}")
        if not self._waiting:
            _LOGGER.warning("%s", self.failure)

    def _check(self) -> None:
        if self.failure is not None:
            raise RecordingError(self.failure)


class SyncThread:
    """The thread: it runs while there is an open file that needs it."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._exiting = False
        self._lock = threading.Lock()
        self._requests: SimpleQueue[SyncedFile | None] = SimpleQueue()
        self._files: set[SyncedFile] = set()
        self._thread: threading.Thread | None = None

    def add(
        self, fd: int, path: Path, folders: tuple[Path, ...], poison: Callable[[str], object]
    ) -> SyncedFile:
        """Look after an open file. poison: is told why a sync failed. Raises RecordingError."""
        file = SyncedFile(fd, path, folders, self, poison)
        with self._lock:
            if self._thread is None and not self._exiting:
                thread = threading.Thread(target=self._run, name="vesselog sync", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:  # the process may have no more threads
                    raise RecordingError(f"cannot record to {path}: {error}") from None
                self._thread = thread
            self._files.add(file)
        return file

    def request(self, file: SyncedFile) -> None:
        """Have this file synced at once."""
        if self._exiting:
            file.attend()
        else:
            self._requests.put(file)

    def forget(self, file: SyncedFile) -> None:
        """This file is closed."""
        with self._lock:
            self._files.discard(file)

    def flush(self) -> None:
        """Return when all that is written now is on the medium, and closed sessions' files are."""
        waits: list[threading.Event] = []
        for file in self.files:
            waits.append(threading.Event())
            file.ask(waits[-1].set)
        for done in waits:
            done.wait()

    async def flushed(self) -> None:
        """The same, without blocking the event loop."""
        await asyncio.gather(*(file.settled() for file in self.files))

    @property
    def files(self) -> tuple[SyncedFile, ...]:
        """The files that it looks after now."""
        with self._lock:
            return tuple(self._files)

    def exit(self) -> None:
        """The interpreter ends: sync what is left. Whoever still writes then syncs himself."""
        thread = self._thread
        self._requests.put(None)
        if thread is not None:
            thread.join()
        self._exiting = True
        while not self._requests.empty():
            file = self._requests.get()
            if file is not None:
                file.attend()

    def after_fork(self) -> None:
        """In a forked child: the thread is not here, and the files are the parent's."""
        files, self._files = self._files, set()
        self._lock, self._requests, self._thread = threading.Lock(), SimpleQueue(), None
        for file in files:
            file.close_in_child()

    def _run(self) -> None:
        look = self._clock.monotonic()
        interval = round(INTERVAL_SECONDS * 1e6)
        while True:
            asking, last = self._asking(max(0, look + interval - self._clock.monotonic()) / 1e6)
            if last or self._clock.monotonic() - look >= interval:
                look = self._clock.monotonic()
                asking.update(dict.fromkeys(self.files))
            for file in asking:
                file.attend()
            if last or self._is_done():
                return

    def _asking(self, patience: float) -> tuple[dict[SyncedFile, None], bool]:
        """Who asks for a sync, each once, in their order, and whether the interpreter ends."""
        asking: dict[SyncedFile, None] = {}
        last = False
        with contextlib.suppress(Empty):
            file = self._requests.get(timeout=patience)
            while True:
                if file is None:
                    last = True
                else:
                    asking[file] = None
                file = self._requests.get_nowait()
        return asking, last

    def _is_done(self) -> bool:
        with self._lock:
            if self._files or not self._requests.empty():
                return False
            self._thread = None
            return True


SYNC_THREAD = SyncThread()

atexit.register(SYNC_THREAD.exit)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=SYNC_THREAD.after_fork)
