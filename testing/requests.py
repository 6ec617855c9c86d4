"""Checks that a vessel which reads requests of its dialect reads its own whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..vessels import ChatRequest, InvalidRequestError, Vessel, chat_request, loads
from .running import shown

__all__ = ["read_again"]

_IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
_CALL = {"name": "weather", "arguments": '{"city": "Oslo"}'}
_CALLS = [{"id": f"call{number:05}", "type": "function", "function": _CALL} for number in (1, 2)]
_SYSTEM = {"role": "system", "content": "Be brief."}
_QUESTION = {"role": "user", "content": "Is it warm?"}
_CONVERSATIONS: tuple[list[dict[str, Any]], ...] = (
    [_QUESTION],
    [_SYSTEM, _QUESTION, {"role": "assistant", "content": "Yes."}, _QUESTION],
    [{"role": "user", "content": [{"type": "text", "text": "Where?"}, _IMAGE]}],
    [
        _QUESTION,
        {"role": "assistant", "content": "Hm.", "tool_calls": _CALLS},
        *({"role": "tool", "tool_call_id": call["id"], "content": "cold"} for call in _CALLS),
        _QUESTION,
    ],
)
_TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
_FIELDS: tuple[dict[str, Any], ...] = (
    {},
    {"stream": False},
    {"temperature": 0, "top_p": 0.5, "max_tokens": 7, "stop": ["x"]},
    {"seed": 3, "n": 2, "logprobs": 2},
    {"tools": [_TOOL], "tool_choice": "required"},
    {"response_format": {"type": "object"}},
    *({"think": think} for think in (True, False, "low", 2000)),
    {"extra_body": {"x_conformance": {"kept": [1, None]}}},
)
_LIMIT = {"max_tokens": 9}  # some dialects need one
_NO_BODIES: tuple[Any, ...] = (None, 5, "no", [], {}, {"model": 5}, {"messages": [5]})


def read_again(vessel: Vessel) -> Iterator[str]:
    """What is built of a request that was read is equal; a body that is none is refused."""
    if type(vessel).read_request is Vessel.read_request:
        return
    for messages in _CONVERSATIONS:
        for fields in _FIELDS:
            yield from _read(vessel, chat_request("model", messages, **{**_LIMIT, **fields}))
    url = vessel.request(chat_request("model", "Hello?", **_LIMIT)).url
    for body in _NO_BODIES:
        try:
            vessel.read_request(url, body)
        except InvalidRequestError:
            continue
        except Exception as problem:  # noqa: BLE001 - a vessel may raise anything
            yield f"read_request raises {problem!r} for the body {shown(body)}"
        else:
            yield f"read_request takes the body {shown(body)}"


def _read(vessel: Vessel, chat: ChatRequest) -> Iterator[str]:
    try:
        request = vessel.request(chat)
    except InvalidRequestError:
        return  # the dialect has no word for it
    try:
        again = vessel.request(vessel.read_request(request.url, loads(request.content)))
    except Exception as problem:  # noqa: BLE001 - a vessel may raise anything
        yield f"read_request raises {problem!r} for its own body {shown(request.body)}"
        return
    if again.body != request.body or again.stream != request.stream:
        yield f"the body {shown(request.body)} is read as a request for {shown(again.body)}"
