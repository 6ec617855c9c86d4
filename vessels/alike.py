"""The short way for a frame that is like an earlier one but for its text.

Nearly every frame is. It says nothing else that is new, so its chunk has that text only. What
stands before and behind the text is then the same to the byte, and the text is what stands between:
JSON is read from left to right, so that nothing but the string between the same two quotation marks
can have another value, as long as that string does not end before it should. The frame is not even
parsed.

A second string may differ if the decoder does not look at it: the time of each frame, or padding.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, NamedTuple, cast

import orjson

from ..core.chunk import ChunkFields
from ..core.frame import Frame

__all__ = ["Alike"]

# Told once (repeats.py), so that a frame with these among its fields may be the first of many
# alike.
_ONCE = {"role", "response_id", "model", "extra"}

# How many frames are looked at in vain: where none is like another, as with a number that counts,
# this costs more than it brings.
_PATIENCE = 16


class Alike:
    """Remembers the last frame that said a text and no more.

    unread: names of what may differ, at the frame's top; their values are strings.
    """

    def __init__(self, *unread: str) -> None:
        self._unread = unread
        self._patience = {"text": _PATIENCE, "reasoning": _PATIENCE}
        self._learned: _Learned | None = None

    def read(self, data: str) -> ChunkFields | None:
        """The chunk of a frame that is alike, else None."""
        if self._learned is None:
            return None
        field, before, between, behind, text_first, least = self._learned
        if not data.startswith(before) or not data.endswith(behind) or len(data) < least:
            return None
        text = data[len(before) : -len(behind)]
        if between:
            if text_first:
                text, found, other = text.rpartition(between)
            else:
                other, found, text = text.partition(between)
            if not found or not _is_plain(other):
                return None
        if not _is_plain(text):
            try:
                text = orjson.loads(f'"{text}"')
            except orjson.JSONDecodeError:
                return None  # the string ends before the frame does as it should
        if not text:
            return None
        self._patience[field] = _PATIENCE
        return cast("ChunkFields", {field: text})

    def learn(
        self,
        parsed: Any,
        place: Any,
        chunks: Collection[ChunkFields],
        frame: Frame,
    ) -> None:
        """Remember a frame, if it gave one text from `place` in it and needed no repair."""
        if len(chunks) != 1 or frame.repairs or frame.data is None:
            return
        if not isinstance(parsed, dict) or not isinstance(place, dict):
            return
        top, around = cast("dict[str, Any]", parsed), cast("dict[str, Any]", place)
        (chunk,) = chunks
        said = chunk.keys() - _ONCE
        if said not in ({"text"}, {"reasoning"}):
            return
        field = "text" if "text" in said else "reasoning"
        if not self._patience[field]:
            return
        self._patience[field] -= 1
        keys = [key for key, value in around.items() if value == chunk.get(field)]
        others = [name for name in self._unread if isinstance(top.get(name), str)]
        if len(keys) != 1 or len(others) > 1:
            return
        strings = [(around, keys[0]), *((top, name) for name in others)]
        self._learned = _around(frame.data, strings, top, field) or self._learned


class _Learned(NamedTuple):
    """What stands before the text and the string that is not read, between them, and behind them.

    `between` is empty where there is only the text. least: what all of it measures.
    """

    field: str
    before: str
    between: str
    behind: str
    text_first: bool
    least: int


def _around(
    data: str, strings: list[tuple[dict[str, Any], str]], parsed: dict[str, Any], field: str
) -> _Learned | None:
    """What stands around these strings of a frame, the text first; None if it cannot be told."""
    spots = [spot for place, key in strings if (spot := _spot(data, place[key])) is not None]
    if len(spots) != len(strings):
        return None
    (start, end), (other, stop) = min(spots), max(spots)
    between = data[end:other] if len(spots) > 1 else ""
    # The same string may stand somewhere else, too: with a letter more in these spots, the frame
    # has to be what it was with a letter more in these places.
    longer = data[:stop] + "x" + data[stop:]
    if between:
        longer = longer[:end] + "x" + longer[end:]
    were = [place[key] for place, key in strings]
    for place, key in strings:
        place[key] += "x"
    try:
        told = orjson.loads(longer) == parsed
    except orjson.JSONDecodeError:
        told = False
    for (place, key), was in zip(strings, were, strict=True):
        place[key] = was
    if not told:
        return None
    before, behind = data[:start], data[stop:]
    least = len(before) + len(between) + len(behind)
    return _Learned(field, before, between, behind, spots[0] == (start, end), least)


def _spot(data: str, text: str) -> tuple[int, int] | None:
    """Where a string stands, without its quotation marks, if it is written in one of two ways."""
    for ascii_only in (False, True):
        literal = json.dumps(text, ensure_ascii=ascii_only)
        at = data.find(literal)
        if at >= 0:
            return at + 1, at + len(literal) - 1
    return None


def _is_plain(text: str) -> bool:
    """Whether a JSON string with this between its quotation marks is just this."""
    return '"' not in text and "\\" not in text and text.isprintable()
