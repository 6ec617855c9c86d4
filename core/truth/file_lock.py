"""The exclusive lock of a session's file.

Locks are `flock` locks: they belong to the open file, not to the process, so that two sessions of
one process exclude each other too, and closing another descriptor of the file does not release them
(as it does with `lockf`). On Windows (untried) msvcrt locks one byte far behind the data.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from ..errors import RecordingError, RecordingLockedError
from .files import explained

__all__ = [
    "READERS_PATIENCE",
    "LockedByReaderError",
    "has_writer",
    "lock_file",
    "locked_folder",
    "try_lock",
    "unlock_file",
    "when_readers_left",
]

_Taken = TypeVar("_Taken")

# A reader takes a shared lock for a moment to see whether there is a writer. That is always waited
# for; it takes microseconds, unless the reader's process is stopped in the middle of it.
READERS_PATIENCE = 0.1
_PAUSE_SECONDS = 0.005

_WINDOWS_LOCK_OFFSET = 1 << 62


class LockedByReaderError(RecordingLockedError):
    """The lock is held by readers, who release it in a moment."""


def lock_file(fd: int, path: Path) -> None:
    """Take the exclusive lock, which closing releases. Never waits.

    Raises RecordingLockedError if another writer holds it, LockedByReaderError, OSError; then the
    file is to be closed.
    """
    if not try_lock(fd):
        # Only a writer's lock excludes a shared one.
        kind = LockedByReaderError if try_lock(fd, shared=True) else RecordingLockedError
        raise kind(f"another writer has the session {path.stem} ({path})")


def when_readers_left(take: Callable[[], _Taken]) -> _Taken:
    """What `take` gives; while readers hold the lock, it is called again. Raises what it raises."""
    deadline = time.monotonic() + READERS_PATIENCE
    while True:
        try:
            return take()
        except LockedByReaderError as error:
            if time.monotonic() >= deadline:
                raise RecordingLockedError(error.message) from None
            time.sleep(_PAUSE_SECONDS)


def has_writer(path: Path) -> bool:
    """Whether a session holds the file open for writing. Raises RecordingError."""
    with explained(f"read {path}"):
        fd = os.open(path, os.O_RDONLY)
        try:
            return not try_lock(fd, shared=True)
        finally:
            os.close(fd)


def try_lock(fd: int, *, shared: bool = False) -> bool:
    """Take the lock if it is free. Raises OSError where the file system has no locks."""
    try:
        _change_lock(fd, "LOCK_SH" if shared else "LOCK_EX")
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}:
            return False
        raise
    return True


def unlock_file(fd: int) -> None:
    """Release the lock before the file is closed. Raises OSError."""
    _change_lock(fd, "LOCK_UN")


@contextmanager
def locked_folder(folder: Path) -> Generator[None]:
    """Keep others from deleting in this folder; waits for who does so. Raises OSError."""
    if sys.platform == "win32":  # folders cannot be opened there
        yield
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        _change_lock(fd, "LOCK_EX", wait=True)
        yield
    finally:
        os.close(fd)


def _change_lock(fd: int, operation: str, *, wait: bool = False) -> None:
    """Take or release the lock: `operation` is one of flock's. Raises OSError, RecordingError."""
    if sys.platform == "win32":  # there is one kind of lock only
        import msvcrt  # noqa: PLC0415 - is there only

        os.lseek(fd, _WINDOWS_LOCK_OFFSET, os.SEEK_SET)
        mode = msvcrt.LK_UNLCK if operation == "LOCK_UN" else msvcrt.LK_NBLCK
        msvcrt.locking(fd, mode, 1)
    else:
        try:
            import fcntl  # noqa: PLC0415 - a Python built without it can still read recordings
        except ImportError:
            message = "this Python has no file locks (fcntl), which recording needs"
            raise RecordingError(message) from None
        fcntl.flock(fd, getattr(fcntl, operation) | (0 if wait else fcntl.LOCK_NB))
