"""`vesselog.vessels` is the one address of all that a vessel is made of."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from house import ROOT, imports_of, sources
from patience import PATIENCE
from vesselog import vessels
from vesselog.core import errors

# Of the library itself: a vessel in a package of its own has a version of its own.
_OWN = {"VERSION"}
_DECODERS = {"AnthropicDecoder", "GeminiDecoder", "OllamaDecoder", "OpenAIDecoder"}


def typed() -> dict[str, str]:
    """The names that type checkers are told of, each with its module."""
    tree = ast.parse((ROOT / "vessels/__init__.py").read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    return {
        alias.name: "." * node.level + str(node.module)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _is_of_the_gateway(path: Path) -> bool:
    """Whether a file is about writing answers, which vessels of others do not take part in."""
    return path.stem.startswith("answer_") or path.stem.endswith("_encoder")


def test_programs_and_type_checkers_find_the_same() -> None:
    assert typed().keys() == set(vessels.__all__)
    for name, home in typed().items():
        assert getattr(vessels, name) is getattr(import_module(home, vessels.__name__), name)
        assert home in vessels._HOMES
    assert set(vessels.__all__) <= set(dir(vessels))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    for name in ("Nope", "error_from_record"):
        with pytest.raises(AttributeError, match=f"'vesselog.vessels' has no attribute '{name}'"):
            getattr(vessels, name)


def test_everything_that_the_built_in_vessels_take_from_the_core_is_there() -> None:
    taken = {
        found.name.rpartition(".")[2]
        for path in sources("vessels")
        if not _is_of_the_gateway(path)
        for found in imports_of(path)
        if found.room == "core"
    }
    assert len(taken) > 20
    assert taken - _OWN <= set(vessels.__all__)


def test_every_error_is_there() -> None:
    assert set(errors.__all__) - {"error_from_record"} <= set(vessels.__all__)


def test_every_helper_that_two_vessels_share_is_there() -> None:
    users: dict[str, set[str]] = {}
    for path in sources("vessels"):
        if path.name not in {"__init__.py", "built_in.py"} and not _is_of_the_gateway(path):
            for found in imports_of(path):
                if found.room == "vessels":
                    dialect = path.stem.partition("_")[0]
                    users.setdefault(found.name.rpartition(".")[2], set()).add(dialect)
    shared = {name for name, dialects in users.items() if len(dialects) > 1}
    assert {"route_url", "error_of_status", "error_in_band", "ToolCalls"} <= shared
    assert shared - _DECODERS <= set(vessels.__all__)


def test_the_kit_takes_from_there_what_authors_take() -> None:
    """What is offered to authors is imported from its address, in the kit and in its plugin."""
    wrong = [
        str(found)
        for path in sources("testing")
        for found in imports_of(path)
        if found.name.rpartition(".")[2] in vessels.__all__ and found.room != "vessels"
    ]
    assert wrong == []


@pytest.mark.parametrize("page", ["docs/writing-a-vessel.md", "cli/skeleton", "tests/typing"])
def test_authors_are_shown_no_other_address(page: str) -> None:
    place = ROOT / page
    files = [place] if place.is_file() else list(place.iterdir())
    text = "\n".join(path.read_text("utf-8") for path in files if path.is_file())
    assert "vesselog" in text
    assert "vesselog.core" not in text


def test_one_vessel_does_not_load_the_others() -> None:
    code = "import sys; from vesselog.vessels import Frame, Ollama; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    loaded = set(done.stdout.split())
    assert "vesselog.vessels.ollama" in loaded
    assert loaded.isdisjoint({"vesselog.vessels.openai", "vesselog.vessels.anthropic"})
    assert not {name for name in loaded if name.startswith("vesselog.core.client")}


def test_the_helpers_on_the_page_are_there() -> None:
    page = (ROOT / "docs/writing-a-vessel.md").read_text("utf-8")
    table = page.partition("| for | helpers |\n")[2].partition("\n\n")[0]
    rows = [line for line in table.split("\n") if "`" in line]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert len(named) > 20
    assert named <= set(vessels.__all__)
