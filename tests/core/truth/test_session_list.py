"""The sessions in a folder, in short."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import pytest

from sessions import ManualClock, record, request
from vesselog import RecordingCorruptError, RecordingError
from vesselog.core.truth import file_lock, session_list
from vesselog.core.truth.line import build_line
from vesselog.core.truth.scan import open_recording
from vesselog.core.truth.session import Session
from vesselog.core.truth.session_list import (
    SessionSummary,
    list_sessions,
    next_sessions,
    summarize,
)


def test_a_session_in_short(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a", clock=ManualClock(), meta={"user": "x"})
    session.begin(request()).end("complete")
    session.begin(request(model="n")).end("cancelled")
    writer = session.begin(request())
    os.utime(session.path, (1_800_000_000, 1_800_000_000))
    summary = summarize(session.path)
    writer.end("complete")
    session.close()
    assert summary == SessionSummary(
        name="a",
        path=session.path,
        opened=datetime(2027, 1, 15, 8, tzinfo=UTC),
        written=datetime(2027, 1, 15, 8, tzinfo=UTC),
        outcomes=("complete", "cancelled", "interrupted"),
        models=("ollama/m", "ollama/n"),
        size=summary.size,
        meta={"user": "x"},
        running=True,
    )
    assert (summary.calls, summary.outcome) == (3, "interrupted")
    after = summarize(session.path)
    assert (after.running, after.outcome, after.size) == (
        False,
        "complete",
        session.path.stat().st_size,
    )
    assert json.loads(json.dumps(summary.to_dict())) == {
        "session": "a",
        "path": str(session.path),
        "opened": "2027-01-15T08:00:00.000000Z",
        "written": "2027-01-15T08:00:00.000000Z",
        "calls": 3,
        "outcomes": ["complete", "cancelled", "interrupted"],
        "models": ["ollama/m", "ollama/n"],
        "bytes": summary.size,
        "meta": {"user": "x"},
        "running": True,
    }


def test_a_writer_may_come_while_a_session_is_read(tmp_path: Path) -> None:
    """The lock that tells whether there is a writer is not held while the file is read."""
    path = record(tmp_path, "a")

    def opened(path: Path) -> BinaryIO:
        return open_recording(path)

    def scanning(*_: object, **__: object) -> list[object]:
        session = Session.open(tmp_path, "a")
        session.begin(request()).end("complete")
        session.close()
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session_list, "open_recording", opened)
        patch.setattr(session_list, "scan", scanning)
        patch.setattr(file_lock, "READERS_PATIENCE", 0.0)
        assert summarize(path).error is None
    assert summarize(path).calls == 2


def test_where_files_cannot_be_locked_nobody_knows_of_writers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = record(tmp_path, "a")

    def refused(*_: object, **__: object) -> bool:
        raise OSError(38, "no locks")

    monkeypatch.setattr(file_lock, "try_lock", refused)
    summary = summarize(path)
    assert (summary.running, summary.error, summary.outcome) == (None, None, "complete")


@pytest.mark.parametrize("count", [20, 1000])
def test_what_was_written_last_comes_first_and_nothing_is_read_before_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    whole = record(tmp_path, "x").read_bytes()
    paths = [tmp_path / f"{number * 7919 % count:04}.jsonl" for number in range(count)]
    (tmp_path / "x.jsonl").unlink()
    for age, path in enumerate(paths):
        path.write_bytes(whole)
        os.utime(path, ns=(0, 10**18 - age))
    opened: list[Path] = []

    def counted(path: Path) -> BinaryIO:
        opened.append(path)
        return open_recording(path)

    monkeypatch.setattr(session_list, "open_recording", counted)
    listed = list_sessions(tmp_path)
    assert opened == []
    assert [next(listed).path, next(listed).path] == paths[:2] == opened
    paths[2].unlink()  # deleted meanwhile
    assert [each.path for each in listed] == paths[3:]


def test_a_file_that_cannot_be_read_has_an_error_and_does_not_end_the_list(tmp_path: Path) -> None:
    good = record(tmp_path, "good")
    (tmp_path / "foreign.jsonl").write_text("{}\n")
    (tmp_path / "nowhere.jsonl").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    odd = [{"type": "session", "vesselog": 1}, {"type": "request", "call": {}}]
    (tmp_path / "odd.jsonl").write_bytes(b"".join(map(build_line, odd)))
    damaged = good.read_bytes().splitlines(keepends=True)
    damaged[-2] = b"oops\n"
    (tmp_path / "damaged.jsonl").write_bytes(b"".join(damaged))
    listed = {each.path.name: each for each in list_sessions(tmp_path)}
    assert listed.pop("good.jsonl").error is None
    assert sorted(listed) == [
        f"{name}.jsonl" for name in ("damaged", "folder", "foreign", "nowhere", "odd", "pipe")
    ]
    assert all(isinstance(each.error, RecordingError) for each in listed.values())
    assert isinstance(listed["damaged.jsonl"].error, RecordingCorruptError)
    assert listed["damaged.jsonl"].models == ("ollama/m",), "what could be read is told"


def test_a_folder_that_is_not_there_has_no_sessions_and_a_file_is_no_folder(
    tmp_path: Path,
) -> None:
    assert list(list_sessions(tmp_path / "none")) == []
    with pytest.raises(RecordingError, match="cannot read"):
        list_sessions(record(tmp_path, "a"))


def test_batches_take_a_moment_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abcde":
        record(tmp_path, name)
    clock = ManualClock()

    def slow(path: Path) -> SessionSummary:
        clock.pass_seconds(0.006)
        return SessionSummary(path.stem, path)

    monkeypatch.setattr(session_list, "SYSTEM_CLOCK", clock)
    monkeypatch.setattr(session_list, "summarize", slow)
    listed = list_sessions(tmp_path)
    batches = [next_sessions(listed) for _ in range(4)]
    assert [len(batch) for batch in batches] == [2, 2, 1, 0]
