"""Watches followed files from one event loop.

Where the `follow` extra is installed (Linux), the system tells of changes. Everywhere else, and
where its events do not arrive, each file is looked at now and then.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from .tail import Tail, running_loop

__all__ = ["FileWatcher", "watcher_thread"]

# Seconds between two looks at a file: where events tell of changes, and where nothing does. Events
# may be missing: network file systems send none for what another machine writes.
_WITH_EVENTS = 0.5
_WITHOUT_EVENTS = 0.02

# Seconds after a writer's file was closed: its lock is released a moment later.
_TO_UNLOCK = 0.005


@dataclass(slots=True)
class _Watch:
    """A watched file.

    number: of the system's watch, None if it sends no events. poll: the seconds between two looks
    that followers asked for, infinite if none did. unasked: a follower left them to the watcher.
    """

    number: int | None
    poll: float = math.inf
    unasked: bool = False
    followers: int = 0
    next_look: float = 0.0


class FileWatcher:
    """Watches files from one event loop, in which all its methods are to be called.

    users: how many followers it serves, or is about to. in_thread: its loop runs in a thread, both
    of which end when it is closed. is_parents: this is a forked child, where it is of no use.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, in_thread: bool = False) -> None:
        self.loop = loop
        self.in_thread = in_thread
        self.is_parents = False
        self.users = 0
        self._watches: dict[Tail, _Watch] = {}
        self._tails: dict[int, Tail] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._inotify, self._mask, self._closed = _inotify()
        if self._inotify is not None:
            loop.add_reader(self._inotify.fileno(), self._read_events)

    def call(self, action: Callable[..., object], *arguments: Any) -> None:
        """Call this in the loop, from anywhere: at once in the loop itself, or if it is closed."""
        if self.loop is running_loop() or self.loop.is_closed():
            action(*arguments)
        else:
            self.loop.call_soon_threadsafe(action, *arguments)

    def add(self, tail: Tail, poll: float | None) -> None:
        """A follower of this file waits. poll: the seconds between two looks that it asked for."""
        watch = self._watches.get(tail)
        if watch is None:
            watch = self._watches[tail] = _Watch(self._watch(tail))
        watch.followers += 1
        watch.poll = watch.poll if poll is None else min(watch.poll, poll)
        watch.unasked = watch.unasked or poll is None
        watch.next_look = 0.0
        self._look()

    def remove(self, tail: Tail) -> None:
        """A follower has left."""
        watch = self._watches[tail]
        watch.followers -= 1
        if watch.followers == 0:
            del self._watches[tail]
            if watch.number is not None:
                del self._tails[watch.number]
                with suppress(OSError):  # it went with its file
                    self._inotify.rm_watch(watch.number)

    def close(self) -> None:
        """Free the descriptor. May be called anywhere once the loop is closed."""
        if self._timer is not None:
            self._timer.cancel()
        if self._inotify is not None:
            if not self.loop.is_closed():
                self.loop.remove_reader(self._inotify.fileno())
            self._inotify.close()
        if self.in_thread:
            self.loop.stop()

    def leave_to_parent(self) -> None:
        """In a forked child: the loop, and what it waits for, are shared with the parent."""
        self.is_parents = True
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
                pause = _WITH_EVENTS if told else _WITHOUT_EVENTS
                watch.next_look = now + min(watch.poll, pause if watch.unasked else math.inf)
        due = min((watch.next_look for watch in self._watches.values()), default=None)
        self._timer = None if due is None else self.loop.call_at(due, self._look)

    def _read_events(self) -> None:
        for event in self._inotify.read(timeout=0):
            tail = self._tails.get(event.wd)
            if tail is not None:
                tail.look()
                if event.mask & self._closed:
                    self.loop.call_later(_TO_UNLOCK, partial(tail.look, whether_left=True))


def watcher_thread() -> FileWatcher:
    """A watcher with an event loop in a thread. Raises OSError if no thread can be had."""
    watcher = FileWatcher(asyncio.new_event_loop(), in_thread=True)

    def run() -> None:
        watcher.loop.run_forever()
        watcher.loop.close()

    try:
        threading.Thread(target=run, name="vesselog follow", daemon=True).start()
    except RuntimeError as error:
        watcher.close()
        watcher.loop.close()
        raise OSError(0, str(error)) from None
    return watcher


def _inotify() -> tuple[Any, int, int]:
    """Linux's inotify, which events to ask for, and which of them is that a writer closed the file.

    None for the first if it is not there: the library has no types.
    """
    try:
        import inotify_simple as library  # type: ignore[import-untyped] # pyright: ignore[reportMissingTypeStubs] # noqa: PLC0415 - an extra

        flags: Any = library.flags
        # ATTRIB: also when the file is deleted while a writer holds it.
        mask = flags.MODIFY | flags.CLOSE_WRITE | flags.ATTRIB | flags.MOVE_SELF
        return library.INotify(nonblocking=True), mask, flags.CLOSE_WRITE
    except (ImportError, OSError):  # not installed, or the system allows no more of them
        return None, 0, 0
