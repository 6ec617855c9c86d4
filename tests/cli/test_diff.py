"""`vesselog diff`: prints nothing for equal recordings, else the differences (text or JSON)."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import json_lines, recording
from vesselog.cli import main


def test_equal_recordings_print_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recording(tmp_path, "a", "b")
    assert main(["diff", str(path), str(path)]) == 0
    assert capsys.readouterr() == ("", "")


def test_texts_are_shown_from_where_they_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = "It was a bright cold day in April, "
    one = recording(tmp_path, start, "and the clocks\nwere striking thirteen.", name="one")
    two = recording(tmp_path, start, "and the clocks\nwere striking ten.", name="two")
    assert main(["diff", "--no-timing", str(one), str(two)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "call 1: text, from character 65",
        "  - … were striking thirteen.",
        "  + … were striking ten.",
    ]


def test_figures_are_shown_where_they_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = recording(tmp_path, "a", name="one")
    two = recording(tmp_path, "a", name="two", outcome="cancelled")
    recording(tmp_path, "b", name="two")
    assert main(["diff", "--no-timing", str(one), str(two)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        *("call 1: outcome", "  - complete", "  + cancelled"),
        *("call 2: call", "  - -", "  + 2"),
    ]


def test_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(recording(tmp_path, text, name=text)) for text in ("blue", "black")]
    assert main(["diff", "--json", "--no-timing", *paths]) == 1
    assert json_lines(capsys.readouterr().out) == [
        {"call": 1, "choice": 0, "subject": "text", "a": "blue", "b": "black", "at": 2}
    ]


def test_what_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recording(tmp_path, "a")
    assert main(["diff", str(path), str(tmp_path / "none.jsonl")]) == 1
    assert "there is no recording" in capsys.readouterr().err
