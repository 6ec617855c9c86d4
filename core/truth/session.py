"""One writer of one ground-truth file. Threads may share it; other processes are locked out.

A new file comes into being with the first call, its header, `open` and request lines in one write.
An existing one is locked and repaired when it is opened: a torn tail is put aside, calls that their
writer left without an end get `crashed`. The file is closed when the session is, and no call is
running.
"""

from __future__ import annotations

import contextlib
import logging
import os
import weakref
from collections import deque
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Self

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import RecordingError, RecordingLockedError
from .appending import Appender
from .durability import Level, level_of
from .files import create_file, is_at, lock_file, make_folder, open_file
from .line import build_line
from .names import SUFFIX, check_session_name, new_session_name
from .preamble import header_line, open_line, request_line
from .takeover import Found, examine, set_torn_tail_aside
from .turn import Turn
from .writer import CallWriter, Ending, Unrecorded, Writer

__all__ = ["CallWriter", "Session", "Unrecorded", "Writer"]

_LOGGER = logging.getLogger("vesselog")
_SESSIONS: weakref.WeakSet[Session] = weakref.WeakSet()


class Session:
    """Opened by `Session.open`. name: the session's. path: its file's, which may not exist yet.

    found: the state in which an existing file was when it was taken over.
    """

    def __init__(self, path: Path, name: str, level: Level, header: bytes, clock: Clock) -> None:
        self._level: Level = level
        self._header = header
        self._clock = clock
        self._appender: Appender | None = None
        self._calls = 0
        self._running: set[int] = set()
        self._endings: deque[Ending | None] = deque()
        self._closing = False
        self.found = Found()
        self.name = name
        self.path = path
        self.turn = Turn(clock, 0, self._endings.__len__, self.settle)
        _SESSIONS.add(self)

    @classmethod
    def open(
        cls,
        folder: Path,
        name: str | None = None,
        *,
        durability: str = "process",
        meta: Mapping[str, Any] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> Self:
        """A session in `folder`; without a name a new one that cannot be guessed.

        meta: JSON values for the header of a new file. Raises SessionNameError, ConfigurationError,
        RecordingLockedError, RecordingCorruptError, RecordingError.
        """
        level = level_of(durability)
        new = name is None
        name = new_session_name(clock.wall()) if name is None else check_session_name(name)
        session = cls(folder / (name + SUFFIX), name, level, header_line(name, meta), clock)
        # Where it cannot be told, creating it will tell why.
        if not new and os.path.exists(session.path):  # noqa: PTH110 - Path.exists raises
            with session.turn:
                session._go_on()
        return session

    @classmethod
    def reopen(cls, path: Path, *, durability: str, clock: Clock = SYSTEM_CLOCK) -> Self:
        """The session in an existing file, whatever its name. Raises as `open`."""
        session = cls(path, path.stem, level_of(durability), b"", clock)
        with session.turn:
            session._go_on()
        return session

    @property
    def appender(self) -> Appender:
        """The open file. Raises RecordingError when there is none."""
        if self._appender is None:
            raise RecordingError(f"cannot record to {self.path}: the session is closed")
        return self._appender

    def begin(self, request: Mapping[str, Any]) -> CallWriter:
        """Write a call's request line, which is in the file when this returns.

        Only request headers that may be shown are kept. Raises RecordingError.
        """
        with self.turn as now:
            if self._closing:
                raise RecordingError(f"cannot record to {self.path}: the session is closed")
            if self._appender is None:
                self._create()
            appender = self.appender
            n = appender.ready(now)
            opening = b""
            if n == 0:
                self.turn.start(0)
                opening = b"" if appender.size else self._header
                opening += open_line(1, 0, self._clock.wall())
                n = 1
            t = self.turn.now()
            self._calls += 1
            writer = CallWriter(self, appender, self._calls, t)
            self._running.add(writer.call)
            try:
                line = request_line(request, n + 1, writer.call, t)
                appender.append(opening + line, n + 1, writer)
            except BaseException:
                # An interrupt may come when the line is written already: then the call has to end.
                writer.abandon()
                appender.remove_if_empty()
                raise
            return writer

    def close(self) -> None:
        """Close the file as soon as no call is running. Never blocks: safe in a finaliser."""
        self._closing = True
        self._endings.append(None)
        self.settle()

    def queue(self, ending: Ending) -> None:
        """Have a call's end written with the next turn."""
        self._endings.append(ending)

    def finish(self, ending: Ending) -> None:
        """Write the ends that are queued, this one among them. Raises RecordingError."""
        self.write_endings()
        if ending.error is not None:
            raise ending.error

    def write_endings(self) -> None:
        """Write the ends that are queued."""
        with self.turn:
            self._write_endings()

    def settle(self) -> None:
        """Write the ends that are queued, and close if that is due, unless it is another's turn.

        Whoever has the turn does it when it ends. Never blocks, never raises.
        """
        while self._endings and self.turn.try_enter():
            try:
                self._write_endings()
            finally:
                self.turn.release()

    def _write_endings(self) -> None:
        while self._endings:
            ending = self._endings[0]
            if ending is not None:
                self._write_ending(ending)
                self._running.discard(ending.writer.call)
            self._endings.popleft()
        if self._closing and not self._running and self._appender is not None:
            appender, self._appender = self._appender, None
            appender.close()

    def _write_ending(self, ending: Ending) -> None:
        known = self._appender is None or self._appender.refusal is not None
        try:
            appender = self.appender
            appender.look()
            t = self.turn.now()
            n = appender.ready(t) + 1
            if ending.writer.begun and not ending.writer.finished:
                appender.append(ending.line(n, t), n, ending)
        except RecordingError as error:
            ending.error = error
            if ending.unattended and not known:
                _LOGGER.warning("%s", error)

    def _create(self) -> None:
        try:
            folders = make_folder(self.path.parent)
        except OSError as error:
            raise RecordingError(
                f"cannot make the folder {self.path.parent}: {error.strerror}"
            ) from error
        try:
            fd = create_file(self.path)
        except FileExistsError:
            self._go_on()
            return
        except OSError as error:
            raise RecordingError(f"cannot record to {self.path}: {error.strerror}") from error
        with _closed_on_error(fd):
            self._lock(fd)
            self._appender = Appender(fd, self.path, self._level, new=True, folders=folders)

    def _go_on(self) -> None:
        """Take over an existing file."""
        appender, self.found = self._take_up()
        try:
            self._repair(appender, self.found)
        except BaseException:
            appender.close()
            raise
        self._appender = appender

    def _take_up(self) -> tuple[Appender, Found]:
        """The existing file, locked and cut off behind its last line."""
        while True:
            try:
                fd = open_file(self.path)
            except OSError as error:
                raise RecordingError(f"cannot record to {self.path}: {error.strerror}") from error
            with _closed_on_error(fd):
                self._lock(fd)
                if self._is_here(fd):
                    found = examine(self.path)
                    if found.torn:
                        set_torn_tail_aside(fd, self.path, found.size)
                    appender = Appender(fd, self.path, self._level, n=found.n, size=found.size)
                    return appender, found
            os.close(fd)  # the file was replaced before it was locked

    def _repair(self, appender: Appender, found: Found) -> None:
        self._calls = found.calls
        if found.n == 0:
            return  # the first write was torn: the first call begins the file again
        since = 0 if found.wall is None else self._clock.wall() - found.wall
        self.turn.start(max(found.t, since))
        t = self.turn.now()
        n = found.n + 1
        lines = [open_line(n, t, self._clock.wall(), torn=found.torn)]
        for call, tally in found.unfinished.items():
            n += 1
            fields = {"type": "end", "n": n, "call": call, "t": t, "outcome": "crashed"}
            lines.append(build_line({**fields, **tally.record()}))
        appender.ready(t)
        appender.append(b"".join(lines), n)

    def _is_here(self, fd: int) -> bool:
        try:
            return is_at(fd, self.path)
        except OSError as error:
            raise RecordingError(f"cannot record to {self.path}: {error.strerror}") from error

    def _lock(self, fd: int) -> None:
        try:
            locked = lock_file(fd)
        except OSError as error:
            raise RecordingError(f"cannot lock {self.path}: {error.strerror}") from error
        if not locked:
            raise RecordingLockedError(f"another writer has the session {self.name} ({self.path})")

    def after_fork(self) -> None:
        """In a forked child: let go of what is the parent's."""
        self.turn.after_fork()
        self._endings.clear()
        if self._appender is not None:
            self._appender.close_in_child()

    def __del__(self) -> None:
        appender = getattr(self, "_appender", None)
        if appender is not None:
            appender.close()


@contextlib.contextmanager
def _closed_on_error(fd: int) -> Generator[None]:
    try:
        yield
    except BaseException:
        os.close(fd)
        raise


def _in_child() -> None:
    for session in list(_SESSIONS):
        session.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
