"""Going on with an existing file: repaired, refused, or locked by another writer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sessions import NOON, ManualClock, kinds, read, record, request, step, write
from vesselog import (
    RecordingCorruptError,
    RecordingError,
    RecordingLockedError,
    recover,
)
from vesselog.core.truth.session import Session
from warm_python import Popen


def parse_end(line: bytes) -> dict[str, object]:
    end = json.loads(line)
    return {key: end[key] for key in ("frames", "bytes", "sha256")}


def start(program: str) -> subprocess.Popen[bytes]:
    return Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,  # so that `finish` ends what it forked, too
    )


def test_going_on_continues_numbers_calls_and_time(tmp_path: Path) -> None:
    clock = ManualClock()
    session = Session.open(tmp_path, "a", clock=clock)
    clock.pass_seconds(2)
    session.begin(request()).end("complete")
    session.close()

    clock = ManualClock(NOON + 3_600_000_000)
    session = Session.open(tmp_path, "a", clock=clock)
    clock.pass_seconds(1)
    writer = session.begin(request())
    assert writer.call == 2
    assert writer.started == 3_599_000_000
    writer.end("complete")
    session.close()
    assert [line["t"] for line in read(session.path)[1:]] == [
        *(0, 0, 0, 0),
        *(3_598_000_000, 3_599_000_000, 3_599_000_000, 3_599_000_000),
    ]


def test_a_clock_that_stepped_back_does_not_turn_time_back(tmp_path: Path) -> None:
    clock = ManualClock()
    session = Session.open(tmp_path, "a", clock=clock)
    writer = session.begin(request())
    clock.pass_seconds(5)
    writer.end("complete")
    session.close()
    session = Session.open(tmp_path, "a", clock=ManualClock(NOON - 3_600_000_000))
    session.begin(request()).end("complete")
    session.close()
    assert read(session.path)[-2]["t"] == 5_000_000


def test_calls_without_an_end_are_ended_as_crashed(tmp_path: Path) -> None:
    path = record(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    Session.open(tmp_path, "a").close()
    assert kinds(path)[-3:] == ["open", "end crashed", "close"]
    whole = parse_end(lines[-1])
    crashed = read(path)[-2]
    assert {key: crashed[key] for key in ("frames", "bytes", "sha256")} == whole


def test_a_torn_tail_is_put_aside_wherever_it_begins(tmp_path: Path) -> None:
    """Cut at every byte: what is whole stays, the rest is kept beside, and the file goes on."""
    whole = record(tmp_path, texts=["Hel"]).read_bytes()
    path, torn = tmp_path / "b.jsonl", tmp_path / "b.jsonl.torn"
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        session = Session.open(tmp_path, "b")
        session.begin(request()).end("complete")
        session.close()
        kept = whole[: whole.rfind(b"\n", 0, cut) + 1]
        assert path.read_bytes().startswith(kept)
        read(path)
        assert (torn.read_bytes() if torn.exists() else b"") == whole[len(kept) : cut]
        torn.unlink(missing_ok=True)


def test_a_tail_of_zeros_and_line_feeds_is_torn_too(tmp_path: Path) -> None:
    path = record(tmp_path)
    with path.open("ab") as file:
        file.write(b"\0\0\n\0\0\n\n\0")
    Session.open(tmp_path, "a").close()
    assert read(path)[-2]["torn"] == 8


@pytest.mark.parametrize("kind", ["link", "link to nothing", "pipe"])
def test_a_torn_tail_is_not_written_to_what_stands_in_its_place(tmp_path: Path, kind: str) -> None:
    """Somebody else may have put it there; a pipe that nobody reads would be waited for."""
    path, elsewhere = record(tmp_path), tmp_path / "elsewhere"
    torn = tmp_path / "a.jsonl.torn"
    os.truncate(path, path.stat().st_size - 5)
    before = path.read_bytes()
    if kind == "pipe":
        os.mkfifo(torn)
    else:
        torn.symlink_to(elsewhere)
    if kind == "link":
        elsewhere.touch()
    with pytest.raises(RecordingError, match="not a regular file"):
        Session.open(tmp_path, "a")
    assert path.read_bytes() == before
    assert not elsewhere.exists() or elsewhere.read_bytes() == b""


def test_another_users_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = record(tmp_path)
    before, owner = path.read_bytes(), os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(RecordingError, match=f"belongs to another user \\(uid {owner}\\)"):
        Session.open(tmp_path, "a")
    assert path.read_bytes() == before
    assert not recover(path).changed


def test_a_file_that_others_may_use_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = record(tmp_path)
    Session.open(tmp_path, "a").close()
    assert not caplog.records
    path.chmod(0o644)
    Session.open(tmp_path, "a").close()
    assert "can be used by other users (mode 0644)" in caplog.text


def test_nothing_is_added_behind_damage(tmp_path: Path) -> None:
    path = record(tmp_path)
    content = bytearray(path.read_bytes())
    content[content.index(b"\n") + 1] ^= 1
    path.write_bytes(content)
    with pytest.raises(RecordingCorruptError, match=r"line 2 \(byte \d+\)"):
        Session.open(tmp_path, "a")
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("old", "new"), [(b'"Hel"', b'"hel"'), (b'{"type":"open",', b'{"type": "open",')]
)
def test_nothing_is_added_to_a_file_edited_by_hand(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = record(tmp_path)
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(RecordingCorruptError, match="edited or damaged"):
        Session.open(tmp_path, "a")


def test_nothing_is_added_where_lines_are_missing(tmp_path: Path) -> None:
    path = record(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], *lines[5:]]))
    with pytest.raises(RecordingCorruptError, match="not number 4"):
        Session.open(tmp_path, "a")


def test_nothing_is_added_to_a_foreign_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"hello": "world"}\n')
    with pytest.raises(RecordingCorruptError, match="not a recording"):
        Session.open(tmp_path, "a")
    assert path.read_text() == '{"hello": "world"}\n'


@pytest.mark.parametrize("named_first", [False, True])
def test_a_second_writer_is_refused(tmp_path: Path, *, named_first: bool) -> None:
    """Also where both found no file when they opened the session."""
    late = None if named_first else Session.make(tmp_path, "a")
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    with pytest.raises(RecordingLockedError, match="another writer"):
        late.take_file() if late else Session.open(tmp_path, "a")
    write(writer, [step(0)])
    writer.end("complete")
    session.close()
    assert kinds(session.path) == ["session", "open", "request", "frame", "end complete", "close"]


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    program = f"""
import sys, time
from sessions import request
from vesselog.core.truth.session import Session
from pathlib import Path
writer = Session.open(Path({str(tmp_path)!r}), "a").begin(request())
print("ready", flush=True)
sys.stdin.read()
"""
    child = start(program)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    with pytest.raises(RecordingLockedError):
        Session.open(tmp_path, "a")
    child.kill()
    child.communicate()
    Session.open(tmp_path, "a").close()
    assert kinds(tmp_path / "a.jsonl")[-3:] == ["open", "end crashed", "close"]
