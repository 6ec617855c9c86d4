"""A request in one form, whichever dialect it was said in."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from vesselog.vessels import ChatRequest, ToolCallRequest, loads_exact, valid_arguments

__all__ = ["plain"]


def plain(chat: ChatRequest) -> Any:
    """What all dialects can say of a request, in one form."""
    said = [
        {
            "role": message.role,
            "text": message.text if message.text.strip() else "",  # which Anthropic refuses
            "images": [part.image_url.url.partition(",")[2] for part in message.images],
            "calls": [_call(call) for call in message.tool_calls or ()],
            "result_of": message.tool_call_id or "",
        }
        for message in chat.messages or ()
    ]
    found = [each for each in said if any(each[key] for key in each.keys() - {"role"})]
    in_a_row = groupby(found, lambda each: each["role"] == "tool")
    ordered = [
        sorted(each, key=lambda one: one["result_of"]) if tool else list(each)
        for tool, each in in_a_row
    ]
    tools = [
        tool.function and tool.function.model_dump(include={"name", "description"})
        for tool in chat.tools or ()
    ]
    same = ("temperature", "top_p", "max_tokens", "seed", "n", "tool_choice", "response_format")
    stop = (chat.stop,) if isinstance(chat.stop, str) else chat.stop
    return ordered, tools, stop, [getattr(chat, field) for field in same]


def _call(call: ToolCallRequest) -> Any:
    assert call.function is not None
    arguments = valid_arguments(call.function.arguments)
    return (
        call.id,
        call.tool,
        loads_exact(arguments or "{}") if isinstance(arguments, str) else arguments,
    )
