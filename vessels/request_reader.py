"""What all vessels need to read a request of their dialect as a ChatRequest.

A vessel reads what ChatRequest has a field for. `read_back` then asks it to write that again, and
keeps in `extra_body` whatever it would write otherwise, so that nothing is lost: neither a key that
is unknown here nor a value of an unexpected type.

Everything here raises InvalidRequestError, with the place, for a body that is not of the dialect.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping
from itertools import takewhile
from typing import Any, cast
from urllib.parse import urlsplit

from pydantic import ValidationError

from ..core.errors import InvalidRequestError
from ..core.request import ChatRequest, Message
from ..core.validation import explain
from .call_arguments import arguments_text

__all__ = [
    "body_of",
    "path_of",
    "read_back",
    "read_call",
    "read_fields",
    "read_message",
    "read_objects",
    "unreadable",
]

# pydantic writes 255 levels of JSON; no request has more than a few, of which most are in a schema.
_MOST_LEVELS = 200
_SYSTEM = {"developer", "system"}
_ANY = Message(role="user", content="-")


def unreadable(vessel: str, place: str, why: str) -> InvalidRequestError:
    """The error for a body that is not of the dialect.

    Args:
        vessel: The vessel's name.
        place: The place in the body, such as `messages[2].role`.
        why: What is wrong there.
    """
    return InvalidRequestError(f"{vessel} cannot read the request: {place}: {why}")


def body_of(body: Any, vessel: str) -> dict[str, Any]:
    """`body` if it is an object that can be written again; else InvalidRequestError of `vessel`."""
    if not isinstance(body, dict):
        raise unreadable(vessel, "body", "must be a JSON object")
    level: list[Any] = [body]
    for _ in range(_MOST_LEVELS):
        inner: list[Any] = []
        for each in level:
            inner += cast("dict[str, Any]", each).values() if isinstance(each, dict) else each
        level = [value for value in inner if isinstance(value, dict | list)]
        if not level:
            return cast("dict[str, Any]", body)
    raise unreadable(vessel, "body", f"is nested more than {_MOST_LEVELS} levels deep")


def path_of(route: str) -> str:
    """The path of `route`, which may be a URL, without a slash at its end."""
    try:
        return urlsplit(route).path.rstrip("/")
    except ValueError:
        return route


def read_fields(body: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a ChatRequest that are in `body`.

    A value that the field cannot hold is left out.

    Args:
        names: The name of each field, with its key in the body.
    """
    return {
        field: body[key] for field, key in names.items() if key in body and _KINDS[field](body[key])
    }


def read_back(
    vessel: str,
    body: Mapping[str, Any],
    fields: Mapping[str, Any],
    write: Callable[[ChatRequest], Mapping[str, Any]],
    *,
    messages: str = "messages",
    options: str = "",
) -> ChatRequest:
    """The ChatRequest with `fields`; what else `body` has is its `extra_body`.

    Args:
        vessel: The vessel's name, for messages of errors.
        body: The body that was sent.
        fields: The fields of ChatRequest that were read from it.
        write: Makes a body of a request. What it does not make as it was goes to `extra_body`.
        messages: The body's key for messages.
        options: The body's key for the sampling options, if the dialect has one.

    Raises:
        InvalidRequestError: A field has a value that ChatRequest refuses.
    """
    try:
        chat = ChatRequest(**fields)
    except ValidationError as error:
        raise InvalidRequestError(f"{vessel} cannot read the request: {explain(error)}") from None
    # The messages are exact by themselves: to write each of them again would only take time.
    first = [*takewhile(lambda message: message.role in _SYSTEM, chat.messages or ())]
    probe = chat.model_copy(update={"messages": chat.messages and (*first, _ANY)})
    inside: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    while True:
        kept = {"options": inside or None, "extra_body": extra or None}
        written = write(probe.model_copy(update=kept))
        other = _other(body, written, {messages, *extra})
        if isinstance(given := body.get(options), dict):
            own = _other(cast("dict[str, Any]", given), written.get(options) or {}, inside)
            if own:
                inside |= own
                continue
        if not other:
            return chat.model_copy(update=kept)
        extra |= other


def read_objects(value: Any, vessel: str, place: str) -> list[dict[str, Any]]:
    """`value`, at `place` of the body, if it is a list of objects; else an error of `vessel`."""
    if not isinstance(value, list):
        raise unreadable(vessel, place, "must be a list")
    listed = cast("list[Any]", value)
    for number, each in enumerate(listed):
        if not isinstance(each, dict):
            raise unreadable(vessel, f"{place}[{number}]", "must be an object")
    return cast("list[dict[str, Any]]", listed)


def read_message(vessel: str, place: str, **fields: Any) -> Message:
    """A message with `fields`, without those that are None.

    Raises InvalidRequestError, which names `vessel` and `place`, if they are no message.
    """
    try:
        return Message(**{key: value for key, value in fields.items() if value is not None})
    except ValidationError as error:
        raise InvalidRequestError(
            f"{vessel} cannot read the request: {place}: {explain(error)}"
        ) from None


def read_call(identifier: Any, name: Any, arguments: Any) -> dict[str, Any]:
    """A call of the function `name`, with the id `identifier`, as a message has it.

    Args:
        arguments: JSON text, or the value itself.
    """
    if not isinstance(arguments, dict):
        arguments = arguments_text(arguments)
    called: dict[str, Any] = {"name": name, "arguments": arguments}
    call: dict[str, Any] = {"type": "function", "function": called}
    return {"id": identifier, **call} if identifier else call


def _other(
    given: Mapping[str, Any], written: Mapping[str, Any], known: Container[str]
) -> dict[str, Any]:
    """What is not written as it was given, but for known keys."""
    return {
        key: value
        for key, value in given.items()
        if key not in known and not (key in written and _is_same(written[key], value))
    }


def _is_same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, where true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        first, second = cast("dict[str, Any]", one), cast("dict[str, Any]", other)
        return first.keys() == second.keys() and all(
            _is_same(value, second[key]) for key, value in first.items()
        )
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        pair = cast("list[Any]", one), cast("list[Any]", other)
        return len(pair[0]) == len(pair[1]) and all(map(_is_same, *pair))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (isinstance(value, int) or math.isfinite(value))
    )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(each, str) for each in cast("list[Any]", value))
    )


def _is_choice(value: Any) -> bool:
    return isinstance(value, str | dict)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


_KINDS: dict[str, Callable[[Any], bool]] = {
    "function_call": _is_choice,
    "functions": _is_list,
    "keep_alive": lambda value: isinstance(value, str) or _is_number(value),
    "max_tokens": lambda value: _is_whole(value) and value >= 0,
    "n": lambda value: _is_whole(value) and value > 0,
    "prompt": _is_text,
    "response_format": lambda value: isinstance(value, dict),
    "seed": _is_whole,
    "stop": _is_texts,
    "stream": lambda value: isinstance(value, bool),
    "temperature": _is_number,
    "tool_choice": _is_choice,
    "tools": _is_list,
    "top_p": _is_number,
}
