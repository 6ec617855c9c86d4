"""The house: which room may import which, what a room may hold, what `import vesselog` costs.

Imports are read from the source, so that one inside a function or under TYPE_CHECKING counts too.
"""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES: dict[str, str] = PYPROJECT["tool"]["setuptools"]["package-dir"]
ROOMS = sorted({Path(folder).parts[0] for folder in PACKAGES.values()})

# The floors: a room, and the rooms that it may import.
FLOORS = {
    "core": set(),
    "recordings": set(),
    "vessels": {"core"},
    "server": {"core", "vessels"},
    "testing": {"core", "vessels"},
    "cli": {"core", "vessels"},
    "public": {"core", "vessels", "testing"},
}
# The doors between them: these files may, the first column only inside a function.
DOORS = {
    ("cli/demo.py", "server"),
    ("public/__main__.py", "cli"),
}

DEPENDENCIES = {"httpx", "httpx_sse", "orjson", "pydantic"}
BELOW_THEM = {"httpcore", "pydantic_core"}  # what they are made of, and re-export
EXTRAS = {"aiohttp", "h2", "httpx_aiohttp", "ollama", "openai", "rich", "starlette", "uvicorn"}
NO_POSIX = {"fcntl", "grp", "pwd", "resource", "termios"}  # not on Windows

# What a vessel may import: modules that only compute.
PURE = {
    *("__future__", "abc", "base64", "binascii", "collections", "copy", "dataclasses", "datetime"),
    *("decimal", "enum", "functools", "hashlib", "hmac", "html", "itertools", "json", "math"),
    *("operator", "orjson", "pydantic", "re", "string", "types", "typing", "urllib.parse"),
    "vesselog.core",
    "vesselog.vessels",
}
NOT_PURE = {"vesselog.core.client", "vesselog.core.truth"}
WORLD_CALLS = {"__import__", "breakpoint", "eval", "exec", "input", "open", "print"}
CLOCK_CALLS = {"now", "today", "utcnow"}


class Import(NamedTuple):
    """One imported module, by its absolute name."""

    path: Path
    line: int
    name: str
    relative: bool
    in_function: bool

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.name}"

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

    def is_within(self, packages: set[str]) -> bool:
        return any(f"{self.name}.".startswith(f"{package}.") for package in packages)

    @property
    def room(self) -> str | None:
        """The room it comes from, None for a stranger's module."""
        match self.name.split("."):
            case ["vesselog", second, *_] if f"vesselog.{second}" in PACKAGES:
                return PACKAGES[f"vesselog.{second}"]
            case ["vesselog", *_]:
                return "public"
            case _:
                return None


def sources(*rooms: str) -> list[Path]:
    """The Python files of these rooms; never none."""
    found = sorted(
        path
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        if "samples" not in path.parts
    )
    assert {path.relative_to(ROOT).parts[0] for path in found} == set(rooms)
    return found


def module_name(path: Path) -> str:
    folders = {folder: package for package, folder in PACKAGES.items()}
    package = folders[path.parent.relative_to(ROOT).as_posix()]
    return package if path.stem == "__init__" else f"{package}.{path.stem}"


def imports_of(path: Path, source: str | None = None) -> list[Import]:
    """Every import statement of a file, `from package import module` as package.module."""
    tree = ast.parse(path.read_text("utf-8") if source is None else source)
    package = module_name(path.parent / "__init__.py")
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    found: list[Import] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names, relative = [alias.name for alias in node.names], False
        elif isinstance(node, ast.ImportFrom):
            relative = node.level > 0
            start = package.split(".")[: 1 - node.level or None] if relative else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        found += [Import(path, node.lineno, name, relative, id(node) in inside) for name in names]
    return found


def run(code: str, *, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=check,
        timeout=60,
    )


# The reader of imports itself


@pytest.mark.parametrize(
    ("file", "line", "name"),
    [
        ("core/x.py", "from . import chunk", "vesselog.core.chunk"),
        ("core/x.py", "from .. import server", "vesselog.server"),
        ("core/truth/x.py", "from ..chunk import StreamChunk", "vesselog.core.chunk.StreamChunk"),
        ("core/truth/x.py", "from ...cli import main", "vesselog.cli.main"),
        ("cli/__init__.py", "from ..core import chunk", "vesselog.core.chunk"),
        ("public/x.py", "import vesselog.cli.main", "vesselog.cli.main"),
        ("core/x.py", "def f():\n  from ..vessels.ollama import O", "vesselog.vessels.ollama.O"),
    ],
)
def test_imports_are_read_in_every_form(file: str, line: str, name: str) -> None:
    (found,) = imports_of(ROOT / file, line)
    assert found.name == name
    assert found.relative == ("from ." in line)
    assert found.in_function == line.startswith("def")


# Floors


def test_the_floors_name_every_room() -> None:
    assert sorted(FLOORS) == ROOMS


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    imports = [found for path in sources(room) for found in imports_of(path)]
    assert [
        str(found)
        for found in imports
        if found.room not in {None, room, *FLOORS[room]}
        and (found.path.relative_to(ROOT).as_posix(), found.room) not in DOORS
    ] == []


def test_the_command_line_enters_the_server_only_inside_a_function() -> None:
    imports = [found for path in sources("cli") for found in imports_of(path)]
    assert [
        str(found) for found in imports if found.room == "server" and not found.in_function
    ] == []


def test_rooms_import_each_other_relatively() -> None:
    rooms = [room for room in ROOMS if room != "public"]
    imports = [found for path in sources(*rooms) for found in imports_of(path)]
    assert [str(found) for found in imports if found.room is not None and not found.relative] == []


def test_public_holds_nothing_of_its_own() -> None:
    assert {path.name for path in (ROOT / "public").iterdir() if path.is_file()} == {
        "__init__.py",
        "__main__.py",
        "py.typed",
    }
    tree = ast.parse((ROOT / "public/__init__.py").read_text("utf-8"))
    assert [
        f"{type(node).__name__} in line {node.lineno}"
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.AsyncFunctionDef)
        or (isinstance(node, ast.FunctionDef) and node.name not in {"__getattr__", "__dir__"})
    ] == []


def test_only_the_declared_dependencies_are_imported() -> None:
    """Extras inside functions only; the kit, which pytest loads, may import pytest."""
    allowed = {*sys.stdlib_module_names, *DEPENDENCIES, *BELOW_THEM, "vesselog"}
    for_the_kit = {"hypothesis", "pytest"}
    imports = [found for path in sources(*ROOMS) for found in imports_of(path)]
    assert {found.top for found in imports} >= DEPENDENCIES - {"httpx", "httpx_sse"}
    assert [
        str(found)
        for found in imports
        if found.top not in allowed
        and not (found.in_function and found.top in EXTRAS)
        and not (found.path.is_relative_to(ROOT / "testing") and found.top in for_the_kit)
    ] == []


# What a vessel may hold


def io_in(path: Path, source: str | None = None) -> list[str]:
    """What in this file might touch the world: modules, `open()`, clocks, `async`."""
    imports = imports_of(path, source)
    found = [str(one) for one in imports if not one.is_within(PURE) or one.is_within(NOT_PURE)]
    for node in ast.walk(ast.parse(path.read_text("utf-8") if source is None else source)):
        match node:
            case ast.AsyncFunctionDef() | ast.AsyncFor() | ast.AsyncWith() | ast.Await():
                found.append(f"{path.name}:{node.lineno} {type(node).__name__}")
            case ast.Call(func=ast.Name(id=name)) if name in WORLD_CALLS:
                found.append(f"{path.name}:{node.lineno} {name}()")
            case ast.Call(func=ast.Attribute(attr=name)) if name in CLOCK_CALLS:
                found.append(f"{path.name}:{node.lineno} .{name}()")
            case _:
                pass
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "import os.path as p",
        "from time import monotonic",
        "def f():\n  import socket",
        "from urllib import request",
        "from urllib.request import urlopen",
        "import httpx",
        "from ..core.truth import recorder",
        "from ..core import client",
        "async def f(): pass",
        "x = open('f')",
        "x = datetime.now()",
    ],
)
def test_io_is_seen_in_every_form(source: str) -> None:
    assert io_in(ROOT / "vessels/x.py", source)


def test_what_a_vessel_needs_is_not_taken_for_io() -> None:
    source = "import json\nfrom urllib.parse import urlsplit\nfrom ..core.chunk import StreamChunk"
    assert io_in(ROOT / "vessels/x.py", source) == []


def test_vessels_do_no_io() -> None:
    assert [line for path in sources("vessels") for line in io_in(path)] == []


def test_vessels_stay_small() -> None:
    lengths = {path.name: path.read_text("utf-8").count("\n") for path in sources("vessels")}
    assert {name: length for name, length in lengths.items() if length >= 250} == {}


def test_nothing_on_the_wire_is_split_by_unicode_lines() -> None:
    """`splitlines` and `iter_lines` split at U+0085 and U+2028, which tokens contain."""
    assert [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources("core", "vessels")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in {"splitlines", "iter_lines", "aiter_lines"}
    ] == []


# Folders and packages


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


# Recordings


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so there is no commit for a private chat to slip into")
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


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


# Names


def exported(path: Path) -> list[str] | None:
    """The `__all__` of a file, None where it has none."""
    for node in ast.parse(path.read_text("utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return list(ast.literal_eval(value))
            case _:
                pass
    return None


WITH_ALL = [path for path in sources(*ROOMS) if exported(path) is not None]


@pytest.mark.parametrize("path", WITH_ALL, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_exported_name_is_there(path: Path) -> None:
    module = importlib.import_module(module_name(path))
    names = exported(path)
    assert names
    assert names == module.__all__
    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(module, name)] == []


@pytest.mark.parametrize("path", WITH_ALL, ids=lambda path: str(path.relative_to(ROOT)))
def test_exported_names_are_sorted(path: Path) -> None:
    """Constants, then classes, then functions, as ruff sorts them."""

    def order(name: str) -> tuple[bool, bool, str]:
        return not name.isupper(), not name[0].isupper(), name

    names = exported(path)
    assert names == sorted(names or [], key=order)


def test_some_files_export_names() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in WITH_ALL} >= {"core", "public"}


# What an import does

HIDE = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"{{name}} is hidden", name=name)
sys.meta_path.insert(0, Hide())
for name in {hidden!r}:
    sys.modules.pop(name, None)
"""


def test_importing_vesselog_pulls_in_no_extra(tmp_path: Path) -> None:
    """Beyond what its dependencies pull in by themselves (httpx loads rich where there is rich)."""
    show = "import json, sys; print(json.dumps(sorted(sys.modules)))"
    bare = run(f"import {', '.join(sorted(DEPENDENCIES))}; {show}", cwd=tmp_path)
    ours = run(f"import vesselog; {show}", cwd=tmp_path)
    loaded = {name.partition(".")[0] for name in json.loads(ours.stdout)}
    already = {name.partition(".")[0] for name in json.loads(bare.stdout)}
    assert "vesselog" in loaded
    assert loaded & EXTRAS <= already


def everything_but(*rooms: str) -> str:
    """Code that imports every module of the library outside these rooms."""
    paths = sources(*[room for room in ROOMS if room not in rooms])
    names = [module_name(path) for path in paths if path.stem != "__main__"]
    return "\n".join(f"import {name}" for name in names)


def test_every_module_imports_without_the_extras(tmp_path: Path) -> None:
    hide = HIDE.format(hidden=EXTRAS)
    run(hide + everything_but("testing"), cwd=tmp_path)
    hidden = run(hide + "import starlette", cwd=tmp_path, check=False)
    assert "starlette is hidden" in hidden.stderr


def test_every_module_imports_without_posix(tmp_path: Path) -> None:
    """Windows has no fcntl; nothing may need it before a file is locked."""
    hide = HIDE.format(hidden=NO_POSIX)
    run(hide + everything_but("testing"), cwd=tmp_path)
    hidden = run(hide + "import fcntl", cwd=tmp_path, check=False)
    assert "fcntl is hidden" in hidden.stderr
