"""The lock of a session's file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from vesselog import RecordingLockedError
from vesselog.core.truth import file_lock
from vesselog.core.truth.file_lock import (
    LockedByReaderError,
    has_writer,
    lock_file,
    try_lock,
    when_readers_left,
)
from vesselog.core.truth.files import create_file, open_file


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    path = tmp_path / "a.jsonl"
    fd = create_file(path)
    lock_file(fd, path)
    yield path, fd
    os.close(fd)


def test_a_second_writer_is_refused_until_the_first_is_gone(locked: tuple[Path, int]) -> None:
    path, _fd = locked
    other = open_file(path)
    with pytest.raises(RecordingLockedError):
        lock_file(other, path)
    assert has_writer(path)
    os.close(other)
    assert has_writer(path), "closing another descriptor of the file does not drop the lock"


def test_a_readers_question_does_not_keep_a_writer_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader's shared lock is there for a moment; the writer tries again for 100 ms."""
    path = tmp_path / "a.jsonl"
    fd = create_file(path)
    probe = os.open(path, os.O_RDONLY)
    assert try_lock(probe, shared=True)
    assert not try_lock(fd)
    passed = 0.0

    def sleep(seconds: float) -> None:
        nonlocal passed
        if passed < 0.08 <= passed + seconds:
            os.close(probe)
        passed += seconds

    monkeypatch.setattr(file_lock, "time", SimpleNamespace(monotonic=lambda: passed, sleep=sleep))
    when_readers_left(lambda: lock_file(fd, path))
    assert 0.08 <= passed < 0.1
    os.close(fd)


def test_a_readers_question_is_told_from_a_writer_without_waiting(tmp_path: Path) -> None:
    """For the event loop, which waits in its own way."""
    path = tmp_path / "a.jsonl"
    fd, probe = create_file(path), os.open(path, os.O_RDONLY)
    assert try_lock(probe, shared=True)
    with pytest.raises(LockedByReaderError):
        lock_file(fd, path)
    os.close(probe)
    lock_file(fd, path)
    os.close(fd)


def test_readers_ask_without_disturbing_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.touch()
    probe = os.open(path, os.O_RDONLY)
    assert try_lock(probe, shared=True)
    assert not has_writer(path)
    os.close(probe)


def test_another_writers_lock_is_not_waited_for(
    locked: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller may be an event loop."""

    def sleep(_: float) -> None:
        pytest.fail("it waits")

    monkeypatch.setattr(file_lock, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=sleep))
    path, _ = locked
    other = open_file(path)
    with pytest.raises(RecordingLockedError):
        when_readers_left(lambda: lock_file(other, path))
    os.close(other)


def test_without_fcntl_everything_but_recording_works(tmp_path: Path) -> None:
    program = f"""
import sys
sys.modules["fcntl"] = None
from pathlib import Path
import vesselog
from vesselog.core.truth.session import Session
try:
    Session.open(Path({str(tmp_path)!r}), "a").begin({{}})
except vesselog.RecordingError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "no file locks" in done.stdout
