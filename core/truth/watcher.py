"""Watches the files that are followed in this process.

Tasks that follow are served by one watcher in their event loop, threads by one in an event loop of
its own, in a thread that runs only while it is needed. Where the `follow` extra is installed
(Linux), the system tells of changes. Everywhere else, and where its events do not arrive, each file
is looked at now and then: one look for all who follow it.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from .files import explained
from .tail import Tail
from .wake import FOLLOWED

__all__ = ["Following"]

# Seconds between two looks at a file: where events tell of changes, and where nothing does. Events
# may be missing: network file systems send none for what another machine writes.
_WITH_EVENTS = 0.5
_WITHOUT_EVENTS = 0.02

# Seconds after a writer's file was closed: its lock is released a moment later.
_TO_UNLOCK = 0.005


@dataclass(slots=True)
class _Watch:
    """A watched file. number: of the system's watch, None if it sends no events."""

    number: int | None
    poll: float
    followers: int = 0
    next_look: float = 0.0


class _Watcher:
    """Watches files from one event loop, in which all its methods are to be called."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._watches: dict[Tail, _Watch] = {}
        self._tails: dict[int, Tail] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._inotify, self._mask, self._closed = _inotify()
        if self._inotify is not None:
            loop.add_reader(self._inotify.fileno(), self._read_events)

    def add(self, tail: Tail, poll: float) -> None:
        """One more follower of this file waits, and asked for a look every `poll` seconds."""
        watch = self._watches.get(tail)
        if watch is None:
            watch = self._watches[tail] = _Watch(self._watch(tail), poll)
        watch.followers += 1
        watch.poll = min(watch.poll, poll)
        watch.next_look = 0.0
        self._look()

    def remove(self, tail: Tail) -> bool:
        """A follower has left. Returns whether that was the last one of all."""
        watch = self._watches[tail]
        watch.followers -= 1
        if watch.followers == 0:
            del self._watches[tail]
            if watch.number is not None:
                del self._tails[watch.number]
                with suppress(OSError):  # it went with its file
                    self._inotify.rm_watch(watch.number)
        return not self._watches

    def close(self) -> None:
        """Free the descriptor. May be called anywhere once the loop is closed."""
        if self._timer is not None:
            self._timer.cancel()
        if self._inotify is not None:
            if not self.loop.is_closed():
                self.loop.remove_reader(self._inotify.fileno())
            self._inotify.close()

    def close_in_child(self) -> None:
        """In a forked child: the loop, and what it waits for, are shared with the parent."""
        if self._inotify is not None:
            self._inotify.close()

    def _watch(self, tail: Tail) -> int | None:
        if self._inotify is None:
            return None
        try:
            number: int = self._inotify.add_watch(tail.path, self._mask)
        except OSError:  # the system limits their number
            return None
        self._tails[number] = tail
        return number

    def _look(self) -> None:
        """Look at the files whose time has come."""
        if self._timer is not None:
            self._timer.cancel()
        now = self.loop.time()
        for tail, watch in tuple(self._watches.items()):
            if watch.next_look <= now:
                told = tail.look(whether_left=True) or watch.number is not None
                watch.next_look = now + min(watch.poll, _WITH_EVENTS if told else _WITHOUT_EVENTS)
        due = min((watch.next_look for watch in self._watches.values()), default=None)
        self._timer = None if due is None else self.loop.call_at(due, self._look)

    def _read_events(self) -> None:
        for event in self._inotify.read(timeout=0):
            tail = self._tails.get(event.wd)
            if tail is not None:
                tail.look()
                if event.mask & self._closed:
                    self.loop.call_later(_TO_UNLOCK, partial(tail.look, whether_left=True))


class _Registry:
    """The followed files by device and inode, and the watchers.

    generation: another one in each forked child, where the parent's watchers are of no use.
    """

    def __init__(self) -> None:
        self._tails: dict[tuple[int, int], Tail] = {}
        self.generation = 0
        self._start_anew()

    def _start_anew(self) -> None:
        # Reentrant: a follower may be collected, and leave, in the middle of what holds it.
        self._lock = threading.RLock()
        self._watchers: dict[asyncio.AbstractEventLoop, _Watcher] = {}
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
            FOLLOWED[file_id] = tail.told
        return tail

    def leave(self, tail: Tail) -> None:
        """A follower is done."""
        with self._lock:
            tail.followers -= 1
            if tail.followers == 0 and self._tails.get(tail.file_id) is tail:
                del self._tails[tail.file_id], FOLLOWED[tail.file_id]

    def watch_in_task(self, tail: Tail, poll: float) -> _Watcher:
        """Have the running event loop watch the file."""
        loop = asyncio.get_running_loop()
        with self._lock:
            watcher = self._watchers.get(loop)
            if watcher is None:
                watcher = self._watchers[loop] = _Watcher(loop)
        watcher.add(tail, poll)
        return watcher

    def unwatch_in_task(self, watcher: _Watcher, tail: Tail) -> None:
        """Watch it no longer, in the watcher's loop, or once that is closed."""
        if watcher.remove(tail):
            with self._lock:
                self._watchers.pop(watcher.loop, None)
            watcher.close()

    def watch_in_thread(self, tail: Tail, poll: float) -> _WatcherThread:
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
            tail.forget_waiters()


class _WatcherThread:
    """A thread with an event loop for the watcher of all followers that block."""

    def __init__(self) -> None:
        self.followers = 0
        self.loop = asyncio.new_event_loop()
        self.watcher = _Watcher(self.loop)
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
        self._watcher: _Watcher | _WatcherThread | None = None

    def watch(self, poll: float, *, in_task: bool) -> bool:
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
        with suppress(RuntimeError):
            if asyncio.get_running_loop() is watcher.loop:
                _REGISTRY.unwatch_in_task(watcher, self.tail)
                return
        if watcher.loop.is_closed():
            _REGISTRY.unwatch_in_task(watcher, self.tail)
        else:
            with suppress(RuntimeError):  # it has just been closed
                watcher.loop.call_soon_threadsafe(_REGISTRY.unwatch_in_task, watcher, self.tail)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def _inotify() -> tuple[Any, int, int]:
    """Linux's inotify, which events to ask for, and which of them is that a writer closed the file.

    None for the first if it is not there: the library has no types.
    """
    try:
        from inotify_simple import INotify, flags  # noqa: PLC0415 - an extra

        # ATTRIB: also when the file is deleted while a writer holds it.
        mask = flags.MODIFY | flags.CLOSE_WRITE | flags.ATTRIB | flags.MOVE_SELF
        return INotify(nonblocking=True), mask, flags.CLOSE_WRITE
    except (ImportError, OSError):  # not installed, or the system allows no more of them
        return None, 0, 0


_REGISTRY = _Registry()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_REGISTRY.after_fork)
