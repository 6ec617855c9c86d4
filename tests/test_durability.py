"""Durability levels: what each syncs and waits for, in sessions on real files."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sessions import kinds, request, step, write

from vesselog import AsyncClient, Client, ConfigurationError, RecordingError
from vesselog.core.truth import syncing
from vesselog.core.truth.session import Session
from vesselog.core.truth.syncing import SYNC_THREAD

LEVELS = ["process", "interval", "power"]


class Medium:
    """Stands in for the disk: tells what was synced, and can refuse, or take its time."""

    def __init__(self) -> None:
        self.files: list[tuple[int, int]] = []
        self.folders: list[Path] = []
        self.threads: set[str] = set()
        self.refusing = False
        self.free = threading.Event()
        self.free.set()

    def sync_file(self, fd: int) -> None:
        assert self.free.wait(30)
        self.threads.add(threading.current_thread().name)
        if self.refusing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        status = os.fstat(fd)
        self.files.append((status.st_ino, status.st_size))

    def sync_folder(self, folder: Path) -> None:
        self.folders.append(folder)

    def synced(self, path: Path) -> int:
        """How much of a file a power cut would have left."""
        number = path.stat().st_ino
        return max((size for each, size in self.files if each == number), default=0)


@pytest.fixture
def medium(monkeypatch: pytest.MonkeyPatch) -> Iterator[Medium]:
    medium = Medium()
    monkeypatch.setattr(syncing, "sync_file", medium.sync_file)
    monkeypatch.setattr(syncing, "sync_folder", medium.sync_folder)
    yield medium
    medium.free.set()
    SYNC_THREAD.flush()
    assert SYNC_THREAD.files == ()


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_records_the_same(tmp_path: Path, level: str) -> None:
    session = Session.open(tmp_path, "a", durability=level)
    writer = session.begin(request())
    write(writer, [step(0), step(1)])
    writer.end("complete")
    session.close()
    assert kinds(session.path) == ["session", "open", "request", "frame", "frame", "end complete"]
    SYNC_THREAD.flush()


def test_an_unknown_level_is_refused_with_the_three_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match='"process", "interval" or "power"') as caught:
        Session.open(tmp_path, durability="forever")
    assert caught.value.setting == "durability"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_client_refuses_it_before_anything_is_asked(kind: type[Client]) -> None:
    with pytest.raises(ConfigurationError, match="'fsync'"):
        kind(durability="fsync", recordings=None)


def test_process_neither_syncs_nor_starts_a_thread(tmp_path: Path, medium: Medium) -> None:
    session = Session.open(tmp_path)
    writer = session.begin(request())
    assert writer.gate is None
    write(writer, [step(0)])
    writer.end("complete")
    session.close()
    assert SYNC_THREAD.files == ()
    assert medium.files == []
    assert "vesselog sync" not in [thread.name for thread in threading.enumerate()]


def test_power_has_what_passed_the_gate_on_the_medium(tmp_path: Path, medium: Medium) -> None:
    session = Session.open(tmp_path, durability="power")
    writer = session.begin(request())
    assert writer.gate is not None
    for seq in range(3):
        write(writer, [step(seq)])
        size = session.path.stat().st_size
        writer.gate.wait()
        assert medium.synced(session.path) == size
    writer.end("complete")
    writer.gate.wait()
    assert medium.synced(session.path) == session.path.stat().st_size
    session.close()
    assert medium.threads == {"vesselog sync"}


@pytest.mark.parametrize("level", ["interval", "power"])
def test_a_new_file_is_synced_with_every_folder_that_got_an_entry(
    tmp_path: Path, medium: Medium, level: str
) -> None:
    folder = tmp_path / "deep" / "er"
    session = Session.open(folder, durability=level)
    session.begin(request()).end("complete")
    session.close()
    SYNC_THREAD.flush()
    assert set(medium.folders) == {folder, folder.parent, tmp_path}
    assert medium.synced(session.path) == session.path.stat().st_size


def test_a_file_that_is_gone_on_with_is_synced_with_its_folder(
    tmp_path: Path, medium: Medium
) -> None:
    first = Session.open(tmp_path, "a")
    first.begin(request()).end("complete")
    first.close()
    again = Session.open(tmp_path, "a", durability="power")
    writer = again.begin(request())
    assert writer.gate is not None
    writer.gate.wait()
    assert medium.synced(again.path) == again.path.stat().st_size
    assert medium.folders == [tmp_path]
    writer.end("complete")
    again.close()


def test_interval_is_synced_within_its_time_though_nobody_asks(
    tmp_path: Path, medium: Medium
) -> None:
    session = Session.open(tmp_path, durability="interval")
    writer = session.begin(request())
    assert writer.gate is None
    write(writer, [step(0)])
    size = session.path.stat().st_size
    synced = threading.Event()
    # Asking only makes it come sooner; this one waits for the thread's own look.
    for file in SYNC_THREAD.files:
        file._waiting.append((size, synced.set))
    assert synced.wait(30)
    assert medium.synced(session.path) == size
    writer.end("complete")
    session.close()


def test_interval_does_not_wait_for_a_stuck_disk(tmp_path: Path, medium: Medium) -> None:
    medium.free.clear()
    session = Session.open(tmp_path, durability="interval")
    writer = session.begin(request())
    write(writer, (step(seq) for seq in range(10)))
    writer.end("complete")
    session.close()
    assert kinds(session.path)[-1] == "end complete"
    assert medium.files == []


def test_a_closed_session_is_free_for_another_writer_before_it_is_synced(
    tmp_path: Path, medium: Medium
) -> None:
    medium.free.clear()
    for _ in range(2):
        session = Session.open(tmp_path, "a", durability="power")
        session.begin(request()).end("complete")
        session.close()
    medium.free.set()
    SYNC_THREAD.flush()
    assert medium.synced(session.path) == session.path.stat().st_size


@pytest.mark.parametrize("level", ["interval", "power"])
def test_after_a_failed_sync_nothing_is_written_and_no_sync_is_tried(
    tmp_path: Path, medium: Medium, level: str
) -> None:
    session = Session.open(tmp_path, durability=level)
    writer = session.begin(request())
    SYNC_THREAD.flush()
    medium.refusing = True
    write(writer, [step(0)])
    SYNC_THREAD.flush()
    size = session.path.stat().st_size
    medium.refusing = False
    before = list(medium.files)
    for _ in range(2):
        with pytest.raises(RecordingError, match="cannot sync: Input/output error"):
            write(writer, [step(1)])
        with pytest.raises(RecordingError, match="cannot sync"):
            session.begin(request())
    if writer.gate is not None:
        with pytest.raises(RecordingError, match="cannot sync: Input/output error"):
            writer.gate.wait()
    with pytest.raises(RecordingError, match="cannot sync"):
        writer.end("complete")
    session.close()
    SYNC_THREAD.flush()
    assert medium.files == before
    assert session.path.stat().st_size == size


def test_a_call_abandoned_in_a_poisoned_session_is_no_noise(
    tmp_path: Path, medium: Medium, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session.open(tmp_path, durability="power")
    writer = session.begin(request())
    medium.refusing = True
    assert writer.gate is not None
    with pytest.raises(RecordingError):
        writer.gate.wait()
    writer.abandon()
    session.close()
    SYNC_THREAD.flush()
    assert caplog.messages == []


def test_a_sync_that_fails_when_nobody_waits_is_told_to_the_log(
    tmp_path: Path, medium: Medium, caplog: pytest.LogCaptureFixture
) -> None:
    session = Session.open(tmp_path, durability="interval")
    medium.free.clear()
    session.begin(request()).end("complete")
    session.close()
    medium.refusing = True
    medium.free.set()
    for thread in threading.enumerate():
        if thread.name == "vesselog sync":
            thread.join()
    assert "cannot sync: Input/output error" in caplog.text


async def test_the_loop_runs_while_a_sync_is_waited_for(tmp_path: Path, medium: Medium) -> None:
    session = Session.open(tmp_path, durability="power")
    writer = session.begin(request())
    assert writer.gate is not None
    await writer.gate.passed()
    medium.free.clear()
    write(writer, [step(0)])
    waiting = asyncio.create_task(writer.gate.passed())  # type: ignore[arg-type]
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    medium.free.set()
    await waiting
    assert medium.synced(session.path) == session.path.stat().st_size
    writer.end("complete")
    session.close()
