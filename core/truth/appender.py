"""Appends to a session's file: whole lines or nothing, and nothing more after a write has failed.

Lines go out in one unbuffered `os.write`. Before it the appender notes what it is about to do. If
the write fails or is short, the file is cut back and the appender refuses everything from then on.
If the write is interrupted (a KeyboardInterrupt may come between any two instructions), the file's
size tells afterwards whether the lines are there, so that the counters always agree with the file.

Once a second, and before each `end` line, the file is checked: was it deleted, replaced, cut, or
written to by somebody else? Writes would succeed all the same, and be lost.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

from ..errors import RecordingError
from ..settings import Durability
from .files import is_at
from .fsync_thread import SYNC_THREAD, SyncedFile
from .wake import FOLLOWED, wake_followers

__all__ = ["Appender"]

_CHECK_INTERVAL = 1_000_000  # microseconds
_LOGGER = logging.getLogger("vesselog")

Confirm = Callable[[], object]


class Appender:
    """One open, locked file. Used by one thread at a time.

    fd: its descriptor, -1 once it is closed. n: the number of the file's last line. size: the
    file's size in bytes. new: the file was created for this appender; another one takes no lines
    before `go_on`. folders: those in which entries were made for it. refusal: why it takes no more
    lines. gate: what to wait for before a line may be shown; None if nothing. Raises RecordingError
    if the file cannot be synced as the durability level asks.
    """

    def __init__(
        self,
        fd: int,
        path: Path,
        durability: Durability,
        *,
        new: bool = False,
        folders: tuple[Path, ...] = (),
    ) -> None:
        self.fd = fd
        self.path = path
        self.new = new
        # What is being written: the last line's number, the size and whom to tell afterwards.
        self._pending: tuple[int, int, Confirm | None] | None = None
        self._checked_at = 0
        self.n = 0
        self.size = 0
        self.refusal = None if new else f"cannot record to {path}: its end is not known yet"
        self._synced: SyncedFile | None = None
        if durability != "process":
            self._synced = SYNC_THREAD.add(fd, path, (path.parent, *folders), self._refuse)
        self.gate = self._synced if durability == "power" else None

    def go_on(self, n: int, size: int) -> None:
        """The file has been read: its last line is number `n` and ends at `size`."""
        self.n, self.size, self.refusal = n, size, None

    def ready(self, t: int) -> int:
        """The number of the last line. Raises RecordingError if no more lines are taken.

        t: the time in microseconds, by which the file is checked once a second.
        """
        if self._pending is not None:
            self._resolve_interrupted_write()
        if t - self._checked_at >= _CHECK_INTERVAL:
            self._checked_at = t
            self.check_file()
        if self.refusal is not None:
            raise RecordingError(self.refusal)
        return self.n

    def checked(self, t: int) -> int:
        """Like `ready`, after a check of the file."""
        self._checked_at = t - _CHECK_INTERVAL
        return self.ready(t)

    def append(self, data: bytes, n: int, confirm: Confirm | None = None) -> None:
        """Write whole lines, the last being number `n`, after `ready`. Raises RecordingError.

        confirm: is called when the lines are in the file; after an interrupt perhaps twice.
        """
        length = len(data)
        size = self.size + length
        self._pending = (n, size, confirm)
        try:
            written = os.write(self.fd, data)
        except OSError as error:
            raise self._undo(error.strerror or str(error), length) from error
        if written != length:
            reason = f"only {written} of {length} bytes were written: is the disk full?"
            raise self._undo(reason, length)
        self.n = n
        self.size = size
        if self._synced is not None:
            self._synced.written = size
        if confirm is not None:
            confirm()
        self._pending = None
        if FOLLOWED:
            wake_followers(self.fd)

    def check_file(self) -> None:
        """Refuse more lines if the file was deleted, replaced, cut, or written to by others."""
        self._resolve_interrupted_write()
        if self.refusal is not None:
            return
        try:
            there = is_at(self.fd, self.path)
            size = os.fstat(self.fd).st_size
        except OSError as error:
            self._refuse(f"the file cannot be found any more: {error.strerror}")
            return
        if not there:
            self._refuse("the file was deleted or replaced while it was written")
        elif size < self.size:
            self._refuse(
                f"the file was cut from {self.size} to {size} bytes while it was written; "
                "recordings must not be rotated"
            )
        elif size > self.size:
            self._refuse(f"another program wrote {size - self.size} bytes to the file")

    def close(self) -> None:
        """Release the lock and close the file. Does nothing the second time.

        If a last sync is due, the file is closed after it; that is not waited for.
        """
        fd, self.fd = self.fd, -1
        if fd < 0:
            return
        try:
            if self.size == 0:
                self._remove(fd)
        finally:
            if self._synced is None:
                try:
                    os.close(fd)
                except OSError as error:  # where writes are delayed (NFS), they may fail only now
                    _LOGGER.warning("%s", self._refuse(error.strerror or str(error)))
            else:
                self._synced.close()
        self._refuse("the session is closed")

    def remove_if_empty(self) -> None:
        """Remove the file that was made for this appender if its first write has failed."""
        if self.refusal is not None and self.size == 0:
            self._remove(self.fd)

    def close_in_child(self) -> None:
        """Close a forked child's copy; the lock stays with the parent."""
        self._pending = None
        self.refusal = f"cannot record to {self.path}: the session belongs to the parent process"
        fd, self.fd = self.fd, -1
        if fd >= 0 and self._synced is None:
            os.close(fd)

    def _remove(self, fd: int) -> None:
        # Only the file that this appender was made for: somebody may have replaced it.
        with contextlib.suppress(OSError):
            if self.new and is_at(fd, self.path):
                self.path.unlink()

    def _resolve_interrupted_write(self) -> None:
        """Let the file's size say what became of a write that was interrupted."""
        if self._pending is None:
            return
        n, expected, confirm = self._pending
        try:
            size = os.fstat(self.fd).st_size
        except OSError as error:
            self._undo(error.strerror or str(error), 0)
            return
        if size == expected:
            self.n, self.size = n, size
            if self._synced is not None:
                self._synced.written = size
            if confirm is not None:
                confirm()
            self._pending = None
        elif size == self.size:
            self._pending = None
        else:
            self._undo("a write was interrupted half-way", expected - self.size)

    def _undo(self, reason: str, length: int) -> RecordingError:
        """Cut off what a failed write of `length` bytes has left, and refuse more lines."""
        self._pending = None
        try:
            left = os.fstat(self.fd).st_size - self.size
            if left < 0:
                reason += "; the file was cut while it was written"
            elif left > length:
                reason += "; another program has written to the file"
            elif left:
                os.ftruncate(self.fd, self.size)
        except OSError:
            reason += "; half a line may be left at the end"
        return self._refuse(reason)

    def _refuse(self, reason: str) -> RecordingError:
        if self.refusal is None:
            self.refusal = f"cannot record to {self.path}: {reason}"
        return RecordingError(self.refusal)
