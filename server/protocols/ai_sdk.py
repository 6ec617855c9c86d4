"""The UI message stream of the AI SDK 5 and later, which `useChat` reads.

https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol#data-stream-protocol
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ...core.chunk import FinishReason, StreamChunk
from .parts import Part, Parts
from .problem import Problem
from .protocol import Ending, EventProtocol

__all__ = ["AiSdkEvents"]

_FINISH: dict[FinishReason, str] = {
    "content_filter": "content-filter",
    "tool_calls": "tool-calls",
}


class AiSdkEvents(EventProtocol):
    """message_id: of the message; without one the client makes an id."""

    headers: ClassVar[Mapping[str, str]] = {
        **EventProtocol.headers,
        "x-vercel-ai-ui-message-stream": "v1",
    }

    def __init__(self, message_id: str | None = None) -> None:
        self._message_id = message_id
        self._parts = Parts()

    def begin(self, session: str | None, call: int | None) -> bytes:
        """The message and its only step begin."""
        named = {} if self._message_id is None else {"messageId": self._message_id}
        before = super().begin(session, call)
        started = self.event({"type": "start", **named})
        return before + started + self.event({"type": "start-step"})

    def payloads(self, chunk: StreamChunk) -> Sequence[Any]:
        """The parts that the chunk adds to."""
        return [_value(part) for part in self._parts.read(chunk)]

    def end(self, ending: Ending) -> bytes:
        """Message and stream end; the message's metadata tells where it is recorded."""
        usage = None if ending.usage is None else ending.usage.model_dump(exclude_none=True)
        told = {"session": self.session, "call": self.call, "usage": usage}
        finish: dict[str, Any] = {
            "type": "finish",
            "messageMetadata": {name: value for name, value in told.items() if value is not None},
        }
        if ending.finish_reason is not None:
            finish["finishReason"] = _FINISH.get(ending.finish_reason, ending.finish_reason)
        closed = [*map(_value, self._parts.end()), {"type": "finish-step"}, finish]
        return b"".join(map(self.event, closed)) + self.last(b"[DONE]")

    def stop(self, ending: Ending) -> bytes:  # noqa: ARG002 - there is no place for it
        """The user stopped the answer."""
        return self.event({"type": "abort"}) + self.last(b"[DONE]")

    def fail(self, problem: Problem) -> bytes:
        """What went wrong."""
        return self.event({"type": "error", "errorText": problem.text}) + self.last(b"[DONE]")


def _value(part: Part) -> dict[str, Any]:
    if part.kind != "tool":
        value: dict[str, Any] = {"type": f"{part.kind}-{part.event}", "id": str(part.number)}
        return {**value, "delta": part.text} if part.event == "delta" else value
    called = {"toolCallId": part.id}
    if part.event == "delta":
        return {"type": "tool-input-delta", **called, "inputTextDelta": part.text}
    called["toolName"] = part.name
    if part.event == "start":
        custom = {"inputEncoding": "text"} if part.custom else {}
        return {"type": "tool-input-start", **called, **custom}
    try:
        return {"type": "tool-input-available", **called, "input": part.arguments()}
    except ValueError:
        text = "The arguments are not JSON."
        return {"type": "tool-input-error", **called, "input": part.text, "errorText": text}
