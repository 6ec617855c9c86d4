"""What users may import: the public names of every room, and the documented parts of each."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import Any

__all__ = ["PUBLIC_MODULES", "Documented", "documented", "documented_values", "public_names"]

# Modules whose `__all__` is public. The vessels' helpers are checked where they are defined.
PUBLIC_MODULES = (
    "vesselog",
    "vesselog.server",
    "vesselog.vessels",
    "vesselog.testing",
    "vesselog.testing.kit",
)


@dataclass(frozen=True)
class Documented:
    """A public class, function, method or property. name: as users write it."""

    name: str
    value: Any
    owner: type | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def text(self) -> str:
        """Its own docstring; never one that Python or pydantic would supply."""
        return inspect.cleandoc(getattr(self.value, "__doc__", None) or "")


def public_names(module: str) -> list[str]:
    """The public names of a module."""
    loaded = import_module(module)
    return sorted(getattr(loaded, "__all__", ()))


def documented_values() -> dict[str, tuple[Any, str]]:
    """Each public name that is neither class nor function, with its value and its description.

    Python keeps no docstring of a type alias or a constant, so it is read from the source: the
    text after the assignment, as the reference shows it. "" where there is none.
    """
    found: dict[str, tuple[Any, str]] = {}
    described = _described()
    for module in PUBLIC_MODULES:
        for name in public_names(module):
            value = getattr(import_module(module), name)
            if not (inspect.isclass(value) or inspect.isroutine(value) or name == "__version__"):
                found[name] = value, described.get(name, "")
    return found


def _described() -> dict[str, str]:
    """The texts after the assignments of all loaded modules of the library, by name."""
    texts: dict[str, str] = {}
    for module in [each for name, each in sys.modules.items() if name.startswith("vesselog.")]:
        if not (module.__file__ or "").endswith(".py"):
            continue
        body = ast.parse(inspect.getsource(module)).body
        for before, after in pairwise(body):
            target = before.targets[0] if isinstance(before, ast.Assign) else None
            target = before.target if isinstance(before, ast.AnnAssign) else target
            if isinstance(target, ast.Name) and isinstance(after, ast.Expr):
                value = after.value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    texts[target.id] = inspect.cleandoc(value.value)
    return texts


def documented() -> Iterator[Documented]:
    """Every public class and function, with the methods and properties that the library defines."""
    seen: set[int] = set()
    for module in PUBLIC_MODULES:
        for name in public_names(module):
            value = getattr(import_module(module), name)
            if id(value) in seen or not (inspect.isclass(value) or inspect.isroutine(value)):
                continue
            seen.add(id(value))
            yield Documented(f"{module}.{name}", value)
            if inspect.isclass(value):
                yield from _members(f"{module}.{name}", value, seen)


def _members(name: str, owner: type, seen: set[int]) -> Iterator[Documented]:
    for base in owner.__mro__:
        if not base.__module__.startswith("vesselog"):
            continue
        for key, member in vars(base).items():
            if key.startswith("_"):
                continue
            value = getattr(member, "__func__", member)
            if not (inspect.isfunction(value) or isinstance(value, property)) or id(value) in seen:
                continue
            seen.add(id(value))
            yield Documented(f"{name}.{key}", value, owner)
