"""Opening, creating and syncing files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vesselog.core.truth.file_lock import lock_file
from vesselog.core.truth.files import (
    create_file,
    is_at,
    make_folder,
    open_regular,
    sync_file,
    sync_folder,
)


@pytest.fixture
def locked(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    fd = create_file(path)
    lock_file(fd, path)
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


def test_new_folders_are_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = make_folder(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert made == (tmp_path / "a", tmp_path)
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert make_folder(tmp_path / "a" / "b") == ()


@pytest.mark.parametrize("kind", ["link", "pipe", "read pipe", "folder"])
def test_only_a_regular_file_is_opened_for_a_torn_tail(tmp_path: Path, kind: str) -> None:
    """A pipe is not waited for, whether or not somebody reads it."""
    path, reader = tmp_path / "x", -1
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
        if kind == "read pipe":
            reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OSError):  # noqa: PT011 - whatever it is
        open_regular(path)
    if reader >= 0:
        os.close(reader)
    assert not (tmp_path / "elsewhere").exists()
