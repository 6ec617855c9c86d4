"""Mends what some JSON carries and no text can: halves of characters, and numbers that are none.

JSON can hold half of a surrogate pair, and some servers put the halves of one character into two
chunks. Halves that meet are joined; a half that stays alone becomes U+FFFD. NaN and infinities,
which no recording can hold, become null. All are declared repairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, cast

from .chunk import ChunkFields
from .frame import Frame

__all__ = ["SurrogateMender"]

_TEXTS = ("text", "reasoning", "refusal")


class _Place(NamedTuple):
    """Which text a half belongs to; slot: of the tool call whose arguments they are."""

    choice: int
    kind: str
    slot: str = ""


class SurrogateMender:
    """Holds back a leading half at the end of a piece of text until that text goes on.

    held: the halves that are held back.
    """

    def __init__(self) -> None:
        self.held: dict[_Place, str] = {}

    def mend(
        self, chunks: Iterable[ChunkFields], frame: Frame, *, last: bool = False
    ) -> Iterator[ChunkFields]:
        """The chunks with whole characters only; with `last`, what is held back too."""
        for chunk in chunks:
            mended = self._mend(chunk, frame)
            if mended.keys() - {"choice"}:
                yield mended
        if last:
            for place in self.held:
                frame.repair("lone-surrogate")
                if place.kind in _TEXTS:
                    yield cast("ChunkFields", {"choice": place.choice, place.kind: "\ufffd"})
                else:
                    arguments: Any = {"slot": place.slot, "arguments": "\ufffd"}
                    yield {"choice": place.choice, "tool_calls": [arguments]}
            self.held.clear()

    def _mend(self, chunk: ChunkFields, frame: Frame) -> ChunkFields:
        choice = chunk.get("choice", 0)
        mended: dict[str, Any] = {}
        for key, value in chunk.items():
            if key in _TEXTS:
                if text := self._join(_Place(choice, key), cast("str", value), frame):
                    mended[key] = text
            elif key == "tool_calls":
                calls = cast("list[dict[str, Any]]", value)
                mended[key] = [self._call(choice, call, frame) for call in calls]
            else:
                mended[key] = _scrub(value, frame)
        return cast("ChunkFields", mended)

    def _call(self, choice: int, call: dict[str, Any], frame: Frame) -> dict[str, Any]:
        mended = {key: _scrub(call[key], frame) for key in call if key != "arguments"}
        if isinstance(arguments := call.get("arguments"), str):
            place = _Place(choice, "arguments", call["slot"])
            mended["arguments"] = self._join(place, arguments, frame)
        return mended

    def _join(self, place: _Place, text: str, frame: Frame) -> str:
        held = self.held.pop(place, "")
        if held and not text:
            self.held[place] = held
            return text
        if held and "\udc00" <= text[0] <= "\udfff":
            frame.repair("surrogates-joined")
        text = held + text
        if text and "\ud800" <= text[-1] <= "\udbff":
            self.held[place] = text[-1]
            text = text[:-1]
        return _whole(text, frame)


def _whole(text: str, frame: Frame) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        if joined.count("\ufffd") > text.count("\ufffd"):
            frame.repair("lone-surrogate")
        return joined
    return text


def _scrub(value: Any, frame: Frame) -> Any:
    if isinstance(value, str):
        return _whole(value, frame)
    if isinstance(value, float) and not math.isfinite(value):
        frame.repair("number-not-finite")
        return None
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {_whole(key, frame): _scrub(item, frame) for key, item in items}
    if isinstance(value, list):
        return [_scrub(item, frame) for item in cast("list[Any]", value)]
    return value
