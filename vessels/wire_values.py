"""Reads JSON values that must have the type that the dialect gives them.

A ValueError means that the server sent something else: the frame is not of the dialect. Only whole
numbers are read in other forms too, since gateways in loosely typed languages write them so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

__all__ = ["keep_counts", "list_in", "object_in", "sum_of_counts", "text_of", "whole_number"]

# Digits of a number that any JSON parser reads exactly.
_MOST_DIGITS = 15


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
    given = [count for name in names if (count := whole_number(place.get(name))) is not None]
    return sum(given) if given else None


def whole_number(value: Any) -> int | None:
    """`value` as a whole number, also if it is 3.0 or the text "3"; None for anything else."""
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 10**_MOST_DIGITS:
        return int(value)
    if isinstance(value, str) and len(value) <= _MOST_DIGITS and value.isascii():
        return int(value) if value.isdigit() else None
    return None


def keep_counts(counts: dict[str, Any], known: dict[str, Any]) -> None:
    """Take zeros out of new counts where the count so far is not zero: token counts only grow.

    Gateways close a stream with a usage of zeros, as they do where they know none.

    Args:
        counts: The new counts, by name; changed in place.
        known: The counts so far; the new ones are added to them.
    """
    for name in [name for name, count in counts.items() if count == 0 and known.get(name)]:
        del counts[name]
    known.update(counts)
