"""`vesselog vessels`: lists the installed vessels."""

from __future__ import annotations

import pytest

from commands import json_lines
from vesselog.cli import main


def test_the_built_in_ones_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vessels"]) == 0
    out = capsys.readouterr().out
    rows = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert rows.keys() >= {"ollama", "openai"}
    assert "OLLAMA_HOST" in rows["ollama"]


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vessels", "--json"]) == 0
    vessels = {vessel["name"]: vessel for vessel in json_lines(capsys.readouterr().out)}
    assert vessels["ollama"]["framing"] == "ndjson"
    assert vessels["openai"]["variables"]["api_key"] == ["OPENAI_API_KEY"]
    assert vessels["openai"]["package"] == "vesselog"
