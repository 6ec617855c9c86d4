"""Opens a recording for writing: makes it, or locks it, checks it, and puts a torn tail aside.

A writer is stricter than a reader: it only adds lines after lines that match their checks and
numbers. It refuses the file of another user, who could read and change what is recorded. Where the
last line is a sound `close`, that line is all that is checked; else the whole file is.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from ..clock import parse_timestamp
from ..errors import RecordingCorruptError, RecordingError
from ..settings import Durability
from .appender import Appender
from .call_state import PayloadTally
from .close_line import FileState
from .file_lock import lock_file
from .files import (
    closed_on_error,
    create_file,
    explained,
    is_at,
    make_folder,
    open_file,
    open_regular,
)
from .line import check_line, parse_line
from .recorded_frame import payload_of
from .scan import ScannedLine, Torn, open_recording, scan

__all__ = ["claim_file", "examine", "repair", "torn_path"]

_LOGGER = logging.getLogger("vesselog")
_COPY_BYTES = 1 << 20
_OF_OTHERS = 0o077

# The lines of calls begin so; the rest of one that matches its check need not be parsed.
_START = re.compile(
    rb'\{"type":"(request|response|frame|end)","n":(\d{1,16}),"call":(\d{1,16}),"t":(\d{1,16}),'
)

# Bytes and lines of about a millisecond, after which a scan in a thread lets the others run: Python
# itself would let them wait for 5 ms. Shorter pauses would be over before they can begin.
_PART_BYTES = 1 << 18
_PART_LINES = 256
_PAUSE_SECONDS = 0.0001


def claim_file(
    path: Path, durability: Durability, *, create: bool = True, own: bool = True
) -> Appender:
    """The file, locked. If it was there before, nothing may be appended before its end is known.

    create: make it if there is none. own: refuse a file of another user. Raises
    RecordingLockedError, RecordingError.
    """
    with explained(f"make the folder {path.parent}"):
        folders = make_folder(path.parent) if create else ()
    while True:
        made = False
        with explained(f"record to {path}"):
            try:
                fd = open_file(path)
            except FileNotFoundError:
                if os.path.islink(path):  # noqa: PTH114 - as elsewhere
                    raise  # it leads nowhere
                if not create:
                    raise RecordingError(f"there is no recording {path}") from None
                try:
                    fd, made = create_file(path), True
                except FileExistsError:
                    continue
        with closed_on_error(fd), explained(f"record to {path}"):
            if own and not made:
                _check_owner(fd, path)
            lock_file(fd, path)
            if is_at(fd, path):
                return Appender(fd, path, durability, new=made, folders=folders)
        os.close(fd)  # the file was deleted or replaced before it was locked


def repair(fd: int, path: Path) -> FileState:
    """How the file was left; its torn tail is cut off. Reads the whole file, for a thread.

    Raises RecordingCorruptError, RecordingError.
    """
    found = examine(path)
    if found.torn:
        _put_torn_tail_aside(fd, path, found.size)
    return found


def examine(path: Path) -> FileState:
    """Read the whole file. Raises RecordingCorruptError if no lines may be added to it."""
    found = FileState()
    checked = False
    tails: list[Torn] = []
    for place, line in enumerate(_lines(path, torn=tails.append), 1):
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
    found.torn = sum(tail.size for tail in tails)
    if found.unfinished:
        _count_payload(path, found)
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


def _lines(
    path: Path,
    whole: Collection[int] = (),
    torn: Callable[[Torn], object] = lambda _: None,
) -> Iterator[ScannedLine]:
    """The lines of a file; those of calls that are not in `whole` without their content."""

    def parse(line: bytes) -> dict[str, Any] | None:
        start = _START.match(line)
        if start is None or int(start[3]) in whole or not check_line(line):
            return parse_line(line)
        kind, n, call, t = start.groups()
        return {"type": kind.decode(), "n": int(n), "call": int(call), "t": int(t)}

    left, paused_at = _PART_LINES, 0
    for line in scan(path, parse=parse, torn=torn):
        yield line
        left -= 1
        if left == 0 or line.offset - paused_at > _PART_BYTES:
            left, paused_at = _PART_LINES, line.offset
            time.sleep(_PAUSE_SECONDS)


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


def _count_payload(path: Path, found: FileState) -> None:
    """Count what was recorded of the calls without an end."""
    for line in _lines(path, found.unfinished):
        call = line.fields.get("call")
        if line.fields["type"] == "frame" and type(call) is int and call in found.unfinished:
            try:
                found.unfinished[call].add(payload_of(line.fields))
            except ValueError as error:
                message = f"{path} is damaged at {line.place}: {error}"
                raise RecordingCorruptError(message) from None
