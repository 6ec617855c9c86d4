"""The command as a whole: help, version, what it costs to start."""

from __future__ import annotations

import subprocess
import sys

import pytest

from house import DEPENDENCIES, EXTRAS
from vesselog import __version__
from vesselog.cli import main
from vesselog.cli.entry import parser

COMMANDS = [
    *("demo", "chat", "replay", "ls", "show", "follow"),
    *("verify", "decode", "vessels", "models"),
]


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"vesselog {__version__}\n"


def test_help_names_every_command_and_every_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"    {command} " in out for command in COMMANDS)
    assert "exit status" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: vesselog {command} ")


@pytest.mark.parametrize("arguments", [[], ["nope"], ["ls", "--nope"], ["show"], ["chat", "--x"]])
def test_wrong_usage_is_one_line_that_points_to_the_help(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "--help" in err


def test_commands_import_nothing_heavy_before_they_run() -> None:
    """Their modules alone: neither the client nor any dependency."""
    code = (
        "import sys, types\n"
        "import importlib.util\n"
        "package = types.ModuleType('vesselog')\n"
        "package.__path__ = importlib.util.find_spec('vesselog').submodule_search_locations\n"
        "sys.modules['vesselog'] = package\n"
        "import vesselog.cli\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert set(done.stdout.split()) & (DEPENDENCIES | EXTRAS) == set()


def test_python_m_vesselog_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vesselog", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"vesselog {__version__}\n"


def test_the_parser_can_be_had_for_documents() -> None:
    assert parser().prog == "vesselog"
