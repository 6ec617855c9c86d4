"""Reads the lines of a recording, and tells a torn tail from damage.

A torn tail is everything after the last readable line: a writer died in mid-write there. Anything
unreadable that is followed by a readable line is damage. A line that can be read but does not match
its check was edited, or has decayed on its medium; the scan passes it on with that mark, and the
caller decides. Memory is that of the longest line.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn, TypeGuard

from ..errors import RecordingCorruptError, RecordingError
from .files import explained
from .line import FORMAT_VERSION, LONGEST_LINE, check_line, parse_line

__all__ = ["ScannedLine", "Torn", "check_header", "is_whole", "open_recording", "scan"]

# As microseconds 285 years: no writer gets there, and sums and waits beyond it would overflow.
_LARGEST = 1 << 53

_FRAME_START = b'{"type":"frame",'
_HEADER_START = b'{"type":"session"'
_BUFFER_BYTES = 1 << 18
_LINE_FEED = 10


class ScannedLine(NamedTuple):
    """A line, where it is, and whether it matches its check (None: it has no check).

    number: from 1. offset: of its first byte. end: of the first byte after its LF.
    """

    path: Path
    number: int
    offset: int
    end: int
    fields: dict[str, Any]
    check: bool | None

    @property
    def place(self) -> str:
        """Where it is in its file, in words."""
        return f"line {self.number} (byte {self.offset})"

    @property
    def where(self) -> str:
        """Where it is, with the file's name."""
        return f"{self.path}, {self.place}"

    @property
    def t(self) -> int:
        """Its time in microseconds. Raises RecordingCorruptError."""
        t = self.fields.get("t")
        return t if is_whole(t) else self._damaged("t", t)

    @property
    def call(self) -> int:
        """The number of its call. Raises RecordingCorruptError."""
        call = self.fields.get("call")
        return call if is_whole(call) else self._damaged("call", call)

    def _damaged(self, key: str, value: object) -> NoReturn:
        what = f"it has no {key!r}" if value is None else f"its {key!r} is {value!r:.40}"
        raise RecordingCorruptError(f"{self.path} is damaged at {self.place}: {what}")


# Does what calling the class does, at half the cost.
_line: Callable[[tuple[Path, int, int, int, dict[str, Any], bool | None]], ScannedLine] = partial(
    tuple[Any, ...].__new__, ScannedLine
)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether a line may have this as a time in microseconds, or as a number that counts."""
    return type(value) is int and 0 <= value <= _LARGEST


class Torn(NamedTuple):
    """A torn tail: where it begins and how many bytes it has."""

    offset: int
    size: int


def open_recording(path: Path) -> BinaryIO:
    """The file, opened for reading. Raises RecordingError.

    Only regular files are opened: reading a pipe or a device could wait or never end.
    """
    try:
        file = open(path, "rb", buffering=_BUFFER_BYTES, opener=_opened)  # noqa: SIM115
    except IsADirectoryError:
        raise RecordingError(f"{path} is a folder, not a recording") from None
    except FileNotFoundError:
        raise RecordingError(f"there is no recording {path}") from None
    except OSError as error:
        raise RecordingError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # a NUL or a lone surrogate in the name
        raise RecordingError(f"cannot read {str(path)!r}: {error}") from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise RecordingError(f"{path} is a pipe or a device, not a recording")
    return file


def scan(
    path: Path,
    *,
    offset: int = 0,
    number: int = 0,
    frames: bool = True,
    parse: Callable[[bytes], dict[str, Any] | None] = parse_line,
    torn: Callable[[Torn], object] = lambda _: None,
) -> Iterator[ScannedLine]:
    """The readable lines of a file from `offset` on, its header included.

    number: how many lines stand before `offset`. frames: without them, their lines are passed over
    unread. parse: gives the fields of a line, None if it cannot be read. torn: called at the end if
    there is a torn tail. Raises RecordingCorruptError for damage and for a file that is no
    recording, RecordingError if it cannot be read.
    """
    with open_recording(path) as file, explained(f"read {path}"):
        file.seek(offset)
        doubted = -1
        whole = offset  # the end of the last readable line: empty lines after it are torn too
        for raw in _rest(file):
            if raw[-1] != _LINE_FEED and len(raw) < LONGEST_LINE:
                # The end of the file, which is torn, or is being written.
                may_be_header = raw.startswith(_HEADER_START) or _HEADER_START.startswith(raw)
                if number == 0 and not may_be_header:
                    raise _no_header(path)
                torn(Torn(whole, offset - whole + len(raw)))
                return
            number += 1
            start, offset = offset, offset + len(raw)
            if not frames and raw.startswith(_FRAME_START):
                whole = offset
                continue
            body = raw.removesuffix(b"\n")
            fields = parse(body)
            if fields is not None:
                if number == 1:
                    check_header(fields, path)
                whole = offset
                yield _line((path, number, start, offset, fields, check_line(body)))
            elif number == 1:
                raise _no_header(path)
            elif doubted != start:
                # A writer may have cut off a torn tail, and written on, between two reads.
                doubted = start
                number, offset = number - 1, start
                file.seek(0, os.SEEK_END)  # drops what is buffered
                file.seek(start)
            elif body.strip() or file.tell() >= os.fstat(file.fileno()).st_size:
                size = _unreadable(file, path, number, start, raw)
                torn(Torn(whole, start - whole + size))
                return


def _opened(name: str, flags: int) -> int:
    # Without it, opening a pipe waits until somebody opens its other end.
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))


def check_header(fields: dict[str, Any], path: Path) -> None:
    """Raise RecordingCorruptError unless this is the header of a recording that can be read."""
    version = fields.get("vesselog")
    if fields["type"] != "session" or not isinstance(version, int) or version < 1:
        raise _no_header(path)
    if version > FORMAT_VERSION:
        raise RecordingCorruptError(
            f"{path} has format version {version}; this library reads up to {FORMAT_VERSION}"
        )


def _no_header(path: Path) -> RecordingCorruptError:
    return RecordingCorruptError(f"{path} is not a recording: it has no session header")


def _rest(file: BinaryIO) -> Iterator[bytes]:
    """The lines from the file's position on, or parts of those that are too long."""
    return iter(partial(file.readline, LONGEST_LINE), b"")


def _unreadable(file: BinaryIO, path: Path, number: int, offset: int, raw: bytes) -> int:
    """The size of what cannot be read from `offset` on. Raises if a line follows it."""
    size = len(raw)
    for later in _rest(file):
        if later.endswith(b"\n") and parse_line(later) is not None:
            raise RecordingCorruptError(
                f"{path} is damaged at line {number} (byte {offset}): "
                "readable lines follow what cannot be read"
            )
        size += len(later)
    return size
