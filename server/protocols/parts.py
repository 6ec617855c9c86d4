"""An answer as parts that begin and end: reasoning, text and tool calls, for protocols of parts.

Only the first choice is read: these protocols show one message. A refusal counts as text.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from ...core.chunk import StreamChunk, ToolCallDelta
from ...core.jsontext import loads_exact
from ...vessels.answer_calls import AnswerCall, AnswerCalls

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


class Parts:
    """Reads chunks in order."""

    def __init__(self) -> None:
        self._number = 0
        self._open: Kind | None = None
        self._calls = AnswerCalls()

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
            for call in self._calls:
                if call.id:  # a call without one gets it from the decoder, at the answer's end
                    self._end_call(call, parts)
        return parts

    def end(self) -> list[Part]:
        """The ends of all that is open: the answer is over."""
        parts: list[Part] = []
        self._close(parts)
        self._calls.close()
        for call in self._calls:
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
        for call in self._calls.add(delta):
            self._send(call, parts)

    def _send(self, call: AnswerCall, parts: list[Part]) -> None:
        """What is not sent yet of a call."""
        if call.number is None:
            self._close(parts)
            call.number = self._number
            self._number += 1
            parts.append(self._part(call, "start"))
        if text := call.take():
            parts.append(self._part(call, "delta", text))

    def _end_call(self, call: AnswerCall, parts: list[Part]) -> None:
        if not call.ended:
            self._send(call, parts)
            call.ended = True
            parts.append(self._part(call, "end", call.text))

    @staticmethod
    def _part(call: AnswerCall, event: Literal["start", "delta", "end"], text: str = "") -> Part:
        number = call.number or 0
        return Part("tool", event, number, text, call.id, call.name, call.custom)
