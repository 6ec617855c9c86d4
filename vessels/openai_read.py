"""Reads requests of the OpenAI dialect: the chat route and the legacy completions.

An absent `stream` is false. Keys of a message that are null are left out, but for the messages of
the assistant, which have their own form in `native`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from ..core.request import ChatRequest, Message
from .openai_fields import ThinkingRules, read_openai_fields
from .request_reader import (
    body_of,
    path_of,
    read_back,
    read_call,
    read_message,
    read_objects,
    unreadable,
)

__all__ = ["read_openai"]


def read_openai(
    rules: ThinkingRules,
    route: str,
    body: Any,
    write: Callable[[ChatRequest], Mapping[str, Any]],
) -> ChatRequest:
    """The request with this body. write: makes the body of a request."""
    given = body_of(body, rules.name)
    path = path_of(route)
    chat = path.endswith("/chat/completions")
    fields: dict[str, Any] = {"model": given.get("model")}
    if chat:
        messages = read_objects(given.get("messages"), rules.name, "messages")
        fields["messages"] = [
            _message(each, rules.name, f"messages[{number}]")
            for number, each in enumerate(messages)
        ]
    elif path.endswith("/completions"):
        fields["prompt"] = _prompt(given.get("prompt"), rules.name)
    else:
        raise unreadable(rules.name, "route", "must end in /chat/completions or /completions")
    fields |= read_openai_fields(rules, given, chat=chat)
    return read_back(rules.name, given, fields, write)


def _prompt(prompt: Any, vessel: str) -> str:
    if isinstance(prompt, list) and len(cast("list[Any]", prompt)) == 1:
        prompt = cast("list[Any]", prompt)[0]
    if not isinstance(prompt, str):
        raise unreadable(vessel, "prompt", "must be one text")
    return prompt


def _message(message: dict[str, Any], vessel: str, place: str) -> Message:
    if message.get("role") == "assistant":
        return _answer(message, vessel, place)
    if "native" in message:
        raise unreadable(vessel, f"{place}.native", "is no key of a message")
    fields = dict(message)
    if isinstance(content := fields.get("content"), list):
        fields["content"] = [_part(part) for part in cast("list[Any]", content)]
    return read_message(vessel, place, **fields)


def _part(part: Any) -> Any:
    """A part; some servers take the address of an image as a text."""
    if isinstance(part, dict):
        known = cast("dict[str, Any]", part)
        if isinstance(url := known.get("image_url"), str):
            return {**known, "image_url": {"url": url}}
    return cast("Any", part)


def _answer(message: dict[str, Any], vessel: str, place: str) -> Message:
    """An assistant's message: its own form, and of the universal form what to_message() has."""
    listed = read_objects(message.get("tool_calls") or [], vessel, f"{place}.tool_calls")
    calls = [
        _call(call, vessel, f"{place}.tool_calls[{number}]") for number, call in enumerate(listed)
    ]
    if not calls and isinstance(called := message.get("function_call"), dict):
        known = cast("dict[str, Any]", called)
        calls = [read_call(None, known.get("name"), known.get("arguments"))]
    content, refusal = message.get("content"), message.get("refusal")
    if isinstance(content, list):
        parts = cast("list[Any]", content)
        content, refusal = _texts(parts, "text"), refusal or _texts(parts, "refusal")
    return read_message(
        vessel,
        place,
        role="assistant",
        content=content,
        refusal=refusal or None,
        tool_calls=calls or None,
        name=message.get("name"),
        native={vessel: message},
    )


def _texts(parts: list[Any], kind: str) -> str:
    found = [cast("dict[str, Any]", part) for part in parts if isinstance(part, dict)]
    texts = [part.get(kind) for part in found if part.get("type") == kind]
    return "".join(text for text in texts if isinstance(text, str))


def _call(call: dict[str, Any], vessel: str, place: str) -> dict[str, Any]:
    identifier = call.get("id")
    if isinstance(custom := call.get("custom"), dict):
        known = cast("dict[str, Any]", custom)
        written = {"name": known.get("name"), "input": known.get("input") or ""}
        return {"id": identifier, "type": "custom", "custom": written}
    if not isinstance(function := call.get("function"), dict):
        raise unreadable(vessel, f"{place}.function", "must be an object")
    known = cast("dict[str, Any]", function)
    return read_call(identifier, known.get("name"), known.get("arguments"))
