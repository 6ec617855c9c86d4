"""Appends: whole or undone, nothing after a failure, counters that agree with the file."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vesselog import RecordingError
from vesselog.core.truth import appender as module
from vesselog.core.truth.appender import Appender
from vesselog.core.truth.files import create_file

real_write = os.write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.jsonl"


@pytest.fixture
def appender(path: Path) -> Iterator[Appender]:
    appender = Appender(create_file(path), path, "process", new=True)
    appender.append(b"one\n", 1)
    yield appender
    appender.close()


def test_lines_go_out_in_one_write(
    appender: Appender, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[bytes] = []
    monkeypatch.setattr(
        module.os, "write", lambda fd, data: (writes.append(data), real_write(fd, data))[1]
    )
    appender.append(b"two\nthree\n", appender.ready(0) + 2)
    assert writes == [b"two\nthree\n"]
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    assert appender.ready(0) == 3


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_a_short_write_is_undone_and_nothing_is_taken_after_it(
    appender: Appender, path: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    monkeypatch.setattr(
        module.os, "write", lambda fd, data: real_write(fd, data[:taken]) if taken else 0
    )
    confirmed: list[int] = []
    with pytest.raises(RecordingError, match="disk full"):
        appender.append(b"two\n", 2, lambda: confirmed.append(1))
    monkeypatch.undo()
    assert path.read_bytes() == b"one\n"
    assert not confirmed
    with pytest.raises(RecordingError, match="disk full"):
        appender.ready(0)


def test_a_failed_write_says_why(appender: Appender, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(fd: int, data: bytes) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(module.os, "write", fail)
    with pytest.raises(RecordingError, match=r"a\.jsonl: Input/output error"):
        appender.append(b"two\n", 2)


def test_a_tear_that_cannot_be_undone_is_said(
    appender: Appender, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int, size: int) -> None:
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(module.os, "write", lambda fd, data: real_write(fd, data[:2]))
    monkeypatch.setattr(module.os, "ftruncate", fail)
    with pytest.raises(RecordingError, match="half a line may be left"):
        appender.append(b"two\n", 2)
    assert path.read_bytes() == b"one\ntw"


@pytest.mark.parametrize(
    ("written", "n", "content"),
    [
        (0, 1, b"one\n"),
        (4, 2, b"one\ntwo\n"),
    ],
)
def test_after_an_interrupt_the_files_size_says_what_happened(
    appender: Appender,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    written: int,
    n: int,
    content: bytes,
) -> None:
    def interrupt(fd: int, data: bytes) -> int:
        if written:
            real_write(fd, data[:written])
        raise KeyboardInterrupt

    monkeypatch.setattr(module.os, "write", interrupt)
    confirmed: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        appender.append(b"two\n", 2, lambda: confirmed.append(1))
    monkeypatch.undo()
    assert appender.ready(0) == n
    assert len(confirmed) == n - 1
    appender.append(b"end\n", n + 1)
    assert path.read_bytes() == content + b"end\n"


def test_an_interrupt_in_mid_line_is_undone_and_ends_the_session(
    appender: Appender, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(fd: int, data: bytes) -> int:
        real_write(fd, data[:2])
        raise KeyboardInterrupt

    monkeypatch.setattr(module.os, "write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        appender.append(b"two\n", 2)
    monkeypatch.undo()
    with pytest.raises(RecordingError, match="half-way"):
        appender.ready(0)
    assert path.read_bytes() == b"one\n"


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_gone_is_noticed_within_a_second(
    appender: Appender, path: Path, *, replaced: bool
) -> None:
    path.unlink()
    if replaced:
        path.touch()
    assert appender.ready(999_999) == 1
    with pytest.raises(RecordingError, match="deleted or replaced"):
        appender.ready(1_000_000)


def test_a_closed_appender_takes_nothing(appender: Appender) -> None:
    appender.close()
    appender.close()
    with pytest.raises(RecordingError, match="closed"):
        appender.ready(0)


@pytest.mark.parametrize("link", ["folder", "nowhere"])
def test_a_folder_that_was_taken_away_is_noticed(tmp_path: Path, link: str) -> None:
    """Whatever stands in its place: a file, or what leads nowhere."""
    folder = tmp_path / "folder"
    folder.mkdir()
    appender = Appender(create_file(folder / "a.jsonl"), folder / "a.jsonl", "process", new=True)
    folder.rename(tmp_path / "elsewhere")
    folder.touch() if link == "nowhere" else folder.symlink_to(link)
    appender.check_file()
    with pytest.raises(RecordingError, match=r"deleted or replaced|cannot be found any more"):
        appender.ready(0)
    appender.close()


@pytest.mark.parametrize("size", [0, 2])
def test_a_file_that_was_cut_is_noticed_within_a_second(
    appender: Appender, path: Path, size: int
) -> None:
    """As by logrotate's copytruncate: writes go on, but what was before them is gone."""
    os.truncate(path, size)
    assert appender.ready(999_999) == 1
    with pytest.raises(RecordingError, match=f"cut from 4 to {size} bytes"):
        appender.ready(1_000_000)


def test_a_file_that_was_cut_and_written_on_is_noticed(appender: Appender, path: Path) -> None:
    os.truncate(path, 0)
    appender.append(b"two and more\n", 2)
    with pytest.raises(RecordingError, match="was cut"):
        appender.ready(1_000_000)


def test_a_line_that_another_program_wrote_is_noticed(appender: Appender, path: Path) -> None:
    with path.open("ab") as other:
        other.write(b"mine\n")
    with pytest.raises(RecordingError, match="another program wrote 5 bytes"):
        appender.ready(1_000_000)


@pytest.mark.parametrize("size", [0, 3])
def test_a_failed_write_on_a_file_that_was_cut_does_not_lengthen_it(
    appender: Appender, path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The undo would fill it up with NUL bytes."""
    os.truncate(path, size)
    monkeypatch.setattr(module.os, "write", lambda fd, data: 0)
    with pytest.raises(RecordingError, match="the file was cut while it was written"):
        appender.append(b"two\n", 2)
    assert path.read_bytes() == b"one\n"[:size]


def test_a_failed_write_does_not_cut_off_what_another_program_wrote(
    appender: Appender, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with path.open("ab") as other:
        other.write(b"all of mine\n")
    monkeypatch.setattr(module.os, "write", lambda fd, data: 0)
    with pytest.raises(RecordingError, match="another program has written"):
        appender.append(b"two\n", 2)
    assert path.read_bytes() == b"one\nall of mine\n"


def test_an_interrupted_write_is_settled_before_the_file_is_checked(
    appender: Appender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its own line would be taken for somebody else's."""

    def interrupt(fd: int, data: bytes) -> int:
        real_write(fd, data)
        raise KeyboardInterrupt

    monkeypatch.setattr(module.os, "write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        appender.append(b"two\n", 2)
    monkeypatch.undo()
    appender.check_file()
    assert appender.ready(0) == 2


def test_a_failing_close_is_logged(
    appender: Appender, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where writes are delayed (NFS), they may fail only then."""
    real_close = os.close

    def fails(fd: int) -> None:
        real_close(fd)
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(module.os, "close", fails)
    appender.close()
    assert "Disk quota exceeded" in caplog.text
    with pytest.raises(RecordingError, match="quota"):
        appender.ready(0)
