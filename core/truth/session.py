"""One writer of one ground-truth file. Threads may share it; other processes are locked out.

A new file's header, `open` and request lines go out in one write, with the first call. An existing
file is locked, and read if its last writer did not close it: a torn tail is put aside, and calls
without an end get `crashed`. The file is closed when the session was closed and no call is running.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import RecordingError
from ..native import NativeMessages, natives_record
from ..settings import Durability, level_of
from .appender import Appender
from .call_state import CallState
from .close_line import FileState
from .file_lock import lock_file, when_readers_left
from .files import closed_on_error, create_file, explained, is_at, make_folder
from .line import build_line
from .line_types import header_line, open_line, request_line
from .reopen import claim_file, closed_state, repaired_state
from .session_file import CallWriter, SessionFile
from .session_names import SUFFIX, check_session_name, new_session_name

__all__ = ["Session"]


class Session(SessionFile):
    """Opened by `Session.open`, or made by `Session.make` and opened by `take_file`.

    path: absolute. found: the state in which an existing file was found.
    """

    def __init__(
        self, path: Path, name: str, durability: Durability, header: bytes, clock: Clock
    ) -> None:
        super().__init__(path, name, clock)
        self._durability: Durability = durability
        self._header = header
        self._clock = clock
        self._natives: Mapping[int, NativeMessages] = {}
        self.found = FileState()

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
        claim = partial(claim_file, session.path, session._durability, own=False)
        session.appender = when_readers_left(claim)
        if session.appender is None:
            raise RecordingError(f"there is no recording {path}")
        session.read_file()
        return session

    def take_file(self) -> bool:
        """Lock the file, and make it if there is none. Quick.

        False: nothing may be written before `read_file` has returned. Raises LockedByReaderError,
        RecordingLockedError, RecordingCorruptError, RecordingError.
        """
        with self.write_lock:
            appender = None
            while appender is None:  # the file may be deleted meanwhile
                # If even looking fails, creating the file says why; Path.exists would raise.
                if not os.path.exists(self.path) and self._create_file():  # noqa: PTH110
                    return True
                appender = claim_file(self.path, self._durability, own=True)
            self.appender = appender
            return self._go_on(appender, closed_state)

    def read_file(self) -> None:
        """Read the whole file and repair it, for as long as that takes: for a thread.

        Raises RecordingCorruptError, RecordingError.
        """
        with self.write_lock:
            self._go_on(self.open_appender, repaired_state)

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

    def _create_file(self) -> bool:
        """Make the file. Returns False if there is one already, or if it was deleted at once."""
        with explained(f"make the folder {self.path.parent}"):
            folders = make_folder(self.path.parent)
        with explained(f"record to {self.path}"):
            try:
                fd = create_file(self.path)
            except FileExistsError:
                return False
        with closed_on_error(fd), explained(f"lock {self.path}"):
            lock_file(fd, self.path)
            if is_at(fd, self.path):
                self.appender = Appender(fd, self.path, self._durability, new=True, folders=folders)
                return True
        os.close(fd)  # it was deleted before it was locked
        return False

    def _go_on(
        self, appender: Appender, look: Callable[[Appender, Path], FileState | None]
    ) -> bool:
        """Go on behind the end of the file that `look` finds. False if it finds none."""
        try:
            found = look(appender, self.path)
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


def _absolute(path: Path) -> Path:
    """The path made independent of the working folder, which may change later."""
    with explained(f"record to {path}"):  # the working folder may be deleted
        return Path(os.path.abspath(path))  # noqa: PTH100 - Path.resolve would follow links
