"""One writer of one ground-truth file. Threads may share it; other processes are locked out.

A new file's header, `open` and request lines go out in one write, with the first call. An existing
file is locked, and read if its last writer did not close it: a torn tail is put aside, and calls
without an end get `crashed`.

Ends of calls are queued before they are written. Whoever holds the write lock writes them, so that
an interrupt cannot lose one, and a finaliser, which may run in the middle of a write, need not wait
for the lock. The file is closed when that was asked for and no call is running; its last line is
then a `close` line, unless something could not be written.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import RecordingError
from ..native import NativeMessages, natives_record
from ..settings import Durability, level_of
from .appender import Appender
from .call_state import CallState
from .call_writer import CallEnd, CallWriter
from .close_line import FileState, close_line, read_close
from .file_lock import when_readers_left
from .files import explained
from .line import build_line
from .line_types import header_line, open_line, request_line
from .reopen import claim_file, repair
from .session_names import SUFFIX, check_session_name, new_session_name
from .write_lock import WriteLock

__all__ = ["Session"]

_LOGGER = logging.getLogger("vesselog")
_OPEN: weakref.WeakSet[Session] = weakref.WeakSet()


class Session:
    """Opened by `Session.open`, or made by `Session.make` and opened by `take_file`.

    path: absolute; the file may not exist yet. found: the state in which an existing file was
    found. appender: the open file; None before it is opened and after it was closed. ends: those
    that whoever holds the write lock next writes; None: `close` was called. running: the numbers of
    the calls without an end. closing: whether the session was closed. calls: the highest call
    number. wall: microseconds since 1970 at the session's time 0; None if the file does not say.
    """

    def __init__(
        self, path: Path, name: str, durability: Durability, header: bytes, clock: Clock
    ) -> None:
        self.path = path
        self.name = name
        self.found = FileState()
        self.appender: Appender | None = None
        self.ends: deque[CallEnd | None] = deque()
        self.running: set[int] = set()
        self.closing = False
        self.calls = 0
        self.wall: int | None = None
        self.write_lock = WriteLock(clock, self.ends.__len__, self.settle)
        self._durability: Durability = durability
        self._header = header
        self._clock = clock
        self._natives: Mapping[int, NativeMessages] = {}
        self._ended_all = True
        _OPEN.add(self)

    @classmethod
    def make(
        cls,
        folder: Path,
        name: str | None = None,
        *,
        durability: Durability = "process",
        meta: Mapping[str, Any] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> Self:
        """A session in `folder`; without a name a new one that cannot be guessed.

        meta: JSON values for the header of a new file. Raises SessionNameError, ConfigurationError,
        RecordingError.
        """
        level = level_of(durability)
        name = new_session_name(clock.wall()) if name is None else check_session_name(name)
        path = _absolute(folder) / (name + SUFFIX)
        return cls(path, name, level, header_line(name, meta), clock)

    @classmethod
    def open(cls, folder: Path, name: str | None = None, **settings: Any) -> Self:
        """As `make`, and open the file, which may have to be read whole.

        Raises RecordingLockedError and RecordingCorruptError too.
        """
        session = cls.make(folder, name, **settings)
        if not when_readers_left(session.take_file):
            session.read_file()
        return session

    @classmethod
    def reopen(
        cls,
        path: Path,
        *,
        durability: Durability,
        clock: Clock = SYSTEM_CLOCK,
        natives: Mapping[int, NativeMessages] = MappingProxyType({}),
    ) -> Self:
        """The session in an existing file, whatever its name and owner. Raises as `open`.

        natives: for calls without an end, by number: the messages in the provider's own form.
        """
        session = cls(_absolute(path), path.stem, level_of(durability), b"", clock)
        session._natives = natives
        session.appender = when_readers_left(
            lambda: claim_file(session.path, session._durability, create=False, own=False)
        )
        session.read_file()
        return session

    @property
    def open_appender(self) -> Appender:
        """The open file. Raises RecordingError if there is none."""
        if self.appender is None:
            raise RecordingError(f"cannot record to {self.path}: the session is closed")
        return self.appender

    def take_file(self) -> bool:
        """Lock the file, and make it if there is none. Quick.

        False: nothing may be written before `read_file` has returned. Raises LockedByReaderError,
        RecordingLockedError, RecordingCorruptError, RecordingError.
        """
        with self.write_lock:
            self.appender = claim_file(self.path, self._durability)
            return self.appender.new or self._go_on(read_close)

    def read_file(self) -> None:
        """Read the whole file and repair it, for as long as that takes: for a thread.

        Raises RecordingCorruptError, RecordingError.
        """
        with self.write_lock:
            self._go_on(repair)

    def begin(self, request: Mapping[str, Any]) -> CallWriter:
        """Write a call's request line, which is in the file when this returns.

        Only request headers that may be shown are kept. Raises RecordingError.
        """
        with self.write_lock as now:
            if self.closing:
                raise RecordingError(f"cannot record to {self.path}: the session is closed")
            appender = self.open_appender
            n = appender.ready(now)
            opening = b""
            if n == 0:
                self.write_lock.start(0)
                self.wall = self._clock.wall()
                opening = b"" if appender.size else self._header
                opening += open_line(1, 0, self.wall)
                n = 1
            t = self.write_lock.now()
            state = CallState(self.calls + 1)
            line = request_line(request, n + 1, state.number, t)
            writer = CallWriter(self, appender, state, t)
            self.calls = state.number
            self.running.add(state.number)
            try:
                appender.append(opening + line, n + 1, state.confirm)
            except BaseException:
                # An interrupt may come after the line was written: then the call has to end.
                writer.abandon()
                appender.remove_if_empty()
                raise
            return writer

    def write_ends(self) -> None:
        """Write the queued ends. Those that fail have an error then."""
        with self.write_lock:
            self._write_ends()

    def settle(self) -> None:
        """Write the queued ends, and close the file if that is due, unless the lock is held.

        Whoever holds the lock does it on leaving. Never blocks and never raises.
        """
        while self.ends and self.write_lock.try_enter():
            try:
                self._write_ends()
            finally:
                self.write_lock.release()

    def close(self) -> None:
        """Close the file as soon as no call is running. Never blocks: safe in a finaliser."""
        self.closing = True
        self.ends.append(None)
        self.settle()

    def after_fork(self) -> None:
        """In a forked child: let go of what belongs to the parent."""
        self.write_lock.renew()
        self.ends.clear()
        if self.appender is not None:
            self.appender.close_in_child()

    def _go_on(self, look: Callable[[int, Path], FileState | None]) -> bool:
        """Go on behind the end of the file that `look` finds. False if it finds none."""
        appender = self.open_appender
        try:
            found = look(appender.fd, self.path)
            if found is not None:
                self._open_at(appender, found)
        except BaseException:
            self.appender = None
            appender.close()
            raise
        return found is not None

    def _open_at(self, appender: Appender, found: FileState) -> None:
        """Open the session in a file that was left like this, and end the calls without an end."""
        self.found, self.calls, self.wall = found, found.calls, found.wall
        appender.go_on(found.n, found.size)
        if found.n == 0:
            return  # the first write was torn: the first call begins the file again
        since = 0 if found.wall is None else self._clock.wall() - found.wall
        self.write_lock.start(max(found.t, since))
        t = self.write_lock.now()
        n = found.n + 1
        lines = [open_line(n, t, self._clock.wall(), torn=found.torn)]
        for call, tally in found.unfinished.items():
            n += 1
            fields = {"type": "end", "n": n, "call": call, "t": t, "outcome": "crashed"}
            fields |= {**tally.record(), **natives_record(self._natives.get(call, {}))}
            lines.append(build_line(fields))
        appender.ready(t)
        appender.append(b"".join(lines), n)

    def _write_ends(self) -> None:
        while self.ends:
            end = self.ends[0]
            if end is not None:
                self._write_end(end)
                self.running.discard(end.state.number)
            self.ends.popleft()
        if self.closing and not self.running and self.appender is not None:
            try:
                self._write_close(self.appender)
            finally:
                self.appender.close()
                self.appender = None

    def _write_end(self, end: CallEnd) -> None:
        known = self.appender is None or self.appender.refusal is not None
        try:
            appender = self.open_appender
            t = self.write_lock.now()
            n = appender.checked(t) + 1
            if not end.state.begun:  # an interrupt came before its request was written
                self.calls -= end.state.number == self.calls
            elif not end.state.ended:
                appender.append(end.line(n, t), n, end.confirm)
        except RecordingError as error:
            end.error = error
            self._ended_all = False
            if end.unattended and not known:
                _LOGGER.warning("%s", error)

    def _write_close(self, appender: Appender) -> None:
        """Write the `close` line, where it is true. Without it the next writer reads the file."""
        if self.wall is None or not self._ended_all or appender.refusal is not None:
            return
        try:
            t = self.write_lock.now()
            n = appender.checked(t) + 1
            if appender.size:
                appender.append(close_line(n, t, self.calls, self.wall), n)
        except RecordingError as error:
            _LOGGER.warning("%s", error)

    def __del__(self) -> None:
        appender = getattr(self, "appender", None)
        if appender is not None:
            appender.close()


def _absolute(path: Path) -> Path:
    """The path made independent of the working folder, which may change later."""
    with explained(f"record to {path}"):  # the working folder may be deleted
        return Path(os.path.abspath(path))  # noqa: PTH100 - Path.resolve would follow links


def _after_fork_in_child() -> None:
    for session in tuple(_OPEN):
        session.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
