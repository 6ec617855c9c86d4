"""Writes answers in the dialect of Anthropic's Messages API.

https://docs.claude.com/en/docs/build-with-claude/streaming. Content comes in blocks, one after the
other: a block ends before the next begins. Other dialects mix the pieces of parallel calls; what
comes while a call's arguments are no whole JSON yet waits until they are. The stop reason and all
token counts are in the `message_delta` at the end, since other providers know them only then.
Thinking has no signature, which only Anthropic itself can give.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ..core.chunk import FinishReason, StreamChunk, Usage
from ..core.completion import Choice, Completion
from .answer_calls import AnswerCall, AnswerCalls
from .answer_encoder import AnswerEncoder, event
from .anthropic_block import input_object

__all__ = ["AnthropicEncoder"]

_REASONS: dict[FinishReason | None, str] = {
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
# What a block is extended by: the type of its deltas, and their key.
_DELTAS = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking")}
_START: dict[str, dict[str, Any]] = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}


class AnthropicEncoder(AnswerEncoder):
    """model, identifier: where the provider gave none."""

    heartbeat: ClassVar[bytes] = event({"type": "ping"}, "ping")

    def __init__(self, *, model: str, identifier: str) -> None:
        self._model = model
        self._id = identifier
        self._begun = False
        self._calls = AnswerCalls()
        self._open: str | AnswerCall | None = None
        self._index = 0
        # What waits until the open call has ended: kinds of text with the text, and calls.
        self._waiting: list[tuple[str | AnswerCall, str]] = []

    def write(self, chunk: StreamChunk) -> bytes:
        """The events for a chunk."""
        events: list[bytes] = []
        if not self._begun:
            self._begin(chunk.response_id, chunk.model, events)
        if chunk.choice:
            return b"".join(events)
        if chunk.reasoning:
            self._put("thinking", chunk.reasoning, events)
        if text := chunk.text + chunk.refusal:
            self._put("text", text, events)
        for delta in chunk.tool_calls:
            for call in self._calls.add(delta):
                call.number = 0
                self._put(call, "", events)
        return b"".join(events)

    def end(self, completion: Completion) -> bytes:
        """The end of all blocks, the stop reason and the token counts."""
        events: list[bytes] = []
        if not self._begun:
            self._begin(completion.response_id, completion.model, events)
        self._calls.close()
        self._go_on(events, last=True)
        for call in self._calls:
            if not call.ended:
                self._say(call, "", events)
        self._close(events)
        delta = {"stop_reason": _stop_reason(completion), "stop_sequence": None}
        usage = _usage(completion.usage)
        events += [
            _event("message_delta", delta=delta, usage=usage),
            _event("message_stop"),
        ]
        return b"".join(events)

    def whole(self, completion: Completion) -> dict[str, Any]:
        """A `message`."""
        content: list[dict[str, Any]] = []
        if completion.reasoning:
            content.append({**_START["thinking"], "thinking": completion.reasoning})
        if text := completion.text + completion.refusal:
            content.append({"type": "text", "text": text})
        content += [
            {
                "type": "tool_use",
                "id": call.id or f"call_{number}",
                "name": call.name,
                "input": input_object(call.arguments_text),
            }
            for number, call in enumerate(completion.tool_calls)
        ]
        return {
            **self._message(completion.response_id, completion.model),
            "content": content,
            "stop_reason": _stop_reason(completion),
            "stop_sequence": None,
            "usage": _usage(completion.usage),
        }

    def _message(self, identifier: str | None, model: str | None) -> dict[str, Any]:
        return {
            "id": identifier or self._id,
            "type": "message",
            "role": "assistant",
            "model": model or self._model,
        }

    def _begin(self, identifier: str | None, model: str | None, events: list[bytes]) -> None:
        self._begun = True
        message: dict[str, Any] = {
            **self._message(identifier, model),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        events.append(_event("message_start", message=message))

    def _put(self, kind: str | AnswerCall, text: str, events: list[bytes]) -> None:
        """Say a piece of the answer, or let it wait until the open call has ended."""
        if kind == self._open:
            self._say(kind, text, events)
            self._go_on(events)
        elif self._waiting or not self._is_whole():
            self._waiting.append((kind, text))
            self._go_on(events)
        else:
            self._say(kind, text, events)

    def _go_on(self, events: list[bytes], *, last: bool = False) -> None:
        """Say what waits, as far as it can be said. last: the answer is over."""
        while self._waiting and (last or self._is_whole() or self._waiting[0][0] == self._open):
            kind, text = self._waiting.pop(0)
            if not (isinstance(kind, AnswerCall) and kind.ended):
                self._say(kind, text, events)

    def _is_whole(self) -> bool:
        """Whether the open block may end: always, but for a call whose arguments go on."""
        return not isinstance(self._open, AnswerCall) or self._open.whole

    def _say(self, kind: str | AnswerCall, text: str, events: list[bytes]) -> None:
        if kind != self._open:
            self._close(events)
            self._open = kind
            block = _START[kind] if isinstance(kind, str) else _tool_use(kind)
            events.append(_event("content_block_start", index=self._index, content_block=block))
        if isinstance(kind, str):
            name, key = _DELTAS[kind]
        else:
            name, key, text = "input_json_delta", "partial_json", kind.take()
        if text:
            delta = {"type": name, key: text}
            events.append(_event("content_block_delta", index=self._index, delta=delta))

    def _close(self, events: list[bytes]) -> None:
        if self._open is None:
            return
        if isinstance(self._open, AnswerCall):
            self._open.ended = True
        self._open = None
        events.append(_event("content_block_stop", index=self._index))
        self._index += 1


def _event(name: str, **fields: Any) -> bytes:
    return event({"type": name, **fields}, name)


def _tool_use(call: AnswerCall) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}


def _stop_reason(choice: Choice) -> str:
    return _REASONS.get(choice.finish_reason, "end_turn")


def _usage(usage: Usage | None) -> dict[str, Any]:
    """The counts; the API counts cached input, read or written, apart from `input_tokens`."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    total = usage.input_tokens or 0
    # Some servers count more as cached than as sent.
    read = min(usage.cached_input_tokens or 0, total)
    written = min(usage.cache_write_tokens or 0, total - read)
    counts: dict[str, Any] = {
        "input_tokens": total - read - written,
        "output_tokens": usage.output_tokens or 0,
    }
    if usage.cached_input_tokens is not None:
        counts["cache_read_input_tokens"] = read
    if usage.cache_write_tokens is not None:
        counts["cache_creation_input_tokens"] = written
    if usage.reasoning_tokens is not None:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return counts
