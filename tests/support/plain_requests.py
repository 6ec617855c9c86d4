"""A request in one form, whichever dialect it was said in; and broken ones."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from hypothesis import strategies as st

from chats import json_values
from vesselog.vessels import ChatRequest, ToolCallRequest, loads_exact, valid_arguments

__all__ = ["broken", "plain"]


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


def broken(value: Any, data: st.DataObject) -> Any:
    """The value with one place of it replaced, left out or added to."""
    places = [(value, key) for key in value] if isinstance(value, dict) else []
    for container, key in places:
        inner = container[key]
        keys = (
            inner
            if isinstance(inner, dict)
            else range(len(inner))
            if isinstance(inner, list)
            else ()
        )
        places += [(inner, each) for each in keys]
    if not places:
        return data.draw(json_values())
    container, key = data.draw(st.sampled_from(places))
    if isinstance(container, dict) and data.draw(st.booleans()):
        words = ["name", "role", "content", "native", "type", "text", "id", "parts", "tool_calls"]
        container[data.draw(st.sampled_from(words))] = data.draw(json_values())
    else:
        container[key] = data.draw(json_values())
    return value
