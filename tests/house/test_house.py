"""The floors of the house: which room may import which, and what a vessel may hold."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from house import (
    DEPENDENCIES,
    EXTRAS,
    MADE_OF_EXTRAS,
    ROOMS,
    ROOT,
    imports_of,
    module_name,
    sources,
)
from vesselog.testing.purity import impurities

# The floors: a room, and the rooms that it may import.
FLOORS = {
    "core": set(),
    "recordings": set(),
    "maintenance": {"core"},
    "vessels": {"core"},
    "server": {"core", "vessels"},
    "testing": {"core", "maintenance", "server", "vessels"},
    "cli": {"core", "maintenance", "vessels"},
    "public": {"core", "maintenance", "vessels", "testing"},
}
# The doors between them: one file that may enter one more room.
DOORS = {
    ("cli/demo.py", "server"),
    ("cli/demo_gateway.py", "server"),
    ("cli/serve.py", "server"),
    ("cli/serve_application.py", "server"),
    ("cli/serve_command.py", "server"),
    ("public/__main__.py", "cli"),
}


# What the libraries below take care of.
CARRIED_BY_LIBRARIES = {"h11", "h2", "httpcore", "httptools", "socket", "ssl"}


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


def test_in_the_core_only_the_clients_know_both_http_and_files() -> None:
    """And vessels know neither."""
    allowed = {
        "client": {"client", "http", "truth", "follow", "replay"},
        "http": {"http"},
        "truth": {"truth"},
        "follow": {"follow", "truth"},
        "replay": {"replay", "truth"},
    }
    imports = [found for path in sources("core", "vessels") for found in imports_of(path)]
    assert [
        str(found)
        for found in imports
        for part in allowed
        if f"{found.name}.".startswith(f"vesselog.core.{part}.")
        and part not in allowed.get(found.path.parent.name, set())
    ] == []


def test_the_command_line_enters_the_server_only_inside_a_function() -> None:
    imports = [found for path in sources("cli") for found in imports_of(path)]
    assert [
        str(found)
        for found in imports
        if found.room == "server" and not found.in_function and not found.typing
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
    allowed = {*sys.stdlib_module_names, *DEPENDENCIES, "vesselog"}
    for_the_kit = {"hypothesis", "pytest"}
    imports = [found for path in sources(*ROOMS) for found in imports_of(path)]
    assert {found.top for found in imports} >= DEPENDENCIES - {"httpx", "httpx_sse"}
    assert [
        str(found)
        for found in imports
        if found.top not in allowed
        and not ((found.in_function or found.path in MADE_OF_EXTRAS) and found.top in EXTRAS)
        and not (found.path.is_relative_to(ROOT / "testing") and found.top in for_the_kit)
    ] == []


def test_libraries_carry_the_bytes() -> None:
    """No socket, no TLS but for the type of a setting, no HTTP parser, no pool of our own."""
    imports = [found for path in sources(*ROOMS) for found in imports_of(path)]
    assert [
        str(found)
        for found in imports
        if found.top in CARRIED_BY_LIBRARIES
        and not (found.name == "ssl.SSLContext" and found.typing)
    ] == []


def test_the_core_fits_in_one_head() -> None:
    lines = {path: path.read_text("utf-8").count("\n") for path in sources("core")}
    client = [count for path, count in lines.items() if path.parent == ROOT / "core/client"]
    assert len(client) <= 20
    assert sum(client) <= 2_900
    assert sum(lines.values()) <= 13_300


def test_no_files_of_the_core_import_each_other_in_a_circle() -> None:
    """When the program runs: what is imported for its type alone does not count."""
    files = {path: module_name(path) for path in (ROOT / "core").glob("*.py")}
    graph: dict[str, set[str]] = {}
    for path, name in files.items():
        tree = ast.parse(path.read_text("utf-8"))
        top = ast.Module([each for each in tree.body if not isinstance(each, ast.If)], [])
        found = [each.name.rpartition(".")[0] for each in imports_of(path, ast.unparse(top))]
        graph[name] = {each for each in found if each in files.values()}
    assert "vesselog.core.registry" in graph["vesselog.core.chunk"]
    TopologicalSorter(graph).prepare()  # raises CycleError


def io_in(path: Path) -> list[str]:
    """What in this file might touch the world, as the kit for strangers' vessels reads it."""
    found = impurities(path.read_text("utf-8"), module_name(path.parent / "__init__.py"))
    return [f"{path.name}, line {told}" for told in found]


def test_vessels_do_no_io() -> None:
    """But for the room's own address, which imports a module when a name of it is asked for."""
    vessels = [path for path in sources("vessels") if path.name != "__init__.py"]
    assert [line for path in vessels for line in io_in(path)] == []


def test_vessels_stay_small() -> None:
    """But for the room's own address, which is a list of names."""
    vessels = [path for path in sources("vessels") if path.name != "__init__.py"]
    lengths = {path.name: path.read_text("utf-8").count("\n") for path in vessels}
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
