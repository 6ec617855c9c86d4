"""Which session a call is written to, and when a session's file is let go.

A stream without a name has a file of its own. Streams of one name share one writer while any of
them runs; with the last one the file is closed, so that another process may go on with it.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..clock import Clock
from ..errors import ConfigurationError
from ..settings import Durability
from .call_writer import Unrecorded, Writer
from .fsync_thread import SYNC_THREAD
from .session import Session
from .shared_session import SharedSession, Turn

__all__ = ["Entry", "OpenSession", "SessionPool"]


class SessionPool:
    """The sessions that one client has open. With no folder nothing is recorded.

    lock_wait: seconds to wait for a session that another process writes. Used in one event loop;
    its entries are closed anywhere.
    """

    def __init__(
        self, folder: Path | None, durability: Durability, clock: Clock, lock_wait: float = 0
    ) -> None:
        if folder is not None:
            _check_folder(folder)
        self._folder = folder
        self._durability: Durability = durability
        self._clock = clock
        self._lock_wait = lock_wait
        self._lock = threading.Lock()
        self._named: dict[str, SharedSession] = {}
        # What streams are done with, and sessions whose files were read.
        self._released: deque[tuple[SharedSession, Turn | None]] = deque()

    async def open(
        self,
        name: str | None,
        *,
        meta: Mapping[str, Any] | None = None,
        exclusive: bool = False,
        patience: float | None = None,
    ) -> Entry:
        """A place to write the calls of one stream to.

        meta: for the header of a new file. exclusive: wait for the streams of this name that came
        before, and let those that come later wait. patience: the longest to wait, in seconds.
        Raises StreamTimeoutError, RecordingLockedError, RecordingError.
        """
        if self._folder is None:
            return await self.unrecorded()
        make = partial(
            Session.make,
            self._folder,
            name,
            durability=self._durability,
            meta=meta,
            clock=self._clock,
        )
        if name is None:
            session = await SharedSession("", self._release).opened(make, 0)
            return Entry(session, session.close, self._clock)
        turn = self._join(name, exclusive=exclusive)
        leave = partial(self._release, turn.shared, turn)
        try:
            await turn.begun(patience)
            lock_wait = self._lock_wait if patience is None else min(self._lock_wait, patience)
            session = await turn.shared.opened(make, lock_wait)
        except BaseException:
            leave()
            raise
        return Entry(session, leave, self._clock)

    async def unrecorded(self) -> Entry:
        """A place for a stream that is not recorded."""
        return Entry(None, lambda: None, self._clock)

    async def flushed(self) -> None:
        """Return when all that was written is as safe as the level can make it."""
        if self._durability != "process":
            await SYNC_THREAD.flushed()

    def _join(self, name: str, *, exclusive: bool) -> Turn:
        try:
            with self._lock:
                shared = self._named.setdefault(name, SharedSession(name, self._release))
                return shared.join(exclusive=exclusive)
        finally:
            self._settle()

    def _release(self, shared: SharedSession, turn: Turn | None = None) -> None:
        self._released.append((shared, turn))
        self._settle()

    def _settle(self) -> None:
        """Let go of what was released, unless the lock is held: its holder does it on leaving."""
        while self._released and self._lock.acquire(blocking=False):
            try:
                while self._released:
                    shared, turn = self._released.popleft()
                    if turn is not None:
                        shared.leave(turn)
                    if shared.is_idle and self._named.get(shared.name) is shared:
                        del self._named[shared.name]
                        if shared.session is not None:
                            shared.session.close()
            finally:
                self._lock.release()


class Entry:
    """One stream's hold on its session. session, path: None when nothing is recorded.

    release: lets the session go; never blocks.
    """

    def __init__(self, session: Session | None, release: Callable[[], None], clock: Clock) -> None:
        self._session = session
        self._release = release
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
            self._release()


OpenSession = Callable[[], Coroutine[Any, Any, Entry]]


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
