"""Writes a conversation as the `contents` of a request to the Gemini API.

https://ai.google.dev/api/caching#Content, …/gemini-api/docs/function-calling, and
…/gemini-api/docs/thought-signatures.

- The assistant is called `model`. Its message is sent in the API's own form where it has that. A
  call from elsewhere has no signature, without which Gemini 3 refuses a call; the first one of a
  message then has the documented text that stands for one.
- Results of tools in a row are parts of one content of the user, in the order of their calls. The
  user's message that follows is in it too, if its content is given as parts. A result that is no
  JSON object, or one with a repeated key or too precise a number, is its text: {"result": "…"}.
  It has its call's id if the API gave that.
- An image in a result goes into the `functionResponse`, as Gemini 3 and later want it. To models
  before (`gemini-1…`, `gemini-2…`) it is sent as the next part, since they have no such field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

from ..core.errors import InvalidRequestError
from ..core.jsontext import dumps
from ..core.request import ImagePart, Message, Part, TextPart
from .call_arguments import INVALID_JSON, arguments_object, json_object, valid_object
from .called_tools import CalledTools
from .gemini_names import in_camel_case
from .history import native_objects, native_of, with_ids
from .request_parts import TOOL_RESULT_ROLES, inline_image

__all__ = ["PARTS", "contents", "message_parts", "result_text"]

_BEFORE_GEMINI_3 = re.compile(r"gemini-[12](\D|$)")
_NO_SIGNATURE = "skip_thought_signature_validator"
PARTS = frozenset(
    {
        *("codeExecutionResult", "executableCode", "fileData", "functionCall", "functionResponse"),
        *("inlineData", "mediaResolution", "partMetadata", "text", "thought", "thoughtSignature"),
        *("toolCall", "toolResponse", "videoMetadata"),
    }
)


def contents(turns: Sequence[list[Message]], model: str) -> list[dict[str, Any]]:
    """The contents of a conversation, one for each turn (see request_parts.py).

    Raises InvalidRequestError for what the API cannot carry.
    """
    calls = CalledTools()
    old = _BEFORE_GEMINI_3.search(model) is not None
    written: list[dict[str, Any]] = []
    results: dict[str, Any] | None = None
    for turn in turns:
        message = turn[0]
        if message.role == "assistant":
            native = native_of(message, "gemini")
            content = _answer(message, old=old) if native is None else _sent_back(native, message)
            own = None if native is None else _calls_in(content["parts"])
            calls.add(message, own)
            if content["parts"]:
                written.append(content)
        elif message.role == "user":
            content = {"role": "user", "parts": message_parts(message)}
            content |= message.model_extra or {}
            if results is None or isinstance(message.content, str):
                written.append(content)
            else:
                results |= {**content, "parts": [*results["parts"], *content["parts"]]}
        else:
            told = calls.in_order(turn)
            parts = [part for each in told for part in _result(each, calls, old=old)]
            written.append({"role": "user", "parts": parts})
        results = written[-1] if message.role in TOOL_RESULT_ROLES else None
    return written


def message_parts(message: Message) -> list[dict[str, Any]]:
    """The parts of a message's content."""
    if isinstance(message.content, str):
        return [{"text": message.content}] if message.content else []
    return [_part(part) for part in message.content or ()]


def _answer(message: Message, *, old: bool) -> dict[str, Any]:
    """An assistant's message that another provider made, or a person."""
    parts = message_parts(message)
    for number, call in enumerate(message.tool_calls or ()):
        function = {"name": call.tool, "args": arguments_object(call, "gemini")}
        part: dict[str, Any] = {"functionCall": {"id": call.id} | function if call.id else function}
        if not number and not old:
            part["thoughtSignature"] = _NO_SIGNATURE
        parts.append(part)
    return {"role": "model", "parts": parts, **(message.model_extra or {})}


def _sent_back(native: dict[str, Any], message: Message) -> dict[str, Any]:
    """The API's own form of a message, with calls that it takes."""
    native = in_camel_case(native)
    parts = native_objects(native.get("parts"), "gemini", "parts")
    calls = iter(with_ids(_calls_in(parts), message))
    parts = [
        {**part, "functionCall": _valid_call(next(calls))}
        if isinstance(part.get("functionCall"), dict)
        else part
        for part in parts
    ]
    return {**native, "parts": parts}


def _valid_call(call: dict[str, Any]) -> dict[str, Any]:
    """A call with an object as arguments; those that never came to their end are none."""
    arguments = call.get("args")
    if call.get("willContinue"):
        call = {key: value for key, value in call.items() if key != "willContinue"}
        return {**call, "args": {INVALID_JSON: dumps(arguments).decode()[:-1]}}
    return call if arguments is None else {**call, "args": valid_object(arguments)}


def _calls_in(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    calls = [part.get("functionCall") for part in parts]
    return [cast("dict[str, Any]", call) for call in calls if isinstance(call, dict)]


def _result(message: Message, calls: CalledTools, *, old: bool) -> list[dict[str, Any]]:
    """The part of a tool's result, and those of its images that have no place in it."""
    call = calls.of(message)
    own = dict(message.model_extra or {})
    name = message.name or own.pop("tool_name", None) or (call.name if call else None)
    if not name:
        raise InvalidRequestError(
            "gemini needs the function's name in the result of a tool: as name, or by the "
            "tool_call_id of an earlier call"
        )
    identifier = call.id if call else message.tool_call_id
    response: dict[str, Any] = {"id": identifier} if identifier else {}
    response |= {"name": name, "response": _value(message.text)}
    content = () if isinstance(message.content, str) else message.content or ()
    media = [_part(part) for part in content if not isinstance(part, TextPart)]
    nested = [] if old else [part for part in media if "inlineData" in part]
    if nested:
        response["parts"] = nested
    beside = [part for part in media if part not in nested]
    return [{"functionResponse": {**response, **own}}, *beside]


def result_text(response: dict[str, Any]) -> str:
    """The text of a result that is written as this response."""
    text = response.get("result")
    return text if isinstance(text, str) and _value(text) == response else dumps(response).decode()


def _value(text: str) -> dict[str, Any]:
    """A JSON object that can be written again without a loss; any other text as it is."""
    value = json_object(text) if text.strip() else None
    return {"result": text} if value is None or not _is_exact(text) else value


def _is_exact(text: str) -> bool:
    try:
        json.loads(text, object_pairs_hook=_without_repeats, parse_float=_exact_float)
    except (ValueError, RecursionError):
        return False
    return True


def _without_repeats(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key is repeated")


def _exact_float(text: str) -> None:
    if Decimal(text) != Decimal(repr(float(text))):
        raise ValueError("the number has more digits than a float")


def _part(part: Part) -> dict[str, Any]:
    own = part.model_extra or {}
    if isinstance(part, TextPart):
        return {"text": part.text, **own}
    if not isinstance(part, ImagePart):
        own = cast("dict[str, Any]", in_camel_case(own))
        if own.keys().isdisjoint(PARTS):
            raise InvalidRequestError(
                f"gemini does not take parts of the type {part.type!r}: give text, images, or the "
                "API's own fields, such as inlineData"
            )
        return dict(own)
    inline = inline_image(part.image_url.url, "gemini")
    if inline is None:
        return {"fileData": {"fileUri": part.image_url.url}, **own}
    return {"inlineData": {"mimeType": inline.media_type, "data": inline.data}, **own}
