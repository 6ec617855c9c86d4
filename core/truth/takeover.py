"""What a writer must know of a file that it goes on with, and how it puts a torn tail aside.

A writer is stricter than a reader: it goes on only behind lines that match their checks and
numbers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..errors import RecordingCorruptError, RecordingError
from .names import wall_of
from .scan import ScannedLine, Torn, open_recording, scan
from .stored import payload_of

__all__ = ["Found", "Tally", "aside_of", "examine", "set_torn_tail_aside"]

_COPY_BYTES = 1 << 20


@dataclass(slots=True)
class Tally:
    """What a call without an end has: as its `end` line would say."""

    frames: int = 0
    size: int = 0
    digest: Any = field(default_factory=sha256)

    def add(self, payload: bytes) -> None:
        """Count a frame."""
        self.frames += 1
        self.size += len(payload)
        self.digest.update(payload)

    def record(self) -> dict[str, Any]:
        """The keys of an `end` line."""
        return {"frames": self.frames, "bytes": self.size, "sha256": self.digest.hexdigest()}


@dataclass(slots=True)
class Found:
    """The state in which a file was left.

    n, t: of the last line. wall: microseconds since 1970 at t=0, None if it does not say. calls:
    the highest call number. size: bytes up to the end of the last line; torn: bytes behind it.
    """

    n: int = 0
    t: int = 0
    wall: int | None = None
    calls: int = 0
    size: int = 0
    torn: int = 0
    unfinished: dict[int, Tally] = field(default_factory=dict[int, Tally])


def examine(path: Path) -> Found:
    """Read the whole file. Raises RecordingCorruptError if lines cannot be added behind it."""
    found = Found()
    checked, place = False, 0
    with open_recording(path) as file:
        for line in scan(file, path):
            if isinstance(line, Torn):
                found.torn = line.size
                break
            place += 1
            if line.number != place:
                raise RecordingCorruptError(
                    f"{path} was edited or damaged before {line.place}, where empty lines stand; "
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


def aside_of(path: Path) -> Path:
    """Where the torn tails of a recording are kept."""
    return path.with_name(path.name + ".torn")


def set_torn_tail_aside(fd: int, path: Path, size: int) -> None:
    """Move everything behind `size` to the file's `.torn` neighbour, where it is added at the end.

    Raises RecordingError; the tail is cut off only after it was copied.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
    flags |= getattr(os, "O_BINARY", 0)
    aside = aside_of(path)
    try:
        with open_recording(path) as file, os.fdopen(os.open(aside, flags, 0o600), "ab") as kept:
            file.seek(size)
            while data := file.read(_COPY_BYTES):
                kept.write(data)
        os.ftruncate(fd, size)
    except OSError as error:
        raise RecordingError(
            f"cannot put the torn tail of {path} aside to {aside.name}: {error.strerror}"
        ) from error


def _take(line: ScannedLine, found: Found, path: Path) -> None:
    fields = line.fields
    if fields.get("n") != found.n + 1:
        raise RecordingCorruptError(
            f"{path} was edited or damaged at {line.place}, which is not number {found.n + 1}; "
            "nothing is added to it"
        )
    found.n += 1
    t, call = fields.get("t"), fields.get("call")
    if isinstance(t, int):
        found.t = max(found.t, t)
    if fields["type"] == "open" and found.wall is None:
        wall = wall_of(fields.get("at"))
        found.wall = None if wall is None or not isinstance(t, int) else wall - t
    if not isinstance(call, int):
        return
    if fields["type"] == "request":
        found.calls = max(found.calls, call)
        found.unfinished[call] = Tally()
    elif fields["type"] == "end":
        found.unfinished.pop(call, None)
    elif fields["type"] == "frame" and call in found.unfinished:
        try:
            found.unfinished[call].add(payload_of(fields))
        except ValueError as error:
            raise RecordingCorruptError(f"{path} is damaged at {line.place}: {error}") from None
