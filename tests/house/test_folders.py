"""Folders and packages are one, private recordings stay private, exported names are there."""

from __future__ import annotations

import ast
import importlib
import subprocess
from functools import cache
from pathlib import Path

import pytest

from house import PACKAGES, PYPROJECT, ROOMS, ROOT, module_name, sources


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so there is no commit for a private chat to slip into")
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_root_is_no_package() -> None:
    """With an `__init__.py` it would break in a folder whose name is no identifier."""
    assert not (ROOT / "__init__.py").exists()


def test_every_package_folder_is_listed_and_every_listed_one_is_there() -> None:
    listed = PYPROJECT["tool"]["setuptools"]["packages"]
    assert sorted(PACKAGES) == listed == sorted(listed)
    outside = {"tests", "docs", "examples", "benchmarks", "build", "dist"}
    folders = {
        path.parent.relative_to(ROOT).as_posix()
        for path in ROOT.glob("*/**/__init__.py")
        if path.relative_to(ROOT).parts[0] not in outside
        and not path.relative_to(ROOT).parts[0].startswith(".")
    }
    assert set(PACKAGES.values()) == folders
    nested = {f"vesselog.{folder.replace('/', '.')}" for folder in folders - {"public"}}
    assert set(PACKAGES) == {"vesselog", *nested}


def test_no_python_file_is_outside_a_package() -> None:
    """It would work in a checkout and be missing from the wheel."""
    assert [
        str(path.relative_to(ROOT))
        for path in sources(*ROOMS)
        if path.parent.relative_to(ROOT).as_posix() not in PACKAGES.values()
    ] == []


def test_there_are_no_symbolic_links() -> None:
    """Windows and sdists do not keep them."""
    assert [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_symlink()] == []


def test_the_change_log_has_a_place_for_what_comes_next() -> None:
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_no_merge_is_left_half_done() -> None:
    """Markdown shows the marks of a conflict as text, and no other test reads them."""
    marked = git("grep", "--line-number", "--extended-regexp", "^(<{7}|={7}|>{7})( |$)")
    assert marked.returncode == 1, marked.stdout or marked.stderr


def test_shipped_recordings_are_listed_by_name() -> None:
    """A private chat must not slip into a wheel: no patterns, and nothing else in the folder."""
    data = PYPROJECT["tool"]["setuptools"]["package-data"]
    listed = data.get("vesselog.recordings", [])
    assert not PYPROJECT["tool"]["setuptools"]["include-package-data"]
    assert not any(character in name for name in listed for character in "*?[")
    there = sorted(
        path.relative_to(ROOT / "recordings").as_posix()
        for path in (ROOT / "recordings/samples").glob("**/*")
    )
    assert there == listed == sorted(listed)


@pytest.mark.parametrize(
    "name",
    [
        "recordings/20261121T071700Z-0f.jsonl",
        "recordings/chat-42.jsonl.torn",
        "recordings/samples/chat.jsonl.torn",
        "recordings/notes.txt",
        "recordings/private/chat.jsonl",
        "examples/recordings/chat-42.jsonl",
    ],
)
def test_a_private_recording_is_ignored(name: str) -> None:
    assert git("check-ignore", "--quiet", "--no-index", name).returncode == 0


def test_only_what_is_shipped_is_committed() -> None:
    listed = PYPROJECT["tool"]["setuptools"]["package-data"].get("vesselog.recordings", [])
    allowed = {".gitignore", "README.md", "__init__.py", *listed}
    committed = git("ls-files", "recordings").stdout.split("\n")
    names = {name.removeprefix("recordings/") for name in committed if name}
    assert {".gitignore", "__init__.py"} <= names <= allowed


@cache
def exported(path: Path) -> list[str] | None:
    """The `__all__` of a file, None where it has none."""
    for node in ast.parse(path.read_text("utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return list(ast.literal_eval(value))
            case _:
                pass
    return None


def exporting(room: str) -> dict[Path, list[str]]:
    """The files of a room that have an `__all__`, and what it says."""
    found = {path: exported(path) for path in sources(room)}
    return {path: names for path, names in found.items() if names is not None}


@pytest.mark.parametrize("room", ROOMS)
def test_every_exported_name_is_there(room: str) -> None:
    for path, names in exporting(room).items():
        module = importlib.import_module(module_name(path))
        assert names, path
        assert names == module.__all__, path
        assert len(names) == len(set(names)), path
        assert [name for name in names if not hasattr(module, name)] == [], path


@pytest.mark.parametrize("room", ROOMS)
def test_exported_names_are_sorted(room: str) -> None:
    """Constants, then classes, then functions, as ruff sorts them."""

    def order(name: str) -> tuple[bool, bool, str]:
        return not name.isupper(), not name[0].isupper(), name

    for path, names in exporting(room).items():
        assert names == sorted(names, key=order), path


@pytest.mark.parametrize("room", ["core", "public"])
def test_some_files_export_names(room: str) -> None:
    assert exporting(room)
