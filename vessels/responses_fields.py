"""The fields of a request of OpenAI's Responses API beside its messages, written and read.

https://developers.openai.com/api/docs/api-reference/responses/create. Tools, the choice of one and
formats are flat here, where the chat route has them in an object of their type's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from ..core.errors import InvalidRequestError
from ..core.request import ChatRequest, Tool
from .openai_fields import response_format
from .request_reader import read_fields, read_objects

__all__ = ["read_request_fields", "request_fields"]

_NAME = "openai-responses"
_LOGPROBS = "message.output_text.logprobs"
_FIELDS = {
    "max_tokens": "max_output_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "stream": "stream",
}
# What the API demands of a function and the chat route does not.
_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}
_NESTED = {"function": "function", "custom": "custom"}


def request_fields(chat: ChatRequest) -> dict[str, Any]:
    """The keys of the body for these fields. Raises InvalidRequestError for what it cannot say."""
    body = {_FIELDS.get(name, name): value for name, value in chat.given(*_FIELDS).items()}
    body.pop("stream", None)
    if chat.tools is not None:
        body["tools"] = [_tool(tool) for tool in chat.tools]
    if chat.tool_choice is not None:
        body["tool_choice"] = _choice(chat.tool_choice)
    if chat.response_format is not None:
        body["text"] = {"format": _format(chat.response_format)}
    if chat.think is not None:
        body["reasoning"] = _reasoning(chat.think)
    if chat.logprobs is not None and chat.logprobs is not False:
        body["include"] = [_LOGPROBS]
        if chat.logprobs is not True:
            body["top_logprobs"] = chat.logprobs
    return body


def read_request_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a ChatRequest in a body."""
    fields = {"stream": False, **read_fields(body, _FIELDS)}
    if (tools := body.get("tools")) is not None:
        listed = read_objects(tools, _NAME, "tools")
        fields["tools"] = [_read_tool(tool) for tool in listed]
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        fields["tool_choice"] = _read_choice(cast("dict[str, Any]", choice))
    elif isinstance(choice, str):
        fields["tool_choice"] = choice
    if isinstance(text := body.get("text"), dict):
        form = cast("dict[str, Any]", text).get("format")
        if isinstance(form, dict):
            fields["response_format"] = _read_format(cast("dict[str, Any]", form))
    if isinstance(reasoning := body.get("reasoning"), dict):
        think = _read_reasoning(cast("dict[str, Any]", reasoning))
        fields |= {} if think is None else {"think": think}
    include = body.get("include")
    if isinstance(include, list) and _LOGPROBS in cast("list[Any]", include):
        best = body.get("top_logprobs")
        fields["logprobs"] = best if type(best) is int else True
    return fields


def _tool(tool: Tool) -> dict[str, Any]:
    given = tool.model_dump(mode="json", exclude_none=True)
    if tool.custom is not None:
        custom: dict[str, Any] = given.pop("custom")
        if isinstance(form := custom.get("format"), dict):
            custom["format"] = _flat(cast("dict[str, Any]", form), "grammar")
        return {**given, "type": "custom", **custom}
    if tool.function is None:
        return given
    function = given.pop("function")
    missing = {"parameters": _NO_PARAMETERS, "strict": False}
    return {**given, "type": "function", **missing, **function}


def _read_tool(tool: dict[str, Any]) -> dict[str, Any]:
    kind, name = tool.get("type"), tool.get("name")
    own = {key: value for key, value in tool.items() if key != "type"}
    if kind == "function" and isinstance(name, str):
        if own.get("strict") is False:
            del own["strict"]
        return {"type": kind, "function": own}
    if kind == "custom" and isinstance(name, str):
        if isinstance(form := own.get("format"), dict):
            own["format"] = _nested(cast("dict[str, Any]", form), "grammar")
        return {"type": kind, "custom": own}
    return tool


def _choice(choice: str | dict[str, Any]) -> Any:
    if isinstance(choice, str):
        return "required" if choice == "any" else choice
    kind = choice.get("type")
    if kind == "allowed_tools":
        flat = _flat(choice, kind)
        if isinstance(tools := flat.get("tools"), list):
            return {**flat, "tools": _each(tools, _choice)}
        return flat
    return _flat(choice, kind) if isinstance(kind, str) and kind in _NESTED else choice


def _read_choice(choice: dict[str, Any]) -> dict[str, Any]:
    kind = choice.get("type")
    if kind == "allowed_tools" and isinstance(tools := choice.get("tools"), list):
        return _nested({**choice, "tools": _each(tools, _read_choice)}, kind)
    if isinstance(kind, str) and kind in _NESTED and isinstance(choice.get("name"), str):
        return _nested(choice, kind)
    return choice


def _each(values: Any, changed: Callable[[dict[str, Any]], Any]) -> list[Any]:
    """A list with its objects changed."""
    return [
        changed(cast("dict[str, Any]", each)) if isinstance(each, dict) else each
        for each in cast("list[Any]", values)
    ]


def _format(asked: dict[str, Any] | str) -> dict[str, Any]:
    written = response_format(asked)
    if written.get("type") != "json_schema" or not isinstance(written.get("json_schema"), dict):
        return written
    return {"type": "json_schema", "name": "answer", **written["json_schema"]}


def _read_format(form: dict[str, Any]) -> dict[str, Any] | str:
    if form == {"type": "json_object"}:
        return "json"
    schema = form.get("schema")
    if form.get("type") != "json_schema" or not isinstance(schema, dict):
        return form
    if _format(cast("dict[str, Any]", schema)) == form:
        return cast("dict[str, Any]", schema)
    return _nested(form, "json_schema")


def _reasoning(think: bool | str | int) -> dict[str, Any]:  # noqa: FBT001 - as the field has it
    if isinstance(think, str):
        return {"effort": think}
    if isinstance(think, bool):
        return {"summary": "auto"} if think else {"effort": "none"}
    raise InvalidRequestError(
        f"{_NAME} does not take think={think!r}, but think=False or think=True or an effort "
        "such as think='low'; put what the server takes anyway into extra_body"
    )


def _read_reasoning(reasoning: dict[str, Any]) -> bool | str | None:
    effort = reasoning.get("effort")
    if effort == "none":
        return False
    if isinstance(effort, str):
        return effort
    return True if reasoning.get("summary") == "auto" else None


def _flat(value: dict[str, Any], kind: str) -> dict[str, Any]:
    """The object with what it has in the object under its type's name beside the others."""
    inside = value.get(kind)
    if value.get("type") != kind or not isinstance(inside, dict):
        return value
    return {key: each for key, each in value.items() if key != kind} | cast(
        "dict[str, Any]", inside
    )


def _nested(value: dict[str, Any], kind: str) -> dict[str, Any]:
    """The object with all but its type in an object under that name."""
    if value.get("type") != kind or kind in value:
        return value
    return {"type": kind, kind: {key: each for key, each in value.items() if key != "type"}}
