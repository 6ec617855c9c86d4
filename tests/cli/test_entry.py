"""The program as a whole: help, version, documentation, and what it imports at the start."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys

import pytest

from house import DEPENDENCIES, EXTRAS, ROOT
from patience import PATIENCE
from vesselog import __version__
from vesselog.cli import main
from vesselog.cli.entry import parser
from vesselog.cli.exit_status import EPILOG, ExitStatus


def commands() -> dict[str, argparse.ArgumentParser]:
    (found,) = (
        action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return dict(found.choices)


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"vesselog {__version__}\n"


def test_help_names_every_command_and_every_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^    {command}\s", out, re.MULTILINE) for command in commands())
    assert "exit status" in out


@pytest.mark.parametrize("command", list(commands()))
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: vesselog {command} ")


@pytest.mark.parametrize(
    "arguments", [[], ["nope"], ["--nope", "ls"], ["ls", "--nope"], ["show"], ["chat", "--x"]]
)
def test_wrong_usage_is_one_line_that_points_to_the_help(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "--help" in err


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["shwo", "x"], "did you mean 'show'?"),
        (["ls", "--jsno"], "did you mean '--json'?; see vesselog ls --help"),
        (["chat", "olama/m", "hi"], "did you mean ollama/m?"),
        (["chat", "m", "Why", "not"], "put quotes around a text of several words"),
        (["chat", "/m", "hi"], "did you mean ollama/m?"),
        (["vessels", "ollama"], "unexpected argument 'ollama'; see vesselog vessels --help"),
        (["models", "olama"], "did you mean 'ollama'?"),
        (["decode", "--vessel", "opnai", "-"], "did you mean 'openai'?"),
        (["chat", "ollama/m", "hi", "--seed", "3"], "no option --seed: write --set seed=VALUE"),
        (["bench", "ollama/m", "--top-p=1"], "no option --top-p: write --set top_p=VALUE"),
        (["chat", "ollama/m", "hi", "--prompt", "x"], "there is no option --prompt"),
        (["chat", "ollama/m", "hi", "--set", "seed"], "'seed' is not of the form FIELD=VALUE"),
        (["show", "x", "--call", "first"], "'first' is not a whole number"),
        (["chat", "anthropic/m", "hi", "--no-record"], "needs max_tokens: give --set max_tokens=N"),
    ],
)
def test_wrong_usage_is_told_with_what_to_write(
    capsys: pytest.CaptureFixture[str], arguments: list[str], meant: str
) -> None:
    assert main(arguments) == 2
    assert meant in capsys.readouterr().err


def test_commands_import_nothing_heavy_before_they_run() -> None:
    """Importing the command modules imports neither the client nor any dependency."""
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
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert set(done.stdout.split()) & (DEPENDENCIES | EXTRAS) == set()


def test_python_m_vesselog_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vesselog", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"vesselog {__version__}\n"


def test_the_page_tells_each_commands_options_and_no_others() -> None:
    page = (ROOT / "docs/cli.md").read_text("utf-8")
    sections = dict(re.findall(r"\n## vesselog ([\w-]+)(.*?)(?=\n## |\Z)", page, re.DOTALL))
    assert sections.keys() == commands().keys()
    for name, command in commands().items():
        options = {option for action in command._actions for option in action.option_strings}
        told = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", sections[name]))
        assert told == options - {"-h", "--help"}, name


def test_the_page_tells_each_status() -> None:
    page = (ROOT / "docs/cli.md").read_text("utf-8")
    assert {int(number) for number in re.findall(r"\n\| (\d+) \|", page)} == set(ExitStatus)
    assert all(f" {status.value} " in f" {EPILOG} " for status in ExitStatus)
