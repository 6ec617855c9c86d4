"""Opens an existing recording for writing: locks it, checks it, and puts a torn tail aside.

A writer is stricter than a reader: it only adds lines after lines that match their checks and
numbers. It refuses the file of another user, who could read and change what is recorded.
"""

from __future__ import annotations

import errno
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

from ..clock import parse_timestamp
from ..errors import RecordingCorruptError, RecordingError, RecordingLockedError
from ..settings import Durability
from .appender import Appender
from .call_state import PayloadTally
from .file_lock import lock_file
from .files import closed_on_error, explained, is_at, open_file, open_regular
from .recorded_frame import payload_of
from .scan import ScannedLine, Torn, open_recording, scan

__all__ = ["FileState", "examine", "lock", "reopen_file", "torn_path"]

_LOGGER = logging.getLogger("vesselog")
_COPY_BYTES = 1 << 20
_OF_OTHERS = 0o077


@dataclass(slots=True)
class FileState:
    """The state in which a file was left.

    n, t: of the last line. wall: microseconds since 1970 at t=0, None if the file does not say.
    calls: the highest call number. size: bytes up to the end of the last line; torn: bytes after
    it. unfinished: the calls without an end.
    """

    n: int = 0
    t: int = 0
    wall: int | None = None
    calls: int = 0
    size: int = 0
    torn: int = 0
    unfinished: dict[int, PayloadTally] = field(default_factory=dict[int, PayloadTally])


def reopen_file(
    path: Path, durability: Durability, *, own: bool
) -> tuple[Appender, FileState] | None:
    """The existing file, locked and cut off after its last line, and how it was found.

    None if it was deleted. own: refuse a file of another user. Raises RecordingLockedError,
    RecordingCorruptError, RecordingError.
    """
    while True:
        with explained(f"record to {path}"):
            try:
                fd = open_file(path)
            except FileNotFoundError:
                return None
        with closed_on_error(fd), explained(f"record to {path}"):
            if own:
                _check_owner(fd, path)
            lock(fd, path)
            if is_at(fd, path):
                found = examine(path)
                if found.torn:
                    _put_torn_tail_aside(fd, path, found.size)
                return Appender(fd, path, durability, n=found.n, size=found.size), found
        os.close(fd)  # the file was deleted or replaced before it was locked


def lock(fd: int, path: Path) -> None:
    """Take the session's lock. Raises RecordingLockedError at once if another writer has it."""
    with explained(f"lock {path}"):
        locked = lock_file(fd)
    if not locked:
        raise RecordingLockedError(f"another writer has the session {path.stem} ({path})")


def examine(path: Path) -> FileState:
    """Read the whole file. Raises RecordingCorruptError if no lines may be added to it."""
    found = FileState()
    checked, place = False, 0
    with open_recording(path) as file:
        for line in scan(file, path):
            if isinstance(line, Torn):
                found.torn = line.size
                break
            place += 1
            if line.number != place:
                raise RecordingCorruptError(
                    f"{path} was edited or damaged before {line.place}: there are empty lines; "
                    "nothing is added to it"
                )
            if line.number == 1:
                checked = line.fields.get("crc32") is True
            if line.check is False or (checked and line.check is None):
                raise RecordingCorruptError(
                    f"{path} was edited or damaged at {line.place}, which does not match "
                    "its check; nothing is added to it"
                )
            if line.number > 1:
                _take(line, found, path)
            found.size = line.end
    return found


def torn_path(path: Path) -> Path:
    """Where the torn tails of a recording are kept."""
    return path.with_name(path.name + ".torn")


def _check_owner(fd: int, path: Path) -> None:
    """Refuse another user's file; log a warning if others may read or write it."""
    if not hasattr(os, "geteuid"):
        return
    found = os.fstat(fd)
    if found.st_uid != os.geteuid():
        raise RecordingError(
            f"cannot record to {path}: it belongs to another user (uid {found.st_uid}), who could "
            "read and change the recording"
        )
    if found.st_mode & _OF_OTHERS:
        _LOGGER.warning(
            "%s can be used by other users (mode %04o): consider chmod 600",
            path,
            found.st_mode & 0o7777,
        )


def _put_torn_tail_aside(fd: int, path: Path, size: int) -> None:
    """Move everything after `size` to the end of the file's `.torn` neighbour.

    Raises RecordingError; the tail is cut off only after it was copied.
    """
    aside = torn_path(path)
    try:
        with open_recording(path) as file, os.fdopen(open_regular(aside), "ab") as kept:
            file.seek(size)
            while data := file.read(_COPY_BYTES):
                kept.write(data)
        os.ftruncate(fd, size)
    except OSError as error:
        # ELOOP: the name is a link. ENXIO: it is a pipe that nobody reads.
        foreign = error.errno in {errno.ELOOP, errno.ENXIO}
        why = "it is not a regular file" if foreign else error.strerror
        raise RecordingError(
            f"cannot put the torn tail of {path} aside to {aside.name}: {why}"
        ) from error


def _take(line: ScannedLine, found: FileState, path: Path) -> None:
    fields = line.fields
    if fields.get("n") != found.n + 1:
        raise RecordingCorruptError(
            f"{path} was edited or damaged at {line.place}, which is not number {found.n + 1}; "
            "nothing is added to it"
        )
    found.n += 1
    t, call = line.t, fields.get("call")
    found.t = max(found.t, t)
    if fields["type"] == "open" and found.wall is None:
        wall = parse_timestamp(fields.get("at"))
        found.wall = None if wall is None else wall - t
    if type(call) is not int:
        return
    if fields["type"] == "request":
        found.calls = max(found.calls, line.call)
        found.unfinished[call] = PayloadTally()
    elif fields["type"] == "end":
        found.unfinished.pop(call, None)
    elif fields["type"] == "frame" and call in found.unfinished:
        try:
            found.unfinished[call].add(payload_of(fields))
        except ValueError as error:
            raise RecordingCorruptError(f"{path} is damaged at {line.place}: {error}") from None
