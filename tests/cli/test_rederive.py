"""`vesselog rederive`: decodes a recording again and prints what changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import json_lines, recording
from louder import install
from vesselog import Recording
from vesselog.cli import main


def test_changes_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = recording(tmp_path, "a", "b"), tmp_path / "out.jsonl"
    path.write_bytes(path.read_bytes() + b"{")
    install(monkeypatch)
    assert main(["rederive", str(path), "-o", str(out)]) == 0
    said, told = capsys.readouterr()
    assert said == f"{out}: 1 call decoded again\n"
    assert told.splitlines() == [
        "a torn tail of 1 byte was left out",
        "call 1 was complete and is now truncated",  # these frames have no end
    ]
    assert "".join(chunk.text for chunk in Recording(out).chunks()) == "AB"


def test_a_call_that_was_copied_unchanged_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = recording(tmp_path, "a"), tmp_path / "out.jsonl"
    install(monkeypatch, none=None)
    assert main(["rederive", str(path), "-o", str(out)]) == 0
    said, told = capsys.readouterr()
    assert said == f"{out}: 0 calls decoded again\n"
    assert told == "call 1 was copied unchanged: there is no vessel named 'ollama'\n"


def test_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.jsonl"
    assert main(["rederive", "--json", str(recording(tmp_path, "a")), "-o", str(out)]) == 0
    (report,) = json_lines(capsys.readouterr().out)
    assert report["decoded"] == 1
    assert report["outcomes"] == [{"call": 1, "then": "complete", "now": "truncated"}]
