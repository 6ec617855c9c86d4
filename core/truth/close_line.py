"""The `close` line, by which the next writer goes on with a file without reading all of it.

A writer that lets a file go cleanly (no call runs, nothing failed) adds it as the last line. It
holds all that going on needs. Only a line that matches its check, and the line before it, counts;
any other end of a file means that the whole file has to be read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..clock import parse_timestamp, timestamp
from .call_state import PayloadTally
from .files import explained
from .line import build_line, check_line, parse_line
from .scan import check_header, is_whole

__all__ = ["FileState", "close_line", "read_close"]

# Bytes that are read of a file's end and beginning. A header with the most `meta` that a client
# takes has half of it.
_PART_BYTES = 1 << 15


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


def close_line(n: int, t: int, calls: int, wall: int) -> bytes:
    """A writer lets the file go; all calls have ended. wall: microseconds since 1970 at t=0."""
    fields = {"type": "close", "n": n, "t": t, "calls": calls, "opened": timestamp(wall)}
    return build_line(fields)


def read_close(fd: int, path: Path) -> FileState | None:
    """The state that the `close` line at the end of the file tells; None if there is no sound one.

    Reads some KiB. Raises RecordingCorruptError if the file is not a recording that this library
    reads, RecordingError.
    """
    with explained(f"read {path}"):
        size = os.fstat(fd).st_size
        start = max(0, size - _PART_BYTES)
        head, tail = _read(fd, 0), _read(fd, start)
    if not tail.endswith(b"\n"):
        return None
    *before, last = tail[:-1].rsplit(b"\n", 2)
    fields = _sound(last) if last.startswith(b'{"type":"close"') else None
    if fields is None or not before:
        return None
    n, t, calls = fields.get("n"), fields.get("t"), fields.get("calls")
    wall = parse_timestamp(fields.get("opened"))
    if not (is_whole(n) and is_whole(t) and is_whole(calls) and calls < n and wall is not None):
        return None
    if len(before) == 2 or start == 0:  # else the line before it is longer than what was read
        previous = _sound(before[-1])
        if previous is None or not _precedes(previous, n, t, calls):
            return None
    header = _sound(head.partition(b"\n")[0])
    if header is None:
        return None
    check_header(header, path)
    return FileState(n, t, wall, calls, size) if header.get("crc32") is True else None


def _precedes(fields: dict[str, Any], n: int, t: int, calls: int) -> bool:
    """Whether this can be the line before a `close` line of these values."""
    time, call = fields.get("t"), fields.get("call", 0)
    in_order = fields.get("n") == n - 1 and is_whole(time) and time <= t
    return in_order and is_whole(call) and call <= calls


def _sound(line: bytes) -> dict[str, Any] | None:
    """The fields of a line that matches its check."""
    return parse_line(line) if check_line(line) else None


def _read(fd: int, offset: int) -> bytes:
    os.lseek(fd, offset, os.SEEK_SET)  # appends go to the file's end all the same
    return os.read(fd, _PART_BYTES)
