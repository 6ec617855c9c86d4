"""Reads requests of Ollama's own API: `/api/chat` and `/api/generate`.

https://github.com/ollama/ollama/blob/main/docs/api.md. An absent `stream` is true there. Images
have no media type in this API: it is found by the first bytes of the image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

__all__ = ["OLLAMA_SAMPLING", "read_ollama"]

OLLAMA_SAMPLING = {
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "stop": "stop",
    "max_tokens": "num_predict",
}
"""Fields of a ChatRequest, with their names in `options`."""
_NAME = "ollama"
# How the base64 of an image file begins.
_MEDIA_TYPES = {
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
}


def read_ollama(
    route: str, body: Any, write: Callable[[ChatRequest], Mapping[str, Any]]
) -> ChatRequest:
    """The request with this body. write: makes the body of a request."""
    given = body_of(body, _NAME)
    path = path_of(route)
    fields: dict[str, Any] = {"model": given.get("model"), "stream": True}
    if path.endswith("/chat"):
        messages = read_objects(given.get("messages"), _NAME, "messages")
        fields["messages"] = [_message(each, f"messages[{n}]") for n, each in enumerate(messages)]
        names = {"tools": "tools"}
    elif path.endswith("/generate"):
        fields["prompt"] = given.get("prompt", "")
        names = {}
    else:
        raise unreadable(_NAME, "route", "must end in /api/chat or /api/generate")
    fields |= read_fields(given, {**names, "stream": "stream", "keep_alive": "keep_alive"})
    if isinstance(think := given.get("think"), bool | str):
        fields["think"] = think
    wanted = given.get("format")
    if wanted == "json" or is_schema(wanted):
        fields["response_format"] = wanted
    fields |= _logprobs(given)
    if isinstance(options := given.get("options"), dict):
        fields |= read_fields(cast("dict[str, Any]", options), OLLAMA_SAMPLING)
    return read_back(_NAME, given, fields, write, options="options")


def _logprobs(body: Mapping[str, Any]) -> dict[str, Any]:
    asked, best = body.get("logprobs"), body.get("top_logprobs")
    if not isinstance(asked, bool):
        return {}
    if asked and isinstance(best, int) and not isinstance(best, bool):
        return {"logprobs": best}
    return {"logprobs": asked}


def _message(message: dict[str, Any], place: str) -> Message:
    role = message.get("role")
    content = message.get("content")
    if role == "assistant":
        calls = [
            _call(call, f"{place}.tool_calls[{number}]")
            for number, call in enumerate(
                read_objects(message.get("tool_calls") or [], _NAME, f"{place}.tool_calls")
            )
        ]
        return read_message(
            _NAME,
            place,
            role=role,
            content=content,
            tool_calls=calls or None,
            native={_NAME: message},
        )
    known = {"role", "content", "images", "native"}
    own = {key: value for key, value in message.items() if key not in known}
    if "native" in message:
        raise unreadable(_NAME, f"{place}.native", "is no key of a message")
    if role == "tool" and isinstance(own.get("tool_name"), str) and "name" not in own:
        own["name"] = own.pop("tool_name")
    images = message.get("images")
    if images:
        if not isinstance(images, list) or not all(
            isinstance(each, str) for each in cast("list[Any]", images)
        ):
            raise unreadable(_NAME, f"{place}.images", "must be a list of texts in base64")
        text = [{"type": "text", "text": content}] if content else []
        content = [*text, *(_image(each) for each in cast("list[str]", images))]
    return read_message(_NAME, place, role=role, content=content, **own)


def _image(data: str) -> dict[str, Any]:
    kind = next((kind for start, kind in _MEDIA_TYPES.items() if data.startswith(start)), None)
    url = f"data:{kind or 'image/png'};base64,{data}"
    return {"type": "image_url", "image_url": {"url": url}}


def _call(call: dict[str, Any], place: str) -> dict[str, Any]:
    function = call.get("function")
    if not isinstance(function, dict):
        raise unreadable(_NAME, f"{place}.function", "must be an object")
    known = cast("dict[str, Any]", function)
    return read_call(call.get("id"), known.get("name"), known.get("arguments"))
