"""The messages of a request in the OpenAI dialect, by the rules of the server that gets them.

An answer of the same server goes back in its own form, as it came. To one with `function_call`, the
form before `tool_calls`, results have the role `function` and its name. Of that form only these are
changed: the ids of calls and arguments that are not JSON (history.py), and what the server's rules
leave out, because it answers 400 to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from ..core.errors import InvalidRequestError
from ..core.request import ChatRequest, Message, TextPart
from .call_arguments import arguments_text, function_of, valid_arguments
from .history import native_objects, native_of, valid_history

__all__ = ["OPENAI_RULES", "MessageRules", "openai_messages"]


class MessageRules(NamedTuple):
    """What a server of the OpenAI dialect accepts in a message.

    Attributes:
        ids: A pattern that a call's whole id must match.
        keys: The keys of an assistant's message that the server accepts; None if it accepts any.
        needed: The keys that a message with tool calls must have, each with the value that it gets
            if the message is from another provider.
        refusals: Whether a refusal has a field of its own.
        custom_tools: Whether tools may take free text.
    """

    ids: str = r"(?s).+"
    keys: frozenset[str] | None = None
    needed: Mapping[str, str] = {}
    refusals: bool = False
    custom_tools: bool = True


_SAYS_NOTHING = {"name", "prefix", "role"}
OPENAI_RULES = MessageRules(
    ids=r"(?s).{1,40}",
    keys=frozenset(
        {"role", "content", "name", "refusal", "tool_calls", "function_call", "audio"},
    ),
    refusals=True,
)
"""Of OpenAI's own API. https://platform.openai.com/docs/api-reference/chat/create has the keys of a
message (annotations are not among them); ids: "string too long. Expected a string with maximum
length 40" (agno-agi/agno#5382)."""


def openai_messages(chat: ChatRequest, vessel: str, rules: MessageRules) -> list[dict[str, Any]]:
    """The conversation. Raises InvalidRequestError for what the dialect or the server has not."""
    needed: Mapping[str, str] = {} if chat.think is False else rules.needed
    written: list[dict[str, Any]] = []
    # Calls that are sent as `function_call` have no id; a result names its function.
    functions: dict[str | None, str] = {}
    for message in valid_history(
        chat.messages or (),
        vessel,
        rules.ids,
        refusals=rules.refusals,
        annotations=rules.keys is None,
    ):
        native = native_of(message, vessel)
        sent = (
            _universal(message, vessel, rules) if native is None else _own(native, message, vessel)
        )
        if native is not None and rules.keys is not None:
            sent = _limited(sent, rules.keys)
            if not any(value for key, value in sent.items() if key not in _SAYS_NOTHING):
                continue  # it was thinking alone, which this server does not take back
        if message.role == "assistant" and sent.get("tool_calls"):
            sent |= {key: value for key, value in needed.items() if not sent.get(key)}
        elif message.role == "assistant" and sent.get("function_call"):
            functions |= {call.id: call.tool for call in message.tool_calls or ()}
        elif message.role == "tool" and message.tool_call_id in functions:
            del sent["tool_call_id"]
            sent |= {"role": "function", "name": functions[message.tool_call_id]}
        written.append(sent)
    return written


def _own(native: dict[str, Any], message: Message, vessel: str) -> dict[str, Any]:
    """The provider's own message, with the ids of the universal form, and with a role."""
    if not native.get("role"):
        native = {**native, "role": "assistant"}
    if not native.get("tool_calls"):
        called = native.get("function_call")
        if not isinstance(called, dict):
            return dict(native)
        return {**native, "function_call": _with_valid_arguments(cast("dict[str, Any]", called))}
    calls = native_objects(native["tool_calls"], vessel, "tool_calls")
    universal = message.tool_calls or ()
    ids = [call.id for call in universal] if len(universal) == len(calls) else [None] * len(calls)
    valid: list[dict[str, Any]] = []
    changed: dict[str, str] = {}
    for call, identifier in zip(calls, ids, strict=True):
        sent = dict(call)
        if identifier and identifier != (given := call.get("id")):
            sent["id"] = identifier
            changed[str(given)] = identifier
        if isinstance(function := call.get("function"), dict):
            sent["function"] = _with_valid_arguments(cast("dict[str, Any]", function))
        valid.append(sent)
    message_sent = {**native, "tool_calls": valid}
    if changed and isinstance(details := native.get("reasoning_details"), list):
        found = [_refiled(detail, changed) for detail in cast("list[Any]", details)]
        message_sent["reasoning_details"] = found
    return message_sent


def _refiled(detail: Any, changed: Mapping[str, str]) -> Any:
    """OpenRouter files the signature of a call under the call's id."""
    if not isinstance(detail, dict):
        return detail
    filed = cast("dict[str, Any]", detail)
    identifier = changed.get(str(filed.get("id")))
    return {**filed, "id": identifier} if identifier else filed


def _with_valid_arguments(function: dict[str, Any]) -> dict[str, Any]:
    given = function.get("arguments")
    if isinstance(given, dict):
        return function  # this server has them as an object
    text = arguments_text(valid_arguments(arguments_text(given)))
    return {**function, "arguments": text if text.strip() else "{}"}


def _limited(message: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    """Without keys that the server refuses, and those that say nothing: it may refuse a null."""
    sent = {key: value for key, value in message.items() if key in keys and value not in (None, [])}
    if isinstance(audio := sent.pop("audio", None), dict) and "id" in audio:
        sent["audio"] = {"id": audio["id"]}  # the sound itself is not taken back
    return sent


def _universal(message: Message, vessel: str, rules: MessageRules) -> dict[str, Any]:
    if message.role == "tool" and not isinstance(message.content, str):
        other = [part.type for part in message.content or () if not isinstance(part, TextPart)]
        if other:
            raise InvalidRequestError(
                f"{vessel} takes only text in the result of a tool, and no {other[0]!r}: give it "
                "in a message of the user"
            )
    if not rules.custom_tools:
        for call in message.tool_calls or ():
            function_of(call, vessel)
    sent = message.model_dump(mode="json", exclude_none=True, exclude={"native"})
    if message.role == "tool":
        sent.setdefault("content", "")
    for call in sent.get("tool_calls", ()):
        if "function" in call:
            # The dialect has arguments as text; no arguments are an empty object.
            arguments = arguments_text(call["function"]["arguments"])
            call["function"]["arguments"] = arguments if arguments.strip() else "{}"
        elif "custom" in call:
            call["type"] = "custom"
    return sent
