"""Which session a call is written to, and when a session's file is let go.

A stream without a name has a file of its own. Streams of one name share one writer while any of
them runs; with the last one the file is closed, so that another process may go on with it.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import deque
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..clock import Clock
from ..errors import ConfigurationError
from ..settings import Durability
from .fsync_thread import SYNC_THREAD
from .session import Session
from .session_file import Unrecorded, Writer

__all__ = ["Entry", "SessionPool"]


class SessionPool:
    """The sessions that one client has open. With no folder nothing is recorded."""

    def __init__(self, folder: Path | None, durability: Durability, clock: Clock) -> None:
        if folder is not None:
            _check_folder(folder)
        self._folder = folder
        self._durability: Durability = durability
        self._clock = clock
        self._lock = threading.Lock()
        self._named: dict[str, tuple[Session, int]] = {}
        self._released: deque[str] = deque()  # the names of sessions that streams are done with

    def open(self, name: str | None) -> Entry:
        """A place to write the calls of one stream to.

        Raises RecordingLockedError, RecordingError.
        """
        if self._folder is None:
            return self.unrecorded()
        make = partial(Session.open, self._folder, durability=self._durability, clock=self._clock)
        if name is None:
            return Entry(self, make(), None, self._clock)
        try:
            with self._lock:
                session, streams = self._named.get(name) or (make(name), 0)
                self._named[name] = session, streams + 1
        finally:
            self._settle()
        return Entry(self, session, name, self._clock)

    def unrecorded(self) -> Entry:
        """A place for a stream that is not recorded."""
        return Entry(self, None, None, self._clock)

    async def flushed(self) -> None:
        """Return when all that was written is as safe as the level can make it."""
        if self._durability != "process":
            await SYNC_THREAD.flushed()

    def release(self, session: Session, name: str | None) -> None:
        """One stream is done with a session. Never blocks: safe in a finaliser."""
        if name is None:
            session.close()
        else:
            self._released.append(name)
            self._settle()

    def _settle(self) -> None:
        """Let go of what was released, unless the lock is held: its holder does it on leaving."""
        while self._released and self._lock.acquire(blocking=False):
            try:
                while self._released:
                    name = self._released.popleft()
                    session, streams = self._named[name]
                    self._named[name] = session, streams - 1
                    if streams == 1:
                        del self._named[name]
                        session.close()
            finally:
                self._lock.release()


class Entry:
    """One stream's hold on its session. session, path: None when nothing is recorded."""

    def __init__(
        self, pool: SessionPool, session: Session | None, name: str | None, clock: Clock
    ) -> None:
        self._pool = pool
        self._session = session
        self._name = name
        self._clock = clock
        self._closed = False
        self.session = session.name if session else None
        self.path = session.path if session else None

    def begin(self, record: Mapping[str, Any]) -> Writer:
        """Write a call's request line; it is on disk when this returns. Raises RecordingError."""
        return Unrecorded(self._clock) if self._session is None else self._session.begin(record)

    def close(self) -> None:
        """Let the session go. Does nothing the second time. Safe in a finaliser."""
        if not self._closed:
            self._closed = True
            if self._session is not None:
                self._pool.release(self._session, self._name)


def _check_folder(folder: Path) -> None:
    """Raise ConfigurationError if this can be no folder. It need not be there yet."""
    try:
        mode = os.stat(folder).st_mode  # noqa: PTH116 - Path's takes a name with a NUL for no file
    except (FileNotFoundError, NotADirectoryError):
        return  # it is made with the first recording
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(
            f"the recordings folder {str(folder)!r} cannot be used: {why}", setting="recordings"
        ) from None
    if not stat.S_ISDIR(mode):
        raise ConfigurationError(
            f"the recordings folder {str(folder)!r} is not a folder", setting="recordings"
        )
