"""Writes a conversation as the `messages` of a request to Ollama's own API.

https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion, api/types.go.

- The assistant's message is sent in the API's own form where it has that: thinking, and calls with
  arguments as objects. Servers give calls an id only since 0.12; an id that the server did not give
  is not sent, neither with the call nor with its result.
- A result names its tool: by itself, or through its call's id. Results in a row are sent in the
  order of their calls, by which a model without ids tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any, cast

from ..core.errors import InvalidRequestError
from ..core.request import Message, OtherPart, ToolCallRequest
from .call_arguments import arguments_object, valid_object
from .called_tools import CalledTools
from .history import native_objects, native_of, valid_history, with_ids
from .request_parts import inline_image

__all__ = ["ollama_messages"]

_ROLES = {"developer": "system", "function": "tool"}


def ollama_messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """The messages of a conversation. Raises InvalidRequestError for what the API cannot carry."""
    calls = CalledTools()
    written: list[dict[str, Any]] = []
    # A call may have no id here, nor its result.
    valid = valid_history(messages, "ollama", ids=r"(?s).*", annotations=False)
    for role, group in groupby(valid, _role):
        if role == "tool":
            written += [_result(message, calls) for message in calls.in_order(group)]
            continue
        for message in group:
            native = native_of(message, "ollama")
            if native is None:
                calls.add(message, None)
                written.append(_message(message))
            else:
                sent = _sent_back(native, message)
                calls.add(message, sent.get("tool_calls", ()))
                if any(value for key, value in sent.items() if key != "role"):
                    written.append(sent)
    return written


def _role(message: Message) -> str:
    return _ROLES.get(message.role, message.role)


def _message(message: Message) -> dict[str, Any]:
    own: dict[str, Any] = {"role": _role(message), "content": message.text}
    parts = () if isinstance(message.content, str) else message.content or ()
    if any(isinstance(part, OtherPart) for part in parts):
        raise InvalidRequestError("ollama takes only text and images as parts of a message")
    if message.images:
        own["images"] = [_image(part.image_url.url) for part in message.images]
    if message.tool_calls:
        own["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    if message.name and own["role"] != "tool":
        own["name"] = message.name
    return {**own, **(message.model_extra or {})}


def _result(message: Message, calls: CalledTools) -> dict[str, Any]:
    call = calls.of(message)
    name = message.name or (call.name if call else None)
    identifier = call.id if call else message.tool_call_id
    own = {"tool_name": name} if name else {}
    own |= {"tool_call_id": identifier} if identifier else {}
    written = _message(message)
    first = {key: written.pop(key) for key in ("role", "content")}
    return {**first, **own, **written}


def _image(url: str) -> str:
    inline = inline_image(url, "ollama")
    if inline is None:
        raise InvalidRequestError(
            "ollama does not download images: give ImagePart.from_bytes(…), or a data: URL"
        )
    return inline.data


def _tool_call(call: ToolCallRequest) -> dict[str, Any]:
    arguments = arguments_object(call, "ollama")
    function: dict[str, Any] = {"name": call.tool, "arguments": arguments}
    return {"id": call.id, "function": function} if call.id else {"function": function}


def _sent_back(native: dict[str, Any], message: Message) -> dict[str, Any]:
    """The API's own form of a message, the arguments of its calls as the objects that it takes."""
    if not native.get("tool_calls"):
        return native
    calls = native_objects(native["tool_calls"], "ollama", "tool_calls")
    return {**native, "tool_calls": [_valid_call(call) for call in with_ids(calls, message)]}


def _valid_call(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if not isinstance(function, dict):
        return call
    known = cast("dict[str, Any]", function)
    return {**call, "function": {**known, "arguments": valid_object(known.get("arguments"))}}
