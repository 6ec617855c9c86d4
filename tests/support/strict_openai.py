"""Strict servers of the OpenAI dialect: OpenAI's own, and others with thinking to be sent back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loopback import sse
from strict_provider import Body, Check, StrictProvider, said_in
from vesselog.vessels import Azure, DeepSeek, Mistral, OpenAI, OpenRouter, Vessel

__all__ = ["OPENAI_PROVIDERS", "check_deepseek", "check_openai"]


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
        if not calls and not any(message.get(key) for key in ("content", "refusal", "audio")):
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


def _wanted(*keys: str) -> Callable[[Any], Any]:
    return lambda message: {key: message.get(key) or "" for key in keys}


def check_deepseek(body: Body) -> str | None:
    """In a thinking model's conversation, what called tools has its thinking."""
    for message in said_in(body):
        if message.get("tool_calls") and not message.get("reasoning_content"):
            return "The `reasoning_content` in the thinking mode must be passed back to the API."
    return check_openai(body, own=("reasoning_content",), ids=".+")


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

    def provider(
        self, vessel: Callable[[str], Vessel], check: Check, *wanted: str
    ) -> StrictProvider:
        wants = _wanted("tool_calls", *wanted)
        return StrictProvider(vessel, self.turns(), check, wants, self.whole, self.frames)


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


def _check_openrouter(body: Body) -> str | None:
    return check_openai(body, own=("reasoning", "reasoning_details"), ids=".+")


def _check_mistral(body: Body) -> str | None:
    return check_openai(body, ids="[a-zA-Z0-9]{9}", name=False)


_NULLS = {"refusal": None, "annotations": []}
OPENAI_PROVIDERS: dict[str, StrictProvider] = {
    "openai": _Dialect(annex=_NULLS).provider(
        lambda url: _OwnOpenAI(base_url=url), check_openai, "content"
    ),
    "azure": _Dialect(annex=_NULLS).provider(
        lambda url: Azure(base_url=url), check_openai, "content"
    ),
    "deepseek": _Dialect(
        lambda thought: {"reasoning_content": thought},
        lambda thought: [{"reasoning_content": piece} for piece in _pieces(thought)],
        content="",
    ).provider(lambda url: DeepSeek(base_url=url), check_deepseek, "reasoning_content"),
    "openrouter": _Dialect(_signed, _signed_deltas, content="").provider(
        lambda url: OpenRouter(base_url=url), _check_openrouter, "reasoning", "reasoning_details"
    ),
    "mistral": _Dialect(
        _thinking_chunk,
        lambda thought: [_thinking_chunk(piece) for piece in _pieces(thought)],
        ids=("aB3dE6gH9", "bB3dE6gH9", "cB3dE6gH9", "dB3dE6gH9"),
    ).provider(lambda url: Mistral(base_url=url), _check_mistral, "content"),
}
"""By the name of the vessel."""
