"""The assistant's message of an answer of Ollama's own API, as it grows.

Tool calls come whole, their arguments as objects. Some servers send them in the manner of the
OpenAI dialect: arguments as JSON text, also in pieces, each piece after the first with an empty id
and name. Here, as in the requests of the API, they become objects.
"""

from __future__ import annotations

from typing import Any, cast

from ..core.chunk import ToolCallDeltaFields
from ..core.frame import Frame
from .call_arguments import json_object
from .joined_pieces import JoinedObject
from .mended_values import mended_object, mended_objects
from .tool_calls import ToolCalls

__all__ = ["OllamaMessage"]


class OllamaMessage:
    """What has come of the message. content, thinking: the pieces, for the decoder to add to."""

    def __init__(self) -> None:
        self.content: list[str] = []
        self.thinking: list[str] = []
        self._others = JoinedObject()
        self._tool_calls = ToolCalls()
        self._made_ids: set[str] = set()
        self.calls_tools = False

    @property
    def said(self) -> bool:
        """Whether anything came."""
        return bool(self.content or self.thinking or self.calls_tools or self._others)

    def read_calls(self, calls: Any, frame: Frame) -> list[ToolCallDeltaFields]:
        """The pieces of tool calls for a chunk."""
        deltas: list[ToolCallDeltaFields] = []
        pieces = mended_objects(ToolCalls.pieces(calls, frame), frame)
        frame.count(len(pieces))
        for sent in pieces:
            function = mended_object(sent.get("function"), frame)
            whole = not isinstance(function.get("arguments"), str)
            delta = self._tool_calls.add(sent, frame, whole=whole)
            if delta is not None:
                self._note(delta, made=not sent.get("id"))
                deltas.append(delta)
        return deltas

    def close(self, frame: Frame, *, complete: bool) -> list[ToolCallDeltaFields]:
        """What calls still lack when the answer has ended. complete: it was not cut."""
        deltas = self._tool_calls.close(frame, complete=complete)
        for delta in deltas:
            self._note(delta, made=True)
        return deltas

    def _note(self, delta: ToolCallDeltaFields, *, made: bool) -> None:
        self.calls_tools = True
        if made and (identifier := delta.get("id")):
            self._made_ids.add(identifier)

    def keep(self, fields: dict[str, Any]) -> bool:
        """Keep fields of the message that are not known (see joined_pieces.py), if they are new."""
        return self._others.add(fields)

    def native(self) -> dict[str, Any] | None:
        """The message as the API wants it back; None if nothing came."""
        if not self.said:
            return None
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self.content)}
        if self.thinking:
            message["thinking"] = "".join(self.thinking)
        if self.calls_tools:
            message["tool_calls"] = [self._as_sent(call) for call in self._tool_calls.native()]
        return {**message, **self._others.build()}

    def _as_sent(self, call: dict[str, Any]) -> dict[str, Any]:
        """A call without an id that the server did not give, its arguments no JSON text."""
        if call.get("id") in self._made_ids:
            call = {key: value for key, value in call.items() if key != "id"}
        function = call.get("function")
        if not isinstance(function, dict):
            return call
        known = cast("dict[str, Any]", function)
        text = known.get("arguments")
        if not isinstance(text, str):
            return call
        arguments = json_object(text)
        if arguments is None:
            return call
        return {**call, "function": {**known, "arguments": arguments}}
