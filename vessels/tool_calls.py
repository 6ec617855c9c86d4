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
from .call_arguments import made_id, meant_arguments
from .tool_call_piece import ToolCallPiece, parsed_text, read_piece
from .tool_call_state import ToolCallState

__all__ = ["ToolCalls"]


# Some servers give a call these first, and then its arguments in pieces.
_EMPTY = "{}"


class ToolCalls:
    """The tool calls of one choice."""

    def __init__(self) -> None:
        self._calls: list[ToolCallState] = []
        # The latest call of each index, and of each index and id; under None, of any index.
        self._latest: dict[int | None, ToolCallState] = {}
        self._of_id: dict[tuple[int | None, str], ToolCallState] = {}
        self._ids: set[str] = set()
        self._without_id: dict[str, ToolCallState] = {}
        self._held: dict[str, ToolCallState] = {}  # whose empty arguments are held back
        self._in_strings: dict[str, ToolCallState] = {}  # and those whose are a JSON string

    def __bool__(self) -> bool:
        return bool(self._calls)

    def close(self, frame: Frame, *, complete: bool = True) -> list[ToolCallDeltaFields]:
        """Deltas for what calls lack when the answer ends: ids, and empty arguments held back.

        Args:
            frame: Gets the names of the repairs.
            complete: Whether the answer is whole; if it was cut, arguments may be missing.
        """
        held: list[ToolCallDeltaFields] = [
            {"slot": call.slot, "arguments": self._release(call)}
            for call in (list(self._held.values()) if complete else ())
        ]
        for call in self._in_strings.values():
            meant = meant_arguments("".join(call.arguments), frame)
            held.append({"slot": call.slot, "arguments": meant})
            call.in_string = False
        self._in_strings = {}
        return [*held, *(self._make_id(call, frame) for call in list(self._without_id.values()))]

    def _release(self, call: ToolCallState) -> str:
        del self._held[call.slot]
        return "".join(call.arguments)

    def native(self) -> list[dict[str, Any]]:
        """The calls so far, in the provider's form, as a message of it has them."""
        return [call.native() for call in self._calls]

    def _make_id(self, call: ToolCallState, frame: Frame) -> ToolCallDeltaFields:
        frame.repair("tool-id-made")
        return {"slot": call.slot, "id": self._identify(call, "")}

    def _identify(self, call: ToolCallState, sent: str) -> str:
        """The id of a call: as it was sent, unless that is empty or another call's."""
        call.id = sent if sent and sent not in self._ids else made_id(sent + call.content)
        self._ids.add(call.id)
        self._without_id.pop(call.slot, None)
        return call.id

    def add(self, sent: Any, frame: Frame, *, whole: bool) -> ToolCallDeltaFields | None:
        """The delta for `sent`, a piece as it came; None if it has nothing new.

        Args:
            frame: The frame that it came in; gets the names of the repairs.
            whole: Whether each piece is a whole call: in an answer that is not streamed, and
                always in Ollama's.
        """
        piece = read_piece(sent, frame, whole=whole)
        if piece is None:
            if whole and isinstance(sent, dict):
                frame.repair("empty-tool-call")
            return None
        if whole:
            call = self._begin(piece.number)
            call.sent = piece.sent
        else:
            if piece.number is None:
                frame.repair("missing-tool-index")
            if piece.is_value:
                frame.repair("tool-arguments-not-text")
            call = self._find(piece, frame)
            call.add_unknown(piece.sent, piece.function)
        became_custom = piece.is_custom and not call.is_custom
        call.is_custom = call.is_custom or piece.is_custom
        delta = self._delta(call, piece, frame)
        is_empty = call.total == len(_EMPTY) and "".join(call.arguments) == _EMPTY
        if not whole and is_empty and delta.get("arguments") == _EMPTY:
            del delta["arguments"]
            self._held[call.slot] = call
        elif (text := delta.get("arguments")) and call.in_string:
            if whole:
                delta["arguments"] = meant_arguments(text, frame)
            else:
                del delta["arguments"]
                self._in_strings[call.slot] = call
        if became_custom:
            delta["type"] = "custom"
        if whole and call.id is None:
            delta |= self._make_id(call, frame)
        return delta if len(delta) > 1 else None

    @staticmethod
    def pieces(sent: Any, frame: Frame) -> list[Any]:
        """The pieces in `sent`, a message's `tool_calls`: a list, a single one, or their JSON text.

        `frame` gets the names of the repairs.
        """
        if isinstance(sent, list):
            return cast("list[Any]", sent)
        value = parsed_text(sent) if isinstance(sent, str) else sent
        if isinstance(value, dict | list):
            frame.repair("tool-calls-not-a-list")
            return cast("list[Any]", value) if isinstance(value, list) else [value]
        if sent:
            frame.repair("unexpected-type")
        return []

    def _begin(self, index: int | None) -> ToolCallState:
        call = ToolCallState(str(len(self._calls)), index)
        self._calls.append(call)
        self._without_id[call.slot] = call
        self._latest[None] = self._latest[index] = call
        return call

    def _find(self, piece: ToolCallPiece, frame: Frame) -> ToolCallState:
        index, identifier, name, arguments = piece[:4]
        known = None if identifier is None else self._of_id.get((index, identifier))
        if known is not None:
            if name is not None and self._is_another(known, name, arguments):
                return self._begin(index)
            frame.repair("id-repeated")
            return known
        call = self._latest.get(index)
        if call is None:
            last = self._latest.get(None)
            if last is None or identifier is not None or name is not None:
                return self._begin(index)
            frame.repair("tool-index-changed")
            return last
        if identifier is not None and call.id is not None:
            # A piece that only carries arguments on is no new call, whatever its id.
            if name is None and arguments:
                frame.repair("tool-id-changed")
                return call
            another = True
        elif identifier is not None:
            another = name is not None and bool(call.size and call.arguments)
        elif name is not None:
            another = bool(call.size and call.arguments)
            another = another and (not call.is_named(name) or call.is_whole)
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
        return self._begin(index)

    def _is_another(self, call: ToolCallState, name: str, arguments: str) -> bool:
        """Whether a piece begins another call than the one whose id it has."""
        if not (call.size and call.arguments):
            return False
        if not call.is_named(name):
            return call.is_whole
        if call.slot in self._held or not arguments.lstrip().startswith("{"):
            return False
        return call.is_whole and not call.repeats(arguments)

    def _delta(
        self, call: ToolCallState, piece: ToolCallPiece, frame: Frame
    ) -> ToolCallDeltaFields:
        identifier, name, arguments = piece[1:4]
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
        if call.grows(arguments):
            frame.repair("tool-arguments-cumulative")
            arguments = arguments[call.total :]
        if arguments and call.arguments and call.repeats(arguments):
            frame.repair("tool-arguments-repeated")
        elif arguments:
            if call.slot in self._held:
                if arguments.lstrip().startswith("{"):
                    frame.repair("tool-arguments-begun-anew")
                    del self._held[call.slot]
                    call.restart()
                else:
                    arguments = self._release(call) + arguments
                    call.restart()
            delta["arguments"] = arguments
            call.append(arguments)
        return delta


def _new_part(call: ToolCallState, name: str, frame: Frame) -> str:
    """What a later name adds to the one that is known."""
    if not call.size:
        return name
    if call.is_named(name) or call.arguments:
        frame.repair("tool-name-repeated")
        return ""
    frame.repair("tool-name-in-pieces")
    return name.removeprefix("".join(call.names)) if len(name) > call.size else name
