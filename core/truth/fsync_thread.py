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
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

from ..clock import SYSTEM_CLOCK, Clock
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
        self._waiting: deque[tuple[int, Wake]] = deque()
        self._closing = False
        self._closed = False
        self._synced = 0
        self.written = 0
        self.failure: str | None = None

    @property
    def is_due(self) -> bool:
        """Whether something is to be synced or closed."""
        return self._synced < self.written or self._closing

    def wait(self) -> None:
        """Return when everything written so far is on disk. Raises RecordingError."""
        if self._synced < self.written and self.failure is None:
            done = threading.Event()
            self.ask(done.set)
            done.wait()
        self._check()

    async def passed(self) -> None:
        """Like `wait`, without blocking the event loop. Raises RecordingError."""
        if self._synced < self.written and self.failure is None:
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
        self._waiting.append((self.written, wake))
        if self._closed:
            self._wake(self.written)  # its last sync is over, and the thread may have ended
        else:
            self._thread.request(self)

    def close(self) -> None:
        """Release the lock now; sync and close soon. Never blocks: safe in a finaliser."""
        try:
            unlock_file(self._fd)
        except OSError as error:
            _LOGGER.warning("cannot unlock %s: %s", self._path, error.strerror)
        self._closing = True
        self._thread.request(self)

    def sync(self) -> None:
        """Sync what is not synced, close the file if that was asked for, and call the waiters."""
        # Read before the size: what is written during this sync must not be closed unsynced.
        closing = self._closing
        size = self.written
        if self._synced < size and self.failure is None and not self._closed:
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
        self._wake(size)

    def close_in_child(self) -> None:
        """In a forked child: close the copy. The lock and the next sync are the parent's."""
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
                # Both have asked for another sync: a later write, and a close meanwhile.
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
    """The background thread, which runs while there are open files to sync."""

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

    def request(self, file: SyncedFile) -> None:
        """Sync this file as soon as possible."""
        if self._exiting:
            file.sync()
        else:
            self._requests.put(file)

    def forget(self, file: SyncedFile) -> None:
        """Stop syncing a file, which is closed."""
        with self._lock:
            self._files.discard(file)

    async def flushed(self) -> None:
        """Return when everything written so far is on disk, and closed sessions' files are."""
        await asyncio.gather(*(file.wait_for_sync() for file in self.files))

    @property
    def files(self) -> tuple[SyncedFile, ...]:
        """The files that are synced now."""
        with self._lock:
            return tuple(self._files)

    def exit(self) -> None:
        """The interpreter ends: sync what is left. Later syncs are done by whoever asks."""
        thread = self._thread
        self._requests.put(None)
        if thread is not None:
            thread.join()
        self._exiting = True
        for file in self._requested(0):
            if file is not None:
                file.sync()

    def after_fork(self) -> None:
        """In a forked child: the thread does not exist, and the files are the parent's."""
        files, self._files = self._files, set()
        self._lock, self._requests, self._thread = threading.Lock(), SimpleQueue(), None
        for file in files:
            file.close_in_child()

    def _run(self) -> None:
        due = self._clock.monotonic() + round(INTERVAL_SECONDS * 1e6)
        while True:
            patience = max(0, due - self._clock.monotonic()) / 1e6
            asking = dict.fromkeys(self._requested(patience))  # each once, in the order of requests
            now, last = self._clock.monotonic(), None in asking
            if last or now >= due:
                files = [file for file in self.files if file.is_due]
                due = now + round(max(INTERVAL_SECONDS, len(files) / _SYNCS_PER_SECOND) * 1e6)
                asking.update(dict.fromkeys(files))
            for file in asking:
                if file is not None:
                    file.sync()
            if last or self._is_done():
                return

    def _requested(self, patience: float) -> Iterator[SyncedFile | None]:
        """The files to sync, waiting so many seconds for the first; None: the interpreter ends."""
        with contextlib.suppress(Empty):
            yield self._requests.get(timeout=patience)
            while True:
                yield self._requests.get_nowait()

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
