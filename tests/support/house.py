"""The house as it stands: its rooms, their files, and what each of them imports.

Imports are read from the source, so that one inside a function or under TYPE_CHECKING counts too.
"""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES: dict[str, str] = PYPROJECT["tool"]["setuptools"]["package-dir"]
ROOMS = sorted({Path(folder).parts[0] for folder in PACKAGES.values()})

# By the names they are imported by.
DEPENDENCIES = {"httpx", "httpx_sse", "orjson", "pydantic"}
EXTRAS = {
    "aiohttp",
    "httpx_aiohttp",
    "inotify_simple",
    "ollama",
    "openai",
    "requests",
    "starlette",
    "urllib3",
    "uvicorn",
}
# The files that are made of an extra, and imported by who has it.
MADE_OF_EXTRAS = {
    ROOT / "core/http/fast_transport.py",
    ROOT / "server/event_stream.py",
    ROOT / "server/gateway/gateway.py",
    ROOT / "server/gateway/response_routes.py",
    ROOT / "server/limited_protocol.py",
    ROOT / "server/serving.py",
    ROOT / "server/session_routes.py",
}


class Import(NamedTuple):
    """One imported module, by its absolute name."""

    path: Path
    line: int
    name: str
    relative: bool
    in_function: bool
    typing: bool

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.name}"

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

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
    found = sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))
    assert {path.relative_to(ROOT).parts[0] for path in found} == set(rooms)
    return found


def module_name(path: Path) -> str:
    """The name by which a file of the house is imported."""
    folders = {folder: package for package, folder in PACKAGES.items()}
    package = folders[path.parent.relative_to(ROOT).as_posix()]
    return package if path.stem == "__init__" else f"{package}.{path.stem}"


@cache
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
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If)
        and isinstance(block.test, ast.Name)
        and block.test.id == "TYPE_CHECKING"
        for node in ast.walk(block)
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
        where = (relative, id(node) in inside, id(node) in for_types)
        found += [Import(path, node.lineno, name, *where) for name in names]
    return found
