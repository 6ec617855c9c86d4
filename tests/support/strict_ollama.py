"""Ollama in an agent loop: its answers, and what it refuses.

https://github.com/ollama/ollama/blob/main/api/types.go: arguments that are no object are a 400, as
a real server answers. It takes more than it says (unknown keys, results without a call), all of
which would be a mistake here, so that this one refuses it too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from strict_provider import Body, StrictProvider
from vesselog.vessels import Ollama

__all__ = ["OLLAMA_PROVIDERS", "check_ollama"]

_KEYS = {
    "system": {"role", "content"},
    "user": {"role", "content", "images"},
    "assistant": {"role", "content", "images", "thinking", "tool_calls"},
    "tool": {"role", "content", "images", "tool_name", "tool_call_id"},
}
_FUNCTION = {"arguments", "index", "name"}


def check_ollama(body: Body) -> str | None:
    """What is wrong with the messages of a request; None if nothing is."""
    return next(_faults(body), None)


def _faults(body: Body) -> Iterator[str]:
    waiting: list[dict[str, Any]] = []
    ids: set[str] = set()
    for number, message in enumerate(body["messages"]):
        at = f"messages[{number}]"
        if unknown := message.keys() - _KEYS[message["role"]]:
            yield f"{at}: unknown keys {sorted(unknown)}"
        if not isinstance(message.get("content"), str):
            yield f"{at}: content is no text"
        if message["role"] == "tool":
            yield from _result_faults(at, message, waiting)
            continue
        if waiting:
            yield f"{at}: no results for {waiting}"
        for call in message.get("tool_calls", ()):
            yield from _call_faults(at, call)
            if (identifier := call.get("id")) in ids:
                yield f"{at}: the id {identifier!r} is not unique"
            ids |= {call["id"]} if "id" in call else set()
            waiting.append(call)
        if message["role"] == "assistant" and not any(
            message.get(key) for key in ("content", "thinking", "tool_calls", "images")
        ):
            yield f"{at} is empty"
    if waiting:
        yield f"no results for {waiting}"


def _call_faults(at: str, call: dict[str, Any]) -> Iterator[str]:
    function = call["function"]
    if not call.keys() <= {"function", "id", "type"} or not function.keys() <= _FUNCTION:
        yield f"{at}: unknown keys in {call}"
    if not isinstance(function["arguments"], dict):
        yield "json: cannot unmarshal into Go struct field function.arguments"
    if not call.get("id", "an id") or not function["name"]:
        yield f"{at}: an empty id or name"


def _result_faults(
    at: str, message: dict[str, Any], waiting: list[dict[str, Any]]
) -> Iterator[str]:
    """A result is that of the call with its id; without ids they come in the calls' order."""
    if not waiting:
        yield f"{at}: a result without a call"
        return
    known = message.get("tool_call_id")
    call = next((each for each in waiting if each.get("id") == known), None)
    if call is None:
        yield f"{at}: no call has the id {known!r}"
        return
    waiting.remove(call)
    if message.get("tool_name") != call["function"]["name"]:
        yield f"{at}: a result of {message.get('tool_name')!r} for {call}"
    said = message["content"]
    if "city" in said and call["function"]["arguments"].get("city", "") not in said:
        yield f"{at}: {said!r} is the result of another call than {call}"


def _turn(text: str, thinking: str, *calls: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "thinking": thinking}
    return {**message, "tool_calls": list(calls)} if calls else message


def _call(city: str, **more: Any) -> dict[str, Any]:
    return {**more, "function": {"name": "weather", "arguments": {"city": city}}}


_TURNS = (
    # As servers did before they gave ids.
    _turn("", "Two cities.", _call("Bremen"), _call("Rostock")),
    _turn("Now.", "Two more.", _call("Kiel", id="call_1"), _call("Zürich", id="call_2")),
    _turn("In Kiel.", "Kiel is sunny."),
    _turn("Ahoy!", "That is all."),
)
_END = {"model": "m", "done": True, "done_reason": "stop", "eval_count": 2}


def _frames(turn: dict[str, Any]) -> list[bytes]:
    """Thinking and text in two pieces, each call in a line of its own."""
    told: list[dict[str, Any]] = []
    for key in ("thinking", "content"):
        half = len(turn[key]) // 2
        told += [{key: piece} for piece in (turn[key][:half], turn[key][half:]) if piece]
    told += [{"tool_calls": [call]} for call in turn.get("tool_calls", ())]
    messages = [{"role": "assistant", "content": "", **each} for each in told]
    lines = [{"model": "m", "message": each, "done": False} for each in messages]
    last = {**_END, "message": {"role": "assistant", "content": ""}}
    return [json.dumps(each).encode() + b"\n" for each in (*lines, last)]


OLLAMA_PROVIDERS = {
    "ollama": StrictProvider(
        vessel=lambda url: Ollama(base_url=url),
        turns=_TURNS,
        check=check_ollama,
        wanted=lambda message: message,
        whole=lambda turn: json.dumps({**_END, "message": turn}).encode(),
        frames=_frames,
        content_type="application/x-ndjson",
    )
}
"""By the name of the vessel."""
