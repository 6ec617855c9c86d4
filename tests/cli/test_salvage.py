"""`vesselog salvage`: writes an undamaged recording and prints on stderr what was lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import json_lines, recording
from vesselog import verify
from vesselog.cli import main


def damaged(folder: Path) -> Path:
    path = recording(folder, "a", "b")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4] = b"\0" * 20 + b"\n"
    path.write_bytes(b"".join(lines))
    return path


def test_losses_and_changes_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = damaged(tmp_path), tmp_path / "out.jsonl"
    assert main(["salvage", str(path), "-o", str(out)]) == 0
    said, told = capsys.readouterr()
    assert said == f"{out}: 6 lines; 1 lost, 2 changed\n"
    lost, *changed = told.splitlines()
    assert lost.startswith("lost: line 5 (byte ")
    assert lost.endswith(", 21 bytes: it cannot be read")
    assert changed[-1].endswith(": call 1 has 1 of its 2 frames left")
    assert verify(out).ok


def test_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.jsonl"
    assert main(["salvage", str(damaged(tmp_path)), "-o", str(out), "--json"]) == 0
    (report,) = json_lines(capsys.readouterr().out)
    assert [note["line"] for note in report["lost"]] == [5]
    assert report["out"] == str(out)


@pytest.mark.parametrize("command", ["salvage", "rederive"])
def test_nothing_is_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    path = recording(tmp_path, "a")
    before = path.read_bytes()
    assert main([command, str(path), "-o", str(path)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize("command", ["salvage", "rederive"])
def test_a_bad_name_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    path = recording(tmp_path, "a")
    assert main([command, str(path), "-o", str(tmp_path / "out.txt")]) == 2
    assert ".jsonl" in capsys.readouterr().err
