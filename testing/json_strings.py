"""The strings in JSON text, with their places; each can be replaced, and all other bytes stay.

The pieces of an answer are strings of many frames. Those at the same place belong together: what
stands behind one another there is one text, `choices[0].delta.content` for example.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

__all__ = ["JSONString", "replaced", "strings_in"]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]', re.DOTALL)


class JSONString(NamedTuple):
    """A string value. place: such as `choices[0].delta.content`. start, end: with its quotes."""

    place: str
    start: int
    end: int
    value: str


def strings_in(text: str) -> Iterator[JSONString]:
    """The string values in all JSON objects and arrays in `text`, and not the names in objects.

    Text around them, such as the fields of server-sent events, is passed over; what is no JSON
    gives whatever can be found.
    """
    # Each level: an object's current name (None before it), or a list's index.
    levels: list[str | int | None] = []
    name = True
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if sign in "{[":
            levels.append(None if sign == "{" else 0)
            name = sign == "{"
        elif sign in "}]":
            if levels:
                levels.pop()
            name = False
        elif sign == ",":
            if levels and isinstance(levels[-1], int):
                levels[-1] += 1
            else:
                name = True
        elif sign == ":":
            name = False
        elif levels:
            try:
                value: str = json.loads(sign, strict=False)
            except ValueError:
                continue
            if name and not isinstance(levels[-1], int):
                levels[-1] = value
            else:
                yield JSONString(_place(levels), token.start(), token.end(), value)


def replaced(text: str, values: Mapping[int, str]) -> str:
    """`text` with other strings in place of those that start at these offsets."""
    parts: list[str] = []
    at = 0
    for each in strings_in(text):
        if each.start in values:
            parts += text[at : each.start], json.dumps(values[each.start], ensure_ascii=False)
            at = each.end
    return "".join([*parts, text[at:]])


def _place(levels: list[str | int | None]) -> str:
    parts = (f"[{each}]" if isinstance(each, int) else f".{each}" for each in levels)
    return "".join(parts).lstrip(".")
