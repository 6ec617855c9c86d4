"""Assigns the pieces of tool calls to their calls.

By the dialect, `index` identifies the call. Servers leave it out, send -1, count from 1, or send 0
for each of several calls; they repeat id and name in every piece, send them apart, or the name in
fragments. The slot given here is the call's number in order of appearance, from "0". Each deviation
mended is named on the frame.
"""

from __future__ import annotations

from typing import Any, cast

from ..core.chunk import ToolCallDeltaFields
from ..core.frame import Frame
from ..core.mending import mend_value
from .call_arguments import arguments_text, made_id
from .tool_call_state import ToolCallState

__all__ = ["ToolCalls"]

_KNOWN = frozenset({"custom", "function", "id", "index", "type"})
_KNOWN_IN_FUNCTION = frozenset({"arguments", "index", "input", "name"})


class ToolCalls:
    """The tool calls of one choice."""

    def __init__(self) -> None:
        self._calls: list[ToolCallState] = []
        # The latest call of each index, and of each index and id; under None, of any index.
        self._latest: dict[int | None, ToolCallState] = {}
        self._of_id: dict[tuple[int | None, str], ToolCallState] = {}
        self._ids: set[str] = set()
        self._without_id: dict[str, ToolCallState] = {}

    def close(self, frame: Frame) -> list[ToolCallDeltaFields]:
        """The ids of the calls that have none so far, made when the answer ends."""
        return [self._make_id(call, frame) for call in list(self._without_id.values())]

    def native(self) -> list[dict[str, Any]]:
        """The calls so far, as the provider has them in a message."""
        return [call.native() for call in self._calls]

    def _make_id(self, call: ToolCallState, frame: Frame) -> ToolCallDeltaFields:
        frame.repair("tool-id-made")
        return {"slot": call.slot, "id": self._identify(call, "")}

    def _identify(self, call: ToolCallState, sent: str) -> str:
        """The id of a call: as it was sent, unless that is empty or another call's."""
        call.id = sent if sent and sent not in self._ids else made_id(f"{call.slot} {call.seed}")
        self._ids.add(call.id)
        self._without_id.pop(call.slot, None)
        return call.id

    def add(self, sent: Any, frame: Frame, *, whole: bool) -> ToolCallDeltaFields | None:
        """The delta for a piece as it was sent; None if it has nothing new.

        whole: each piece is a call of its own (an answer that is not streamed; Ollama's always).
        """
        if not isinstance(sent, dict):
            frame.repair("unexpected-type")
            return None
        piece = cast("dict[str, Any]", sent)
        custom = piece.get("custom")
        is_custom = isinstance(custom, dict)
        function = cast("Any", custom if is_custom else piece.get("function"))
        if not isinstance(function, dict):
            if function is not None:
                frame.repair("unexpected-type")
            function = {}
        function = cast("dict[str, Any]", function)
        index = _index(piece.get("index", function.get("index")))
        identifier = _word(piece.get("id"))
        name = _word(function.get("name"))
        sent_arguments = function.get("input" if is_custom else "arguments")
        if not isinstance(sent_arguments, str):
            sent_arguments = mend_value(sent_arguments, frame)
        arguments = arguments_text(sent_arguments)
        others = None if piece.keys() <= _KNOWN else _without(piece, _KNOWN)
        if identifier is None and name is None and not arguments and not others:
            if whole:
                frame.repair("empty-tool-call")
            return None
        if whole:
            call = self._begin(index, frame)
            call.sent = piece
        else:
            if index is None:
                frame.repair("missing-tool-index")
            if arguments and not isinstance(sent_arguments, str):
                frame.repair("tool-arguments-not-text")
            call = self._find(index, identifier, name, arguments, frame)
            if others:
                call.others.add(others)
            if not function.keys() <= _KNOWN_IN_FUNCTION:
                call.inner.add(_without(function, _KNOWN_IN_FUNCTION))
        became_custom = is_custom and not call.is_custom
        call.is_custom = call.is_custom or is_custom
        delta = self._delta(call, identifier, name, arguments, frame)
        if became_custom:
            delta["type"] = "custom"
        if whole and call.id is None:
            delta |= self._make_id(call, frame)
        return delta if len(delta) > 1 else None

    def _begin(self, index: int | None, frame: Frame) -> ToolCallState:
        call = ToolCallState(str(len(self._calls)), index, frame.text)
        self._calls.append(call)
        self._without_id[call.slot] = call
        self._latest[None] = self._latest[index] = call
        return call

    def _find(
        self,
        index: int | None,
        identifier: str | None,
        name: str | None,
        arguments: str,
        frame: Frame,
    ) -> ToolCallState:
        known = None if identifier is None else self._of_id.get((index, identifier))
        if known is not None:
            frame.repair("id-repeated")
            return known
        call = self._latest.get(index)
        if call is None:
            return self._begin(index, frame)
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
            if another and len(call.arguments) > 1 and call.is_named(name):
                # Another call would come in pieces too.
                another = not call.repeats(arguments)
            another = another or (index is None and call.size > 0 and not call.is_named(name))
        else:
            another = False
        if not another:
            return call
        if index is not None:
            frame.repair("tool-index-repeated")
        return self._begin(index, frame)

    def _delta(
        self, call: ToolCallState, identifier: str | None, name: str | None, arguments: str, frame: Frame
    ) -> ToolCallDeltaFields:
        delta: ToolCallDeltaFields = {"slot": call.slot}
        if call.index is not None and not (call.id or call.size or call.arguments):
            delta["index"] = call.index
        if identifier is not None and call.id is None:
            if identifier in self._ids:
                frame.repair("tool-id-not-unique")
            delta["id"] = self._identify(call, identifier)
            self._of_id[None, identifier] = self._of_id[call.index, identifier] = call
        if name is not None and (new := _new_part(call, name, frame)):
            delta["name"] = new
            call.names.append(new)
            call.size += len(new)
        if arguments and call.arguments and call.repeats(arguments):
            frame.repair("tool-arguments-repeated")
        elif arguments:
            delta["arguments"] = arguments
            call.arguments.append(arguments)
        return delta


def _index(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _word(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None


def _without(fields: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """The fields that are not known, and say something."""
    return {key: value for key, value in fields.items() if key not in known and value is not None}


def _new_part(call: ToolCallState, name: str, frame: Frame) -> str:
    """What a later name adds to the one that is known."""
    if not call.size:
        return name
    if call.is_named(name) or call.arguments:
        frame.repair("tool-name-repeated")
        return ""
    frame.repair("tool-name-in-pieces")
    return name.removeprefix("".join(call.names)) if len(name) > call.size else name
