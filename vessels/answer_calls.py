"""The tool calls of an answer as an encoder needs them: each begins when its id and name are whole.

Names come in pieces, and some providers give ids only at the answer's end. What has come of a call
is held until it can begin, which calls do in their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from ..core.chunk import ToolCallDelta
from .call_arguments import json_object

__all__ = ["AnswerCall", "AnswerCalls"]


class AnswerCall:
    """One call, as far as it has come.

    number: its place among what the encoder has begun, None before. ended: nothing more is sent.
    custom: the tool takes free text.
    """

    __slots__ = ("_pieces", "_sent", "custom", "ended", "id", "name", "number", "slot")

    def __init__(self, slot: str) -> None:
        self.slot = slot
        self.id = self.name = ""
        self.custom = self.ended = False
        self.number: int | None = None
        self._pieces: list[str] = []
        self._sent = 0

    @property
    def named(self) -> bool:
        """Whether id and name have come. A name is whole when arguments follow, or another call."""
        return bool(self.id and self.name)

    @property
    def argued(self) -> bool:
        """Whether arguments have come."""
        return bool(self._pieces)

    @property
    def whole(self) -> bool:
        """Whether the arguments are a whole JSON object, so that nothing follows."""
        text = self.text
        return bool(text.strip()) and json_object(text) is not None

    @property
    def text(self) -> str:
        """The arguments so far."""
        return "".join(self._pieces)

    def add(self, delta: ToolCallDelta) -> None:
        """Take a piece."""
        self.id = self.id or delta.id or ""
        self.name += delta.name or ""
        self.custom = self.custom or delta.type == "custom"
        if delta.arguments:
            self._pieces.append(delta.arguments)

    def take(self) -> str:
        """The arguments that have not been taken yet."""
        taken = "".join(self._pieces[self._sent :])
        self._sent = len(self._pieces)
        return taken


class AnswerCalls:
    """The calls of one choice, in the order in which they came."""

    def __init__(self) -> None:
        self._calls: dict[str, AnswerCall] = {}

    def __iter__(self) -> Iterator[AnswerCall]:
        return iter(self._calls.values())

    def add(self, delta: ToolCallDelta) -> list[AnswerCall]:
        """Take a piece; the calls of which something can be told now, in order."""
        call = self._calls.get(delta.slot)
        if call is None:
            call = self._calls[delta.slot] = AnswerCall(delta.slot)
        if call.ended:
            return []
        call.add(delta)
        if call.number is not None:
            return [call]
        held = [each for each in self if each.number is None and not each.ended]
        argued = [each.argued for each in held]
        last = len(held) - argued[::-1].index(True) if any(argued) else 0
        return [*takewhile(lambda each: each.named, held[:last])]

    def named(self) -> list[AnswerCall]:
        """The calls that have id and name, up to the first that has not."""
        return [*takewhile(lambda each: each.named, self)]

    def close(self) -> None:
        """The answer is over: a call that has no id by now is named after its slot."""
        for call in self:
            call.id = call.id or f"call_{call.slot}"
