"""Finds a call's request line from the end of the file, without reading what is before it.

A session may be long, and the call that is asked for is mostly its last.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..errors import UsageError
from .files import explained
from .scan import open_recording, scan

__all__ = ["FoundRequest", "check_position", "find_request"]

# How a writer begins the line. Within a line LF is always escaped.
_REQUEST = re.compile(rb'\n\{"type":"request","n":(\d{1,15}),"call":(\d{1,15}),')
_LONGEST_START = 64
_BLOCK_BYTES = 1 << 18


class FoundRequest(NamedTuple):
    """Where a request line is. offset: of its first byte. number: how many lines are before it."""

    call: int
    offset: int
    number: int


def check_position(call: int | None, after: int) -> None:
    """Raise UsageError if these can be no numbers of a call and a chunk."""
    if call is not None and (type(call) is not int or call < 1):
        raise UsageError(f"no call {call!r:.40}: calls are numbered from 1")
    if type(after) is not int or after < -1:
        raise UsageError(f"no chunk {after!r:.40} to begin after: chunks are numbered from 0")


def find_request(path: Path, call: int | None = None) -> FoundRequest | None:
    """The last request whose number is at most `call`; without a number the last of all.

    Lines that are not complete are passed over. Raises RecordingError, RecordingCorruptError.
    """
    with open_recording(path) as file, explained(f"read {path}"):
        for found in _from_the_end(file):
            if call is None or found.call <= call:
                return found
    # No line begins as a writer begins it: somebody has formatted the file anew.
    last: FoundRequest | None = None
    for line in scan(path, frames=False):
        if line.fields["type"] == "request" and (call is None or line.call <= call):
            last = FoundRequest(line.call, line.offset, line.number - 1)
    return last


def _from_the_end(file: BinaryIO) -> Iterator[FoundRequest]:
    """The requests in complete lines that writers wrote, from the last to the first."""
    end = file.seek(0, os.SEEK_END)
    whole = False
    while end > 0:
        start = max(0, end - _BLOCK_BYTES)
        file.seek(start)
        # A little of the block behind it, where a line may begin on the border.
        block = file.read(end - start + (_LONGEST_START if whole else 0))
        if not whole:
            complete = block.rfind(b"\n") + 1
            whole, block = complete > 0, block[:complete]
        for match in reversed(list(_REQUEST.finditer(block))):
            if match.start() < end - start:
                n, number = map(int, match.groups())
                yield FoundRequest(number, start + match.start() + 1, n)
        end = start
