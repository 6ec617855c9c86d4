"""What the ground truth asks of the operating system: exclusive locks, whole appends, syncs.

Locks are `flock` locks: they belong to the open file, not to the process, so that two sessions of
one process exclude each other too, and closing some other descriptor of the file does not drop them
(as it does with `lockf`). On Windows (untried) msvcrt locks one byte far behind the data.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from itertools import takewhile
from pathlib import Path

from ..errors import RecordingError

__all__ = [
    "create_file",
    "has_writer",
    "is_at",
    "lock_file",
    "make_folder",
    "open_file",
    "sync_file",
    "sync_folder",
    "try_lock",
    "unlock_file",
]

_FLAGS = os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_PRIVATE = 0o600

# A reader asks whether there is a writer by taking a shared lock for a moment: so a refusal counts
# only when it lasts.
_PATIENCE_SECONDS = 0.1
_PAUSE_SECONDS = 0.005

_WINDOWS_LOCK_OFFSET = 1 << 62


def make_folder(folder: Path) -> tuple[Path, ...]:
    """Make a folder and those that it is in; gives those that got an entry. Raises OSError."""
    if os.path.isdir(folder):  # noqa: PTH112 - at half the cost
        return ()
    missing = tuple(takewhile(lambda each: not each.exists(), (folder, *folder.parents)))
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
    return tuple(each.parent for each in missing)


def create_file(path: Path) -> int:
    """A descriptor of a new file that only its owner may read. Raises FileExistsError."""
    return os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, _PRIVATE)


def open_file(path: Path) -> int:
    """A descriptor for appending to an existing file. Raises FileNotFoundError."""
    return os.open(path, _FLAGS)


def is_at(fd: int, path: Path) -> bool:
    """Whether the open file is still the one that has this path. Raises OSError."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))  # noqa: PTH116 - beside its like
    except (FileNotFoundError, NotADirectoryError):
        return False


def lock_file(fd: int) -> bool:
    """Take the exclusive lock, dropped by closing; False if another holds it for 100 ms."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not try_lock(fd):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True


def has_writer(path: Path) -> bool:
    """Whether a session holds the file open for writing. Raises OSError if it cannot be opened."""
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        return not try_lock(fd, shared=True)
    finally:
        os.close(fd)


def try_lock(fd: int, *, shared: bool = False) -> bool:
    """Take the lock if it is free. Raises OSError where the file system has no locks."""
    try:
        _lock_now(fd, shared=shared)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}:
            return False
        raise
    return True


if sys.platform == "win32":
    import msvcrt

    def _lock_now(fd: int, *, shared: bool) -> None:  # noqa: ARG001 - there is one kind only
        os.lseek(fd, _WINDOWS_LOCK_OFFSET, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)

    def unlock_file(fd: int) -> None:
        """Drop the lock before the file is closed. Raises OSError."""
        os.lseek(fd, _WINDOWS_LOCK_OFFSET, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)

else:
    try:
        import fcntl
    except ImportError:  # a Python built without it can still read recordings

        def _lock_now(fd: int, *, shared: bool) -> None:  # noqa: ARG001
            raise RecordingError("this Python has no file locks (fcntl), which recording needs")

        def unlock_file(fd: int) -> None:
            """Nothing can have been locked."""

    else:

        def _lock_now(fd: int, *, shared: bool) -> None:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)

        def unlock_file(fd: int) -> None:
            """Drop the lock before the file is closed. Raises OSError."""
            fcntl.flock(fd, fcntl.LOCK_UN)


def sync_file(fd: int) -> None:
    """Have the file's content on the medium when this returns. Raises OSError."""
    if sys.platform == "darwin":
        import fcntl  # noqa: PLC0415 - may be missing elsewhere

        # fsync leaves the data in the drive's cache there, and fdatasync does not exist.
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    elif sys.platform == "win32":
        os.fsync(fd)
    else:
        os.fdatasync(fd)


def sync_folder(folder: Path) -> None:
    """Have the folder's entries on the medium: without it a new file may vanish whole.

    On macOS only with the next `sync_file`. Raises OSError.
    """
    if sys.platform == "win32":
        return  # folders cannot be opened there; NTFS keeps its own journal
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Not fdatasync: for it an entry that leaves the folder's size as it was is no data (ext4).
        os.fsync(fd)
    finally:
        os.close(fd)
