"""A follower's hold on its file, and what the followers of this process share.

Each followed file has one `Tail`. Tasks that follow are served by one watcher in their event loop,
threads by one in an event loop of its own, in a thread that runs only while it is needed.
"""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from weakref import WeakValueDictionary, ref

from ..truth.files import explained
from ..truth.wake import FOLLOWED, followed
from .file_watcher import FileWatcher, watcher_thread
from .tail import Tail

__all__ = ["Following"]


class _Shared:
    """The watchers by their event loops, that of threads by None, and the lock for them."""

    def __init__(self) -> None:
        self.start_anew()

    def start_anew(self) -> None:
        # Reentrant: a follower may be collected, and leave, in the middle of what holds it.
        self.lock = threading.RLock()
        self.watchers: WeakValueDictionary[asyncio.AbstractEventLoop | None, FileWatcher] = (
            WeakValueDictionary()
        )

    def after_fork(self) -> None:
        """In a forked child: there is no thread, and the loops are the parent's."""
        for watcher in self.watchers.values():
            watcher.leave_to_parent()
        self.start_anew()
        for file_id in FOLLOWED:
            tail: Tail | None = followed(file_id)
            if tail is not None:
                tail.forget_others()


class Following:
    """One follower's hold on a file, until it is closed. Raises RecordingError.

    tail: the file, as all its followers in this process read it.
    """

    _closed = True  # until `__init__` is done

    def __init__(self, path: Path) -> None:
        with explained(f"read {path}"):
            status = os.stat(path)  # noqa: PTH116 - at a third of the cost
        file_id = status.st_dev, status.st_ino
        with _SHARED.lock:
            self.tail: Tail = followed(file_id) or Tail(path, file_id)
            self.tail.followers += 1
            FOLLOWED[file_id] = ref(self.tail)
        self._watcher: FileWatcher | None = None
        self._closed = False

    def watch(self, poll: float | None, *, in_task: bool) -> bool:
        """Have the tail told of what is new from now on. False if that is so already."""
        if self._watcher is not None and not self._watcher.is_parents:
            return False
        loop = asyncio.get_running_loop() if in_task else None
        with _SHARED.lock:
            watcher = _SHARED.watchers.get(loop)
            if watcher is None:
                with explained(f"follow {self.tail.path}"):
                    watcher = watcher_thread() if loop is None else FileWatcher(loop)
                _SHARED.watchers[loop] = watcher
            watcher.users += 1
        self._watcher = watcher
        watcher.call(watcher.add, self.tail, poll)
        self.tail.look()
        self.tail.look(whether_left=True)
        return True

    def close(self) -> None:
        """Let it go. Safe in a finaliser; does nothing the second time."""
        if self._closed:
            return
        self._closed = True
        tail, watcher = self.tail, self._watcher
        with _SHARED.lock:
            tail.followers -= 1
            if tail.followers == 0 and followed(tail.file_id) in {None, tail}:
                FOLLOWED.pop(tail.file_id, None)
            if watcher is None or watcher.is_parents:
                return
            watcher.call(watcher.remove, tail)
            watcher.users -= 1
            if watcher.users == 0:
                _SHARED.watchers.pop(None if watcher.in_thread else watcher.loop, None)
                watcher.call(watcher.close)

    def __del__(self) -> None:
        self.close()


_SHARED = _Shared()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_SHARED.after_fork)
