"""Reads JSON values that must have the type that the dialect gives them.

A ValueError means that the server sent something else: the frame is not of the dialect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

__all__ = ["list_in", "object_in", "sum_of_counts", "text_of"]


def text_of(value: Any) -> str:
    """`value` if it is a text, "" for null. Raises ValueError for anything else."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"a text is {type(value).__name__}")  # noqa: TRY004 - it is the wire's
    return value


def object_in(place: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object under `name` in `place`, else {}. Raises ValueError for another type."""
    value = place.get(name)
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"{name} is {type(value).__name__}")
    return cast("dict[str, Any]", value or {})


def list_in(place: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects in the list under `name` in `place`. Raises ValueError for another type."""
    value = place.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{name} is {type(value).__name__}")  # noqa: TRY004 - it is the wire's
    if not all(isinstance(each, dict) for each in cast("list[Any]", value)):
        raise ValueError(f"{name} must hold only objects")
    return cast("list[dict[str, Any]]", value)


def sum_of_counts(place: Mapping[str, Any], *names: str) -> int | None:
    """The sum of the counts under `names` in `place`; None if there is none of them."""
    given = [count for name in names if type(count := place.get(name)) is int]
    return sum(given) if given else None
