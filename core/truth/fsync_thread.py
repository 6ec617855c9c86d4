"""Syncs session files to disk from a background thread, which runs only while it is needed.

Every 50 ms it looks at each open file, and syncs it if lines were written since the last
sync: that is the level "interval", and costs a writer nothing. At "power" each stream asks for a
sync before it hands out a chunk, and waits; everything written to the file until then, by whatever
stream, shares that sync (group commit). A file's first sync includes its folder. A failed sync is
not tried again: the kernel may have dropped the data and report success the second time (the
"fsyncgate" of PostgreSQL, 2018). Nothing here takes a lock that a finaliser could need.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue

from ..errors import RecordingError
from .file_lock import unlock_file
from .files import sync_file, sync_folder

__all__ = ["INTERVAL_SECONDS", "SYNC_THREAD", "SyncThread", "SyncedFile"]

# What a power cut may take at "interval". A sync takes a disk 0.04 to 6 ms: 20 a second are hardly
# noticed.
INTERVAL_SECONDS = 0.05

# Of all files, at "interval": each takes some 0.1 ms of a core. With more than fifty files that are
# written to, the interval is longer: 0.1 s for a hundred.
_SYNCS_PER_SECOND = 1000

_LOGGER = logging.getLogger("vesselog")

Wake = Callable[[], object]


class SyncedFile:
    """An open file that is to be synced.

    written: its size, set by the writer after each write. folders: those that got new entries.
    failure: why it cannot be synced. Owns the descriptor once `close` was called.
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
        self._waiting: deque[Wake] = deque()
        self._closing = False
        self._closed = False
        self._synced = 0
        self.written = 0
        self.failure: str | None = None

    @property
    def is_asked(self) -> bool:
        """Whether somebody waits for a sync, or has closed the file."""
        return self._closing or bool(self._waiting)

    @property
    def is_due(self) -> bool:
        """Whether something is to be synced, and can be."""
        return self._synced < self.written and self.failure is None

    def wait(self) -> None:
        """Return when everything written so far is on disk. Raises RecordingError."""
        if self.is_due:
            done = threading.Event()
            self.ask(done.set)
            done.wait()
        self._check()

    async def passed(self) -> None:
        """Like `wait`, without blocking the event loop. Raises RecordingError."""
        if self.is_due:
            await self.wait_for_sync()
        self._check()

    async def wait_for_sync(self) -> None:
        """Return when everything written so far is on disk, or the sync has failed."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(done.set)

        self.ask(wake)
        await done.wait()

    def ask(self, wake: Wake) -> None:
        """Call `wake`, in any thread, when everything written so far is on disk or failed.

        For a file that is being closed: when it is closed.
        """
        self._waiting.append(wake)
        if self._closed:
            self._wake()  # its last sync is over, and the thread may have ended
        else:
            self._thread.wake(self)

    def close(self) -> None:
        """Release the lock now; sync and close soon. Never blocks: safe in a finaliser."""
        try:
            unlock_file(self._fd)
        except OSError as error:
            _LOGGER.warning("cannot unlock %s: %s", self._path, error.strerror)
        self._closing = True
        self._thread.wake(self)

    def sync(self) -> None:
        """Sync what is not synced, close the file if that was asked for, and call the waiters."""
        # Read before the size: what is written during this sync must not be closed unsynced, and
        # who asks during it waits for another one.
        waiting, closing = len(self._waiting), self._closing
        size = self.written
        if self.is_due and not self._closed:
            try:
                for folder in self._folders:
                    sync_folder(folder)
                sync_file(self._fd)
            except OSError as error:
                self._fail(error.strerror or str(error))
            except Exception as error:  # noqa: BLE001 - the waiters must be told, whatever it is
                self._fail(f"{type(error).__name__}: {error}")
            else:
                self._folders = ()
                self._synced = size
        if closing and not self._closed:
            fd, self._fd = self._fd, -1  # first: a fork in between must not close it too
            try:
                os.close(fd)
            except OSError as error:
                # Where writes are delayed (NFS), they may fail only now.
                self._fail(error.strerror or str(error))
            self._thread.forget(self)
            self._closed = True
            waiting = sys.maxsize  # no other sync follows
        self._wake(waiting)

    def close_in_child(self) -> None:
        """In a forked child: close the copy. The lock and the next sync are the parent's."""
        self.failure = f"cannot record to {self._path}: the session belongs to the parent process"
        self._closed = True
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _wake(self, most: int = sys.maxsize) -> None:
        with contextlib.suppress(IndexError):
            for _ in range(most):
                self._waiting.popleft()()

    def _fail(self, reason: str) -> None:
        self.failure = f"cannot record to {self._path}: cannot sync: {reason}"
        self._poison(f"cannot sync: {reason}")
        if not self._waiting:
            _LOGGER.warning("%s", self.failure)

    def _check(self) -> None:
        if self.failure is not None:
            raise RecordingError(self.failure)


class SyncThread:
    """The background thread, which runs while there are open files to sync."""

    def __init__(self) -> None:
        self._exiting = False
        self._lock = threading.Lock()  # for starting and ending the thread
        # An item wakes the thread; True ends it.
        self._bell: SimpleQueue[bool] = SimpleQueue()
        self._files: set[SyncedFile] = set()
        self._thread: threading.Thread | None = None

    def add(
        self, fd: int, path: Path, folders: tuple[Path, ...], poison: Callable[[str], object]
    ) -> SyncedFile:
        """Sync this open file from now on. poison: called with the reason if a sync fails.

        Raises RecordingError.
        """
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

    def wake(self, file: SyncedFile) -> None:
        """Sync this file, which was asked for, as soon as possible."""
        if self._exiting:
            file.sync()
        else:
            self._bell.put(False)

    def forget(self, file: SyncedFile) -> None:
        """Stop syncing a file, which is closed."""
        self._files.discard(file)

    async def flushed(self) -> None:
        """Return when everything written so far is on disk, and closed sessions' files are."""
        await asyncio.gather(*(file.wait_for_sync() for file in self.files))

    @property
    def files(self) -> tuple[SyncedFile, ...]:
        """The files that are synced now."""
        return tuple(self._files)

    def exit(self) -> None:
        """The interpreter ends: sync what is left. Later syncs are done by whoever asks."""
        thread = self._thread
        if thread is not None:
            self._bell.put(True)
            thread.join()
        self._exiting = True
        for file in self.files:
            file.sync()

    def after_fork(self) -> None:
        """In a forked child: the thread does not exist, and the files are the parent's."""
        files, self._files = self._files, set()
        self._lock, self._bell, self._thread = threading.Lock(), SimpleQueue(), None
        for file in files:
            file.close_in_child()

    def _run(self) -> None:
        due = time.monotonic() + INTERVAL_SECONDS
        while not self._is_done():
            if self._rung(max(0.0, due - time.monotonic())):
                return
            files, now = self.files, time.monotonic()
            asked = [file for file in files if file.is_asked]
            if now >= due:
                asked += [file for file in files if file.is_due and not file.is_asked]
                due = now + max(INTERVAL_SECONDS, len(asked) / _SYNCS_PER_SECOND)
            for file in asked:
                file.sync()

    def _rung(self, patience: float) -> bool:
        """Wait so many seconds for somebody who asks. Returns whether the thread is to end."""
        ends = False
        with contextlib.suppress(Empty):
            ends = self._bell.get(timeout=patience)
            while True:
                ends |= self._bell.get_nowait()
        return ends

    def _is_done(self) -> bool:
        with self._lock:
            if not self._files:
                self._thread = None
            return self._thread is None


SYNC_THREAD = SyncThread()

atexit.register(SYNC_THREAD.exit)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=SYNC_THREAD.after_fork)
