"""Reads JSON values that may have another type than the dialect gives them.

A value of another type is a repair, `unexpected-type`, and what it says is kept: a number or
an object where a text belongs is its JSON text, one object in place of a list is a list of one.
"""

from __future__ import annotations

import re
from typing import Any, cast

from ..core.frame import Frame
from ..core.jsontext import dumps
from .wire_values import whole_number

__all__ = ["is_word", "mended_index", "mended_object", "mended_objects", "mended_text"]

# A keep-alive ("ping", "queued"): no piece of JSON, no page, no sentence.
_WORD = re.compile(r"[\w:.-]{1,40}")


def is_word(data: str) -> bool:
    """Whether a payload that is not JSON is only a word, as servers send it to stay connected."""
    return _WORD.fullmatch(data.strip()) is not None


def mended_index(value: Any, frame: Frame) -> int | None:
    """A whole number, also as 3.0 or as the text "3"; None for anything else."""
    if type(value) is int:
        return value
    if (number := whole_number(value)) is not None:
        frame.repair("unexpected-type")
    return number


def mended_text(value: Any, frame: Frame) -> str:
    """A text; null and false are none, a list is its items' texts, all else is its JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    frame.repair("unexpected-type")
    if value is False:
        return ""
    if isinstance(value, list):
        items = cast("list[Any]", value)
        if all(isinstance(item, str) or _is_text_part(item) for item in items):
            return "".join(item if isinstance(item, str) else item["text"] for item in items)
    return dumps(value).decode()


def _is_text_part(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(cast("dict[str, Any]", value).get("text"), str)


def mended_object(value: Any, frame: Frame) -> dict[str, Any]:
    """An object; anything else is an empty one."""
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    if value is not None:
        frame.repair("unexpected-type")
    return {}


def mended_objects(value: Any, frame: Frame) -> list[dict[str, Any]]:
    """The objects of a list; one object is a list of one, anything else in the list is left out."""
    if value is None:
        return []
    if isinstance(value, list):
        items = cast("list[Any]", value)
        found: list[dict[str, Any]] = [item for item in items if isinstance(item, dict)]
        if len(found) == len(items):
            return found
    else:
        found = [cast("dict[str, Any]", value)] if isinstance(value, dict) else []
    frame.repair("unexpected-type")
    return found
