"""Writes answers in the dialect of the Gemini API.

https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse. A function's call comes
whole, with its arguments as an object, once the answer has ended; so do the finish reasons and the
token counts, of which those of thoughts are counted apart. Without `alt=sse` in the query a stream
is a JSON list of the same values.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ..core.chunk import FinishReason, StreamChunk, Usage
from ..core.completion import Choice, Completion
from ..core.jsontext import dumps
from .answer_calls import AnswerCalls
from .answer_encoder import AnswerEncoder, event
from .call_arguments import valid_object

__all__ = ["GeminiEncoder", "GeminiListEncoder"]

_FINISH: dict[FinishReason | None, str] = {
    "content_filter": "SAFETY",
    "length": "MAX_TOKENS",
    "other": "OTHER",
}
_Parts = list[dict[str, Any]]


class GeminiEncoder(AnswerEncoder):
    """model, identifier: where the provider gave none.

    There is no heartbeat: Google's SDK takes a comment for an answer that is not JSON.
    """

    def __init__(self, *, model: str, identifier: str) -> None:
        self._model = model
        self._id = identifier
        self._begun = False
        self._calls: dict[int, AnswerCalls] = {}

    def write(self, chunk: StreamChunk) -> bytes:
        """An event with the texts of a chunk."""
        if not self._begun:
            self._begin(chunk.response_id, chunk.model)
        for delta in chunk.tool_calls:
            self._calls.setdefault(chunk.choice, AnswerCalls()).add(delta)
        parts = _texts(chunk.reasoning, chunk.text + chunk.refusal)
        return self._said(self._answer([_candidate(chunk.choice, parts)])) if parts else b""

    def end(self, completion: Completion) -> bytes:
        """An event with the calls, the finish reasons and the token counts."""
        if not self._begun:
            self._begin(completion.response_id, completion.model)
        candidates: list[dict[str, Any]] = []
        for choice in completion.choices or (completion,):
            calls = self._calls.get(choice.index, AnswerCalls())
            calls.close()
            parts = [_call(call.id, call.name, call.text) for call in calls]
            candidates.append(_candidate(choice.index, parts or [{"text": ""}], choice))
        return self._said(self._answer(candidates, completion.usage))

    def whole(self, completion: Completion) -> dict[str, Any]:
        """A `GenerateContentResponse`."""
        self._begin(completion.response_id, completion.model)
        candidates: list[dict[str, Any]] = []
        for choice in completion.choices or (completion,):
            parts = _texts(choice.reasoning, choice.text + choice.refusal)
            parts += [_call(call.id, call.name, call.arguments_text) for call in choice.tool_calls]
            candidates.append(_candidate(choice.index, parts or [{"text": ""}], choice))
        return self._answer(candidates, completion.usage)

    def _said(self, value: dict[str, Any]) -> bytes:
        return event(value)

    def _begin(self, identifier: str | None, model: str | None) -> None:
        self._begun = True
        self._id, self._model = identifier or self._id, model or self._model

    def _answer(
        self, candidates: list[dict[str, Any]], usage: Usage | None = None
    ) -> dict[str, Any]:
        counted = {} if usage is None else {"usageMetadata": _usage(usage)}
        named = {"modelVersion": self._model, "responseId": self._id}
        return {"candidates": candidates, **counted, **named}


class GeminiListEncoder(GeminiEncoder):
    """A stream as one JSON list, whose items come as the events would."""

    content_type: ClassVar[str] = "application/json"
    _written = False

    def end(self, completion: Completion) -> bytes:
        """The last item, and the end of the list."""
        return super().end(completion) + b"]"

    def _said(self, value: dict[str, Any]) -> bytes:
        before, self._written = b",\r\n" if self._written else b"[", True
        return before + dumps(value)


def _texts(reasoning: str, text: str) -> _Parts:
    parts: _Parts = [{"text": reasoning, "thought": True}] if reasoning else []
    return [*parts, {"text": text}] if text else parts


def _call(identifier: str | None, name: str, text: str) -> dict[str, Any]:
    function = {"name": name, "args": valid_object(text)}
    return {"functionCall": {"id": identifier, **function} if identifier else function}


def _candidate(index: int, parts: _Parts, choice: Choice | None = None) -> dict[str, Any]:
    content = {"parts": parts, "role": "model"}
    if choice is None:
        return {"content": content, "index": index}
    finish = _FINISH.get(choice.finish_reason, "STOP")
    return {"content": content, "finishReason": finish, "index": index}


def _usage(usage: Usage) -> dict[str, int]:
    asked, said = usage.input_tokens or 0, usage.output_tokens or 0
    thought = min(usage.reasoning_tokens or 0, said)
    counts = {
        "promptTokenCount": asked,
        "candidatesTokenCount": said - thought,
        "totalTokenCount": asked + said if usage.total_tokens is None else usage.total_tokens,
    }
    if usage.reasoning_tokens is not None:
        counts["thoughtsTokenCount"] = thought
    if usage.cached_input_tokens is not None:
        counts["cachedContentTokenCount"] = usage.cached_input_tokens
    return counts
