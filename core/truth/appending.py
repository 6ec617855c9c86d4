"""Appends to a session's file: whole lines or nothing, and nothing more once a write failed.

Lines go out in one unbuffered `os.write`. Before it the appender notes what it is about to do. If
the write fails or is short, the file is cut back and the appender refuses everything from then on.
If the write is interrupted (a KeyboardInterrupt may come between any two steps), the file's size
tells afterwards whether the lines are there, so that the counters never disagree with the file.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Protocol

from ..errors import RecordingError
from .durability import Level
from .files import is_at
from .syncing import SYNC_THREAD, SyncedFile

__all__ = ["Appender", "Landing"]

# How often the file is looked for under its name: writes to a deleted file succeed, and are lost.
_LOOK_EVERY = 1_000_000


class Landing(Protocol):
    """Is told that its lines are in the file. Told twice, it must count them once."""

    def landed(self) -> None:
        """The lines are in the file."""
        ...


class Appender:
    """One open, locked file. Used by one thread at a time.

    n: the number of the file's last line. size: the file's size in bytes. new: the file was created
    for this appender. folders: those in which entries were made for it. refusal: why it takes no
    more lines. gate: what a line has to pass before it may be shown; None if nothing. Raises
    RecordingError if the file cannot be synced as the level asks.
    """

    def __init__(
        self,
        fd: int,
        path: Path,
        level: Level,
        *,
        n: int = 0,
        size: int = 0,
        new: bool = False,
        folders: tuple[Path, ...] = (),
    ) -> None:
        self._fd = fd
        self._path = path
        self._intent: tuple[int, int, Landing | None] | None = None
        self._looked = 0
        self._new = new
        self.n = n
        self.size = size
        self.refusal: str | None = None
        self._synced: SyncedFile | None = None
        if level != "process":
            self._synced = SYNC_THREAD.add(fd, path, (path.parent, *folders), self._refuse)
        self.gate = self._synced if level == "power" else None

    def ready(self, t: int) -> int:
        """The number of the last line, made sure of. Raises RecordingError if no more are taken."""
        if self._intent is not None:
            self._reconcile()
        if t - self._looked >= _LOOK_EVERY:
            self._looked = t
            self.look()
        if self.refusal is not None:
            raise RecordingError(self.refusal)
        return self.n

    def append(self, data: bytes, n: int, landing: Landing | None = None) -> None:
        """Write whole lines, the last being number `n`, after `ready`. Raises RecordingError."""
        length = len(data)
        self._intent = (n, self.size + length, landing)
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            raise self._undo(error.strerror or str(error)) from error
        if written != length:
            raise self._undo(f"only {written} of {length} bytes were written: is the disk full?")
        self._land()

    def look(self) -> None:
        """Refuse more lines if the file was deleted or replaced."""
        if self.refusal is not None:
            return
        try:
            found = is_at(self._fd, self._path)
        except OSError as error:
            self._refuse(f"the file cannot be found any more: {error.strerror}")
            return
        if not found:
            self._refuse("the file was deleted or replaced while it was written")

    def close(self) -> None:
        """Drop the lock and close the file. Does nothing the second time.

        Where a last sync is due the file is closed behind it; that is not waited for.
        """
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        try:
            if self.size == 0:
                self._remove(fd)
        finally:
            if self._synced is None:
                os.close(fd)
            else:
                self._synced.close()
        self._refuse("the session is closed")

    def remove_if_empty(self) -> None:
        """Leave no empty file behind when the first write has failed."""
        if self.refusal is not None and self.size == 0:
            self._remove(self._fd)

    def close_in_child(self) -> None:
        """Close a forked child's copy; the lock stays with the parent."""
        self._intent = None
        self.refusal = f"cannot record to {self._path}: the session belongs to the parent process"
        fd, self._fd = self._fd, -1
        if fd >= 0 and self._synced is None:
            os.close(fd)

    def _remove(self, fd: int) -> None:
        # Only the file that this appender was made for: it may have been replaced by somebody's.
        with contextlib.suppress(OSError):
            if self._new and is_at(fd, self._path):
                self._path.unlink()

    def _land(self) -> None:
        if self._intent is not None:
            self.n, self.size, landing = self._intent
            if self._synced is not None:
                self._synced.written = self.size
            if landing is not None:
                landing.landed()
            self._intent = None

    def _reconcile(self) -> None:
        """An append was interrupted: let the file's size say what became of it."""
        intent = self._intent
        if intent is None:
            return
        try:
            size = os.fstat(self._fd).st_size
        except OSError as error:
            self._undo(error.strerror or str(error))
            return
        if size == intent[1]:
            self._land()
        elif size == self.size:
            self._intent = None
        else:
            self._undo("a write was interrupted half-way")

    def _undo(self, reason: str) -> RecordingError:
        self._intent = None
        try:
            os.ftruncate(self._fd, self.size)
        except OSError:
            reason += "; half a line may be left at the end"
        return self._refuse(reason)

    def _refuse(self, reason: str) -> RecordingError:
        if self.refusal is None:
            self.refusal = f"cannot record to {self._path}: {reason}"
        return RecordingError(self.refusal)
