"""What `import vesselog` offers, and that it costs nothing before it is asked for."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

import vesselog
from house import DEPENDENCIES, ROOT
from patience import PATIENCE


def typed_imports() -> dict[str, tuple[str, ...]]:
    """What the type checkers are told, but for the version."""
    tree = ast.parse((ROOT / "public/__init__.py").read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    return {
        str(node.module): tuple(alias.name for alias in node.names)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
    }


def test_programs_and_type_checkers_find_the_same() -> None:
    assert typed_imports() == vesselog._HOMES
    offered = {name for names in vesselog._HOMES.values() for name in names}
    assert offered | {"__version__"} == set(vesselog.__all__)
    assert set(vesselog.__all__) <= set(dir(vesselog))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'vesselog' has no attribute 'Nope'"):
        vesselog.Nope  # noqa: B018 - the access is the test


def test_importing_it_imports_no_dependency() -> None:
    code = "import vesselog, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert set(done.stdout.split()) & DEPENDENCIES == set()
