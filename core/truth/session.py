"""One writer of one ground-truth file. Threads may share it; other processes are locked out.

A new file is created with the first call: its header, `open` and request lines go out in one write.
An existing file is locked and repaired when it is opened: a torn tail is put aside, and calls that
their writer left without an end get `crashed`. The file is closed when the session was closed and
no call is running.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import RecordingError
from ..native import NativeMessages, natives_record
from ..settings import Durability, level_of
from .appender import Appender
from .call_state import CallState
from .files import closed_on_error, create_file, explained, is_at, make_folder
from .line import build_line
from .line_types import header_line, open_line, request_line
from .reopen import FileState, lock, reopen_file
from .session_file import CallWriter, SessionFile
from .session_names import SUFFIX, check_session_name, new_session_name

__all__ = ["Session"]


class Session(SessionFile):
    """Opened by `Session.open`. The path is absolute.

    found: the state in which an existing file was found.
    """

    def __init__(
        self, path: Path, name: str, durability: Durability, header: bytes, clock: Clock
    ) -> None:
        super().__init__(path, name, clock)
        self._durability: Durability = durability
        self._header = header
        self._clock = clock
        self._calls = 0
        self._natives: Mapping[int, NativeMessages] = {}
        self.found = FileState()

    @classmethod
    def open(
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
        RecordingLockedError, RecordingCorruptError, RecordingError.
        """
        level = level_of(durability)
        new = name is None
        name = new_session_name(clock.wall()) if name is None else check_session_name(name)
        path = _absolute(folder) / (name + SUFFIX)
        session = cls(path, name, level, header_line(name, meta), clock)
        # If even that fails, creating the file will say why.
        if not new and os.path.exists(path):  # noqa: PTH110 - Path.exists raises
            with session.write_lock:
                session._continue_file(own=True)
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
        with session.write_lock:
            if not session._continue_file(own=False):
                raise RecordingError(f"there is no recording {path}")
        return session

    def begin(self, request: Mapping[str, Any]) -> CallWriter:
        """Write a call's request line, which is in the file when this returns.

        Only request headers that may be shown are kept. Raises RecordingError.
        """
        with self.write_lock as now:
            if self.closing:
                raise RecordingError(f"cannot record to {self.path}: the session is closed")
            if self.appender is None:
                self._create_file()
            appender = self.open_appender
            n = appender.ready(now)
            opening = b""
            if n == 0:
                self.write_lock.start(0)
                opening = b"" if appender.size else self._header
                opening += open_line(1, 0, self._clock.wall())
                n = 1
            t = self.write_lock.now()
            state = CallState(self._calls + 1)
            line = request_line(request, n + 1, state.number, t)
            writer = CallWriter(self, appender, state, t)
            self._calls = state.number
            self.running.add(state.number)
            try:
                appender.append(opening + line, n + 1, state.confirm)
            except BaseException:
                # An interrupt may come after the line was written: then the call has to end.
                writer.abandon()
                appender.remove_if_empty()
                raise
            return writer

    def _create_file(self) -> None:
        with explained(f"make the folder {self.path.parent}"):
            folders = make_folder(self.path.parent)
        while self.appender is None:
            with explained(f"record to {self.path}"):
                try:
                    fd = create_file(self.path)
                except FileExistsError:
                    self._continue_file(own=True)
                    continue
            with closed_on_error(fd), explained(f"record to {self.path}"):
                lock(fd, self.path)
                if is_at(fd, self.path):
                    self.appender = Appender(
                        fd, self.path, self._durability, new=True, folders=folders
                    )
                    return
            os.close(fd)  # the file was deleted before it was locked

    def _continue_file(self, *, own: bool) -> bool:
        """Open an existing file and repair it; False if it was deleted.

        own: refuse one that belongs to another user.
        """
        found = reopen_file(self.path, self._durability, own=own)
        if found is None:
            return False
        appender, self.found = found
        try:
            self._repair(appender, self.found)
        except BaseException:
            appender.close()
            raise
        self.appender = appender
        return True

    def _repair(self, appender: Appender, found: FileState) -> None:
        self._calls = found.calls
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
