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
from pathlib import Path
from typing import Any

from ..clock import Clock
from ..errors import ConfigurationError
from .durability import Durability
from .fsync_thread import SYNC_THREAD
from .session import Session
from .session_names import check_session_name
from .writer import Unrecorded, Writer

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
        self._dropped: deque[str] = deque()

    @staticmethod
    def check(name: str | None) -> None:
        """Raise SessionNameError if no session may have this name."""
        if name is not None:
            check_session_name(name)

    def open(self, name: str | None) -> Entry:
        """A place to write the calls of one stream to.

        Raises RecordingLockedError, RecordingError.
        """
        if self._folder is None:
            return self.unrecorded()
        if name is None:
            session = Session.open(
                self._folder, None, durability=self._durability, clock=self._clock
            )
            return Entry(self, session, None, self._clock)
        with self._lock:
            self._release_dropped()
            session, streams = self._named.get(name) or (
                Session.open(self._folder, name, durability=self._durability, clock=self._clock),
                0,
            )
            self._named[name] = session, streams + 1
        return Entry(self, session, name, self._clock)

    def unrecorded(self) -> Entry:
        """A place for a stream that is not recorded."""
        return Entry(self, None, None, self._clock)

    async def flushed(self) -> None:
        """Return when all that was written is as safe as the level can make it."""
        if self._durability != "process":
            await SYNC_THREAD.flushed()

    def release(self, session: Session, name: str | None) -> None:
        """One stream is done with a session."""
        if name is None:
            session.close()
            return
        with self._lock:
            self._release_dropped()
            self._release(name)

    def drop(self, session: Session, name: str | None) -> None:
        """`release` for a finaliser, which may run while its own thread holds the lock."""
        if name is None:
            session.close()
            return
        self._dropped.append(name)
        if self._lock.acquire(blocking=False):
            try:
                self._release_dropped()
            finally:
                self._lock.release()

    def _release_dropped(self) -> None:
        while self._dropped:
            self._release(self._dropped.popleft())

    def _release(self, name: str) -> None:
        session, streams = self._named[name]
        if streams > 1:
            self._named[name] = session, streams - 1
        else:
            del self._named[name]
            session.close()


class Entry:
    """One stream's hold on its session."""

    def __init__(
        self, pool: SessionPool, session: Session | None, name: str | None, clock: Clock
    ) -> None:
        self._pool = pool
        self._session = session
        self._name = name
        self._clock = clock
        self._closed = False

    @property
    def session(self) -> str | None:
        """The session's name, None when nothing is recorded."""
        return self._session.name if self._session else None

    @property
    def path(self) -> Path | None:
        """The session's file, None when nothing is recorded."""
        return self._session.path if self._session else None

    def begin(self, record: Mapping[str, Any]) -> Writer:
        """Write a call's request line; it is on disk when this returns. Raises RecordingError."""
        return Unrecorded(self._clock) if self._session is None else self._session.begin(record)

    def close(self) -> None:
        """Let the session go. Does nothing the second time."""
        if not self._closed:
            self._closed = True
            if self._session is not None:
                self._pool.release(self._session, self._name)

    def drop(self) -> None:
        """`close`, safe in a finaliser."""
        if not self._closed:
            self._closed = True
            if self._session is not None:
                self._pool.drop(self._session, self._name)


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
