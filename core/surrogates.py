"""Joins characters that a provider cut into lone surrogates.

JSON can carry half of a surrogate pair, and some servers put the halves of one character into two
chunks. Halves that meet are joined; a half that stays alone becomes U+FFFD. Both are declared
repairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from .chunk import ChunkFields
from .frame import Frame

__all__ = ["SurrogateMender"]

_TEXTS = ("text", "reasoning", "refusal")


class SurrogateMender:
    """Holds back a leading half at the end of a text until its next piece comes."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, str], str] = {}

    @property
    def pending(self) -> bool:
        """Whether a half is held back."""
        return bool(self._held)

    def mend(
        self, chunks: Iterable[ChunkFields], frame: Frame, *, last: bool = False
    ) -> Iterator[ChunkFields]:
        """The chunks with whole characters only; with `last`, what is held back too."""
        for chunk in chunks:
            yield self._mend(chunk, frame)
        if last:
            for choice, kind in self._held:
                frame.repair("lone-surrogate")
                if kind in _TEXTS:
                    yield cast("ChunkFields", {"choice": choice, kind: "\ufffd"})
                else:
                    yield {"choice": choice, "tool_calls": [{"slot": kind, "arguments": "\ufffd"}]}
            self._held.clear()

    def _mend(self, chunk: ChunkFields, frame: Frame) -> ChunkFields:
        choice = chunk.get("choice", 0)
        mended: dict[str, Any] = {}
        for key, value in chunk.items():
            if key in _TEXTS:
                mended[key] = self._join((choice, key), cast("str", value), frame)
            elif key == "tool_calls":
                mended[key] = [
                    {
                        **_scrub(call, frame),
                        "arguments": self._join((choice, call["slot"]), arguments, frame),
                    }
                    if isinstance(arguments := call.get("arguments"), str)
                    else _scrub(call, frame)
                    for call in cast("list[dict[str, Any]]", value)
                ]
            else:
                mended[key] = _scrub(value, frame)
        return cast("ChunkFields", mended)

    def _join(self, key: tuple[int, str], text: str, frame: Frame) -> str:
        held = self._held.pop(key, "")
        if held and not text:
            self._held[key] = held
            return text
        if held and "\udc00" <= text[0] <= "\udfff":
            frame.repair("surrogates-joined")
        text = held + text
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._held[key] = text[-1]
            text = text[:-1]
        return _whole(text, frame)


def _whole(text: str, frame: Frame) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        if "\ufffd" in joined.replace("\ufffd", "", text.count("\ufffd")):
            frame.repair("lone-surrogate")
        return joined
    return text


def _scrub(value: Any, frame: Frame) -> Any:
    if isinstance(value, str):
        return _whole(value, frame)
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {
            _whole(key, frame): item if key == "arguments" else _scrub(item, frame)
            for key, item in items
        }
    if isinstance(value, list):
        return [_scrub(item, frame) for item in cast("list[Any]", value)]
    return value
