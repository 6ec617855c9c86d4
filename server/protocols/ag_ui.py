"""The events of the Agent User Interaction protocol, https://docs.ag-ui.com/concepts/events."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from ...core.chunk import StreamChunk, Usage
from .parts import Part, Parts
from .problem import Problem
from .protocol import Ending, EventProtocol

__all__ = ["AgUiEvents"]

_USAGE = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "totalTokens": "total_tokens",
    "reasoningTokens": "reasoning_tokens",
    "cachedInputTokens": "cached_input_tokens",
    "cacheWriteInputTokens": "cache_write_tokens",
}


class AgUiEvents(EventProtocol):
    """One run. thread_id, run_id: as the client named them; by default the session and its call."""

    def __init__(self, thread_id: str | None = None, run_id: str | None = None) -> None:
        self._thread_id = thread_id
        self._run_id = run_id
        self._parts = Parts()
        self._message = ""

    def begin(self, session: str | None, call: int | None) -> bytes:
        """The run begins."""
        before = super().begin(session, call)
        unique = secrets.token_hex(8) if session is None else session
        self._thread_id = self._thread_id or unique
        self._run_id = self._run_id or f"{unique}:{call}"
        self._message = f"{self._run_id}:message"
        return before + self.event(self._run("RUN_STARTED"))

    def payloads(self, chunk: StreamChunk) -> Sequence[Any]:
        """The messages and tool calls that the chunk adds to."""
        return [value for part in self._parts.read(chunk) for value in self._values(part)]

    def end(self, ending: Ending) -> bytes:
        """The run is finished."""
        return self._finish(ending, "success")

    def stop(self, ending: Ending) -> bytes:
        """The run was cancelled."""
        return self._finish(ending, "cancelled")

    def fail(self, problem: Problem) -> bytes:
        """What went wrong."""
        return self.last({"type": "RUN_ERROR", "message": problem.text, "code": problem.code})

    def _finish(self, ending: Ending, outcome: str) -> bytes:
        closed = [value for part in self._parts.end() for value in self._values(part)]
        usage = {} if ending.usage is None else {"usage": [_counts(ending.usage)]}
        finished = {**self._run("RUN_FINISHED"), "outcome": {"type": outcome}, **usage}
        return b"".join(map(self.event, closed)) + self.last(finished)

    def _run(self, kind: str) -> dict[str, Any]:
        return {"type": kind, "threadId": self._thread_id, "runId": self._run_id}

    def _values(self, part: Part) -> list[dict[str, Any]]:
        if part.kind == "tool":
            return [self._tool(part)]
        named = {"messageId": f"{self._run_id}:{part.number}"}
        if part.kind == "text":
            # The tool calls that follow belong to this message.
            self._message = named["messageId"]
            return [_message("TEXT_MESSAGE", part, named, "assistant")]
        value = _message("REASONING_MESSAGE", part, named, "reasoning")
        if part.event == "start":
            return [{"type": "REASONING_START", **named}, value]
        return [value, {"type": "REASONING_END", **named}] if part.event == "end" else [value]

    def _tool(self, part: Part) -> dict[str, Any]:
        called = {"toolCallId": part.id}
        if part.event == "start":
            named = {"toolCallName": part.name, "parentMessageId": self._message}
            return {"type": "TOOL_CALL_START", **called, **named}
        if part.event == "delta":
            return {"type": "TOOL_CALL_ARGS", **called, "delta": part.text}
        return {"type": "TOOL_CALL_END", **called}


def _message(prefix: str, part: Part, named: dict[str, str], role: str) -> dict[str, Any]:
    if part.event == "start":
        return {"type": f"{prefix}_START", **named, "role": role}
    if part.event == "delta":
        return {"type": f"{prefix}_CONTENT", **named, "delta": part.text}
    return {"type": f"{prefix}_END", **named}


def _counts(usage: Usage) -> dict[str, int]:
    counts = {theirs: getattr(usage, ours) for theirs, ours in _USAGE.items()}
    return {name: count for name, count in counts.items() if count is not None}
