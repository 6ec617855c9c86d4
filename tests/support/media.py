"""A stand-in for the disk: tells what was synced, can refuse, and can take its time."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from patience import PATIENCE
from vesselog.core.truth import fsync_thread
from vesselog.core.truth.fsync_thread import SYNC_THREAD

__all__ = ["Medium", "medium_under"]


class Medium:
    """refusing: every sync fails with EIO. free: cleared, a sync waits until it is set.

    asked: a sync was asked for.
    """

    def __init__(self) -> None:
        self.files: list[tuple[int, int]] = []
        self.folders: list[Path] = []
        self.threads: set[str] = set()
        self.refusing = False
        self.asked = threading.Event()
        self.free = threading.Event()
        self.free.set()

    def sync_file(self, fd: int) -> None:
        status = os.fstat(fd)
        self.threads.add(threading.current_thread().name)
        self.asked.set()
        assert self.free.wait(PATIENCE)
        if self.refusing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.files.append((status.st_ino, status.st_size))

    def sync_folder(self, folder: Path) -> None:
        self.folders.append(folder)

    def synced(self, path: Path) -> int:
        """How many bytes of a file a power cut leaves at least."""
        number = path.stat().st_ino
        return max((size for each, size in self.files if each == number), default=0)


def flush() -> None:
    """Return when everything written so far is on disk, and closed sessions' files are."""
    waits: list[threading.Event] = []
    for file in SYNC_THREAD.files:
        waits.append(threading.Event())
        file.ask(waits[-1].set)
    for done in waits:
        done.wait()


@contextmanager
def medium_under(monkeypatch: pytest.MonkeyPatch) -> Iterator[Medium]:
    """Every session writes to it. In the end all are closed, and the thread is gone."""
    medium = Medium()
    monkeypatch.setattr(fsync_thread, "sync_file", medium.sync_file)
    monkeypatch.setattr(fsync_thread, "sync_folder", medium.sync_folder)
    yield medium
    medium.free.set()
    flush()
    assert SYNC_THREAD.files == ()
    for thread in threading.enumerate():
        if thread.name == "vesselog sync":
            thread.join(PATIENCE)
            assert not thread.is_alive()
