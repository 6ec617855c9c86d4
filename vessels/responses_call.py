"""A call of a tool while it is written as events of OpenAI's Responses API."""

from __future__ import annotations

from typing import Any

from ..core.chunk import ToolCallDelta
from ..core.completion import ToolCall
from .responses_shape import call_item

__all__ = ["WrittenCall"]


class WrittenCall:
    """A call so far. index: its place in the output, None before its item began."""

    def __init__(self) -> None:
        self.index: int | None = None
        self._call = ToolCall()
        self._arguments: list[str] = []

    @property
    def event(self) -> str:
        """The name of its events, without `.delta` and `.done`."""
        if self._call.type == "custom":
            return "response.custom_tool_call_input"
        return "response.function_call_arguments"

    @property
    def whole(self) -> dict[str, Any]:
        """What the event behind the last piece has."""
        if self._call.type == "custom":
            return {"input": self._text}
        return {"arguments": self._text, "name": self._call.name}

    def add(self, delta: ToolCallDelta) -> None:
        """Take a piece. An item that has begun keeps its names."""
        if delta.arguments:
            self._arguments.append(delta.arguments)
        if self.index is None:
            self._call = ToolCall(
                id=self._call.id or delta.id,
                type=delta.type or self._call.type,
                name=self._call.name + (delta.name or ""),
            )

    def item(self, number: str, *, begun: bool = False) -> dict[str, Any]:
        """Its item. number: what its ids are made of. begun: without its arguments."""
        call = self._call.model_copy(update={"arguments_text": "" if begun else self._text})
        return call_item(call, number, status="in_progress" if begun else "completed")

    @property
    def _text(self) -> str:
        text = "".join(self._arguments)
        return text or ("" if self._call.type == "custom" else "{}")
