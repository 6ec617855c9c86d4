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
from weakref import WeakValueDictionary, ref

from ..truth.files import explained
from ..truth.wake import FOLLOWED
from .file_watcher import FileWatcher
from .tail import Tail

__all__ = ["Following"]


class _Registry:
    """The followed files (in FOLLOWED) and the watchers.

    Both are held weakly: an event loop may be closed over tasks that wait, and all that they hold
    must be collected with them. generation: another one in each forked child, where the parent's
    watchers are of no use.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._start_anew()

    def _start_anew(self) -> None:
        # Reentrant: a follower may be collected, and leave, in the middle of what holds it.
        self._lock = threading.RLock()
        self._watchers: WeakValueDictionary[asyncio.AbstractEventLoop, FileWatcher] = (
            WeakValueDictionary()
        )
        self._thread: FileWatcher | None = None  # that of the loop in the thread

    def join(self, path: Path) -> Tail:
        """A follower begins. Raises RecordingError if there is no such file."""
        with explained(f"read {path}"):
            status = os.stat(path)  # noqa: PTH116 - at a third of the cost
        file_id = status.st_dev, status.st_ino
        with self._lock:
            tail: Tail = _known(file_id) or Tail(path, file_id)
            tail.followers += 1
            FOLLOWED[file_id] = ref(tail)
        return tail

    def leave(self, tail: Tail) -> None:
        """A follower is done."""
        with self._lock:
            tail.followers -= 1
            if tail.followers == 0 and _known(tail.file_id) in {None, tail}:
                FOLLOWED.pop(tail.file_id, None)

    def watch(self, tail: Tail, poll: float | None, *, in_task: bool) -> FileWatcher:
        """Have the running event loop, or the thread, watch the file."""
        with self._lock:
            if in_task:
                loop = asyncio.get_running_loop()
                watcher = self._watchers.get(loop)
                if watcher is None:
                    watcher = self._watchers[loop] = FileWatcher(loop)
            else:
                watcher = self._thread = self._thread or _start_thread()
            watcher.users += 1
        watcher.call(watcher.add, tail, poll)
        return watcher

    def unwatch(self, watcher: FileWatcher, tail: Tail) -> None:
        """Watch it no longer. The watcher, and the thread, end with the last follower."""
        watcher.call(watcher.remove, tail)
        with self._lock:
            watcher.users -= 1
            unused, in_thread = watcher.users == 0, watcher is self._thread
            if unused and in_thread:
                self._thread = None
            elif unused:
                self._watchers.pop(watcher.loop, None)
        if unused:
            watcher.call(watcher.close)
            if in_thread:
                watcher.call(watcher.loop.stop)

    def after_fork(self) -> None:
        """In a forked child: there is no thread, and the loops are the parent's."""
        self.generation += 1
        for watcher in self._watchers.values():
            watcher.close_in_child()
        if self._thread is not None:
            self._thread.close_in_child()
        self._start_anew()
        for file_id in FOLLOWED:
            tail = _known(file_id)
            if tail is not None:
                tail.forget_others()


def _known(file_id: tuple[int, int]) -> Tail | None:
    """The followed file; None also if its followers are being collected."""
    reference = FOLLOWED.get(file_id)
    return None if reference is None else reference()


def _start_thread() -> FileWatcher:
    """The watcher of all followers that block, with its event loop in a thread."""
    watcher = FileWatcher(asyncio.new_event_loop())

    def run() -> None:
        watcher.loop.run_forever()
        watcher.loop.close()

    threading.Thread(target=run, name="vesselog follow", daemon=True).start()
    return watcher


class Following:
    """One follower's hold on a file, until it is closed. Raises RecordingError.

    tail: the file, as all its followers in this process read it.
    """

    _closed = True  # until `__init__` is done

    def __init__(self, path: Path) -> None:
        self.tail = _REGISTRY.join(path)
        self._closed = False
        self._generation = _REGISTRY.generation
        self._watcher: FileWatcher | None = None

    def watch(self, poll: float | None, *, in_task: bool) -> bool:
        """Have the tail told of what is new from now on. False if that is so already."""
        if self._watcher is not None and self._generation == _REGISTRY.generation:
            return False
        self._watcher = _REGISTRY.watch(self.tail, poll, in_task=in_task)
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
        if watcher is not None and self._generation == _REGISTRY.generation:
            _REGISTRY.unwatch(watcher, self.tail)

    def __del__(self) -> None:
        self.close()


_REGISTRY = _Registry()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_REGISTRY.after_fork)
