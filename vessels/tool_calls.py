"""Assigns the pieces of tool calls to their calls.

By the dialect, `index` identifies the call. Servers leave it out, send -1, count from 1, or send 0
for each of several calls; they repeat id and name in every piece, send them apart, or the name in
fragments. The slot given here is the call's number in order of appearance, from "0". Each deviation
mended is named on the frame.
"""

from __future__ import annotations

import re
from typing import Any, cast

from ..core.chunk import ToolCallDeltaFields
from ..core.frame import Frame
from ..core.jsontext import loads
from ..core.mending import mend_value
from .call_arguments import arguments_text, made_id
from .wire_values import object_in

__all__ = ["ToolCalls"]


class _Call:
    """What is known of a call. id: as it is told. size: the length of its name."""

    __slots__ = ("arguments", "id", "index", "names", "nesting", "scanned", "size", "slot")

    def __init__(self, slot: str, index: int | None) -> None:
        self.slot = slot
        self.index = index
        self.id: str | None = None
        self.names: list[str] = []
        self.size = 0
        self.arguments: list[str] = []
        self.scanned = 0
        self.nesting = _Nesting()

    def is_named(self, name: str) -> bool:
        """Whether this is its name. The pieces are joined only where the length is the same."""
        return len(name) == self.size and name == "".join(self.names)

    @property
    def is_whole(self) -> bool:
        """Whether its arguments are a whole JSON value."""
        for piece in self.arguments[self.scanned :]:
            self.nesting.read(piece)
        self.scanned = len(self.arguments)
        if self.nesting.open:
            return False
        try:
            loads("".join(self.arguments))
        except ValueError:
            return False
        return True


class _Nesting:
    """Whether a JSON value is still open, told from its pieces, each of which is read once."""

    __slots__ = ("depth", "in_string", "rest")

    def __init__(self) -> None:
        self.depth = 0
        self.in_string = False
        self.rest = ""

    @property
    def open(self) -> bool:
        return self.in_string or self.depth > 0

    def read(self, piece: str) -> None:
        text = self.rest + piece
        # A backslash at the end goes with the character that follows it.
        self.rest = "\\" if (len(text) - len(text.rstrip("\\"))) % 2 else ""
        for sign in _SIGNS.findall(text.removesuffix(self.rest) if self.rest else text):
            if sign == '"':
                self.in_string = not self.in_string
            elif not self.in_string and len(sign) == 1:
                self.depth += 1 if sign in "{[" else -1


_SIGNS = re.compile(r'\\.|["{}\[\]]', re.DOTALL)


class ToolCalls:
    """The tool calls of one choice."""

    def __init__(self) -> None:
        self._count = 0
        # The latest call of each index, and of each index and id; under None, of any index.
        self._latest: dict[int | None, _Call] = {}
        self._of_id: dict[tuple[int | None, str], _Call] = {}
        self._ids: set[str] = set()
        self._without_id: dict[str, _Call] = {}

    def close(self, frame: Frame) -> list[ToolCallDeltaFields]:
        """The ids of the calls that have none so far, made when the answer ends."""
        return [self._make_id(call, frame) for call in list(self._without_id.values())]

    def _make_id(self, call: _Call, frame: Frame) -> ToolCallDeltaFields:
        frame.repair("tool-id-made")
        return {"slot": call.slot, "id": self._identify(call, "", frame)}

    def _identify(self, call: _Call, sent: str, frame: Frame) -> str:
        """The id of a call: as it was sent, unless that is empty or another call's."""
        call.id = sent if sent and sent not in self._ids else made_id(f"{call.slot} {frame.text}")
        self._ids.add(call.id)
        self._without_id.pop(call.slot, None)
        return call.id

    def add(self, sent: Any, frame: Frame, *, whole: bool) -> ToolCallDeltaFields | None:
        """The delta for a piece as it was sent; None if it has nothing new.

        whole: each piece is a call of its own (an answer that is not streamed; Ollama's always).
        """
        if not isinstance(sent, dict):
            raise ValueError(f"a tool call is {type(sent).__name__}")  # noqa: TRY004 - it is the wire's
        piece = cast("dict[str, Any]", sent)
        function = object_in(piece, "function")
        index = _index(piece.get("index", function.get("index")))
        identifier = _word(piece.get("id"))
        name = _word(function.get("name"))
        sent_arguments = function.get("arguments")
        if not isinstance(sent_arguments, str):
            sent_arguments = mend_value(sent_arguments, frame)
        arguments = arguments_text(sent_arguments)
        if whole:
            call = self._begin(index)
        else:
            if index is None:
                frame.repair("missing-tool-index")
            if arguments and not isinstance(sent_arguments, str):
                frame.repair("tool-arguments-not-text")
            call = self._find(index, identifier, name, arguments, frame)
        delta = self._delta(call, identifier, name, arguments, frame)
        if whole and delta is not None and call.id is None:
            delta |= self._make_id(call, frame)
        return delta

    def _begin(self, index: int | None) -> _Call:
        call = self._without_id[str(self._count)] = _Call(str(self._count), index)
        self._count += 1
        self._latest[None] = self._latest[index] = call
        return call

    def _find(
        self,
        index: int | None,
        identifier: str | None,
        name: str | None,
        arguments: str,
        frame: Frame,
    ) -> _Call:
        known = None if identifier is None else self._of_id.get((index, identifier))
        if known is not None:
            frame.repair("id-repeated")
            return known
        call = self._latest.get(index)
        if call is None:
            return self._begin(index)
        if identifier is not None and call.id is not None:
            # A piece that only carries arguments on is no new call, whatever its id.
            if name is None and arguments:
                frame.repair("tool-id-changed")
                return call
            another = True
        elif identifier is not None:
            another = name is not None and bool(call.size and call.arguments)
        elif name is not None:
            another = bool(call.arguments) and (not call.is_named(name) or call.is_whole)
            another = another or (index is None and call.size > 0 and not call.is_named(name))
        else:
            another = False
        if not another:
            return call
        if index is not None:
            frame.repair("tool-index-repeated")
        return self._begin(index)

    def _delta(
        self, call: _Call, identifier: str | None, name: str | None, arguments: str, frame: Frame
    ) -> ToolCallDeltaFields | None:
        delta: ToolCallDeltaFields = {"slot": call.slot}
        if call.index is not None and not (call.id or call.size or call.arguments):
            delta["index"] = call.index
        if identifier is not None and call.id is None:
            if identifier in self._ids:
                frame.repair("tool-id-not-unique")
            delta["id"] = self._identify(call, identifier, frame)
            self._of_id[None, identifier] = self._of_id[call.index, identifier] = call
        if name is not None and (new := _new_part(call, name, frame)):
            delta["name"] = new
            call.names.append(new)
            call.size += len(new)
        if arguments:
            delta["arguments"] = arguments
            call.arguments.append(arguments)
        return delta if len(delta) > 1 else None


def _index(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _word(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None


def _new_part(call: _Call, name: str, frame: Frame) -> str:
    """What a later name adds to the one that is known."""
    if not call.size:
        return name
    if call.is_named(name) or call.arguments:
        frame.repair("tool-name-repeated")
        return ""
    frame.repair("tool-name-in-pieces")
    return name.removeprefix("".join(call.names)) if len(name) > call.size else name
