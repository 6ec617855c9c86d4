"""`vesselog recover`: repairs a recording whose writer was killed, and prints what it did."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import json_lines, recording
from sessions import kinds
from vesselog.cli import main


def test_a_sound_file_needs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recording(tmp_path, "a")
    assert main(["recover", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: nothing to recover\n"


def test_the_repair_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recording(tmp_path, "a", "b", outcome=None)
    path.write_bytes(path.read_bytes() + b'{"type":"fr')
    assert main(["recover", str(path)]) == 0
    assert capsys.readouterr().out == (
        f"{path}: recovered: 11 torn bytes moved to {path}.torn; call 1 recorded as crashed\n"
    )
    assert kinds(path)[-2:] == ["end crashed", "close"]


def test_the_removal_of_an_empty_file_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(b'{"type":"ses')
    assert main(["recover", str(path)]) == 0
    assert "nothing was left of the recording" in capsys.readouterr().out


def test_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recording(tmp_path, "a", outcome=None)
    assert main(["recover", "--json", str(path)]) == 0
    (report,) = json_lines(capsys.readouterr().out)
    assert (report["crashed"], report["torn"], report["changed"]) == ([1], 0, True)


def test_damage_is_refused_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recording(tmp_path, "a")
    path.write_bytes(path.read_bytes().replace(b'"text":"a"', b'"text":"b"'))
    assert main(["recover", str(path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_afterwards_the_writer_is_said_to_have_died(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recording(tmp_path, "a", outcome=None)
    messages: list[str] = []
    for command in ("show", "recover", "show"):
        assert main([command, str(path)]) == 0
        messages.append(capsys.readouterr().out.splitlines()[-1].partition("does: ")[2])
    assert messages == ["its writer was stopped, or still writes", "", "its writer died"]
