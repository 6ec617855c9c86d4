"""Reads a frame without parsing it, if it differs from an earlier frame in its text alone.

Nearly every frame of a stream does. It has nothing else that is new, so its chunk has that text and
no other field. What stands before and after the text is then the same to the byte, and the text is
what is between: JSON is read from left to right, so only the string between these two quotation
marks can have another value, provided that it does not end earlier.

One more string may differ if the decoder does not read it: the time of each frame, or padding.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import orjson

from ..core.chunk import ChunkFields
from ..core.frame import Frame

__all__ = ["FastPath"]

Write = Callable[[str], object]

# These are in a chunk once (repeated_fields.py): a frame that brings them may be the first of many
# that are the same but for their text.
_ONCE = {"role", "response_id", "model", "extra"}

# How many frames are learned without any use. Where each frame differs, as with a number that
# counts, learning costs more than it saves.
_ATTEMPTS = 16

# Characters of a frame that is learned. A token's frame has some hundred; to learn costs several
# times what parsing costs, which pays only where many like it follow.
_LONGEST = 16 * 1024


class FastPath:
    """Learns one frame and reads those that differ from it in their text alone.

    Args:
        unread: Names of top-level fields whose values are strings that the decoder does not read.
    """

    def __init__(self, *unread: str) -> None:
        self._unread = unread
        self._attempts = {"text": _ATTEMPTS, "reasoning": _ATTEMPTS}
        self._learned: _Learned | None = None
        self._used = False

    def read(self, data: str) -> ChunkFields | None:
        """The chunk of a frame with the payload `data`; None if the frame has to be parsed."""
        if self._learned is None:
            return None
        field, before, between, after, start, stop, text_first, shortest, write = self._learned
        if not data.startswith(before) or not data.endswith(after) or len(data) < shortest:
            return None
        text = data[start:stop]
        if between:
            if text_first:
                text, found, other = text.rpartition(between)
            else:
                other, found, text = text.partition(between)
            # A quotation mark could end the string early. Other characters need no look: they
            # would not be read.
            if not found or '"' in other or "\\" in other or not other.isprintable():
                return None
        if '"' in text or "\\" in text or not text.isprintable():
            try:
                text = orjson.loads(f'"{text}"')
            except orjson.JSONDecodeError:
                return None  # the string ends earlier
        if not text:
            return None
        self._used = True
        if write is not None:
            write(text)
        return {"text": text} if field == "text" else {"reasoning": text}

    def learn(
        self,
        parsed: Any,
        place: Any,
        chunks: Sequence[ChunkFields],
        frame: Frame,
        writer: Callable[[str], Write | None] | None = None,
    ) -> None:
        """Learn `frame` if it made one chunk, of one text in `place`, and needed no repair.

        Args:
            parsed: Its parsed payload.
            place: The object in it that has the text.
            chunks: The chunks that it made.
            writer: Called with the text's key in `place`; returns a function that is then called
                with each text that is read, or None if such frames have to be parsed.
        """
        if len(chunks) != 1 or frame.repairs or frame.data is None:
            return
        if len(frame.data) > _LONGEST:
            return
        if not isinstance(parsed, dict) or not isinstance(place, dict):
            return
        top, around = cast("dict[str, Any]", parsed), cast("dict[str, Any]", place)
        new = chunks[0].keys() - _ONCE
        if new not in ({"text"}, {"reasoning"}):
            return
        (field,) = new
        if self._used and self._learned is not None:
            self._attempts[self._learned.field] = _ATTEMPTS
            self._used = False
        if not self._attempts[field]:
            return
        self._attempts[field] -= 1
        if _grows(chunks[0].get("extra")):
            return
        keys = [key for key, value in around.items() if value == chunks[0].get(field)]
        others = [name for name in self._unread if isinstance(top.get(name), str)]
        if len(keys) != 1 or len(others) > 1:
            return
        write = None
        if writer is not None and (write := writer(keys[0])) is None:
            return
        strings = [(around, keys[0]), *((top, name) for name in others)]
        learned = _learned(frame.data, strings, top, field)
        if learned is not None:
            self._learned = learned._replace(write=write)


def _grows(value: Any) -> bool:
    """Whether a list of numbers is in it: equal ones in two frames are both new (token ids)."""
    if isinstance(value, dict):
        return any(map(_grows, cast("dict[str, Any]", value).values()))
    first = cast("list[Any]", value)[:1] if isinstance(value, list) else []
    return any(type(each) in {int, float} for each in first)


class _Learned(NamedTuple):
    """What is before the text and the string that is not read, between the two, and after them.

    between: empty where there is only the text. start: where `before` ends. stop: where `after`
    begins, from the end. shortest: the length of all that is around. write: takes each text read.
    """

    field: str
    before: str
    between: str
    after: str
    start: int
    stop: int
    text_first: bool
    shortest: int
    write: Write | None = None


def _learned(
    data: str, strings: list[tuple[dict[str, Any], str]], parsed: dict[str, Any], field: str
) -> _Learned | None:
    """What is around these strings of a frame, the text first; None if that is not certain."""
    spots = [spot for place, key in strings if (spot := _find(data, place[key])) is not None]
    if len(spots) != len(strings):
        return None
    (start, end), (other, stop) = min(spots), max(spots)
    between = data[end:other] if len(spots) > 1 else ""
    # The same string may be somewhere else too. So these are the right spots only if one more
    # letter there makes the payload equal to one with one more letter in these places.
    longer = data[:stop] + "x" + data[stop:]
    if between:
        longer = longer[:end] + "x" + longer[end:]
    original = [place[key] for place, key in strings]
    for place, key in strings:
        place[key] += "x"
    try:
        certain = orjson.loads(longer) == parsed
    except orjson.JSONDecodeError:
        certain = False
    for (place, key), value in zip(strings, original, strict=True):
        place[key] = value
    if not certain:
        return None
    before, after = data[:start], data[stop:]
    return _Learned(
        field=field,
        before=before,
        between=between,
        after=after,
        start=start,
        stop=-len(after),
        text_first=spots[0] == (start, end),
        shortest=len(before) + len(between) + len(after),
    )


def _find(data: str, text: str) -> tuple[int, int] | None:
    """Where a string is, without its quotation marks, if it is escaped in one of two usual ways."""
    for ascii_only in (False, True):
        literal = json.dumps(text, ensure_ascii=ascii_only)
        at = data.find(literal)
        if at >= 0:
            return at + 1, at + len(literal) - 1
    return None
