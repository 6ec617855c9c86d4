"""The tool calls of an answer as an encoder needs them: each begins when its id and name are whole.

Names come in pieces, and some providers give ids only at the answer's end. What has come of a call
is held until it can begin.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..core.chunk import ToolCallDelta

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
    def ready(self) -> bool:
        """Whether it can begin: a name is whole when the arguments begin."""
        return bool(self.id and self.name and self._pieces)

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

    def add(self, delta: ToolCallDelta) -> AnswerCall:
        """Take a piece; the call that it belongs to."""
        call = self._calls.get(delta.slot)
        if call is None:
            call = self._calls[delta.slot] = AnswerCall(delta.slot)
        if not call.ended:
            call.add(delta)
        return call

    def close(self) -> None:
        """The answer is over: a call that has no id by now is named after its slot."""
        for call in self:
            call.id = call.id or f"call_{call.slot}"
