"""Deleting recordings: never one that is written, and nothing of what is written afterwards."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from patience import PATIENCE
from sessions import record, request, step, write
from vesselog import (
    Recording,
    RecordingCorruptError,
    RecordingError,
    RecordingLockedError,
    verify,
)
from vesselog.core.truth import file_lock
from vesselog.core.truth.delete_recording import delete_recording
from vesselog.core.truth.session import Session


def test_the_recording_and_what_was_put_aside_from_it_are_gone(tmp_path: Path) -> None:
    path = record(tmp_path, "a")
    other = record(tmp_path, "other")
    with path.open("ab") as file:
        file.write(b'{"type":"fra')
    session = Session.open(tmp_path, "a")
    session.close()
    assert (tmp_path / "a.jsonl.torn").exists()
    delete_recording(path)
    assert list(tmp_path.iterdir()) == [other]


def test_one_that_is_written_is_refused_until_its_writer_is_done(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    with pytest.raises(RecordingLockedError, match="being written"):
        delete_recording(session.path)
    writer.end("complete")
    session.close()
    delete_recording(session.path)
    assert not session.path.exists()


def test_one_that_was_written_since_it_was_looked_at_is_kept(tmp_path: Path) -> None:
    path = record(tmp_path, "a")
    written = path.stat().st_mtime_ns
    os.utime(path, ns=(written, written + 1))
    with pytest.raises(RecordingLockedError, match="written meanwhile"):
        delete_recording(path, written=written)
    delete_recording(path, written=written + 1)


def test_what_is_no_recording_is_kept(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.jsonl"
    foreign.write_text("{}\n")
    with pytest.raises(RecordingCorruptError):
        delete_recording(foreign)
    with pytest.raises(RecordingError, match="there is no recording"):
        delete_recording(tmp_path / "none.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(RecordingError, match="is a folder"):
        delete_recording(tmp_path / "folder.jsonl")
    assert foreign.exists()


def test_a_writer_that_comes_meanwhile_waits_and_begins_a_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has opened the old file already when that is deleted."""
    path = record(tmp_path, "a")
    waits: list[float] = []
    sleep = file_lock.time.sleep

    def slept(seconds: float) -> None:
        waits.append(seconds)
        sleep(seconds)
        go_on.set()

    go_on = threading.Event()
    monkeypatch.setattr(file_lock.time, "sleep", slept)
    unlink = Path.unlink

    def slow(path: Path, *, missing_ok: bool = False) -> None:
        if path.name == "a.jsonl":
            writing.start()
            assert go_on.wait(PATIENCE)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", slow)
    ended: list[str] = []

    def writes() -> None:
        session = Session.open(tmp_path, "a")
        session.begin(request()).end("complete")
        session.close()
        ended.append(session.name)

    writing = threading.Thread(target=writes)
    delete_recording(path)
    writing.join(PATIENCE)
    assert ended == ["a"]
    assert waits
    assert [call.number for call in Recording(path).calls()] == [1]
    assert verify(path).ok


def test_deleting_beside_a_writer_500_times_loses_nothing_and_leaves_no_half_file(
    tmp_path: Path,
) -> None:
    """A turn that was written is gone only if a deletion ended after it was acknowledged."""
    path = tmp_path / "chat.jsonl"
    start = threading.Barrier(3)

    def deletes() -> int | None:
        """When it had deleted the recording; None if it was refused, or too late."""
        start.wait(PATIENCE)
        try:
            delete_recording(path)
        except RecordingLockedError:
            return None
        except RecordingError as error:
            if "there is no recording" not in error.message:
                raise
            return None
        return time.monotonic_ns()

    def writes(text: str) -> int:
        """When the caller knew that its turn is written."""
        start.wait(PATIENCE)
        session = Session.open(tmp_path, "chat")
        writer = session.begin(request())
        write(writer, [step(0, text)])
        written = time.monotonic_ns()
        writer.end("complete")
        session.close()
        return written

    seen: set[tuple[bool, int]] = set()
    with ThreadPoolExecutor(3) as pool:
        for turn in range(500):
            before = len(list(Recording(path).calls())) if path.exists() else 0
            if not before:
                record(tmp_path, "chat")
                before = 1
            deleting = [pool.submit(deletes) for _ in range(2)]
            written = pool.submit(writes, str(turn)).result(PATIENCE)
            ends = [end for each in deleting if (end := each.result(PATIENCE)) is not None]
            calls = []
            if path.exists():
                report = verify(path)
                assert report.ok, report.findings
                calls = list(Recording(path).calls())
                assert [chunk.text for chunk in calls[-1].chunks()] == [str(turn)]
                assert len(calls) == (1 if ends else before + 1)
            else:
                assert any(end > written for end in ends)
            seen.add((bool(ends), len(calls)))
    assert {each.name for each in tmp_path.iterdir()} <= {"chat.jsonl"}
    assert {(True, 0), (True, 1)} <= seen, "it was deleted before and after a turn"
