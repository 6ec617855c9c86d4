"""Reads JSON values that may have another type than the dialect gives them.

A value of another type is a repair, `unexpected-type`, and what it says is kept: a number or
an object where a text belongs is its JSON text, one object in place of a list is a list of one.
"""

from __future__ import annotations

import re
from typing import Any, cast

from ..core.frame import Frame
from ..core.jsontext import dumps
from ..core.mending import mend_value
from .wire_values import whole_number

__all__ = ["is_word", "mended_index", "mended_object", "mended_objects", "mended_text"]

# A keep-alive ("ping", "queued"): no piece of JSON, no page, no sentence.
_WORD = re.compile(r"[\w:.-]{1,40}")


def is_word(data: str) -> bool:
    """Whether `data`, which is not JSON, is a single word, as servers send it as a keep-alive."""
    return _WORD.fullmatch(data.strip()) is not None


def mended_index(value: Any, frame: Frame) -> int | None:
    """`value` as a whole number, if need be mended (a repair of `frame`); None if it is none."""
    if type(value) is int:
        return value
    if (number := whole_number(value)) is not None:
        frame.repair("unexpected-type")
    return number


def mended_text(value: Any, frame: Frame) -> str:
    """`value` as a text: "" for null and false, the texts of a list's items, else its JSON.

    `frame` gets the name of the repair.
    """
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
    return dumps(mend_value(value, frame)).decode()


def _is_text_part(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(cast("dict[str, Any]", value).get("text"), str)


def mended_object(value: Any, frame: Frame) -> dict[str, Any]:
    """`value` if it is an object, else an empty one; then `frame` gets the repair's name."""
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    if value is not None:
        frame.repair("unexpected-type")
    return {}


def mended_objects(value: Any, frame: Frame) -> list[dict[str, Any]]:
    """The objects in the list `value`, or the one object; else is left out, a repair of `frame`."""
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
