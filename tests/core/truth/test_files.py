"""Locks and flags of the files underneath."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from vesselog.core.truth import files
from vesselog.core.truth.files import (
    create_file,
    has_writer,
    is_at,
    lock_file,
    open_file,
    sync_file,
    sync_folder,
    try_lock,
)


@pytest.fixture
def locked(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    fd = create_file(path)
    assert lock_file(fd)
    yield path, fd
    os.close(fd)


def test_a_new_file_is_private_appends_and_is_not_inherited(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    before = os.umask(0)
    try:
        fd = create_file(path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    os.write(fd, b"one\n")
    os.lseek(fd, 0, os.SEEK_SET)
    os.write(fd, b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"
    assert not os.get_inheritable(fd)
    os.close(fd)
    with pytest.raises(FileExistsError):
        create_file(path)


def test_a_second_writer_is_refused_until_the_first_is_gone(locked: tuple[Path, int]) -> None:
    path, _fd = locked
    other = open_file(path)
    assert not lock_file(other)
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

    monkeypatch.setattr(files, "time", SimpleNamespace(monotonic=lambda: passed, sleep=sleep))
    assert lock_file(fd)
    assert 0.08 <= passed < 0.1
    os.close(fd)


def test_readers_ask_without_disturbing_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.touch()
    probe = os.open(path, os.O_RDONLY)
    assert try_lock(probe, shared=True)
    assert not has_writer(path)
    os.close(probe)


def test_a_deleted_or_replaced_file_is_noticed(locked: tuple[Path, int]) -> None:
    path, fd = locked
    assert is_at(fd, path)
    path.unlink()
    assert not is_at(fd, path)
    path.touch()
    assert not is_at(fd, path)


def test_files_and_folders_can_be_synced(locked: tuple[Path, int]) -> None:
    path, fd = locked
    sync_file(fd)
    sync_folder(path.parent)


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
