"""Reads requests of OpenAI's Responses API.

https://developers.openai.com/api/docs/api-reference/responses/create. `instructions` is the first
message. What an answer consisted of (its message, reasoning, calls, and items of any type that is
not known here) is one message of the assistant, with these items as its own form. Where the input
can be said in several ways (a text, an item with and without its type), the messages are the same,
and `extra_body` has the input as it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any, cast

from ..core.errors import InvalidRequestError
from ..core.request import ChatRequest, Message
from .request_reader import (
    body_of,
    path_of,
    read_back,
    read_call,
    read_message,
    read_objects,
    unreadable,
)
from .responses_fields import read_request_fields
from .responses_input import instructions_and_input

__all__ = ["read_responses"]

_NAME = "openai-responses"
_ASKED = frozenset({"developer", "system", "user"})
_RESULTS = frozenset({"function_call_output", "custom_tool_call_output"})
# What the API adds to items that it keeps.
_NO_MEANING = frozenset({"id", "status"})
_OWN_KEYS = frozenset({"name", "native", "role", "tool_call_id", "tool_calls"})


def read_responses(
    route: str, body: Any, write: Callable[[ChatRequest], Mapping[str, Any]]
) -> ChatRequest:
    """The request with this body. write: makes the body of a request."""
    given = body_of(body, _NAME)
    if not path_of(route).endswith("/responses"):
        raise unreadable(_NAME, "route", "must end in /responses")
    messages: list[Message] = []
    if isinstance(instructions := given.get("instructions"), str):
        messages.append(read_message(_NAME, "instructions", role="system", content=instructions))
    elif instructions is not None:
        raise unreadable(_NAME, "instructions", "must be a text")
    asked = given.get("input")
    if isinstance(asked, str):
        messages.append(read_message(_NAME, "input", role="user", content=asked))
    else:
        messages += _messages(read_objects(asked, _NAME, "input"))
    fields: dict[str, Any] = {"model": given.get("model"), "messages": messages}
    fields |= read_request_fields(given)
    chat = read_back(_NAME, given, fields, write, messages="input")
    if _written(chat) == (given.get("instructions"), asked):
        return chat
    kept = {name: given[name] for name in ("input", "instructions") if name in given}
    return chat.model_copy(update={"extra_body": {**(chat.extra_body or {}), **kept}})


def _written(chat: ChatRequest) -> Any:
    try:
        return instructions_and_input(chat.messages or ())
    except InvalidRequestError:
        return None


def _messages(items: list[dict[str, Any]]) -> list[Message]:
    found: list[Message] = []
    custom: set[str] = set()
    numbered = [(item, f"input[{number}]") for number, item in enumerate(items)]
    for kind, group in groupby(numbered, lambda each: _kind(each[0])):
        if kind == "answer":
            output = [item for item, _ in group]
            found.append(_answer(output))
            custom |= {
                str(item.get("call_id"))
                for item in output
                if item.get("type") == "custom_tool_call"
            }
        elif kind == "result":
            found += [_result(item, place, custom) for item, place in group]
        else:
            found += [_asked(item, place, first=place == "input[0]") for item, place in group]
    return found


def _kind(item: dict[str, Any]) -> str:
    kind, role = item.get("type"), item.get("role")
    if kind in (None, "message") and isinstance(role, str) and role in _ASKED:
        return "asked"
    if isinstance(kind, str) and (kind in _RESULTS or kind.endswith("_call_output")):
        # Without the id of a call it is no result of a message before it.
        return "result" if isinstance(item.get("call_id"), str) and item["call_id"] else "answer"
    return "answer"


def _asked(item: dict[str, Any], place: str, *, first: bool) -> Message:
    content = item.get("content")
    if not isinstance(content, str):
        content = [_part(part) for part in read_objects(content, _NAME, f"{place}.content")]
    elif first and item["role"] == "system":
        content = [{"type": "text", "text": content}]  # a text would be the instructions
    kept = {key: value for key, value in item.items() if key not in {"type", *_NO_MEANING}}
    if reserved := kept.keys() & (_OWN_KEYS - {"role"}):
        raise unreadable(_NAME, f"{place}.{min(reserved)}", "is no key of a message")
    return read_message(_NAME, place, **{**kept, "content": content})


def _answer(output: list[dict[str, Any]]) -> Message:
    """Its own form, and of the universal form what to_message() has."""
    texts: list[str] = []
    refusals: list[str] = []
    calls: list[dict[str, Any]] = []
    for item in output:
        match item.get("type"):
            case None | "message" if item.get("role") == "assistant":
                content = item.get("content")
                if isinstance(content, str):
                    texts.append(content)
                for part in cast("list[Any]", content) if isinstance(content, list) else ():
                    if isinstance(part, dict):
                        known = cast("dict[str, Any]", part)
                        texts += _text(known, "text", {"output_text", "input_text", "text"})
                        refusals += _text(known, "refusal", {"refusal"})
            case "function_call":
                calls.append(
                    read_call(item.get("call_id"), item.get("name"), item.get("arguments"))
                )
            case "custom_tool_call":
                custom = {"name": item.get("name"), "input": item.get("input") or ""}
                calls.append({"id": item.get("call_id"), "type": "custom", "custom": custom})
            case _:
                pass
    return read_message(
        _NAME,
        "input",
        role="assistant",
        content="".join(texts),
        refusal="".join(refusals) or None,
        tool_calls=calls or None,
        native={_NAME: {"role": "assistant", "output": output}},
    )


def _text(part: dict[str, Any], key: str, kinds: set[str]) -> list[str]:
    text = part.get(key)
    return [text] if part.get("type") in kinds and isinstance(text, str) else []


def _result(item: dict[str, Any], place: str, custom: set[str]) -> Message:
    identifier, kind, output = item["call_id"], item["type"], item.get("output")
    known = {"type", "call_id", "output", *_NO_MEANING}
    extra = {key: value for key, value in item.items() if key not in known}
    if reserved := extra.keys() & (_OWN_KEYS - {"name"}):
        raise unreadable(_NAME, f"{place}.{min(reserved)}", "is no key of a result")
    usual = "custom_tool_call_output" if identifier in custom else "function_call_output"
    if kind not in _RESULTS:
        extra |= {"type": kind, "output": output}
        content = None
    else:
        extra |= {} if kind == usual else {"type": kind}
        content = output
        if not isinstance(output, str):
            content = [_part(part) for part in read_objects(output, _NAME, f"{place}.output")]
    return read_message(
        _NAME, place, role="tool", tool_call_id=identifier, content=content, **extra
    )


def _part(part: dict[str, Any]) -> dict[str, Any]:
    """A part; a text or an image as the universal one, if it is one that all vessels know."""
    own = {key: value for key, value in part.items() if key != "type"}
    match part.get("type"):
        case "input_text" if isinstance(part.get("text"), str):
            return {"type": "text", **own}
        case "input_image" if isinstance(url := own.pop("image_url", None), str):
            image = {"url": url}
            if isinstance(detail := own.pop("detail", None), str):
                image["detail"] = detail
            elif detail is not None:
                return part
            return {"type": "image_url", "image_url": image, **own}
        case _:
            return part
