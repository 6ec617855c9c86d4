"""Reads requests of Anthropic's Messages API.

https://docs.claude.com/en/api/messages. `system` is the first message. Each `tool_result` block is
a message of its own, and the other blocks of that message of the user are one after it; written
again they are one message (anthropic_messages.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any, cast

from ..core.request import ChatRequest, Message
from .request_parts import is_schema
from .request_reader import (
    body_of,
    path_of,
    read_back,
    read_call,
    read_fields,
    read_message,
    read_objects,
    unreadable,
)

__all__ = ["read_anthropic"]

_NAME = "anthropic"
_FIELDS = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "stop": "stop_sequences",
    "stream": "stream",
}
_CHOICES = {"auto": "auto", "none": "none", "any": "required"}
_THINKING = {"adaptive": True, "disabled": False}
_RESERVED = {"name", "native", "role", "tool_call_id", "tool_calls"}


def read_anthropic(
    route: str, body: Any, write: Callable[[ChatRequest], Mapping[str, Any]]
) -> ChatRequest:
    """The request with this body. write: makes the body of a request."""
    given = body_of(body, _NAME)
    if not path_of(route).endswith("/messages"):
        raise unreadable(_NAME, "route", "must end in /messages")
    messages: list[Message] = []
    if (system := given.get("system")) is not None:
        content = system if isinstance(system, str) else read_objects(system, _NAME, "system")
        messages.append(read_message(_NAME, "system", role="system", content=content))
    listed = read_objects(given.get("messages"), _NAME, "messages")
    for number, message in enumerate(listed):
        messages += _messages(message, f"messages[{number}]")
    fields: dict[str, Any] = {"model": given.get("model"), "messages": messages, "stream": False}
    fields |= read_fields(given, _FIELDS)
    fields |= _thinking_and_format(given)
    if isinstance(choice := given.get("tool_choice"), dict):
        fields["tool_choice"] = _choice(cast("dict[str, Any]", choice))
    if (tools := given.get("tools")) is not None:
        fields["tools"] = [
            _tool(tool, f"tools[{number}]")
            for number, tool in enumerate(read_objects(tools, _NAME, "tools"))
        ]
    return read_back(_NAME, given, fields, write)


def _messages(message: dict[str, Any], place: str) -> list[Message]:
    role, content = message.get("role"), message.get("content")
    extra = {key: value for key, value in message.items() if key not in {"role", "content"}}
    if reserved := extra.keys() & _RESERVED:
        raise unreadable(_NAME, f"{place}.{min(reserved)}", "is no key of a message")
    if not isinstance(content, str):
        content = read_objects(content, _NAME, f"{place}.content")
    if role == "assistant":
        return [_answer(message, content, place)]
    if role != "user":
        raise unreadable(_NAME, f"{place}.role", "must be user or assistant")
    if isinstance(content, str):
        return [read_message(_NAME, place, role="user", content=content, **extra)]
    if extra and all(block.get("type") == "tool_result" for block in content):
        raise unreadable(_NAME, f"{place}.{min(extra)}", "is no key of a message with results")
    found: list[Message] = []
    blocks = [(block, f"{place}.content[{number}]") for number, block in enumerate(content)]
    for is_result, group in groupby(blocks, lambda each: each[0].get("type") == "tool_result"):
        if is_result:
            found += [_result(block, at) for block, at in group]
        else:
            parts = [_part(block) for block, _ in group]
            found.append(read_message(_NAME, place, role="user", content=parts, **extra))
    return found or [read_message(_NAME, place, role="user", content=[])]


def _answer(message: dict[str, Any], content: str | list[dict[str, Any]], place: str) -> Message:
    """Its own form, and of the universal form what to_message() has."""
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    texts = [block.get("text") for block in blocks if block.get("type") == "text"]
    calls = [block for block in blocks if block.get("type") == "tool_use"]
    return read_message(
        _NAME,
        place,
        role="assistant",
        content="".join(text for text in texts if isinstance(text, str)),
        tool_calls=[
            read_call(each.get("id"), each.get("name"), each.get("input")) for each in calls
        ]
        or None,
        native={_NAME: message},
    )


def _result(block: dict[str, Any], place: str) -> Message:
    known = {"type", "tool_use_id", "content"}
    extra = {key: value for key, value in block.items() if key not in known}
    if reserved := extra.keys() & _RESERVED:
        raise unreadable(_NAME, f"{place}.{min(reserved)}", "is no key of a tool_result")
    if not isinstance(identifier := block.get("tool_use_id"), str):
        raise unreadable(_NAME, f"{place}.tool_use_id", "must be a text")
    content = block.get("content")
    if content is not None and not isinstance(content, str):
        content = [_part(each) for each in read_objects(content, _NAME, f"{place}.content")]
    return read_message(
        _NAME, place, role="tool", tool_call_id=identifier, content=content, **extra
    )


def _part(block: dict[str, Any]) -> dict[str, Any]:
    """A block as a part; an image as the universal one, if it is one that all vessels know."""
    source = block.get("source")
    if block.get("type") != "image" or not isinstance(source, dict):
        return block
    match cast("dict[str, Any]", source):
        case {"type": "base64", "media_type": str(kind), "data": str(data), **rest} if not rest:
            if "," in kind or ";" in kind:
                return block
            url = f"data:{kind};base64,{data}"
        case {"type": "url", "url": str(url), **rest} if not rest and not url.startswith("data:"):
            pass
        case _:
            return block
    own = {key: value for key, value in block.items() if key not in {"type", "source"}}
    return {"type": "image_url", "image_url": {"url": url}, **own}


def _tool(tool: dict[str, Any], place: str) -> dict[str, Any]:
    if tool.get("type") not in (None, "custom"):
        return tool
    if not isinstance(schema := tool.get("input_schema"), dict):
        raise unreadable(_NAME, f"{place}.input_schema", "must be an object")
    function: dict[str, Any] = {"name": tool.get("name"), "parameters": schema}
    function |= {key: tool[key] for key in ("description", "strict") if key in tool}
    return {"type": "function", "function": function}


def _choice(choice: dict[str, Any]) -> dict[str, Any] | str:
    kind, name = choice.get("type"), choice.get("name")
    if kind == "tool" and isinstance(name, str):
        return {"type": "function", "function": {"name": name}}
    return _CHOICES.get(kind, choice) if isinstance(kind, str) else choice


def _thinking_and_format(body: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if isinstance(thinking := body.get("thinking"), dict):
        asked = cast("dict[str, Any]", thinking)
        kind, budget = asked.get("type"), asked.get("budget_tokens")
        if isinstance(kind, str) and kind in _THINKING:
            found["think"] = _THINKING[kind]
        elif kind == "enabled" and isinstance(budget, int) and not isinstance(budget, bool):
            found["think"] = budget
    if isinstance(output := body.get("output_config"), dict):
        config = cast("dict[str, Any]", output)
        if isinstance(effort := config.get("effort"), str):
            found["think"] = effort
        if isinstance(wanted := config.get("format"), dict):
            schema = cast("dict[str, Any]", wanted).get("schema")
            if is_schema(schema):
                found["response_format"] = schema
    return found
