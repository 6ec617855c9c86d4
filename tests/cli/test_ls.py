"""`vesselog ls`: lists the recordings in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import json_lines, recording
from vesselog.cli import main


def test_each_recording_is_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording(tmp_path / "recordings", "a", name="one")
    recording(tmp_path / "recordings", "b", name="two")
    recording(tmp_path / "recordings", "c", name="two", outcome="cancelled")
    recording(tmp_path / "recordings", "d", name="two", outcome=None)
    assert main(["ls"]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split() == ["OPENED", "(UTC)", "CALLS", "ENDED", "SIZE", "MODELS", "FILE"]
    assert [row.split()[-1] for row in rows] == ["recordings/one.jsonl", "recordings/two.jsonl"]
    assert "complete, cancelled, interrupted" in rows[1]
    assert "ollama/m" in rows[1]


def test_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recording(tmp_path, "a", name="one")
    assert main(["ls", str(tmp_path), "--json"]) == 0
    (line,) = json_lines(capsys.readouterr().out)
    assert line.pop("opened").endswith("Z")
    assert line == {
        "path": str(path),
        "session": "one",
        "calls": 1,
        "outcomes": ["complete"],
        "models": ["ollama/m"],
        "bytes": path.stat().st_size,
    }


def test_where_nothing_was_recorded_there_is_nothing_to_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ls"]) == 0
    assert "nothing is recorded yet" in capsys.readouterr().err
    assert main(["ls", str(tmp_path)]) == 0
    assert "has no recordings" in capsys.readouterr().err
    assert main(["ls", str(tmp_path / "none")]) == 1
    assert "is not a folder" in capsys.readouterr().err


def test_a_file_that_is_no_recording_does_not_hide_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording(tmp_path, "a", name="one")
    (tmp_path / "foreign.jsonl").write_text("{}\n")
    assert main(["ls", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "one.jsonl" in out
    assert "foreign.jsonl is not a recording" in err
