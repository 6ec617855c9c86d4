"""Makes a conversation valid for a dialect, wherever its messages came from.

The answer of one provider, put back by `to_message()`, may hold what another refuses. There is one
rule for each case, the same for all vessels:

- A message with this vessel's own form (`native`) is sent in that form, as it came.
- An assistant's message that says nothing is left out.
- A call without an id gets one; an id that an earlier call has too is made distinct; an id that the
  dialect does not allow is replaced. The results of the calls follow.
- Arguments that are not a JSON object are sent as `{"INVALID_JSON": "<the text>"}`.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Any

from ..core.jsontext import loads
from ..core.request import Message, ToolCallRequest
from .call_arguments import made_id

__all__ = ["INVALID_JSON", "history", "native_of"]

INVALID_JSON = "INVALID_JSON"
"""The key under which arguments are sent that are no JSON object.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming
"""


def native_of(message: Message, vessel: str) -> dict[str, Any] | None:
    """The message in the form of this vessel's provider, if it has that."""
    return (message.native or {}).get(vessel)


def history(messages: Iterable[Message], vessel: str, ids: str = r"(?s).+") -> list[Message]:
    """The conversation by the rules above.

    vessel: the name of the one that sends it. ids: a pattern for the whole of a call's id.
    """
    allowed = re.compile(ids)
    used: set[str] = set()
    # The ids that stand for those of the calls whose results have not come yet.
    waiting: defaultdict[str, deque[str]] = defaultdict(deque)
    valid: list[Message] = []
    for message in messages:
        if message.role == "assistant":
            own = native_of(message, vessel) is not None
            if not own and not (message.content or message.tool_calls or message.model_extra):
                continue
            calls: list[ToolCallRequest] = []
            for number, call in enumerate(message.tool_calls or ()):
                sent = call.id or ""
                found = sent
                if not own and (sent in used or not allowed.fullmatch(sent)):
                    found = made_id(f"{sent} {len(used)} {number} {call.tool}")
                used.add(found)
                waiting[sent].append(found)
                calls.append(_valid(call, found))
            valid.append(message.model_copy(update={"tool_calls": tuple(calls)} if calls else {}))
        elif message.role == "tool" and (known := waiting.get(message.tool_call_id or "")):
            valid.append(message.model_copy(update={"tool_call_id": known.popleft()}))
        else:
            valid.append(message)
    return valid


def _valid(call: ToolCallRequest, identifier: str) -> ToolCallRequest:
    changed: dict[str, Any] = {"id": identifier or None}
    if call.function is not None and not _is_object(call.function.arguments):
        arguments = {INVALID_JSON: call.function.arguments}
        changed["function"] = call.function.model_copy(update={"arguments": arguments})
    return call.model_copy(update=changed)


def _is_object(arguments: str | dict[str, Any]) -> bool:
    if isinstance(arguments, dict) or not arguments.strip():
        return True
    try:
        return isinstance(loads(arguments), dict)
    except ValueError:
        return False
