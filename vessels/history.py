"""Makes a conversation valid for a dialect, wherever its messages came from.

The answer of one provider, put back by `to_message()`, may hold what another refuses. There is one
rule for each case, the same for all vessels:

- An assistant's message with this vessel's own form (`native`) is sent in that form, as it came,
  but for the ids of its calls, which follow those of the universal form (`with_ids`).
  `native` of another shape, or in a message of another role, is an error.
- An assistant's message that says nothing is left out.
- A refusal is sent as the message's text, where the dialect has no field for it.
- A call without an id gets one; an id that an earlier call has too is made distinct; an id that the
  dialect does not allow is replaced. The results of the calls follow: each goes to the call with
  its id in the latest turn that still waits for it, and without an id to the call of its tool.
- Keys that annotate a message or a part for one provider (ANNOTATIONS) are left out for a server
  that refuses unknown keys.
- Arguments that are not a JSON object are sent as `{"INVALID_JSON": "<the text>"}`; nor is one
  with NaN, an infinity or half a surrogate pair, which no provider could read.

What only the caller can know is not made up: a result without a call, and a call without a result,
are sent as they are, and the provider says what it thinks of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar, cast

from pydantic import BaseModel

from ..core.errors import InvalidRequestError
from ..core.request import Message, TextPart, ToolCallRequest
from .call_arguments import made_id, valid_arguments

__all__ = [
    "ANNOTATIONS",
    "native_objects",
    "native_of",
    "valid_history",
    "with_ids",
]

_Annotated = TypeVar("_Annotated", bound=BaseModel)
ANNOTATIONS = frozenset({"cache_control", "citations", "is_error"})
"""Keys of Anthropic's parts and results, which some servers of the OpenAI dialect take too."""


def native_of(message: Message, vessel: str) -> dict[str, Any] | None:
    """The native form that `message` has for `vessel`, if there is one and it is not empty."""
    native = (message.native or {}).get(vessel)
    if native is None or not any(value for key, value in native.items() if key != "role"):
        return None
    return native


def native_objects(value: Any, vessel: str, key: str) -> list[dict[str, Any]]:
    """`value`, which is under `key` in a message's native form, if it is a list of objects.

    Raises InvalidRequestError if it is not: then `vessel` has not made the message.
    """
    if isinstance(value, list):
        listed = cast("list[Any]", value)
        if all(isinstance(each, dict) for each in listed):
            return cast("list[dict[str, Any]]", listed)
    raise InvalidRequestError(
        f"native[{vessel!r}][{key!r}] of a message must be a list of objects, as to_message() "
        "gives it: remove native to send the other fields of the message"
    )


def with_ids(calls: list[dict[str, Any]], message: Message) -> list[dict[str, Any]]:
    """`calls`, those of `message` in the provider's form, with the ids that the message has."""
    ids = [call.id for call in message.tool_calls or ()]
    if len(ids) != len(calls):
        return calls
    return [
        {**call, "id": new} if call.get("id") and new and new != call["id"] else call
        for call, new in zip(calls, ids, strict=True)
    ]


def valid_history(
    messages: Iterable[Message],
    vessel: str,
    ids: str = r"(?s).+",
    *,
    refusals: bool = False,
    annotations: bool = True,
    names: bool = False,
) -> list[Message]:
    """The conversation, changed so that a provider accepts it (see docs/conversations.md).

    Args:
        messages: The conversation.
        vessel: The name of the vessel that sends it.
        ids: A pattern that a call's whole id must match.
        refusals: Whether the dialect has a field for refusals.
        annotations: Whether the server takes ANNOTATIONS, or any unknown key.
        names: Whether each result must name its tool, also if its call is in native form.

    Raises:
        InvalidRequestError: A message that is not the assistant's has `native`.
    """
    given = list(messages)
    for message in given:
        if message.native and message.role != "assistant":
            raise InvalidRequestError(
                f"native is for messages of the assistant: remove it from this one ({message.role})"
            )
    calls = _Calls(ids, names=names)
    valid: list[Message] = []
    for message in given if annotations else map(_without_annotations, given):
        if message.role == "assistant":
            own = native_of(message, vessel) is not None
            told = message if own or refusals else _with_refusal_as_text(message)
            if own or _says_something(told):
                valid.append(calls.renamed(told, own=own))
        elif message.role == "tool":
            valid.append(calls.answered(message))
        else:
            valid.append(message)
    return valid


class _Waiting(NamedTuple):
    """A call whose result has not come. given: its id in the conversation, sent: the valid one.

    own: it is of a message that is sent in its native form.
    """

    given: str
    sent: str
    tool: str
    own: bool


class _Calls:
    """The calls of a conversation, so far, and which of them wait for their results."""

    def __init__(self, ids: str, *, names: bool) -> None:
        self._names = names
        self.used: set[str] = set()
        # Made ids depend on what came before alone: a longer conversation begins with the same
        # request, which providers have cached.
        self._count = 0
        self._allowed = re.compile(ids)
        self._waiting: list[_Waiting] = []
        self._answered: dict[str, str] = {}

    def renamed(self, message: Message, *, own: bool) -> Message:
        """An assistant's message with valid calls. own: it is sent in its native form."""
        if not message.tool_calls:
            return message
        found: list[_Waiting] = []
        calls: list[ToolCallRequest] = []
        for call in message.tool_calls:
            given = sent = call.id or ""
            if (sent and sent in self.used) or not self._allowed.fullmatch(sent):
                sent = self._made(f"{given} {self._count} {call.tool}")
            self._count += 1
            self.used.update({sent} - {""})
            found.append(_Waiting(given, sent, call.tool, own))
            calls.append(_valid(call, sent))
        self._waiting = found + self._waiting
        return message.model_copy(update={"tool_calls": tuple(calls)})

    def answered(self, message: Message) -> Message:
        """A tool's result with the id of its call."""
        given = message.tool_call_id or ""
        tool = message.name or (message.model_extra or {}).get("tool_name")
        if given:
            fitting = [call for call in self._waiting if call.given == given]
        else:
            fitting = [call for call in self._waiting if tool in {None, call.tool}]
            fitting = [call for call in fitting if not call.given] or fitting
        if fitting:
            self._waiting.remove(fitting[0])
            self._answered[given] = fitting[0].sent
            # Without ids only its name and its place tell whose it is.
            if not (fitting[0].sent or tool) and (self._names or not fitting[0].own):
                message = message.model_copy(update={"name": fitting[0].tool})
            return message.model_copy(update={"tool_call_id": fitting[0].sent or None})
        # A second result for a call goes where the first went.
        again = self._answered.get(given) if given else None
        return message.model_copy(update={"tool_call_id": again}) if again else message

    def _made(self, text: str) -> str:
        identifier = made_id(text)
        return self._made(identifier + text) if identifier in self.used else identifier


def _says_something(message: Message) -> bool:
    content = message.content
    if content and not isinstance(content, str):
        said = any(not isinstance(part, TextPart) or part.text for part in content)
    else:
        said = bool(content)
    return said or bool(message.tool_calls) or any((message.model_extra or {}).values())


def _without_annotations(message: Message) -> Message:
    content = message.content
    if content is not None and not isinstance(content, str):
        content = tuple(_without(part) for part in content)
        message = message.model_copy(update={"content": content})
    return _without(message)


def _without(value: _Annotated) -> _Annotated:
    if ANNOTATIONS.isdisjoint(value.model_extra or ()):
        return value
    kept = value.model_copy()
    for key in ANNOTATIONS:
        (kept.model_extra or {}).pop(key, None)
    return kept


def _with_refusal_as_text(message: Message) -> Message:
    if "refusal" not in (message.model_extra or {}):
        return message
    told = message.model_copy()
    refusal, content = (told.model_extra or {}).pop("refusal"), message.content
    if not isinstance(refusal, str) or not refusal:
        return told
    if content and not isinstance(content, str):
        content = (*content, TextPart(text=refusal))
    else:
        content = f"{content}\n\n{refusal}" if content else refusal
    return told.model_copy(update={"content": content})


def _valid(call: ToolCallRequest, identifier: str) -> ToolCallRequest:
    changed: dict[str, Any] = {"id": identifier or None}
    if call.function is not None:
        arguments = valid_arguments(call.function.arguments)
        changed["function"] = call.function.model_copy(update={"arguments": arguments})
    return call.model_copy(update=changed)
