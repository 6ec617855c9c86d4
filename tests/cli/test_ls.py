"""`vesselog ls`: lists the recordings in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from commands import json_lines, recording
from sessions import request
from vesselog.cli import main
from vesselog.core.truth import session_list
from vesselog.core.truth.session import Session
from vesselog.core.truth.session_list import SessionSummary, summarize


def test_each_recording_is_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording(tmp_path / "recordings", "a", name="one")
    recording(tmp_path / "recordings", "b", name="two")
    recording(tmp_path / "recordings", "c", name="two", outcome="cancelled")
    recording(tmp_path / "recordings", "d", name="two", outcome=None)
    assert main(["ls"]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split() == ["WRITTEN", "(UTC)", "CALLS", "ENDED", "SIZE", "MODELS", "FILE"]
    assert [row.split()[-1] for row in rows] == ["recordings/two.jsonl", "recordings/one.jsonl"]
    assert "complete, cancelled, interrupted" in rows[0]
    assert "ollama/m" in rows[0]


def test_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recording(tmp_path, "a", name="one")
    assert main(["ls", str(tmp_path), "--json"]) == 0
    (line,) = json_lines(capsys.readouterr().out)
    assert line.pop("opened") <= line.pop("written")
    assert line == {
        "path": str(path),
        "session": "one",
        "calls": 1,
        "outcomes": ["complete"],
        "models": ["ollama/m"],
        "bytes": path.stat().st_size,
        "meta": {},
        "running": False,
    }


def test_where_nothing_was_recorded_there_is_nothing_to_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ls"]) == 0
    assert "nothing is recorded yet" in capsys.readouterr().err
    assert main(["ls", str(tmp_path)]) == 0
    assert "has no recordings" in capsys.readouterr().err
    assert main(["ls", str(tmp_path / "none")]) == 1
    assert "there is no folder" in capsys.readouterr().err
    assert main(["ls", __file__]) == 1
    assert f"is not a folder; `vesselog show {__file__}` prints" in capsys.readouterr().err


def test_a_file_that_is_no_recording_does_not_hide_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording(tmp_path, "a", name="one")
    (tmp_path / "foreign.jsonl").write_text("{}\n")
    assert main(["ls", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "one.jsonl" in out
    assert "foreign.jsonl is not a recording" in err


def test_of_many_recordings_only_the_newest_asked_for_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for hour in range(10, 20):
        recording(tmp_path, "a", name=f"20270115T{hour}0000Z-{hour:032x}")
    read: list[Path] = []

    def summarized(path: Path) -> SessionSummary:
        read.append(path)
        return summarize(path)

    monkeypatch.setattr(session_list, "summarize", summarized)
    assert main(["ls", str(tmp_path), "-n", "2", "--json"]) == 0
    lines = json_lines(capsys.readouterr().out)
    assert [line["session"][9:11] for line in lines] == ["19", "18"]
    assert len(read) == 2
    assert main(["ls", str(tmp_path), "--count", "0"]) == 2


def test_the_first_rows_do_not_wait_for_the_last_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page is printed when its files are read; one heading stands above all."""
    path = recording(tmp_path, "a", name="only")
    printed: list[int] = []

    def many(_: Path) -> Iterator[SessionSummary]:
        for number in range(250):
            printed.append(capsys.readouterr().out.count("\n"))
            yield replace(summarize(path), models=("m" * number,))

    monkeypatch.setattr(session_list, "list_sessions", many)
    assert main(["ls", str(tmp_path)]) == 0
    assert {number: lines for number, lines in enumerate(printed) if lines} == {100: 101, 200: 100}
    assert "WRITTEN" not in (rest := capsys.readouterr().out)
    assert rest.count("\n") == 50


def test_a_call_that_still_runs_is_not_called_interrupted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session.open(tmp_path, "a")
    writer = session.begin(request())
    assert main(["ls", str(tmp_path)]) == 0
    assert " running " in capsys.readouterr().out
    writer.end("complete")
    session.close()
    assert main(["ls", str(tmp_path)]) == 0
    assert " complete " in capsys.readouterr().out
