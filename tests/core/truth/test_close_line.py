"""The `close` line: when it is written, and which ends of a file are read whole all the same."""

from __future__ import annotations

import errno
import gc
import os
from pathlib import Path
from typing import Any

import pytest

from sessions import NOON, ManualClock, kinds, read, record, request, step, write
from vesselog import RecordingCorruptError, RecordingError, recover, rederive, salvage, verify
from vesselog.core.truth import appender, reopen
from vesselog.core.truth.close_line import close_line, read_close
from vesselog.core.truth.line import build_line
from vesselog.core.truth.reopen import examine
from vesselog.core.truth.session import Session


def found(path: Path) -> Any:
    """What a writer would take of the file's end; None if it would read all of it."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return read_close(fd, path)
    finally:
        os.close(fd)


def turn(folder: Path, clock: ManualClock | None = None, name: str = "a") -> Path:
    session = Session.open(folder, name, clock=clock or ManualClock())
    writer = session.begin(request())
    write(writer, [step(0)])
    writer.end("complete")
    session.close()
    return session.path


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read whole."""
    files: list[Path] = []

    def examined(path: Path, *rest: Any, **more: Any) -> reopen.FileState:
        files.append(path)
        return examine(path, *rest, **more)

    monkeypatch.setattr(reopen, "examine", examined)
    return files


def test_a_closed_session_is_continued_without_reading_it(
    tmp_path: Path, whole: list[Path]
) -> None:
    for _ in range(3):
        turn(tmp_path)
    path = turn(tmp_path)
    assert whole == []
    assert [line["call"] for line in read(path) if line["type"] == "request"] == [1, 2, 3, 4]
    assert verify(path).findings == []


@pytest.mark.parametrize("steps", [(0, 0, 0), (3600, -7200, 9000), (-3600, 10, -5), (5, 10**6, -1)])
def test_it_says_what_reading_the_whole_file_says(tmp_path: Path, steps: tuple[int, ...]) -> None:
    """Also where the wall clock stepped back and forth between the writers."""
    clock = ManualClock()
    for seconds in steps:
        clock.date += seconds * 1_000_000
        clock.pass_seconds(0.5)
        closed, scanned = found(turn(tmp_path, clock)), examine(tmp_path / "a.jsonl")
        assert closed == scanned
        assert closed.wall == NOON + steps[0] * 1_000_000 + 500_000
        assert not scanned.unfinished


def test_a_file_cut_at_any_byte_is_continued_as_before(tmp_path: Path, whole: list[Path]) -> None:
    content = turn(tmp_path).read_bytes()
    start = content.rindex(b"\n", 0, -1) + 1
    for cut in range(start, len(content)):
        path = tmp_path / "b.jsonl"
        path.write_bytes(content[:cut])
        turn(tmp_path, name="b")
        lines = kinds(path)
        assert lines.count("end complete") == 2
        assert lines[-1] == "close"
        aside = tmp_path / "b.jsonl.torn"
        assert (aside.read_bytes() if aside.exists() else b"") == content[start:cut]
        aside.unlink(missing_ok=True)
    assert len(whole) == len(content) - start


TIME = "2027-01-15T08:00Z"
LATER = {"type": "later", "n": 5, "t": 9}


@pytest.mark.parametrize(
    "line",
    [
        close_line(5, 0, 0, NOON),
        close_line(5, 0, 5, NOON),
        close_line(4, 0, 1, NOON),
        close_line(6, 0, 1, NOON),
        close_line(5, 0, 1, NOON).replace(b'"calls":1', b'"calls":2'),
        close_line(5, 0, 1, NOON).replace(b"\n", b""),
        close_line(5, 0, 1, NOON) + b"\n",
        build_line({"type": "close", "n": 5, "t": 0, "calls": True, "opened": TIME}),
        build_line({"type": "close", "n": 5, "t": 0, "calls": 1, "opened": "yesterday"}),
        build_line({"type": "close", "n": 5, "t": 0, "calls": 1}),
        close_line(5, 2**53 + 1, 1, NOON),
        build_line({"type": "close", "n": 5.0, "t": 0, "calls": 1, "opened": TIME}),
        build_line(LATER),
        build_line({**LATER, "t": 9}) + close_line(6, 8, 1, NOON),
        build_line({**LATER, "call": 3}) + close_line(6, 9, 1, NOON),
        build_line(LATER).replace(b"later", b"liter") + close_line(6, 9, 1, NOON),
    ],
)
def test_an_end_that_is_not_sound_is_not_taken(tmp_path: Path, line: bytes) -> None:
    content = turn(tmp_path).read_bytes().rpartition(b'{"type":"close"')[0]
    path = tmp_path / "a.jsonl"
    path.write_bytes(content + close_line(5, 0, 1, NOON))
    assert found(path) is not None
    path.write_bytes(content + line)
    assert found(path) is None


def test_a_header_without_checks_or_of_another_kind_is_looked_at(tmp_path: Path) -> None:
    path = turn(tmp_path)
    header, _, rest = path.read_bytes().partition(b"\n")
    plain = {"type": "session", "vesselog": 1, "session": "a", "meta": {}}
    path.write_bytes(build_line({**plain, "crc32": False}) + rest)
    assert found(path) is None
    path.write_bytes(header[:-1] + b"\n" + rest)
    assert found(path) is None
    path.write_bytes(build_line({**plain, "vesselog": 2, "crc32": True}) + rest)
    with pytest.raises(RecordingCorruptError, match="version 2"):
        found(path)


def test_a_long_line_before_it_does_not_matter(tmp_path: Path, whole: list[Path]) -> None:
    session = Session.open(tmp_path, "a")
    message = {0: {"role": "assistant", "content": "x" * 200_000}}
    session.begin(request()).end("complete", natives=message)
    session.close()
    turn(tmp_path)
    assert whole == []


def test_damage_before_it_is_found_by_verify_alone(tmp_path: Path) -> None:
    path = turn(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"text":"x"', b'"text":"y"'))
    turn(tmp_path)
    assert [each.kind for each in verify(path).findings] == ["crc"]
    assert len(kinds_unchecked(path)) == 2


def kinds_unchecked(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().splitlines() if b'"close"' in line]


class TestItIsNotWritten:
    """Where it would not be true, or where nothing was to be closed."""

    def test_while_a_call_runs(self, tmp_path: Path) -> None:
        session = Session.open(tmp_path, "a")
        writer = session.begin(request())
        session.close()
        assert kinds(session.path)[-1] == "request"
        writer.end("complete")
        assert kinds(session.path)[-1] == "close"

    def test_after_an_end_that_could_not_be_written(self, tmp_path: Path) -> None:
        session = Session.open(tmp_path, "a")
        first, second = session.begin(request()), session.begin(request())
        with pytest.raises(RecordingError, match="JSON"):
            first.end("complete", usage={"output_tokens": {1}})
        second.end("complete")
        session.close()
        assert kinds(session.path)[-1] == "end complete"
        turn(tmp_path)
        assert kinds(session.path).count("end crashed") == 1

    def test_after_a_failure(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        session = Session.open(tmp_path, "a")
        writer = session.begin(request())
        with monkeypatch.context() as context:
            context.setattr(appender.os, "write", _disk_full)
            with pytest.raises(RecordingError):
                write(writer, [step(0)])
        session.close()
        writer.abandon()
        assert kinds(session.path)[-1] == "request"

    def test_behind_what_another_program_wrote(self, tmp_path: Path) -> None:
        session = Session.open(tmp_path, "a")
        session.begin(request()).end("complete")
        with session.path.open("ab") as file:
            file.write(b"note\n")
        session.close()
        assert session.path.read_bytes().endswith(b"note\n")

    def test_without_a_call(self, tmp_path: Path) -> None:
        Session.open(tmp_path, "a").close()
        assert list(tmp_path.iterdir()) == []

    def test_by_a_finaliser_of_the_session_alone(self, tmp_path: Path) -> None:
        session = Session.open(tmp_path, "a")
        session.begin(request()).end("complete")
        path = session.path
        del session
        gc.collect()
        assert kinds(path)[-1] == "end complete"
        turn(tmp_path)


def _disk_full(_fd: int, _data: bytes) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_harms_only_the_close_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    whole: list[Path],
) -> None:
    session = Session.open(tmp_path, "a")
    session.begin(request()).end("complete")
    before = session.path.read_bytes()
    with monkeypatch.context() as context:
        context.setattr(appender.os, "write", _disk_full)
        session.close()
    session.close()
    assert session.path.read_bytes() == before
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    turn(tmp_path)
    assert whole == [session.path]


def test_recovering_closes_the_file_truly(tmp_path: Path, whole: list[Path]) -> None:
    path = record(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    recover(path)
    whole.clear()
    assert kinds(path)[-2:] == ["end crashed", "close"]
    turn(tmp_path)
    assert whole == []
    assert verify(path).ok


def test_made_from_another_recording_it_is_true_or_left_out(tmp_path: Path) -> None:
    turn(tmp_path)
    path = turn(tmp_path)
    rederive(path, tmp_path / "rederived.jsonl")
    assert kinds(tmp_path / "rederived.jsonl").count("close") == 2
    assert found(tmp_path / "rederived.jsonl") is not None
    content = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*content[:2], *content[7:]]))  # the first call is lost
    salvage(path, tmp_path / "salvaged.jsonl")
    assert "close" not in kinds(tmp_path / "salvaged.jsonl")
    for name in ("rederived", "salvaged"):
        assert verify(tmp_path / f"{name}.jsonl").ok
        turn(tmp_path, name=name)
        assert verify(tmp_path / f"{name}.jsonl").ok


@pytest.mark.parametrize("calls", [0, 2])
def test_verify_finds_one_that_is_not_true(tmp_path: Path, calls: int) -> None:
    path = record(tmp_path, texts=["x"])
    t = read(path)[-1]["t"]
    with path.open("ab") as file:
        file.write(close_line(6, t, calls, NOON))
    assert [each.kind for each in verify(path).findings] == ["close"]


def test_verify_finds_one_before_the_end_of_a_call(tmp_path: Path) -> None:
    path = record(tmp_path, texts=["x"])
    *lines, _end = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines) + close_line(5, read(path)[-1]["t"], 1, NOON))
    kinds_found = [each.kind for each in verify(path).findings]
    assert kinds_found == ["close", "interrupted"]
