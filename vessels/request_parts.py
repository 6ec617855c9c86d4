"""Reads the parts of a request that several dialects need in the same form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, cast

from ..core.errors import InvalidRequestError
from ..core.request import ChatRequest, Message

__all__ = [
    "TOOL_RESULT_ROLES",
    "Conversation",
    "InlineImage",
    "chosen_tool",
    "conversation",
    "inline_image",
    "is_schema",
    "names_by_call_id",
    "refuse_custom_tools",
    "requested_format",
    "stop_list",
]


TOOL_RESULT_ROLES = frozenset({"function", "tool"})
"""The roles of messages that are results of tools."""


class InlineImage(NamedTuple):
    """An image that is in the request itself.

    Attributes:
        media_type: Its kind, such as "image/png".
        data: Its bytes, in base64.
    """

    media_type: str
    data: str


class Conversation(NamedTuple):
    """Messages for dialects that have the system prompt in a field of its own.

    Attributes:
        system: The system messages.
        turns: Each is one message of the user or the assistant, or several results of tools.
    """

    system: list[Message]
    turns: list[list[Message]]


def conversation(messages: Iterable[Message], vessel: str) -> Conversation:
    """The system messages, which must come first in `messages`, and the turns after them.

    Raises InvalidRequestError, which names `vessel`, for a later system message, and for the `name`
    of a speaker.
    """
    system: list[Message] = []
    turns: list[list[Message]] = []
    for message in messages:
        if message.role in {"system", "developer"}:
            if turns:
                raise InvalidRequestError(
                    f"{vessel} takes {message.role} messages only before all others"
                )
            system.append(message)
        elif message.role in TOOL_RESULT_ROLES:
            if turns and turns[-1][0].role in TOOL_RESULT_ROLES:
                turns[-1].append(message)
            else:
                turns.append([message])
        elif message.name is not None:
            raise InvalidRequestError(f"{vessel} does not take the name of a message's author")
        else:
            turns.append([message])
    return Conversation(system, turns)


def inline_image(url: str, vessel: str) -> InlineImage | None:
    """The image in `url`, if that is a `data:` URL; None for any other.

    Raises InvalidRequestError, which names `vessel`, if it is not in base64.
    """
    head, comma, data = url.partition(",")
    if not head.startswith("data:"):
        return None
    if not comma or not head.endswith(";base64"):
        raise InvalidRequestError(
            f"{vessel} takes images only in base64, as data:image/png;base64,…"
        )
    return InlineImage(head.removeprefix("data:").partition(";")[0], data)


def requested_format(asked: dict[str, Any] | str) -> Any:
    """The format `asked` for: "json", or a JSON schema; None for plain text.

    `asked` may also have the OpenAI dialect's form.

    Raises InvalidRequestError for a `json_schema` without its schema.
    """
    if isinstance(asked, str):
        return asked
    match asked.get("type"):
        case "json_object":
            return "json"
        case "json_schema":
            given = asked.get("json_schema") or asked
            if not isinstance(given, dict) or "schema" not in given:
                raise InvalidRequestError("response_format has the type json_schema, but no schema")
            return cast("dict[str, Any]", given)["schema"]
        case "text":
            return None
        case _:
            return asked


def is_schema(asked: Any) -> bool:
    """Whether `asked`, from `requested_format`, is a JSON schema."""
    kinds = ("json_object", "json_schema", "text")
    return isinstance(asked, dict) and cast("dict[str, Any]", asked).get("type") not in kinds


def names_by_call_id(messages: Iterable[Message]) -> dict[str, str]:
    """The names of the functions that were called in `messages`, by the ids of the calls."""
    calls = [call for message in messages for call in message.tool_calls or ()]
    return {call.id: call.tool for call in calls if call.id}


def chosen_tool(choice: str | dict[str, Any] | None) -> str | None:
    """The function that `choice`, a `tool_choice` in the OpenAI dialect's form, names, if any.

    Raises InvalidRequestError for a choice of the type "function" without a name.
    """
    if not isinstance(choice, dict) or choice.get("type") != "function":
        return None
    function = choice.get("function")
    name = cast("dict[str, Any]", function).get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise InvalidRequestError("tool_choice has the type function, but no name of one")
    return name


def refuse_custom_tools(chat: ChatRequest, vessel: str) -> None:
    """Raise InvalidRequestError, of `vessel`, if `chat` has tools that take free text."""
    for tool in chat.tools or ():
        if tool.custom is not None:
            raise InvalidRequestError(
                f"{vessel} has no custom tools: give {tool.custom.name!r} as a function"
            )


def stop_list(stop: str | tuple[str, ...] | None) -> list[str] | None:
    """The texts in `stop` as a list, as some dialects want it; None for None."""
    return [stop] if isinstance(stop, str) else list(stop) if stop is not None else None
