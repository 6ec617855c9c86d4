"""`vesselog models`: lists the models of a server."""

from __future__ import annotations

import json

import pytest

from commands import json_lines
from loopback import LoopbackServer
from vesselog.cli import main

STORY = {"name": "story:latest", "size": 3_600_000, "modified_at": "2026-11-21T10:10:05Z"}


def tags(*models: object) -> LoopbackServer:
    body = json.dumps({"models": models}).encode()
    return LoopbackServer([lambda talk: talk.whole(body)])


def test_each_model_is_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    with tags(STORY, {"name": "bare"}) as server:
        assert main(["models", "ollama", "--base-url", server.url]) == 0
    heading, *rows = (line.split() for line in capsys.readouterr().out.splitlines())
    assert heading == ["MODEL", "SIZE", "MODIFIED"]
    assert rows == [["ollama/story:latest", "3.6", "MB", "2026-11-21"], ["ollama/bare"]]


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    with tags(STORY) as server:
        assert main(["models", "ollama", "--base-url", server.url, "--json"]) == 0
    (line,) = json_lines(capsys.readouterr().out)
    assert (line["model"], line["size"]) == ("ollama/story:latest", 3_600_000)


def test_an_empty_list_of_models_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with tags() as server:
        assert main(["models", "ollama", "--base-url", server.url]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "ollama pull" in err


def test_a_stopped_server_is_an_error_with_advice(capsys: pytest.CaptureFixture[str]) -> None:
    with tags() as server:
        pass
    assert main(["models", "ollama", "--base-url", server.url]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert server.url in err
    assert "`ollama serve`" in err


def test_an_unknown_vessel_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "nope"]) == 2
    error = capsys.readouterr().err
    assert "no vessel named 'nope'; known are " in error
    assert "ollama, " in error
