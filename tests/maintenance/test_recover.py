"""Recover: what reopening does, on demand, and nothing where nothing is to be done."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessions import kinds, read, record, request, step, write
from vesselog import RecordingCorruptError, RecordingError, RecordingLockedError, verify
from vesselog.core.truth.session import Session
from vesselog.maintenance import recover as recovering
from vesselog.maintenance.recover import recover


def left_by_a_dead_writer(folder: Path) -> Path:
    path = record(folder, texts=["one", "two"])
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"two")])
    return path


def test_a_sound_file_is_not_touched(tmp_path: Path) -> None:
    path = record(tmp_path)
    before = path.read_bytes()
    report = recover(path)
    assert not report.changed
    assert path.read_bytes() == before


def test_a_torn_tail_is_put_aside_and_the_call_has_crashed(tmp_path: Path) -> None:
    path = left_by_a_dead_writer(tmp_path)
    before = path.read_bytes()
    report = recover(path)
    aside = tmp_path / "a.jsonl.torn"
    assert (report.aside, report.torn, report.crashed) == (aside, aside.stat().st_size, (1,))
    assert report.changed
    assert not report.emptied
    assert kinds(path)[-3:] == ["open", "end crashed", "close"]
    assert read(path)[-3]["torn"] == report.torn
    assert path.read_bytes()[: len(before) - report.torn] + aside.read_bytes() == before
    assert verify(path).ok
    assert not recover(path).changed


def test_a_call_without_an_end_alone_is_enough(tmp_path: Path) -> None:
    path = record(tmp_path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    report = recover(path)
    assert (report.torn, report.aside, report.crashed) == (0, None, (1,))
    assert kinds(path)[-2:] == ["end crashed", "close"]


def test_any_name_will_do(tmp_path: Path) -> None:
    path = left_by_a_dead_writer(tmp_path).rename(tmp_path / "a copy (2).txt")
    assert recover(path).aside == tmp_path / "a copy (2).txt.torn"
    assert verify(path).ok


@pytest.mark.parametrize("size", [1, 30])
def test_a_file_of_which_nothing_is_left_is_put_aside_whole(tmp_path: Path, size: int) -> None:
    path = record(tmp_path)
    content = path.read_bytes()[:size]
    path.write_bytes(content)
    report = recover(path)
    assert report.emptied
    assert not path.exists()
    assert (tmp_path / "a.jsonl.torn").read_bytes() == content


def test_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    write(writer, [step(0)])
    with pytest.raises(RecordingLockedError):
        recover(session.path)
    writer.end("complete")
    session.close()
    assert kinds(session.path) == ["session", "open", "request", "frame", "end complete", "close"]


def test_damage_is_not_for_recovery(tmp_path: Path) -> None:
    path = record(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"Hel", b"HEL"))
    with pytest.raises(RecordingCorruptError):
        recover(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no recording"):
        recover(tmp_path / "none.jsonl")


def test_what_was_put_aside_is_on_the_medium_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = left_by_a_dead_writer(tmp_path)
    synced: list[Path] = []
    opened = Path("/proc/self/fd")
    monkeypatch.setattr(
        recovering, "sync_file", lambda fd: synced.append((opened / str(fd)).readlink())
    )
    monkeypatch.setattr(recovering, "sync_folder", synced.append)
    report = recover(path)
    assert synced == [report.aside, tmp_path]


def test_empty_lines_between_others_were_not_written_so(tmp_path: Path) -> None:
    path = record(tmp_path)
    before = path.read_bytes().replace(b"\n", b"\n\n", 1)
    path.write_bytes(before)
    with pytest.raises(RecordingCorruptError, match="empty lines"):
        Session.open(tmp_path, "a")
    with pytest.raises(RecordingCorruptError, match="empty lines"):
        recover(path)
    assert path.read_bytes() == before
