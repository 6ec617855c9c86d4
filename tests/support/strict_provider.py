"""Model servers for an agent loop, which refuse with 400 what their provider would refuse.

A `StrictProvider` is data and pure functions: the messages that it answers with, one per turn, how
they are sent, and `refusal(body, earlier)`, which says what is wrong with a request. `earlier` are
the server's own messages before this turn, which it wants back. To add a dialect, write these
functions and put it into `PROVIDERS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loopback import Conversation, Request, Script, sse
from vesselog.vessels import Azure, DeepSeek, Mistral, OpenAI, OpenRouter, Vessel

__all__ = ["PROVIDERS", "QUESTIONS", "TOOL", "StrictProvider", "check_openai", "scripted"]

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
QUESTIONS = ("Where is the better weather?", "Thanks!")

Body = Mapping[str, Any]
Refusal = Callable[[Body, Sequence[Any]], str | None]


@dataclass(frozen=True)
class StrictProvider:
    """A provider with its answers.

    vessel: the vessel for a server at this URL. turns: the assistant's messages in the provider's
    own form: two calls at once, two more, a text, and a text to the second question. asked: the
    number of the turn that a request asks for. whole and frames: an answer's body, in one piece and
    streamed. streams: whether a request asks for a stream.
    """

    vessel: Callable[[str], Vessel]
    turns: tuple[Any, ...]
    refusal: Refusal
    whole: Callable[[Any], bytes]
    frames: Callable[[Any], list[bytes]]
    asked: Callable[[Body], int] = lambda body: len(_said(body))
    streams: Callable[[Request], bool] = lambda request: bool(request.json.get("stream"))
    content_type: str = "text/event-stream"


def scripted(provider: StrictProvider, refused: list[str]) -> Script:
    """The server's side of a conversation; what it refuses is added to `refused`."""

    def answer(conversation: Conversation) -> None:
        body = conversation.request.json
        turn = provider.asked(body)
        wrong = provider.refusal(body, provider.turns[:turn])
        if wrong is not None:
            refused.append(wrong)
            conversation.whole(json.dumps({"error": {"message": wrong}}).encode(), 400)
        elif provider.streams(conversation.request):
            conversation.stream(provider.frames(provider.turns[turn]), provider.content_type)
        else:
            conversation.whole(provider.whole(provider.turns[turn]))

    return answer


# The OpenAI dialect.

_KEYS = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "refusal", "tool_calls", "audio"},
    "tool": {"role", "content", "tool_call_id", "name"},
}


def check_openai(
    body: Body, *, own: Sequence[str] = (), ids: str = ".{1,40}", name: bool = True
) -> str | None:
    """What is wrong with a request's messages, None if nothing is.

    own: further keys of an assistant's message. ids: the pattern of a call's id. name: whether an
    assistant's message may have one.
    """
    return next(_openai_faults(body, set(own), ids, name=name), None)


def _openai_faults(body: Body, own: set[str], ids: str, *, name: bool) -> Iterator[str]:
    seen: set[str] = set()
    waiting: list[str] = []
    for number, message in enumerate(body["messages"]):
        at, role = f"messages[{number}]", message["role"]
        allowed = _KEYS[role] | (own if role == "assistant" else set())
        if not name and role == "assistant":
            allowed -= {"name", "refusal", "audio"}
        for key in message.keys() - allowed:
            yield f"Unknown parameter: '{at}.{key}'"
        if role == "tool":
            if message.get("tool_call_id") not in waiting:
                yield f"{at}: a tool's result must follow the call with its tool_call_id"
            else:
                waiting.remove(message["tool_call_id"])
            yield from _text_faults(at, message.get("content"))
            continue
        if waiting:
            yield f"{at}: no results for the calls {waiting}"
        calls = message.get("tool_calls")
        if calls is not None and not calls:
            yield f"{at}.tool_calls is too short"
        for call in calls or ():
            yield from _call_faults(at, call, ids, seen)
            seen.add(call["id"])
            waiting.append(call["id"])
        if not calls and not message.get("content") and not message.get("refusal"):
            yield f"{at} has no content"
    if waiting:
        yield f"no results for the calls {waiting}"


def _text_faults(at: str, content: Any) -> Iterator[str]:
    if content is None:
        yield f"{at}.content is missing"
    elif not isinstance(content, str) and any(part["type"] != "text" for part in content):
        yield f"{at}.content has a part that is no text"


def _call_faults(at: str, call: Mapping[str, Any], ids: str, seen: set[str]) -> Iterator[str]:
    if not isinstance(call.get("id"), str) or not re.fullmatch(ids, call["id"]):
        yield f"{at}: the call's id {call.get('id')!r} is not allowed"
    if call["id"] in seen:
        yield f"{at}: the call's id {call['id']!r} is not unique"
    if call.get("type") == "custom":
        if not isinstance(call["custom"]["input"], str):
            yield f"{at}: the input of a custom tool must be text"
        return
    arguments = call["function"]["arguments"]
    try:
        fine = isinstance(arguments, str) and isinstance(json.loads(arguments), dict)
    except ValueError:
        fine = False
    if not fine:
        yield f"{at}: the call's arguments are no JSON object"


def _said(body: Body) -> list[Any]:
    return [message for message in body["messages"] if message["role"] == "assistant"]


def _wants_back(*keys: str, **rules: Any) -> Refusal:
    """These keys of the server's own messages must come back as they were."""

    def refusal(body: Body, earlier: Sequence[Any]) -> str | None:
        if wrong := check_openai(body, own=keys, **rules):
            return wrong
        for said, told in zip(earlier, _said(body), strict=True):
            for key in keys:
                if (said.get(key) or "") != (told.get(key) or ""):
                    return f"{key} must be passed back: {told.get(key)!r}"
        return None

    return refusal


@dataclass(frozen=True)
class _Dialect:
    """How a server of the OpenAI dialect says its messages.

    thinking: the keys of a message with its thinking. deltas: these in pieces.
    """

    thinking: Callable[[str], dict[str, Any]] = lambda _: {}
    deltas: Callable[[str], list[dict[str, Any]]] = lambda _: []
    ids: tuple[str, ...] = ("call_a1", "call_a2", "call_b1", "call_b2")
    content: Any = None
    annex: dict[str, Any] = field(default_factory=dict)

    def turns(self) -> tuple[Any, ...]:
        calls = [
            {"id": identifier, "type": "function", "function": function}
            for identifier, function in zip(
                self.ids,
                [
                    {"name": "weather", "arguments": f'{{"city": "{city}"}}'}
                    for city in ("Bremen", "Rostock", "Kiel", "Zürich")
                ],
                strict=True,
            )
        ]
        first: dict[str, Any] = {"role": "assistant", "content": self.content}
        return (
            {**first, **self.thinking("Two cities."), "tool_calls": calls[:2]},
            {**first, **self.thinking("Two more."), "tool_calls": calls[2:]},
            self.text("In Kiel.", "Kiel is sunny."),
            self.text("Ahoy!", "That is all."),
        )

    def text(self, text: str, thought: str) -> dict[str, Any]:
        told = self.thinking(thought)
        content = [*told["content"], {"type": "text", "text": text}] if "content" in told else text
        return {"role": "assistant", **told, "content": content}

    def frames(self, message: dict[str, Any]) -> list[bytes]:
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += self.deltas(_thought(message))
        for index, call in enumerate(message.get("tool_calls", ())):
            begun = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
            deltas.append({"tool_calls": [begun]})
            for piece in (call["function"]["arguments"][:8], call["function"]["arguments"][8:]):
                more = {"index": index, "function": {"arguments": piece}}
                deltas.append({"tool_calls": [more]})
        text = message["content"]
        text = text[-1].get("text", "") if isinstance(text, list) else text or ""
        deltas += [{"content": piece} for piece in (text[:3], text[3:]) if piece]
        finish = "tool_calls" if "tool_calls" in message else "stop"
        choices: list[dict[str, Any]] = [
            {"index": 0, "delta": delta, "finish_reason": None} for delta in deltas
        ]
        choices.append({"index": 0, "delta": {}, "finish_reason": finish})
        head = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        usage = {**head, "choices": [], "usage": _USAGE}
        return sse(*({**head, "choices": [choice]} for choice in choices), usage)

    def whole(self, message: dict[str, Any]) -> bytes:
        finish = "tool_calls" if "tool_calls" in message else "stop"
        choice = {"index": 0, "message": {**message, **self.annex}, "finish_reason": finish}
        head = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "m"}
        return json.dumps({**head, "choices": [choice], "usage": _USAGE}).encode()

    def provider(self, vessel: Callable[[str], Vessel], refusal: Refusal) -> StrictProvider:
        return StrictProvider(vessel, self.turns(), refusal, self.whole, self.frames)


_USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def _thought(message: dict[str, Any]) -> str:
    if isinstance(message["content"], list):
        return str(message["content"][0]["thinking"][0]["text"])
    return str(message.get("reasoning_content") or message.get("reasoning") or "")


def _pieces(text: str) -> tuple[str, str]:
    return text[:4], text[4:]


def _signed(thought: str) -> dict[str, Any]:
    """OpenRouter's: thinking with a signature, and what is encrypted."""
    details = [
        {"type": "reasoning.text", "text": thought, "signature": f"S {thought}", "index": 0},
        {"type": "reasoning.encrypted", "data": f"E {thought}", "index": 1},
    ]
    return {"reasoning": thought, "reasoning_details": details}


def _signed_deltas(thought: str) -> list[dict[str, Any]]:
    (text, encrypted) = _signed(thought)["reasoning_details"]
    deltas = [
        {
            "reasoning": piece,
            "reasoning_details": [{"type": "reasoning.text", "text": piece, "index": 0}],
        }
        for piece in _pieces(thought)
    ]
    signature = {"type": "reasoning.text", "signature": text["signature"], "index": 0}
    return [*deltas, {"reasoning_details": [signature]}, {"reasoning_details": [encrypted]}]


def _thinking_chunk(thought: str) -> dict[str, Any]:
    chunk = {"type": "thinking", "thinking": [{"type": "text", "text": thought}]}
    return {"content": [chunk]}


class _OwnOpenAI(OpenAI):
    """OpenAI's own API, which is known by its address, at another one."""

    def _openai_api(self, url: str) -> bool:
        return True


_NULLS = {"refusal": None, "annotations": []}
PROVIDERS: dict[str, StrictProvider] = {
    "openai": _Dialect(annex=_NULLS).provider(
        lambda url: _OwnOpenAI(base_url=url), _wants_back("content", "tool_calls")
    ),
    "azure": _Dialect(annex=_NULLS).provider(
        lambda url: Azure(base_url=url), _wants_back("content", "tool_calls")
    ),
    "deepseek": _Dialect(
        lambda thought: {"reasoning_content": thought},
        lambda thought: [{"reasoning_content": piece} for piece in _pieces(thought)],
        content="",
    ).provider(lambda url: DeepSeek(base_url=url), _wants_back("reasoning_content", "tool_calls")),
    "openrouter": _Dialect(_signed, _signed_deltas, content="").provider(
        lambda url: OpenRouter(base_url=url),
        _wants_back("reasoning", "reasoning_details", "tool_calls"),
    ),
    "mistral": _Dialect(
        _thinking_chunk,
        lambda thought: [_thinking_chunk(piece) for piece in _pieces(thought)],
        ids=("aB3dE6gH9", "bB3dE6gH9", "cB3dE6gH9", "dB3dE6gH9"),
    ).provider(
        lambda url: Mistral(base_url=url),
        _wants_back("content", "tool_calls", ids="[a-zA-Z0-9]{9}", name=False),
    ),
}
"""By the name of the vessel."""
