"""A session's file while it is written: its lock, its open file, and the ends to be written.

Ends of calls are queued before they are written. Whoever holds the write lock writes them, so that
an interrupt cannot lose one, and a finaliser, which may run in the middle of a write, need not wait
for the lock. The file is closed when that was asked for and no call is running.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections import deque
from pathlib import Path

from ..clock import Clock
from ..errors import RecordingError
from .appender import Appender
from .call_state import CallEnd
from .write_lock import WriteLock

__all__ = ["SessionFile"]

_LOGGER = logging.getLogger("vesselog")
_OPEN: weakref.WeakSet[SessionFile] = weakref.WeakSet()


class SessionFile:
    """The file at `path` of the session `name`, which may not exist yet.

    appender: the open file; None before it is opened and after it was closed. running: the numbers
    of the calls without an end. closing: whether the session was closed.
    """

    def __init__(self, path: Path, name: str, clock: Clock) -> None:
        self._ends: deque[CallEnd | None] = deque()  # None: `close` was called
        self.appender: Appender | None = None
        self.running: set[int] = set()
        self.closing = False
        self.name = name
        self.path = path
        self.write_lock = WriteLock(clock, 0, self._ends.__len__, self.settle)
        _OPEN.add(self)

    @property
    def open_appender(self) -> Appender:
        """The open file. Raises RecordingError if there is none."""
        if self.appender is None:
            raise RecordingError(f"cannot record to {self.path}: the session is closed")
        return self.appender

    def queue(self, end: CallEnd) -> None:
        """Have this end written by whoever holds the lock next. Safe in a finaliser."""
        self._ends.append(end)

    def write_ends(self) -> None:
        """Write the queued ends. Those that fail have an error then."""
        with self.write_lock:
            self._write_ends()

    def settle(self) -> None:
        """Write the queued ends, and close the file if that is due, unless the lock is held.

        Whoever holds the lock does it on leaving. Never blocks and never raises.
        """
        while self._ends and self.write_lock.try_enter():
            try:
                self._write_ends()
            finally:
                self.write_lock.release()

    def close(self) -> None:
        """Close the file as soon as no call is running. Never blocks: safe in a finaliser."""
        self.closing = True
        self._ends.append(None)
        self.settle()

    def _write_ends(self) -> None:
        while self._ends:
            end = self._ends[0]
            if end is not None:
                self._write_end(end)
                self.running.discard(end.state.number)
            self._ends.popleft()
        if self.closing and not self.running and self.appender is not None:
            appender, self.appender = self.appender, None
            appender.close()

    def _write_end(self, end: CallEnd) -> None:
        known = self.appender is None or self.appender.refusal is not None
        try:
            appender = self.open_appender
            appender.check_file()
            t = self.write_lock.now()
            n = appender.ready(t) + 1
            if end.state.begun and not end.state.ended:
                appender.append(end.line(n, t), n, end.confirm)
        except RecordingError as error:
            end.error = error
            if end.unattended and not known:
                _LOGGER.warning("%s", error)

    def after_fork(self) -> None:
        """In a forked child: let go of what belongs to the parent."""
        self.write_lock.renew()
        self._ends.clear()
        if self.appender is not None:
            self.appender.close_in_child()

    def __del__(self) -> None:
        appender = getattr(self, "appender", None)
        if appender is not None:
            appender.close()


def _after_fork_in_child() -> None:
    for file in tuple(_OPEN):
        file.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
