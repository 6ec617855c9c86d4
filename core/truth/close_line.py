"""The `close` line, by which the next writer goes on with a file without reading all of it.

A writer that lets a file go cleanly (no call runs, nothing failed) adds it as the last line. It
holds all that going on needs. Only a line that matches its check, and the line before it, counts;
any other end of a file means that the whole file has to be read.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from ..clock import parse_timestamp, timestamp
from .line import build_line, check_line, parse_line
from .scan import check_header, is_whole

__all__ = ["Closed", "close_line", "read_close"]

# Bytes that are read of a file's end and beginning. A header with the most `meta` that a client
# takes has half of it.
_PART_BYTES = 1 << 15


class Closed(NamedTuple):
    """What a `close` line says.

    n, t: its own number and time. wall: microseconds since 1970 at t=0. calls: the highest call
    number. size: of the file, in bytes.
    """

    n: int
    t: int
    wall: int
    calls: int
    size: int


def close_line(n: int, t: int, calls: int, wall: int) -> bytes:
    """A writer lets the file go; all calls have ended. wall: microseconds since 1970 at t=0."""
    fields = {"type": "close", "n": n, "t": t, "calls": calls, "opened": timestamp(wall)}
    return build_line(fields)


def read_close(fd: int, path: Path) -> Closed | None:
    """What the `close` line at the end of the file says; None if there is no sound one.

    Reads some KiB. Raises RecordingCorruptError if the file is not a recording that this library
    reads, OSError.
    """
    size = os.fstat(fd).st_size
    start = max(0, size - _PART_BYTES)
    tail = _read(fd, start)
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
    head = tail if start == 0 else _read(fd, 0)
    header = _sound(head.partition(b"\n")[0])
    if header is None:
        return None
    check_header(header, path)
    return Closed(n, t, wall, calls, size) if header.get("crc32") is True else None


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
