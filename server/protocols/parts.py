"""An answer as parts that begin and end: reasoning, text and tool calls, for protocols of parts.

Only the first choice is read: these protocols show one message. A refusal counts as text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from ...core.chunk import StreamChunk, ToolCallDelta
from ...core.jsontext import loads_exact

__all__ = ["Part", "Parts"]

Kind = Literal["reasoning", "text", "tool"]


class Part(NamedTuple):
    """The beginning, a piece or the end of a part.

    number: of the part, from 0. text: the piece; at a tool call's end all its arguments. id, name,
    custom: the tool call's; `custom` if it takes free text.
    """

    kind: Kind
    event: Literal["start", "delta", "end"]
    number: int
    text: str = ""
    id: str = ""
    name: str = ""
    custom: bool = False

    def arguments(self) -> Any:
        """The input of a tool call that has ended. Raises ValueError if it is not JSON."""
        if self.custom:
            return self.text
        return loads_exact(self.text) if self.text.strip() else {}


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    custom: bool = False
    arguments: list[str] = field(default_factory=list[str])
    sent: int = 0
    number: int | None = None
    ended: bool = False


class Parts:
    """Reads chunks in order."""

    def __init__(self) -> None:
        self._number = 0
        self._open: Kind | None = None
        self._calls: dict[str, _Call] = {}

    def read(self, chunk: StreamChunk) -> list[Part]:
        """What this chunk begins, continues and ends."""
        parts: list[Part] = []
        if chunk.choice:
            return parts
        if chunk.reasoning:
            self._say("reasoning", chunk.reasoning, parts)
        if text := chunk.text + chunk.refusal:
            self._say("text", text, parts)
        for delta in chunk.tool_calls:
            self._call(delta, parts)
        if chunk.finish_reason is not None:
            self._close(parts)
            for call in self._calls.values():
                if call.id:  # a call without one gets it from the decoder, at the answer's end
                    self._end_call(call, parts)
        return parts

    def end(self) -> list[Part]:
        """The ends of all that is open: the answer is over."""
        parts: list[Part] = []
        self._close(parts)
        for slot, call in self._calls.items():
            call.id = call.id or f"call_{slot}"
            self._end_call(call, parts)
        return parts

    def _say(self, kind: Kind, text: str, parts: list[Part]) -> None:
        if self._open != kind:
            self._close(parts)
            self._open = kind
            parts.append(Part(kind, "start", self._number))
        parts.append(Part(kind, "delta", self._number, text))

    def _close(self, parts: list[Part]) -> None:
        if self._open is not None:
            parts.append(Part(self._open, "end", self._number))
            self._open = None
            self._number += 1

    def _call(self, delta: ToolCallDelta, parts: list[Part]) -> None:
        call = self._calls.setdefault(delta.slot, _Call())
        if call.ended:
            return
        call.id = call.id or delta.id or ""
        call.name += delta.name or ""
        call.custom = call.custom or delta.type == "custom"
        if delta.arguments:
            call.arguments.append(delta.arguments)
        # A name may come in pieces, and is whole when the arguments begin.
        if call.id and call.name and call.arguments:
            self._send(call, parts)

    def _send(self, call: _Call, parts: list[Part]) -> None:
        """What is not sent yet of a call."""
        if call.number is None:
            self._close(parts)
            call.number = self._number
            self._number += 1
            parts.append(self._part(call, "start"))
        if pieces := call.arguments[call.sent :]:
            call.sent = len(call.arguments)
            parts.append(self._part(call, "delta", "".join(pieces)))

    def _end_call(self, call: _Call, parts: list[Part]) -> None:
        if not call.ended:
            self._send(call, parts)
            call.ended = True
            parts.append(self._part(call, "end", "".join(call.arguments)))

    @staticmethod
    def _part(call: _Call, event: Literal["start", "delta", "end"], text: str = "") -> Part:
        number = call.number or 0
        return Part("tool", event, number, text, call.id, call.name, call.custom)
