"""Writes a conversation as the input of OpenAI's Responses API.

https://developers.openai.com/api/docs/guides/conversation-state. An answer of this vessel goes back
as it came: all its output items, in their order. Any other is a message with its text and an item
for each call, made valid by history.py. The result of a tool is the item that its call wants; one
for the API's own tools names the item's type itself:

    {"role": "tool", "tool_call_id": "call_1", "type": "computer_call_output", "output": {…}}

Parts of the API's own kinds (`input_file` …) pass through; those of the chat route for which it has
others (`file`, `input_audio`) become these.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from ..core.errors import InvalidRequestError
from ..core.jsontext import dumps
from ..core.request import ImagePart, Message, Part, TextPart, ToolCallRequest
from .call_arguments import arguments_text, valid_arguments
from .history import native_objects, native_of, valid_history
from .request_parts import TOOL_RESULT_ROLES

__all__ = ["instructions_and_input"]

_NAME = "openai-responses"
_CALLS = ("function_call", "custom_tool_call")


def instructions_and_input(
    messages: Iterable[Message],
) -> tuple[str | None, list[dict[str, Any]]]:
    """The instructions (None without any), and the items.

    Raises InvalidRequestError for what the API cannot express.
    """
    history = valid_history(messages, _NAME, annotations=False)
    instructions = None
    if len(history) > 1 and history[0].role == "system" and isinstance(history[0].content, str):
        instructions, history = history[0].content, history[1:]
    items: list[dict[str, Any]] = []
    custom: set[str] = set()
    for message in history:
        if message.role == "assistant":
            answer = _answer(message)
            custom |= {
                str(item.get("call_id"))
                for item in answer
                if item.get("type") == "custom_tool_call"
            }
            items += answer
        elif message.role in TOOL_RESULT_ROLES:
            items.append(_result(message, custom))
        else:
            items.append(_message(message))
    return instructions, items


def _message(message: Message) -> dict[str, Any]:
    if message.name is not None:
        raise InvalidRequestError(f"{_NAME} does not take the name of a message's author")
    content: Any = message.content
    if content is None or isinstance(content, str):
        content = content or ""
    else:
        content = [_part(part) for part in content]
    return {"role": message.role, "content": content, **(message.model_extra or {})}


def _answer(message: Message) -> list[dict[str, Any]]:
    if (native := native_of(message, _NAME)) is not None:
        return _as_it_came(native_objects(native.get("output"), _NAME, "output"), message)
    if message.images:
        raise InvalidRequestError(f"{_NAME} does not take images of the role assistant")
    content = message.content
    items: list[dict[str, Any]] = []
    if content:
        said = content if isinstance(content, str) else [_said(part) for part in content]
        items.append({"role": "assistant", "content": said, **(message.model_extra or {})})
    return [*items, *map(_call, message.tool_calls or ())]


def _as_it_came(output: list[dict[str, Any]], message: Message) -> list[dict[str, Any]]:
    """The output of an answer of this vessel, its calls with the ids of the message's."""
    calls = [item for item in output if str(item.get("type")) in _CALLS]
    ids = [call.id for call in message.tool_calls or ()]
    same = len(ids) == len(calls)
    changed = {id(call): new for call, new in zip(calls, ids, strict=True) if new} if same else {}
    return [
        {**item, "call_id": changed[id(item)]} if id(item) in changed else item
        for item in map(_with_valid_arguments, output)
    ]


def _with_valid_arguments(item: dict[str, Any]) -> dict[str, Any]:
    if item.get("type") != "function_call":
        return item
    given = item.get("arguments")
    text = arguments_text(valid_arguments(arguments_text(given)))
    return item if text == given else {**item, "arguments": text or "{}"}


def _call(call: ToolCallRequest) -> dict[str, Any]:
    item: dict[str, Any] = {"call_id": call.id, "name": call.tool}
    if call.custom is not None:
        return {"type": "custom_tool_call", **item, "input": call.custom.input}
    arguments = call.function.arguments if call.function else ""
    text = arguments if isinstance(arguments, str) else dumps(arguments).decode()
    return {"type": "function_call", **item, "arguments": text or "{}"}


def _result(message: Message, custom: set[str]) -> dict[str, Any]:
    """A result; `id`, `status` and other fields of the message come along."""
    if not message.tool_call_id:
        raise InvalidRequestError(f"{_NAME} needs tool_call_id in the result of a tool")
    kind = "custom_tool_call" if message.tool_call_id in custom else "function_call"
    content: Any = message.content
    if content is None or isinstance(content, str):
        content = content or ""
    else:
        content = [_part(part) for part in content]
    item = {"type": f"{kind}_output", "call_id": message.tool_call_id, "output": content}
    return {**item, **(message.model_extra or {})}


def _said(part: Part) -> dict[str, Any]:
    """A part of an assistant's message."""
    if isinstance(part, TextPart):
        return {"type": "output_text", "text": part.text, **_extra(part)}
    return part.model_dump(mode="json")


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "input_text", "text": part.text, **_extra(part)}
    if isinstance(part, ImagePart):
        image = part.image_url.model_dump(mode="json", exclude_none=True)
        return {"type": "input_image", "image_url": image.pop("url"), **image, **_extra(part)}
    given = part.model_dump(mode="json")
    kind, inside = part.type, given.get(part.type)
    if kind == "file" and isinstance(inside, dict):
        return {"type": "input_file", **cast("dict[str, Any]", inside)}
    return given


def _extra(part: TextPart | ImagePart) -> dict[str, Any]:
    return dict(part.model_extra or {})
