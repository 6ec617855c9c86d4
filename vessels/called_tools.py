"""Finds the call that a tool's result belongs to, for dialects whose calls may have no id.

Every call in a conversation has an id here, also where the provider gave none; then it must not be
sent, and only names and the order tell which result is whose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..core.request import Message

__all__ = ["CalledTool", "CalledTools"]


class CalledTool(NamedTuple):
    """A tool call of a conversation.

    Attributes:
        name: The tool's name.
        id: The id that its provider knows, if any.
        position: Its number among all calls, from 0.
    """

    name: str
    id: str | None
    position: int


class CalledTools:
    """The tool calls of a conversation so far."""

    def __init__(self) -> None:
        self._calls: dict[str, CalledTool] = {}
        self._count = 0

    def add(self, message: Message, natives: Sequence[Mapping[str, Any]] | None) -> None:
        """Add the calls of `message`, an assistant's.

        Args:
            natives: The same calls in the provider's own form, if the message is sent in it.
        """
        for number, call in enumerate(message.tool_calls or ()):
            known = call.id
            if natives is not None:
                known = natives[number].get("id") if number < len(natives) else None
            self._calls[call.id or ""] = CalledTool(call.tool, known, self._count)
            self._count += 1

    def of(self, result: Message) -> CalledTool | None:
        """The call that `result` answers; None if the conversation has none with its id."""
        return self._calls.get(result.tool_call_id) if result.tool_call_id else None

    def in_order(self, results: Iterable[Message]) -> list[Message]:
        """`results` in the order of their calls; those of unknown calls come last."""

        def position(result: Message) -> int:
            call = self.of(result)
            return self._count if call is None else call.position

        return sorted(results, key=position)
