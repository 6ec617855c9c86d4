"""What users get: the sdist and the wheel, built from a copy of this checkout and installed.

The copy has private chats lying about where the recorder, or a careless hand, would leave them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest

from house import PACKAGES, PYPROJECT, ROOMS, ROOT
from patience import PATIENCE

PRIVATE = [
    "recordings/20261121T071700Z-private.jsonl",
    "recordings/samples/private.jsonl",
    "recordings/samples/private.py",
    "core/private.jsonl",
    "private.jsonl",
]
NOT_COPIED = [".*", "__pycache__", "*.egg-info", "build", "dist"]


# Each in a process that has imported nothing of the library before it.
LOAD = """
import importlib, os, sys
import httpx, httpx_sse, orjson, pydantic
failed = []
for module, attribute in {named!r}:
    assert "vesselog" not in sys.modules
    if not (child := os.fork()):
        getattr(importlib.import_module(module), attribute)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(module)
sys.exit(", ".join(failed) or 0)
"""


class Built(NamedTuple):
    """An sdist and the wheel made from it."""

    sdist: Path
    wheel: Path


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    copy = folder / "vessel log-1"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
    for name in PRIVATE:
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text("private\n", "utf-8")
    build = [sys.executable, "-P", "-m", "build", "--no-isolation", "--outdir", folder / "dist"]
    run(*build, copy, cwd=folder)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return Built(sdist, wheel)


@pytest.fixture(scope="session")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an environment with the wheel in it.

    The dependencies are this environment's, by a path: its editable install does not come along.
    """
    env = tmp_path_factory.mktemp("installed") / "env"
    venv.create(env)
    (site,) = env.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--python", env / "bin/python"]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", built.wheel, cwd=env)
    here = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(here), "utf-8")
    return env


def metadata_of(env: Path) -> Distribution:
    (path,) = env.glob("lib/python*/site-packages/vesselog-*.dist-info")
    return PathDistribution(path)


def test_the_wheel_holds_the_folders_and_nothing_else(built: Built) -> None:
    listed = PYPROJECT["tool"]["setuptools"]["package-data"]
    expected = {
        (PurePosixPath(package.replace(".", "/")) / path.relative_to(ROOT / folder)).as_posix()
        for package, folder in PACKAGES.items()
        for path in [
            *(ROOT / folder).glob("*.py"),
            *(ROOT / folder / name for name in listed.get(package, [])),
        ]
    }
    names = {name for name in zipfile.ZipFile(built.wheel).namelist() if ".dist-info/" not in name}
    assert {"vesselog/__init__.py", "vesselog/py.typed", "vesselog/core/chunk.py"} <= names
    assert names == expected


def test_the_sdist_holds_what_its_tests_need(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= {"README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "scripts/test"}
    assert names >= {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")}


def test_no_private_recording_is_in_either(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = [*archive.getnames(), *zipfile.ZipFile(built.wheel).namelist()]
    assert [name for name in names if "private" in name] == []


def test_the_metadata_names_four_dependencies_and_one_version(installed: Path) -> None:
    metadata = metadata_of(installed)
    version = run(
        installed / "bin/python", "-c", "import vesselog as v; print(v.__version__)", cwd=installed
    )
    assert metadata.version == version.strip()
    always = [line for line in metadata.requires or [] if "extra ==" not in line]
    assert {re.split(r"[<>=~! ;\[]", line)[0] for line in always} == {
        "httpx",
        "httpx-sse",
        "orjson",
        "pydantic",
    }


@pytest.mark.parametrize("folder", [".", *ROOMS, "tests"])
def test_it_imports_from_any_folder(folder: str, installed: Path) -> None:
    """With that folder first on the path, as `python -c` and notebooks have it."""
    code = "import vesselog, vesselog.cli, vesselog.core.client; print(vesselog.__file__)"
    path = run(installed / "bin/python", "-c", code, cwd=ROOT / folder)
    assert Path(path.strip()).is_relative_to(installed)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_no_top_level_name(room: str, installed: Path, tmp_path: Path) -> None:
    """A backend has a `core` of its own."""
    code = f"import importlib.util as u; print(u.find_spec({room!r}))"
    assert run(installed / "bin/python", "-c", code, cwd=tmp_path) == "None\n"


@pytest.mark.skipif(not (ROOT / "vessels/openai.py").exists(), reason="no vessels yet")
def test_every_entry_point_loads(installed: Path, tmp_path: Path) -> None:
    points = metadata_of(installed).entry_points
    assert {point.name for point in points.select(group="console_scripts")} == {"vesselog"}
    vessels = points.select(group="vesselog.vessels")
    assert {point.name for point in vessels} >= {"ollama", "openai"}
    named = [(point.module, point.attr or "__name__") for point in points]
    run(installed / "bin/python", "-W", "error", "-c", LOAD.format(named=named), cwd=tmp_path)


@pytest.mark.skipif(not (ROOT / "cli/demo.py").exists(), reason="no command line yet")
@pytest.mark.parametrize("command", [["bin/vesselog"], ["bin/python", "-m", "vesselog"]])
def test_the_command_is_there(command: list[str], installed: Path, tmp_path: Path) -> None:
    program, *arguments = command
    assert "vesselog" in run(installed / program, *arguments, "--help", cwd=tmp_path)
