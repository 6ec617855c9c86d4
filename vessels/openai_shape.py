"""Chunks and completions as objects of the OpenAI API, valid for the official SDK's types.

https://platform.openai.com/docs/api-reference/chat-streaming. What that API has no field for is
left out, except reasoning, which goes where most servers put it: `reasoning_content`. A missing
count beside given ones becomes 0, since the API requires it.

A stored chunk has the response's id and model only where they are new. To send a whole stream, pass
them to each `chunk_to_openai`.
"""

from __future__ import annotations

from typing import Any, cast

from ..core.chunk import FinishReason, StreamChunk, ToolCallDelta, Usage
from ..core.completion import Choice, Completion

__all__ = ["chunk_to_openai", "completion_to_openai"]

# The API does not have these reasons. An error ends a stream in another way, without a reason.
_FINISH: dict[FinishReason, str | None] = {"other": "stop", "error": None}
_ROLES = {"assistant", "developer", "system", "tool", "user"}
_SERVICE_TIERS = {"auto", "default", "flex", "priority", "scale"}


def chunk_to_openai(
    chunk: StreamChunk, *, response_id: str = "", model: str = "", created: int = 0
) -> dict[str, Any]:
    """`chunk` as a `chat.completion.chunk`.

    `response_id`, `model` and `created` (seconds since 1970) are used if the chunk has none.
    """
    delta: dict[str, Any] = {}
    if chunk.role in _ROLES:
        delta["role"] = chunk.role
    if chunk.text:
        delta["content"] = chunk.text
    if chunk.reasoning:
        delta["reasoning_content"] = chunk.reasoning
    if chunk.refusal:
        delta["refusal"] = chunk.refusal
    if chunk.tool_calls:
        delta["tool_calls"] = [_call_delta(call) for call in chunk.tool_calls]
    finish = chunk.finish_reason
    event: dict[str, Any] = {
        "id": chunk.response_id or response_id,
        "object": "chat.completion.chunk",
        "created": _created(chunk.extra) or created,
        "model": chunk.model or model,
        "choices": [],
        **_known_extra(chunk.extra),
    }
    # Usage by itself comes with no choice at all.
    if delta or finish or chunk.logprobs is not None or chunk.usage is None:
        event["choices"].append(
            {
                "index": chunk.choice,
                "delta": delta,
                "logprobs": _logprobs(chunk.logprobs),
                "finish_reason": _finish(finish),
            }
        )
    if chunk.usage is not None:
        event["usage"] = _usage(chunk.usage)
    return event


def completion_to_openai(completion: Completion) -> dict[str, Any]:
    """`completion` as a `chat.completion`.

    The API requires a finish reason: `length` for an answer that was cut, `stop` for a whole one
    whose provider gave none.
    """
    missing = "stop" if completion.outcome in {None, "complete"} else "length"
    choices = completion.choices or (completion,)
    answer: dict[str, Any] = {
        "id": completion.response_id or "",
        "object": "chat.completion",
        "created": _created(completion.extra),
        "model": completion.model or "",
        "choices": [
            {
                "index": choice.index,
                "message": _message(choice),
                "logprobs": _logprobs(choice.logprobs),
                "finish_reason": _finish(choice.finish_reason) or missing,
            }
            for choice in choices
        ],
        **_known_extra(completion.extra),
    }
    if completion.usage is not None:
        answer["usage"] = _usage(completion.usage)
    return answer


def _message(choice: Choice) -> dict[str, Any]:
    message = choice.to_message()
    message.pop("native", None)
    message["content"] = choice.text or (None if choice.tool_calls or choice.refusal else "")
    message["refusal"] = choice.refusal or None
    if choice.reasoning:
        message["reasoning_content"] = choice.reasoning
    # The API's calls always have an id; Ollama's need not.
    for number, call in enumerate(message.get("tool_calls", ())):
        call.setdefault("id", f"call_{number}")
    return message


def _call_delta(call: ToolCallDelta) -> dict[str, Any]:
    # Servers send one index for several calls; only the slot is unique.
    delta: dict[str, Any] = {"index": int(call.slot) if call.slot.isdecimal() else call.index or 0}
    if call.id is not None:
        delta["id"] = call.id
    if call.name is not None:
        delta["type"] = "function"
    named = {"name": call.name, "arguments": call.arguments}
    delta["function"] = {key: value for key, value in named.items() if value is not None}
    return delta


def _finish(reason: FinishReason | None) -> str | None:
    return _FINISH.get(reason, reason) if reason else None


def _usage(usage: Usage) -> dict[str, Any]:
    prompt, answer = usage.input_tokens or 0, usage.output_tokens or 0
    total = prompt + answer if usage.total_tokens is None else usage.total_tokens
    counts: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": total,
    }
    if usage.cached_input_tokens is not None:
        counts["prompt_tokens_details"] = {"cached_tokens": usage.cached_input_tokens}
    if usage.reasoning_tokens is not None:
        counts["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return counts


def _logprobs(logprobs: Any) -> dict[str, Any] | None:
    """Log probabilities, if they have the chat route's shape (legacy completions have another)."""
    if not isinstance(logprobs, dict):
        return None
    given = cast("dict[str, Any]", logprobs)
    written = {name: _tokens(given.get(name)) for name in ("content", "refusal")}
    return written if any(tokens is not None for tokens in written.values()) else None


def _tokens(tokens: Any, *, alternatives: bool = True) -> list[dict[str, Any]] | None:
    """Tokens with their probabilities; servers leave out their bytes, which the API always has."""
    if not isinstance(tokens, list):
        return None
    written: list[dict[str, Any]] = []
    for token in cast("list[Any]", tokens):
        given = cast("dict[str, Any]", token) if isinstance(token, dict) else {}
        text, probability, spelled = (given.get(key) for key in ("token", "logprob", "bytes"))
        if isinstance(text, str) and isinstance(probability, int | float):
            made: dict[str, Any] = {"token": text, "logprob": probability, "bytes": None}
            if isinstance(spelled, list):
                made["bytes"] = spelled
            if alternatives:
                made["top_logprobs"] = _tokens(given.get("top_logprobs"), alternatives=False) or []
            written.append(made)
    return written


def _created(extra: dict[str, Any]) -> int:
    created = extra.get("created")
    return int(created) if isinstance(created, int | float) else 0


def _known_extra(extra: dict[str, Any]) -> dict[str, str]:
    known: dict[str, str] = {}
    if isinstance(fingerprint := extra.get("system_fingerprint"), str):
        known["system_fingerprint"] = fingerprint
    if isinstance(tier := extra.get("service_tier"), str) and tier in _SERVICE_TIERS:
        known["service_tier"] = tier
    return known
