"""Help texts and tables fit a terminal of 80 columns; elsewhere nothing is cut."""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path

import pytest

from commands import recording
from loopback import Conversation, LoopbackServer
from vesselog.cli import main
from vesselog.cli.entry import parser
from vesselog.cli.output import print_table
from vesselog.cli.terminal_text import columns
from warm_python import Popen

LONG = "a-model-with-a-long-name-" * 4 + "end"
COMMANDS = [
    name
    for action in parser()._actions
    if isinstance(action, argparse._SubParsersAction)
    for name in action.choices
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make standard output a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    made = Terminal()
    monkeypatch.setattr(sys, "stdout", made)
    return made


def shown(screen: Terminal) -> list[str]:
    """The lines on the screen, none of them too long."""
    lines = screen.getvalue().splitlines()
    assert lines
    assert [line for line in lines if columns(line) > 80] == []
    return lines


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_help_text_fits(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    assert main([*command.split(), "--help"]) == 0
    shown(screen)


def test_the_table_of_the_vessels_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    assert main(["vessels"]) == 0
    lines = shown(screen)
    assert sum(line.startswith("VESSEL ") for line in lines) == 2
    assert any("https://generativelanguage.googleapis.com/v1beta" in line for line in lines)


def test_the_table_of_the_models_fits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = terminal(monkeypatch)
    models = [{"name": LONG, "size": 5_000_000_000, "modified_at": "2026-11-21T00:00:00Z"}]
    body = json.dumps({"models": models}).encode()
    with LoopbackServer([lambda talk: talk.whole(body)]) as server:
        assert main(["models", "ollama", "--base-url", server.url]) == 0
        row = shown(screen)[-1]
        assert row.startswith("ollama/a-model-")
        assert "…" in row
        assert row.endswith("5.0 GB  2026-11-21")
        monkeypatch.undo()
        assert main(["models", "ollama", "--base-url", server.url]) == 0
    assert f"ollama/{LONG}  " in capsys.readouterr().out


def test_the_list_of_recordings_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    folder = tmp_path / ("a-folder-with-a-long-name-" * 4)
    recording(folder, "a", name="a-session-with-a-long-name-" * 4)
    recording(folder, "a", name="short")
    assert main(["ls", str(folder)]) == 0
    assert len(shown(screen)) == 3


@pytest.mark.parametrize("clients", [["vesselog-async"], ["httpx-async", "vesselog-async"]])
def test_the_tables_of_the_bench_fit(clients: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    monkeypatch.setattr("vesselog.cli.bench.subprocess.Popen", Popen)

    def answer(talk: Conversation) -> None:
        talk.answer("Hel", "lo")

    chosen = [word for name in clients for word in ("--client", name)]
    with LoopbackServer([answer]) as server:
        arguments = ["bench", "ollama/m", *chosen, "-n", "1", "-r", "1"]
        assert main([*arguments, "--base-url", server.url]) == 0
    assert any(word in " ".join(shown(screen)) for word in ("WHOLE P50", "whole answer"))


def test_the_widest_cells_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    print_table(("NAME", "SIZE", "NONE"), [("x" * 100, "1", ""), ("日本" * 30, "2", "")])
    heading, first, second = shown(screen)
    assert heading == "NAME" + " " * 72 + "SIZE"
    assert first == "x" * 73 + "…  1"
    assert second == "日本" * 18 + "…   2"


def test_a_table_is_folded_with_its_first_column(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    print_table(("NAME", "A", "B"), [("one", "a" * 50, "b" * 50)], fold=True)
    lines = shown(screen)
    assert lines[1] == "one   " + "a" * 50
    assert lines[2:] == ["", "NAME  B", "one   " + "b" * 50]


def test_nothing_is_cut_where_stdout_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_table(("NAME", "A"), [("x" * 100, "a" * 100)])
    print_table(("NAME", "A"), [("x" * 100, "a" * 100)], fold=True)
    assert capsys.readouterr().out.count(f"{'x' * 100}  {'a' * 100}\n") == 2
