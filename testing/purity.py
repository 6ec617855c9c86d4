"""Checks that a vessel does no I/O: its modules import only what computes, and read no clock.

Read from the source, so that an import inside a function counts too.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Collection, Iterator
from functools import lru_cache
from importlib.machinery import ModuleSpec
from pathlib import Path

from ..vessels import Vessel, WireRequest

__all__ = ["PURE", "impurities", "no_io"]

PURE = frozenset(
    {
        *("__future__", "abc", "base64", "binascii", "collections", "copy", "dataclasses"),
        *("datetime", "decimal", "enum", "functools", "hashlib", "hmac", "html", "itertools"),
        *("json", "math", "operator", "orjson", "pydantic", "re", "string", "struct", "textwrap"),
        *("types", "typing", "typing_extensions", "urllib.parse", "uuid"),
        "vesselog",
    }
)
"""What a vessel may import beside its own package: modules that only compute."""

_HOUSE = __name__.partition(".")[0]
_DOES_IO = {f"{_HOUSE}.{room}" for room in ("core.client", "core.truth", "cli", "server")} | {
    f"{_HOUSE}.{name}" for name in ("AsyncClient", "Client", "Recording", "follow", "replay")
}
_CALLS = {"__import__", "breakpoint", "eval", "exec", "input", "open", "print"}
_CLOCKS = {"now", "today", "utcnow"}


def no_io(vessel: Vessel, allowed: Collection[str] = ()) -> Iterator[str]:
    """What may do I/O in the modules of a vessel, its decoder and their package.

    allowed: further modules that may be imported.
    """
    request = WireRequest(url="http://vessel", body={})
    kinds = [*type(vessel).__mro__, *type(vessel.decoder(request)).__mro__]
    names = {kind.__module__ for kind in kinds}
    todo = sorted(name for name in names if _is_checked(name))
    seen = set(todo)
    while todo:
        name = todo.pop()
        spec = _spec(name)
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            yield f"the source of {name} cannot be read"
            continue
        source = Path(spec.origin).read_text("utf-8")
        package = name if spec.submodule_search_locations else name.rpartition(".")[0]
        own = name.partition(".")[0]
        yield from (
            f"{name}, line {message}" for message in impurities(source, package, {own, *allowed})
        )
        for found, _ in _read(source, package)[0]:
            module = found if _spec(found) is not None else found.rpartition(".")[0]
            if module.partition(".")[0] == own and _is_checked(module) and module not in seen:
                seen.add(module)
                todo.append(module)


def impurities(source: str, package: str, allowed: Collection[str] = ()) -> list[str]:
    """What in a module of `package` may do I/O: imports, `open()`, clocks, `async`.

    Each as its line number and what is there.
    """
    pure = PURE.union(allowed)
    imports, others = _read(source, package)
    found = [
        (line, f"imports {name}")
        for name, line in imports
        if not _is_within(name, pure) or _is_within(name, _DOES_IO)
    ]
    return [f"{line}: {message}" for line, message in sorted([*found, *others])]


@lru_cache(maxsize=64)  # the vessels of one package share most of their modules
def _read(
    source: str, package: str
) -> tuple[tuple[tuple[str, int], ...], tuple[tuple[int, str], ...]]:
    """What a module imports, by absolute name (`from x import y` as x.y), with its line.

    And its waits and calls that may do I/O, each with its line before it.
    """
    imports: list[tuple[str, int]] = []
    others: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                imports += [(alias.name, node.lineno) for alias in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                start = package.split(".")[: 1 - level or None] if level else []
                base = ".".join([*start, *([module] if module else [])])
                imports += [(f"{base}.{alias.name}", node.lineno) for alias in names]
            case ast.AsyncFunctionDef() | ast.AsyncFor() | ast.AsyncWith() | ast.Await():
                others.append((node.lineno, f"{type(node).__name__}: a vessel never waits"))
            case ast.Call(func=ast.Name(id=name)) if name in _CALLS:
                others.append((node.lineno, f"calls {name}()"))
            case ast.Call(func=ast.Attribute(attr=name)) if name in _CLOCKS:
                others.append((node.lineno, f"calls .{name}()"))
            case _:
                pass
    return tuple(imports), tuple(others)


def _is_checked(module: str) -> bool:
    """Whether a module is checked: not the library's core, not Python's own."""
    top = module.partition(".")[0]
    if top == _HOUSE:
        return module.startswith(f"{_HOUSE}.vessels.")
    return top not in {"builtins", *sys.stdlib_module_names}


def _is_within(name: str, packages: Collection[str]) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def _spec(name: str) -> ModuleSpec | None:
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__spec__ is not None:
        return loaded.__spec__
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
