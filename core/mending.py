"""Mends what a decoder may give but no recording can hold: half surrogate pairs, NaN, infinities.

JSON can hold half of a surrogate pair, and some servers put the two halves of one character into
two chunks. Halves that meet are joined; a half that stays alone becomes U+FFFD. A number that is
not finite becomes null. Each is a declared repair.

Whether a chunk needs mending is decided by its values alone, whichever way the decoder parsed them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast

import orjson
from pydantic import ConfigDict, TypeAdapter

from .chunk import ChunkFields
from .frame import Frame
from .jsontext import loads_exact

__all__ = ["Mender", "mend_value", "need_mending"]

_TEXTS = ("text", "reasoning", "refusal")
_PYDANTIC = TypeAdapter[Any](Any, config=ConfigDict(ser_json_inf_nan="constants"))


def need_mending(chunks: Sequence[ChunkFields]) -> bool:
    """Whether chunks may hold half a surrogate pair or a number that is not finite.

    False is certain; True is not, for values of other types than those of JSON.
    """
    for chunk in chunks:
        if len(chunk) == 1 and "text" in chunk and chunk["text"].isascii():
            continue
        try:
            if _has_no_number(chunk, orjson.dumps(chunk)):
                return True
        except (TypeError, ValueError):
            return True
    return False


def _has_no_number(value: Any, written: bytes) -> bool:
    """Whether a number of `value` is not finite: null in orjson's `written`, not in pydantic's."""
    nulls = written.count(b"null")
    return nulls > 0 and _PYDANTIC.dump_json(value).count(b"null") < nulls


def mend_value(value: Any, frame: Frame | None = None) -> Any:
    """`value`, with U+FFFD for half a surrogate pair and None for a number that is not finite.

    Args:
        frame: Gets the names of the repairs.
    """
    if isinstance(value, str):
        return _whole(value, frame)
    if not isinstance(value, dict | list | tuple | float):
        return value
    try:
        written = orjson.dumps(value)  # refuses halves
        if not _has_no_number(value, written):
            return cast("Any", value)
    except (TypeError, ValueError):
        text = json.dumps(value, ensure_ascii=False, check_circular=False)
        whole = _whole(text, frame)
        if "NaN" in whole or "Infinity" in whole:
            return json.loads(whole, parse_constant=lambda _name: _no_number(frame))
        return cast("Any", value) if whole is text else loads_exact(whole)
    _no_number(frame)
    return orjson.loads(written)


def _no_number(frame: Frame | None) -> None:
    if frame is not None:
        frame.repair("number-not-finite")


class _Place(NamedTuple):
    """The text that a half belongs to. slot: of the tool call, for its arguments."""

    choice: int
    kind: str
    slot: str = ""


class Mender:
    """Mends the chunks of one answer, in order.

    Half a surrogate pair at the end of a piece of text is held back until that text continues.
    held: the halves that are held back.
    """

    def __init__(self) -> None:
        self.held: dict[_Place, str] = {}

    def mend(
        self, chunks: Iterable[ChunkFields], frame: Frame, *, last: bool = False
    ) -> Iterator[ChunkFields]:
        """The mended chunks, without those that are empty then.

        last: the answer has ended, so that nothing is held back any longer.
        """
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
        mended: Any = dict(chunk)
        for key in _TEXTS:
            if isinstance(text := mended.get(key), str):
                mended[key] = self._join(_Place(choice, key), text, frame)
                if not mended[key]:
                    del mended[key]
        if "tool_calls" in mended:
            mended["tool_calls"] = [dict(call) for call in mended["tool_calls"]]
            for call in mended["tool_calls"]:
                if isinstance(text := call.get("arguments"), str):
                    call["arguments"] = self._join(
                        _Place(choice, "arguments", call["slot"]), text, frame
                    )
        return cast("ChunkFields", mend_value(mended, frame))

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


def _whole(text: str, frame: Frame | None) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        # UTF-16 has halves too: two that meet are one character of it.
        mended = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        if frame is not None and mended.count("\ufffd") > text.count("\ufffd"):
            frame.repair("lone-surrogate")
        return mended
    return text
