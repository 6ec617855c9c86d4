"""A session that the streams of one event loop share: whose turn it is, and how it is opened.

Turns overlap, but for exclusive ones: such a turn begins when all before it have ended, and those
behind it begin when it has ended. Opening never blocks the loop: a closed session takes some reads,
another one is read in a thread, and a lock is looked at again and again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from ..errors import RecordingError, RecordingLockedError, StreamTimeoutError
from .file_lock import READERS_PATIENCE, LockedByReaderError
from .session import Session

__all__ = ["SharedSession", "Turn"]

# Seconds between two looks at a lock, doubled each time: a look costs some 50 us.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.05


class Turn:
    """One stream's use of a session. exclusive: nobody else uses it meanwhile."""

    def __init__(self, shared: SharedSession, *, exclusive: bool) -> None:
        self.shared = shared
        self.exclusive = exclusive
        self._begun = False
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()

    def begin(self) -> None:
        """Let it begin, from any thread."""
        if not self._begun:
            self._begun = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._news.set)

    async def begun(self, patience: float | None) -> None:
        """Return when it may begin. Raises StreamTimeoutError after so many seconds."""
        if self._begun:
            return
        try:
            async with asyncio.timeout(patience):
                await self._news.wait()
        except TimeoutError:
            raise StreamTimeoutError(
                f"the turns before it have not ended within {patience:g} s; to wait longer, set "
                "Timeouts(total=…)",
                phase="total",
                setting="total",
            ) from None


class SharedSession:
    """Used in one event loop; but for `opened`, with its pool's lock.

    was_read: called when its file was read, for which nobody may wait any more. session: None until
    it is open.
    """

    def __init__(self, name: str, was_read: Callable[[SharedSession], object]) -> None:
        self.name = name
        self._tell = was_read
        self._turns: dict[Turn, None] = {}
        self._exclusive = 0
        self._reading: asyncio.Future[None] | None = None
        self.session: Session | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nobody uses it or waits for it, and nothing reads its file."""
        return not self._turns and self._reading is None

    def join(self, *, exclusive: bool) -> Turn:
        """A turn behind those that are there."""
        turn = Turn(self, exclusive=exclusive)
        self._turns[turn] = None
        self._exclusive += exclusive
        if self._exclusive:
            self._advance()
        else:
            turn.begin()
        return turn

    def leave(self, turn: Turn) -> None:
        """A turn has ended, or is not wanted any more. Does nothing the second time."""
        if turn not in self._turns:
            return
        del self._turns[turn]
        if self._exclusive:
            self._exclusive -= turn.exclusive
            self._advance()

    def _advance(self) -> None:
        """Begin the turns that can begin."""
        for place, turn in enumerate(self._turns):
            if turn.exclusive and place:
                return
            turn.begin()
            if turn.exclusive:
                return

    async def opened(self, make: Callable[[], Session], lock_wait: float) -> Session:
        """The session, which is opened unless it is open already.

        lock_wait: seconds to wait for another process. Raises RecordingLockedError, RecordingError.
        """
        loop = asyncio.get_running_loop()
        begun, pause = loop.time(), _FIRST_PAUSE
        while self.session is None:
            if self._reading is None:
                session = make()
                try:
                    if session.take_file():
                        self.session = session
                        break
                except RecordingLockedError as error:
                    waited = loop.time() - begun
                    by_reader = isinstance(error, LockedByReaderError)
                    left = max(lock_wait, READERS_PATIENCE if by_reader else 0) - waited
                    if left <= 0:
                        after = f" after {waited:.1f} s of waiting" if lock_wait else ""
                        raise RecordingLockedError(error.message + after) from None
                    await asyncio.sleep(min(pause, left))
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    continue
                self._reading = _reading(session)
                self._reading.add_done_callback(partial(self._was_read, session))
            reading = self._reading
            await asyncio.wait([reading])
            reading.result()
        return self.session

    def _was_read(self, session: Session, reading: asyncio.Future[None]) -> None:
        self._reading = None
        if not reading.cancelled() and reading.exception() is None:
            self.session = session
        self._tell(self)


def _reading(session: Session) -> asyncio.Future[None]:
    """Reads the session's file in a thread, which no cancel of a stream can stop."""
    try:
        return asyncio.get_running_loop().run_in_executor(None, session.read_file)
    except RuntimeError as error:  # the process may have no more threads
        session.close()
        raise RecordingError(f"cannot read {session.path}: {error}") from None
