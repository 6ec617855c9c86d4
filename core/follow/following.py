"""The followed files of this process, and who watches them.

Tasks that follow are served by one watcher in their event loop, threads by one in an event loop of
its own, in a thread that runs only while it is needed. One look at a file is for all its followers
that a watcher serves.
"""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Self
from weakref import WeakMethod, WeakValueDictionary

from ..truth.files import explained
from ..truth.wake import FOLLOWED
from .file_watcher import FileWatcher
from .tail import Tail, running_loop

__all__ = ["Following"]


class _Registry:
    """The followed files by device and inode, and the watchers.

    It holds them weakly: an event loop may be closed over tasks that wait, and all that they hold
    must be collected with them. generation: another one in each forked child, where the parent's
    watchers are of no use.
    """

    def __init__(self) -> None:
        self._tails: WeakValueDictionary[tuple[int, int], Tail] = WeakValueDictionary()
        self.generation = 0
        self._start_anew()

    def _start_anew(self) -> None:
        # Reentrant: a follower may be collected, and leave, in the middle of what holds it.
        self._lock = threading.RLock()
        self._watchers: WeakValueDictionary[asyncio.AbstractEventLoop, FileWatcher] = (
            WeakValueDictionary()
        )
        self._thread: _WatcherThread | None = None

    def join(self, path: Path) -> Tail:
        """A follower begins. Raises RecordingError if there is no such file."""
        with explained(f"read {path}"):
            status = os.stat(path)  # noqa: PTH116 - at a third of the cost
        file_id = status.st_dev, status.st_ino
        with self._lock:
            tail = self._tails.get(file_id) or Tail(path, file_id)
            tail.followers += 1
            self._tails[file_id] = tail
            FOLLOWED[file_id] = WeakMethod(tail.told)
        return tail

    def leave(self, tail: Tail) -> None:
        """A follower is done."""
        with self._lock:
            tail.followers -= 1
            if tail.followers == 0 and self._tails.get(tail.file_id, tail) is tail:
                self._tails.pop(tail.file_id, None)
                FOLLOWED.pop(tail.file_id, None)

    def watch_in_task(self, tail: Tail, poll: float | None) -> FileWatcher:
        """Have the running event loop watch the file."""
        loop = asyncio.get_running_loop()
        with self._lock:
            watcher = self._watchers.get(loop)
            if watcher is None:
                watcher = self._watchers[loop] = FileWatcher(loop)
        watcher.add(tail, poll)
        return watcher

    def unwatch_in_task(self, watcher: FileWatcher, tail: Tail) -> None:
        """Watch it no longer, in the watcher's loop, or once that is closed."""
        if watcher.remove(tail):
            with self._lock:
                self._watchers.pop(watcher.loop, None)
            watcher.close()

    def watch_in_thread(self, tail: Tail, poll: float | None) -> _WatcherThread:
        """Have the thread watch the file."""
        with self._lock:
            thread = self._thread
            if thread is None:
                thread = self._thread = _WatcherThread()
            thread.followers += 1
        thread.loop.call_soon_threadsafe(thread.watcher.add, tail, poll)
        return thread

    def unwatch_in_thread(self, thread: _WatcherThread, tail: Tail) -> None:
        """Watch it no longer. The thread ends with its last follower."""
        thread.loop.call_soon_threadsafe(thread.watcher.remove, tail)
        with self._lock:
            thread.followers -= 1
            if thread.followers == 0:
                self._thread = None
                thread.loop.call_soon_threadsafe(thread.loop.stop)

    def after_fork(self) -> None:
        """In a forked child: there is no thread, and the loops are the parent's."""
        self.generation += 1
        for watcher in self._watchers.values():
            watcher.close_in_child()
        if self._thread is not None:
            self._thread.watcher.close_in_child()
        self._start_anew()
        for tail in self._tails.values():
            tail.forget_others()


class _WatcherThread:
    """A thread with an event loop for the watcher of all followers that block."""

    def __init__(self) -> None:
        self.followers = 0
        self.loop = asyncio.new_event_loop()
        self.watcher = FileWatcher(self.loop)
        threading.Thread(target=self._run, name="vesselog follow", daemon=True).start()

    def _run(self) -> None:
        try:
            self.loop.run_forever()
        finally:
            self.watcher.close()
            self.loop.close()


class Following:
    """One follower's hold on a file, until it is closed. Raises RecordingError.

    tail: the file, as all its followers in this process read it.
    """

    _closed = True  # until `__init__` is done

    def __init__(self, path: Path) -> None:
        self.tail = _REGISTRY.join(path)
        self._closed = False
        self._generation = _REGISTRY.generation
        self._watcher: FileWatcher | _WatcherThread | None = None

    def watch(self, poll: float | None, *, in_task: bool) -> bool:
        """Have the tail told of what is new from now on. False if that is so already."""
        if self._watcher is not None and self._generation == _REGISTRY.generation:
            return False
        watch = _REGISTRY.watch_in_task if in_task else _REGISTRY.watch_in_thread
        self._watcher = watch(self.tail, poll)
        self._generation = _REGISTRY.generation
        self.tail.look()
        self.tail.look(whether_left=True)
        return True

    def close(self) -> None:
        """Let it go. Safe in a finaliser; does nothing the second time."""
        if self._closed:
            return
        self._closed = True
        _REGISTRY.leave(self.tail)
        watcher, self._watcher = self._watcher, None
        if watcher is None or self._generation != _REGISTRY.generation:
            return
        if isinstance(watcher, _WatcherThread):
            _REGISTRY.unwatch_in_thread(watcher, self.tail)
            return
        # A task's generator is closed in its loop, or collected once that is closed.
        if watcher.loop is running_loop() or watcher.loop.is_closed():
            _REGISTRY.unwatch_in_task(watcher, self.tail)
        else:
            watcher.loop.call_soon_threadsafe(_REGISTRY.unwatch_in_task, watcher, self.tail)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


_REGISTRY = _Registry()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_REGISTRY.after_fork)
