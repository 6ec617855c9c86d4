"""The command that the demo suggests for the user's own Ollama."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from loopback import LoopbackServer
from vesselog.cli.local_ollama import LocalOllama, command_as_started

MODELS = [
    {"name": "old:1b", "modified_at": "2025-01-01T00:00:00Z"},
    {"name": "nomic-embed-text:latest", "modified_at": "2026-11-21T00:00:00Z"},
    {"name": "new:1b", "modified_at": "2026-01-01T00:00:00Z"},
]


@pytest.fixture(autouse=True)
def _started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "bin/vesselog"), "demo"])


def lines_for(models: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    body = json.dumps({"models": models}).encode()
    with LoopbackServer([lambda talk: talk.whole(body)]) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        lines = LocalOllama().suggestion(10)
        assert server.url in lines[0]
    return lines


def test_a_running_one_is_asked_for_its_newest_model_that_can_chat(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    *_, line = lines_for(MODELS, monkeypatch)
    assert line == f'  {tmp_path}/bin/vesselog chat ollama/new:1b "Why is the sky blue?"'


def test_without_a_model_it_suggests_to_pull_one(monkeypatch: pytest.MonkeyPatch) -> None:
    _, pull, line = lines_for([], monkeypatch)
    assert pull == "  ollama pull qwen3:1.7b"
    assert "chat ollama/qwen3:1.7b" in line


@pytest.mark.parametrize("host", ["http://192.0.2.1:11434", "example.com", "::::", "http://[x"])
def test_only_this_machine_is_asked(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """A request to another machine could only be answered after the timeout."""
    monkeypatch.setenv("OLLAMA_HOST", host)
    ollama = LocalOllama()
    start, pull, line = ollama.suggestion(10)
    assert "`ollama serve`" in start
    assert pull == "  ollama pull qwen3:1.7b"
    assert "chat ollama/qwen3:1.7b" in line


def test_one_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with LoopbackServer([lambda talk: talk.wait_for_hangup()]) as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        assert "chat ollama/qwen3:1.7b" in LocalOllama().suggestion(0.05)[-1]


def test_the_command_is_named_as_it_was_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "vessel log-1" / "bin" / "vesselog"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "/nowhere")
    assert command_as_started() == f"'{program}'"
    monkeypatch.setenv("PATH", str(program.parent))
    assert command_as_started() == "vesselog"
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "public/__main__.py")])
    monkeypatch.setattr(sys, "executable", "/opt/my python/bin/python")
    assert command_as_started() == "'/opt/my python/bin/python' -m vesselog"
