"""Opens, creates and syncs the files of recordings."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Generator
from itertools import takewhile
from pathlib import Path

from ..errors import RecordingError

__all__ = [
    "closed_on_error",
    "create_file",
    "explained",
    "is_at",
    "make_folder",
    "open_file",
    "open_regular",
    "sync_file",
    "sync_folder",
]

_FLAGS = os.O_APPEND | getattr(os, "O_BINARY", 0)
_NO_LINK_NO_WAIT = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700


def make_folder(folder: Path) -> tuple[Path, ...]:
    """Make a folder and those above it, for their owner alone. Raises OSError.

    Returns the folders that got an entry.
    """
    if os.path.isdir(folder):  # noqa: PTH112 - at half the cost
        return ()
    missing = tuple(takewhile(lambda each: not each.exists(), (folder, *folder.parents)))
    for each in reversed(missing):
        each.mkdir(_PRIVATE_FOLDER, exist_ok=True)
    return tuple(each.parent for each in missing)


def create_file(path: Path) -> int:
    """A descriptor of a new file that only its owner may read. Raises FileExistsError."""
    return os.open(path, _FLAGS | os.O_RDWR | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)


def open_file(path: Path) -> int:
    """A descriptor for appending to an existing file. Raises FileNotFoundError."""
    return os.open(path, _FLAGS | os.O_RDWR)


def open_regular(path: Path) -> int:
    """A descriptor for appending to a file, which is created if there is none.

    Raises OSError for anything but a regular file: a link could lead anywhere, a pipe would be
    waited for.
    """
    fd = os.open(path, _FLAGS | os.O_WRONLY | os.O_CREAT | _NO_LINK_NO_WAIT, _PRIVATE_FILE)
    with closed_on_error(fd):
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(0, "it is not a regular file")
    return fd


def is_at(fd: int, path: Path) -> bool:
    """Whether the open file is still the one that has this path. Raises OSError."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))  # noqa: PTH116 - pairs with fstat
    except (FileNotFoundError, NotADirectoryError):
        return False


@contextlib.contextmanager
def explained(what: str) -> Generator[None]:
    """Raise RecordingError for an OSError of the block: `what` cannot be done, and why."""
    try:
        yield
    except OSError as error:
        raise RecordingError(f"cannot {what}: {error.strerror}") from error


@contextlib.contextmanager
def closed_on_error(fd: int) -> Generator[None]:
    """Close the descriptor if the block raises."""
    try:
        yield
    except BaseException:
        os.close(fd)
        raise


def sync_file(fd: int) -> None:
    """Return when the file's content is on the medium. Raises OSError."""
    if sys.platform == "darwin":
        import fcntl  # noqa: PLC0415 - may be missing elsewhere

        # fsync leaves the data in the drive's cache there, and fdatasync does not exist.
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    elif sys.platform == "win32":
        os.fsync(fd)
    else:
        os.fdatasync(fd)


def sync_folder(folder: Path) -> None:
    """Return when the folder's entries are on the medium; without it a new file may vanish whole.

    On macOS only with the next `sync_file`. Raises OSError.
    """
    if sys.platform == "win32":
        return  # folders cannot be opened there; NTFS keeps its own journal
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Not fdatasync: for it an entry that leaves the folder's size as it was is no data (ext4).
        os.fsync(fd)
    finally:
        os.close(fd)
