"""Old recordings are deleted, and nothing else."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sessions import NOON, ManualClock, record, request
from vesselog import ConfigurationError, RecordingError, prune
from vesselog.core.truth.session import Session
from vesselog.maintenance import prune as pruning
from vesselog.maintenance.prune import PruneReport

DAY = timedelta(days=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Recordings of 0 to 9 days, and files that are none, older than all."""
    whole = record(tmp_path, "0").read_bytes()
    for days in range(10):
        path = tmp_path / f"{days}.jsonl"
        path.write_bytes(whole)
        os.utime(path, ns=(0, (NOON - days * 86_400 * 10**6) * 1000))
    for name, text in (("foreign.jsonl", "{}\n"), ("notes.txt", "mine"), ("a.jsonl.torn", "{")):
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, ns=(0, 0))
    return tmp_path


FOREIGN = ["a.jsonl.torn", "foreign.jsonl", "notes.txt"]


def left(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.iterdir())
    assert [name for name in names if name in FOREIGN] == FOREIGN
    return [name.removesuffix(".jsonl") for name in names if name not in FOREIGN]


def size_of(folder: Path) -> int:
    return (folder / "0.jsonl").stat().st_size


def test_what_was_written_longer_ago_is_deleted(folder: Path) -> None:
    size = size_of(folder)
    report = prune(folder, older_than=7 * DAY, clock=ManualClock())
    assert left(folder) == [str(days) for days in range(8)]
    assert [each.path.name for each in report.deleted] == ["9.jsonl", "8.jsonl"]
    assert f"{report.deleted[0].written:%Y-%m-%d}" == "2027-01-06"
    assert (report.kept, report.kept_bytes, report.deleted_bytes) == (8, 8 * size, 2 * size)
    assert prune(folder, older_than=7 * DAY, clock=ManualClock()).deleted == []


@pytest.mark.parametrize(
    ("sizes", "kept"), [(10, 10), (9.9, 9), (3.5, 3), (1, 1), (0.5, 0), (0, 0)]
)
def test_the_oldest_are_deleted_until_the_others_fit(folder: Path, sizes: float, kept: int) -> None:
    limit = round(sizes * size_of(folder))
    report = prune(folder, keep_bytes=limit)
    assert left(folder) == [str(days) for days in range(kept)]
    assert report.kept_bytes <= limit


def test_none_is_kept_that_is_older_than_one_that_does_not_fit(folder: Path) -> None:
    """Even though it is small."""
    size = size_of(folder)
    with (folder / "2.jsonl").open("ab") as file:
        file.write(b"\n" * 10 * size)
    os.utime(folder / "2.jsonl", ns=(0, (NOON - 2 * 86_400 * 10**6) * 1000))
    prune(folder, keep_bytes=5 * size)
    assert left(folder) == ["0", "1"]


def test_both_limits_count(folder: Path) -> None:
    size = size_of(folder)
    prune(folder, older_than=5 * DAY, keep_bytes=8 * size, clock=ManualClock())
    assert left(folder) == [str(days) for days in range(6)]
    prune(folder, older_than=5 * DAY, keep_bytes=3 * size, clock=ManualClock())
    assert left(folder) == ["0", "1", "2"]


def test_a_dry_run_tells_the_same_and_deletes_nothing(folder: Path) -> None:
    limits = {"older_than": 7 * DAY, "keep_bytes": 5 * size_of(folder)}
    would = prune(folder, dry_run=True, clock=ManualClock(), **limits)  # type: ignore[arg-type]
    assert len(left(folder)) == 10
    did = prune(folder, clock=ManualClock(), **limits)  # type: ignore[arg-type]
    assert would.deleted == did.deleted
    assert (would.kept, would.kept_bytes) == (did.kept, did.kept_bytes) == (5, did.kept_bytes)


@pytest.mark.parametrize("dry_run", [True, False])
def test_one_that_is_being_written_is_kept(folder: Path, *, dry_run: bool) -> None:
    session = Session.open(folder, "9")
    writer = session.begin(request())
    os.utime(session.path, ns=(0, 1))
    report = prune(folder, older_than=7 * DAY, dry_run=dry_run, clock=ManualClock())
    assert report.running == [session.path]
    assert [each.path.name for each in report.deleted] == ["8.jsonl"]
    assert report.kept == 9
    writer.end("complete")
    session.close()
    assert session.path.exists()


def test_one_that_was_written_after_it_was_looked_at_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = pruning.delete_recording

    def later(path: Path, *, written: int | None = None) -> None:
        if path.name == "9.jsonl":
            session = Session.open(folder, "9")
            session.begin(request()).end("complete")
            session.close()
        delete(path, written=written)

    monkeypatch.setattr(pruning, "delete_recording", later)
    report = prune(folder, older_than=7 * DAY, clock=ManualClock())
    assert [path.name for path in report.running] == ["9.jsonl"]
    assert "9" in left(folder)


def test_torn_tails_count_and_go_with_their_recording(folder: Path) -> None:
    size = size_of(folder)
    (folder / "0.jsonl.torn").write_bytes(b"x" * size)
    (folder / "9.jsonl.torn").write_bytes(b"x" * size)
    report = prune(folder, keep_bytes=3 * size)
    assert sorted(left(folder)) == ["0", "0.jsonl.torn", "1"]
    assert report.deleted_bytes == 9 * size


def test_one_that_cannot_be_deleted_does_not_keep_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = pruning.delete_recording

    def fails(path: Path, *, written: int | None = None) -> None:
        if path.name == "9.jsonl":
            raise RecordingError("cannot delete it")
        if path.name == "8.jsonl":
            path.unlink()  # somebody else was faster
        delete(path, written=written)

    monkeypatch.setattr(pruning, "delete_recording", fails)
    report = prune(folder, older_than=6 * DAY, clock=ManualClock())
    assert [each.message for each in report.failed] == ["cannot delete it"]
    assert [each.path.name for each in report.deleted] == ["7.jsonl"]
    assert left(folder) == [*map(str, range(7)), "9"]


def test_without_a_limit_or_a_folder_nothing_is_deleted(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="older_than=, keep_bytes="):
        prune(folder)
    with pytest.raises(ConfigurationError, match="keep_bytes=-1"):
        prune(folder, keep_bytes=-1)
    with pytest.raises(ConfigurationError, match="give a timedelta"):
        prune(folder, older_than=-DAY)
    with pytest.raises(RecordingError, match="cannot read"):
        prune(folder / "none", keep_bytes=0)
    assert isinstance(prune(folder, keep_bytes=10**9), PruneReport)
    assert len(left(folder)) == 10


@pytest.mark.parametrize(
    "limit",
    [{"older_than": 5}, {"older_than": "30d"}, {"keep_bytes": "1GB"}, {"keep_bytes": 1.5}],
)
def test_a_limit_of_another_type_is_told(limit: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="give a") as caught:
        prune(tmp_path, dry_run=True, **limit)
    assert {caught.value.setting} == limit.keys()
