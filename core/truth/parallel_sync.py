"""Syncs several files at once: a file system commits together what comes together."""

from __future__ import annotations

import contextlib
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .fsync_thread import SyncedFile

__all__ = ["ParallelSync"]

# Threads that sync. A file system needs a tenth of the time for files that are synced at once.
_AT_ONCE = 8


class ParallelSync:
    """The calling thread and up to seven more, which are started when they are first needed."""

    def __init__(self) -> None:
        self._parts: SimpleQueue[list[SyncedFile] | None] = SimpleQueue()
        self._done: SimpleQueue[None] = SimpleQueue()
        self._count = 0

    def sync(self, files: list[SyncedFile]) -> None:
        """Return when these were synced, or have failed."""
        with contextlib.suppress(RuntimeError):  # the process may have no more threads
            while self._count < min(len(files), _AT_ONCE) - 1:
                threading.Thread(target=self._work, name="vesselog sync", daemon=True).start()
                self._count += 1
        own, *parts = [files[start :: self._count + 1] for start in range(self._count + 1)]
        for part in parts:
            self._parts.put(part)
        for file in own:
            file.sync()
        for _ in parts:
            self._done.get()

    def end(self) -> None:
        """End the threads."""
        for _ in range(self._count):
            self._parts.put(None)

    def _work(self) -> None:
        while (files := self._parts.get()) is not None:
            try:
                for file in files:
                    file.sync()
            finally:
                self._done.put(None)
