"""The tutorial, and the skeleton that `vesselog new-vessel` writes: one and the same, and it works.

What the page's shell blocks say is done in an environment of its own, where vesselog is installed
as it is here; a server of the made-up provider answers.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopback import LoopbackServer
from page_servers import harbour
from pages import ROOT, blocks
from patience import PATIENCE
from vesselog.cli import main
from vesselog.cli.new_vessel import _FILES

PAGE = ROOT / "docs/writing-a-vessel.md"
FOLDER = "vesselog-harbour"
SHELL = "".join(block.code for block in blocks("sh", pages=[PAGE]))


def parts() -> dict[str, str]:
    """The files on the page, put together from their blocks."""
    files: dict[str, str] = {}
    for block in blocks(pages=[PAGE]):
        if block.language != "sh":
            name, code = block.code.split("\n", 1)
            assert name.startswith(f"# {FOLDER}/"), f"{block} names no file"
            path = name.removeprefix("# ")
            files[path] = files.get(path, "") + code
    return files


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment's programs: those of the one that runs this, with room for another package."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    here = [path for path in sys.path if path.endswith("site-packages")]
    lines = [f"import site; site.addsitedir({path!r})" for path in here]
    (site / "here.pth").write_text("\n".join(lines), "utf-8")
    pip = f'"{sys.executable}" -m pip --python "{folder}/bin/python"'
    programs = {
        "pip": f'{pip} "$1" --quiet --no-deps --no-index --no-build-isolation "${{@:2}}"',
        "pytest": f'"{folder}/bin/python" -m pytest -q "$@"',
        "vesselog": f'"{folder}/bin/python" -m vesselog "$@"',
    }
    for name, command in programs.items():
        program = folder / "bin" / name
        program.write_text(f"#!/bin/bash\nexec {command}\n", "utf-8")
        program.chmod(0o755)
    return folder / "bin"


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer([harbour]) as server:
        yield server


def run(script: str, programs: Path, folder: Path, **variables: str) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_shows_what_is_written(tmp_path: Path) -> None:
    assert main(["new-vessel", "harbour"]) == 0
    written = {
        path.relative_to(tmp_path).as_posix(): path.read_text("utf-8")
        for path in (tmp_path / FOLDER).rglob("*")
        if path.is_file()
    }
    shown = parts()
    assert {name: written.get(name) for name in shown} == shown
    left = {name.rpartition("/")[2] for name in written.keys() - shown.keys()}
    assert left == {
        *("README.md", "busy.503.json", "failed.expected.json"),
        *("whole.expected.json", "whole.json"),
    }
    assert {"`whole.json`", "`busy.503.json`"} <= {*PAGE.read_text("utf-8").split()}


def test_the_vessel_is_short() -> None:
    source = parts()[f"{FOLDER}/vesselog_harbour.py"]
    docstring = ast.get_docstring(ast.parse(source)) or ""
    code = [line for line in source.split("\n") if line.strip()]
    assert len(code) - docstring.count("\n") < 75


def test_the_page_works_as_it_stands(
    environment: Path, server: LoopbackServer, tmp_path: Path
) -> None:
    """It passes the kit, is installed, found by name, streams, records and replays."""
    said = run(SHELL, environment, tmp_path, HARBOUR_URL=server.url)
    assert f"{FOLDER}/vesselog_harbour.py\n" in said
    assert "3 passed" in said
    (row,) = [line for line in said.split("\n") if line.startswith("harbour ")]
    assert row.endswith("vesselog-harbour")
    assert "HARBOUR_URL" in row
    assert said.splitlines().count("Ship ahoy") == 2, "streamed, then replayed"
    (recorded,) = (tmp_path / FOLDER / "recordings").glob("*.jsonl")
    assert '"vessel":"harbour"' in recorded.read_text("utf-8")
    code = (
        "import vesselog; client = vesselog.Client(recordings=None)\n"
        "print(client.complete('harbour/m', 'Ahoy?').text)"
    )
    alone = f'python -c "{code}"'
    assert run(alone, environment, tmp_path, HARBOUR_URL=server.url) == "Ship ahoy\n"


def test_another_name_is_another_package(environment: Path, tmp_path: Path) -> None:
    """Built as a wheel, not editable, and tested against what was installed."""
    assert main(["new-vessel", "my-lab", "--into", str(tmp_path / "deep")]) == 0
    folder = tmp_path / "deep/vesselog-my-lab"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"vesselog_my_lab.py", "tests/test_my_lab.py", "tests/bodies/hello.sse"} <= names
    everything = "".join(path.read_text("utf-8") for path in folder.rglob("*.*") if path.is_file())
    assert "harbour" not in everything.lower()
    assert "class MyLab(Vessel)" in everything
    script = "pip install . && rm -r build vesselog_my_lab.py && pytest && vesselog vessels"
    said = run(script, environment, folder)
    assert "3 passed" in said
    (row,) = [line for line in said.split("\n") if line.startswith("my-lab ")]
    assert "MY_LAB_URL" in row


@pytest.mark.parametrize("check", ["check --select E,F,I,UP,B,SIM", "format --check"])
def test_the_skeleton_is_clean(check: str) -> None:
    assert main(["new-vessel", "harbour"]) == 0
    ruff = [sys.executable, "-m", "ruff", *check.split(), "--isolated", "--line-length", "100"]
    done = subprocess.run([*ruff, FOLDER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("Lab", "cannot be named"),
        ("my_lab", "cannot be named"),
        ("-lab", "see vesselog new-vessel --help"),
        ("../lab", "cannot be named"),
        ("", "cannot be named"),
        ("ollama", "there is already a vessel named"),
        ("taken", "already exists"),
    ],
)
def test_a_name_that_cannot_be_is_refused(
    name: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "vesselog-taken").mkdir()
    assert main(["new-vessel", name]) == 2
    assert problem in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["vesselog-taken"]


def test_every_file_of_the_skeleton_is_written() -> None:
    there = {path.name for path in (ROOT / "cli/skeleton").iterdir()}
    assert there == {f"{name}.txt" for name in _FILES}
