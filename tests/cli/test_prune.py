"""`vesselog prune`: deletes old recordings."""

from __future__ import annotations

import argparse
import os
from datetime import timedelta
from pathlib import Path

import pytest

from commands import json_lines, recording
from sessions import request
from vesselog.cli import main
from vesselog.cli.prune import age, size
from vesselog.core.truth.session import Session


def aged(folder: Path) -> Path:
    """The older of two recordings."""
    old = recording(folder, "a", name="old")
    os.utime(old, (0, 0))
    recording(folder, "b", name="new")
    return old


def test_old_recordings_are_deleted_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = aged(tmp_path / "recordings")
    assert main(["prune", "--older-than", "30d", "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("would be deleted: recordings/old.jsonl (")
    assert "\n1 would be deleted (" in out
    assert not err
    assert old.exists()
    assert main(["prune", "--older-than", "30d"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("deleted: recordings/old.jsonl (")
    assert "1970-01-01 00:00" in out
    assert "\n1 deleted (" in out
    assert ", 1 kept (" in out
    assert not err
    assert [path.name for path in (tmp_path / "recordings").iterdir()] == ["new.jsonl"]


def test_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = aged(tmp_path)
    length, newer = old.stat().st_size, (tmp_path / "new.jsonl").stat().st_size
    for dry in (["--dry-run"], []):
        assert main(["prune", str(tmp_path), "--keep-bytes", str(newer), "--json", *dry]) == 0
        assert json_lines(capsys.readouterr().out) == [
            {
                "path": str(old),
                "written": "1970-01-01T00:00:00+00:00",
                "bytes": length,
                "deleted": not dry,
            }
        ]


def test_one_that_is_written_is_kept_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    assert main(["prune", str(tmp_path), "--keep-bytes", "0"]) == 0
    assert "a.jsonl is being written" in capsys.readouterr().err
    writer.end("complete")
    session.close()
    assert session.path.exists()


def test_what_is_wrong_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune"]) == 2
    assert "give --older-than AGE, --keep-bytes SIZE, or both" in capsys.readouterr().err
    assert main(["prune", "--older-than", "1d"]) == 0
    assert "nothing is recorded yet" in capsys.readouterr().err
    assert main(["prune", str(tmp_path / "none"), "--older-than", "1d"]) == 1
    assert "there is no folder" in capsys.readouterr().err
    assert main(["prune", "--older-than", "a month"]) == 2
    assert "is not an age" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000), ("1.5 w", 907_200)],
)
def test_ages(text: str, seconds: float) -> None:
    assert age(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1000", 1000),
        ("5B", 5),
        ("10GB", 10**10),
        ("1.5 kB", 1500),
        ("2KB", 2000),
        ("1KiB", 1024),
        ("3TiB", 3 * 2**40),
    ],
)
def test_sizes(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "d", "30", "-1d", "1y", "1e3d", "30D", "9" * 30 + "d"])
def test_no_ages(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        age(text)


@pytest.mark.parametrize("text", ["", "GB", "-1", "10G", "1e3", "10gb", "1 GB 2"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        size(text)
