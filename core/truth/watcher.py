"""Watches all files that are followed in this process, from one thread.

The thread runs only while a follower waits for what another process may write, or for the news that
the writer is gone. Where the `follow` extra is installed (Linux), the system tells of changes;
everywhere else, and where its events do not arrive, each file is looked at now and then: one look
for all who follow it.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from .files import explained
from .tail import Tail
from .wake import FOLLOWED

__all__ = ["WATCHER", "Following"]

# Seconds after a writer's file was closed: its lock is released a moment later.
_SECONDS_TO_UNLOCK = 0.005


class _Watcher:
    """The followed files by device and inode, and the thread that watches some of them."""

    def __init__(self) -> None:
        self._tails: dict[tuple[int, int], Tail] = {}
        self._start_anew()

    def _start_anew(self) -> None:
        # Reentrant: a follower may be collected, and leave, in the middle of what holds it.
        self._lock = threading.RLock()
        self._watched: dict[Tail, None] = {}
        self._events: _Events | _NoEvents | None = None

    def join(self, path: Path) -> Tail:
        """A follower begins. Raises RecordingError if there is no such file."""
        with explained(f"read {path}"):
            status = os.stat(path)  # noqa: PTH116 - Path's takes a name with a NUL for no file
        file_id = status.st_dev, status.st_ino
        with self._lock:
            tail = self._tails.get(file_id) or Tail(path, file_id)
            tail.followers += 1
            self._tails[file_id] = tail
            FOLLOWED[file_id] = tail.told
        return tail

    def leave(self, tail: Tail) -> None:
        """A follower is done. Safe in a finaliser."""
        with self._lock:
            tail.followers -= 1
            if tail.followers > 0:
                return
            if self._tails.get(tail.file_id) is tail:
                del self._tails[tail.file_id], FOLLOWED[tail.file_id]
            if tail in self._watched:
                del self._watched[tail]
                if self._events is not None:
                    self._events.remove(tail)
                    self._events.interrupt()

    def watch(self, tail: Tail, poll: float) -> bool:
        """Let the tail's followers know of what is new from now on. False if that is so already."""
        with self._lock:
            if tail in self._watched and tail.poll <= poll:
                return False
            tail.poll = min(tail.poll, poll)
            if self._events is None:
                self._events = _open_events()
                threading.Thread(
                    target=self._run, args=(self._events,), name="vesselog follow", daemon=True
                ).start()
            if tail not in self._watched:
                self._watched[tail] = None
                self._events.add(tail)
            self._events.interrupt()
        tail.look(whether_left=True)
        tail.look(whether_left=True)  # the first one may have found nothing but the size
        return True

    def _run(self, events: _Events | _NoEvents) -> None:
        try:
            while True:
                with self._lock:
                    watched = tuple(self._watched)
                    if not watched:
                        self._events = None
                        return
                now = time.monotonic()
                for tail in watched:
                    if tail.next_look <= now:
                        tail.look(whether_left=True)
                        tail.next_look = now + tail.interval()
                for tail, closed in events.wait(min(each.next_look for each in watched) - now):
                    tail.look(whether_left=closed)
                    if closed:
                        tail.next_look = time.monotonic() + _SECONDS_TO_UNLOCK
        finally:
            events.close()

    def after_fork(self) -> None:
        """In a forked child: there is no thread, and the parent's events are the parent's."""
        if self._events is not None:
            self._events.close()
        self._start_anew()
        for tail in self._tails.values():
            tail.forget_watcher()


class Following:
    """One follower's hold on the tail of a file, until it is left. Raises RecordingError."""

    def __init__(self, path: Path) -> None:
        self._tail: Tail | None = None
        self.tail = self._tail = WATCHER.join(path)

    def close(self) -> None:
        """Let it go. Does nothing the second time."""
        tail, self._tail = self._tail, None
        if tail is not None:
            WATCHER.leave(tail)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class _NoEvents:
    """The system tells of nothing: files are looked at when their time has come."""

    def __init__(self) -> None:
        self._interrupted = threading.Event()

    def wait(self, seconds: float) -> Iterable[tuple[Tail, bool]]:
        """Wait so long, or until it is interrupted."""
        self._interrupted.wait(max(0.0, seconds))
        self._interrupted.clear()
        return ()

    def interrupt(self) -> None:
        """End the wait."""
        self._interrupted.set()

    def add(self, tail: Tail) -> None:
        """Do nothing."""

    remove = add

    def close(self) -> None:
        """Do nothing."""


class _Events:
    """Linux's inotify, through inotify_simple, which is given."""

    def __init__(self, library: ModuleType) -> None:
        # The library has no types.
        self._inotify: Any = library.INotify(nonblocking=True)
        self._interrupt = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll = select.poll()
        for fd in (self._inotify.fileno(), self._interrupt):
            self._poll.register(fd, select.POLLIN)
        flags = library.flags
        self._closed: int = flags.CLOSE_WRITE
        # ATTRIB: also when the file is deleted while a writer holds it.
        self._mask: int = flags.MODIFY | flags.CLOSE_WRITE | flags.ATTRIB | flags.MOVE_SELF
        self._tails: dict[int, Tail] = {}

    def wait(self, seconds: float) -> Iterable[tuple[Tail, bool]]:
        """Wait so long, for events, or until it is interrupted.

        The tails that something happened to, and whether a writer may have gone.
        """
        self._poll.poll(max(0.0, seconds * 1000))
        with suppress(BlockingIOError):
            os.eventfd_read(self._interrupt)
        closed: dict[Tail, bool] = {}
        for event in self._inotify.read(timeout=0):
            tail = self._tails.get(event.wd)
            if tail is not None:
                closed[tail] = closed.get(tail, False) or bool(event.mask & self._closed)
        return closed.items()

    def interrupt(self) -> None:
        """End the wait."""
        with suppress(BlockingIOError):
            os.eventfd_write(self._interrupt, 1)

    def add(self, tail: Tail) -> None:
        """Watch the file, if there are watches left: the system limits their number."""
        with suppress(OSError):
            tail.watch = self._inotify.add_watch(tail.path, self._mask)
            self._tails[tail.watch] = tail

    def remove(self, tail: Tail) -> None:
        """Watch it no longer."""
        if tail.watch is not None:
            self._tails.pop(tail.watch, None)
            with suppress(OSError):  # it went with its file
                self._inotify.rm_watch(tail.watch)
            tail.watch = None

    def close(self) -> None:
        """Free the descriptors."""
        self._inotify.close()
        os.close(self._interrupt)


def _open_events() -> _Events | _NoEvents:
    try:
        import inotify_simple  # noqa: PLC0415 - an extra

        return _Events(inotify_simple)
    except (ImportError, OSError):  # not installed, or the system allows no more of them
        return _NoEvents()


WATCHER = _Watcher()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=WATCHER.after_fork)
