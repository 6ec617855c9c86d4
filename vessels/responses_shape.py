"""Answers as objects of OpenAI's Responses API, valid for the official SDK's types.

https://developers.openai.com/api/docs/api-reference/responses/object. An answer of that API has its
own output items. Any other has, as far as it says them, one item of reasoning, one message, and one
item for each call. Reasoning is a summary, which is where clients show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..core.chunk import FinishReason, Usage
from ..core.completion import Completion
from .answer_calls import AnswerCall

__all__ = [
    "call_event",
    "call_item",
    "completion_to_response",
    "message_item",
    "output_logprobs",
    "reasoning_item",
    "response_object",
    "text_event",
]

_NAME = "openai-responses"
# Keys of a request that its response repeats.
_REPEATED = (
    *("background", "instructions", "max_output_tokens", "max_tool_calls", "metadata"),
    *("parallel_tool_calls", "previous_response_id", "prompt", "prompt_cache_key", "reasoning"),
    *("safety_identifier", "service_tier", "store", "temperature", "text", "tool_choice", "tools"),
    *("top_logprobs", "top_p", "truncation", "user"),
)
_INCOMPLETE: dict[FinishReason, str] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}


def response_object(
    response_id: str,
    status: str,
    output: list[dict[str, Any]],
    *,
    model: str = "",
    created: int = 0,
    usage: Usage | None = None,
    reason: str | None = None,
    error: Mapping[str, Any] | None = None,
    asked: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A `response`. reason: why it is incomplete. asked: the request's body."""
    given = asked or {}
    repeated = {name: given[name] for name in _REPEATED if given.get(name) is not None}
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "status": status,
        "error": error,
        "incomplete_details": {"reason": reason} if status == "incomplete" else None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        **repeated,
        "usage": None if usage is None else _usage(usage),
    }


def completion_to_response(
    completion: Completion,
    *,
    response_id: str = "",
    model: str = "",
    created: int = 0,
    asked: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A completion as a `response`.

    response_id: instead of the provider's. model: where it names none. asked: the request's body.
    """
    identifier = response_id or completion.response_id or "resp_0"
    status, error = "completed", None
    reason = _INCOMPLETE.get(completion.finish_reason) if completion.finish_reason else None
    if reason:
        status = "incomplete"
    elif completion.outcome == "cancelled":
        status = "cancelled"
    elif completion.outcome not in {None, "complete"}:
        status = "failed"
        error = {"code": "server_error", "message": f"the answer is {completion.outcome}"}
    return response_object(
        identifier,
        status,
        _output(completion, identifier.removeprefix("resp_")),
        model=completion.model or model,
        created=created or _created(completion),
        usage=completion.usage,
        reason=reason,
        error=error,
        asked=asked,
    )


def reasoning_item(identifier: str, text: str = "") -> dict[str, Any]:
    """An item of reasoning; without a text one that only begins."""
    summary = [{"type": "summary_text", "text": text}] if text else []
    return {"type": "reasoning", "id": identifier, "summary": summary}


def message_item(
    identifier: str, parts: list[dict[str, Any]], *, status: str = "completed"
) -> dict[str, Any]:
    """A message of the assistant."""
    return {
        "type": "message",
        "id": identifier,
        "status": status,
        "role": "assistant",
        "content": parts,
    }


def call_item(
    call: AnswerCall, number: str, *, text: str, status: str = "in_progress"
) -> dict[str, Any]:
    """A call of a function or a custom tool. number: what the item's id is made of."""
    kind, start, key = "function_call", "fc", "arguments"
    if call.custom:
        kind, start, key = "custom_tool_call", "ctc", "input"
    return {
        "type": kind,
        "id": f"{start}_{number}",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        key: text,
    }


def call_event(call: AnswerCall) -> str:
    """The name of the events of a call's pieces, without `.delta` and `.done`."""
    kind = "custom_tool_call_input" if call.custom else "function_call_arguments"
    return f"response.{kind}"


def text_event(part: str) -> str:
    """The name of the events of a text, by the type of its part."""
    return "response.reasoning_summary_text" if part == "summary_text" else f"response.{part}"


def output_logprobs(logprobs: Any, part: str) -> list[dict[str, Any]]:
    """Log probabilities of the chat route's shape, as a part has them."""
    if not isinstance(logprobs, dict):
        return []
    tokens = cast("dict[str, Any]", logprobs).get(part)
    return _tokens(tokens, ("top_logprobs",))


def _tokens(tokens: Any, inner: tuple[str, ...]) -> list[dict[str, Any]]:
    listed = cast("list[Any]", tokens) if isinstance(tokens, list) else []
    given = [cast("dict[str, Any]", token) for token in listed if isinstance(token, dict)]
    return [
        {
            "token": token.get("token") or "",
            "logprob": token.get("logprob") or 0.0,
            "bytes": token.get("bytes") or list(str(token.get("token") or "").encode()),
            **{name: _tokens(token.get(name), ()) for name in inner},
        }
        for token in given
    ]


def _output(completion: Completion, number: str) -> list[dict[str, Any]]:
    if completion.vessel == _NAME and completion.native is not None:
        output = completion.native.get("output")
        if isinstance(output, list):
            return cast("list[dict[str, Any]]", output)
    items: list[dict[str, Any]] = []
    if completion.reasoning:
        items.append(reasoning_item(f"rs_{number}_0", completion.reasoning))
    parts: list[dict[str, Any]] = []
    if completion.text or not (completion.refusal or completion.tool_calls):
        part: dict[str, Any] = {"type": "output_text", "text": completion.text, "annotations": []}
        if logprobs := output_logprobs(completion.logprobs, "content"):
            part["logprobs"] = logprobs
        parts.append(part)
    if completion.refusal:
        parts.append({"type": "refusal", "refusal": completion.refusal})
    if parts:
        items.append(message_item(f"msg_{number}_{len(items)}", parts))
    for place, call in enumerate(completion.tool_calls):
        written = AnswerCall(str(place))
        written.id, written.name = call.id or f"call_{place}", call.name
        written.custom = call.type == "custom"
        text = call.arguments_text or ("" if written.custom else "{}")
        made = call_item(written, f"{number}_{len(items)}", text=text, status="completed")
        items.append(made)
    return items


def _usage(usage: Usage) -> dict[str, Any]:
    asked, answer = usage.input_tokens or 0, usage.output_tokens or 0
    return {
        "input_tokens": asked,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": answer,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": asked + answer if usage.total_tokens is None else usage.total_tokens,
    }


def _created(completion: Completion) -> int:
    for key in ("created_at", "created"):
        created = completion.extra.get(key)
        if isinstance(created, int | float):
            return int(created)
    return 0
