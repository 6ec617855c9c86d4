"""Refuses what OpenAI's Responses API refuses in the input of a request.

https://developers.openai.com/api/docs/guides/conversation-state and …/guides/reasoning, and the
types of the official SDK (openai.types.responses).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from strict_provider import Body, StrictProvider
from vesselog.vessels import OpenAIResponses

__all__ = ["RESPONSES_PROVIDERS", "check_responses"]

_KEYS = {
    "message": {"type", "role", "content", "id", "status", "phase"},
    "reasoning": {"type", "id", "summary", "content", "encrypted_content", "status"},
    "function_call": {"type", "id", "call_id", "name", "arguments", "status"},
    "custom_tool_call": {"type", "id", "call_id", "name", "input", "status"},
    "function_call_output": {"type", "id", "call_id", "output", "status"},
    "custom_tool_call_output": {"type", "id", "call_id", "output"},
}
_PARTS = {
    "user": {"input_text", "input_image", "input_file"},
    "assistant": {"output_text", "refusal"},
}


def check_responses(body: Body) -> str | None:
    """What is wrong with a request's input, None if nothing is."""
    return next(_faults(body), None)


def _faults(body: Body) -> Iterator[str]:
    waiting: dict[str, str] = {}
    seen: set[str] = set()
    before = ""
    for number, item in enumerate(body["input"]):
        at, kind = f"input[{number}]", item.get("type", "message")
        for key in item.keys() - _KEYS.get(kind, item.keys()):
            yield f"Unknown parameter: '{at}.{key}'"
        is_ours = kind in {"message", "reasoning", "function_call", "custom_tool_call"}
        if before == "reasoning" and not (is_ours and item.get("role", "assistant") == "assistant"):
            yield f"{at}: reasoning was provided without its required following item"
        before = kind
        match kind:
            case "message":
                yield from _message_faults(at, item)
                if waiting and item["role"] != "assistant":
                    yield f"No tool output found for the calls {sorted(waiting)}"
            case "reasoning" if body.get("store") is False and not item.get("encrypted_content"):
                yield f"{at}: items are not persisted when `store` is false"
            case "function_call" | "custom_tool_call":
                yield from _call_faults(at, item, seen)
                seen.add(item["call_id"])
                waiting[item["call_id"]] = f"{kind}_output"
            case "function_call_output" | "custom_tool_call_output":
                if waiting.pop(item["call_id"], None) != kind:
                    yield f"{at}: no call of that kind with the id {item['call_id']!r}"
                if not isinstance(item["output"], str | list):
                    yield f"{at}.output is no text"
            case _:
                pass
    if waiting or before == "reasoning":
        yield f"no tool output found for {sorted(waiting)}, or nothing behind reasoning"


def _message_faults(at: str, item: Mapping[str, Any]) -> Iterator[str]:
    content = item["content"]
    if isinstance(content, str):
        if not content and item["role"] == "assistant":
            yield f"{at}.content is empty"
        return
    allowed = _PARTS["assistant" if item["role"] == "assistant" else "user"]
    for part in content:
        if part["type"] not in allowed:
            yield f"{at}: a part of the type {part['type']!r} is not allowed"


def _call_faults(at: str, item: Mapping[str, Any], seen: set[str]) -> Iterator[str]:
    if not isinstance(item.get("call_id"), str) or not item["call_id"] or item["call_id"] in seen:
        yield f"{at}.call_id is missing or not unique"
    if item["type"] == "function_call":
        try:
            fine = isinstance(json.loads(item["arguments"]), dict)
        except (TypeError, ValueError):
            fine = False
        if not fine:
            yield f"{at}.arguments are no JSON object"


def _turns() -> tuple[list[dict[str, Any]], ...]:
    places = [("Bremen", "Rostock"), ("Kiel", "Zürich")]
    calling = [
        [
            _reasoning(f"rs_{turn}", "Two cities."),
            *(_call(f"{turn}{number}", city) for number, city in enumerate(cities)),
        ]
        for turn, cities in enumerate(places)
    ]
    saying = [
        [_reasoning(f"rs_{text}", "Sunny."), _message(f"msg_{text}", text)]
        for text in ("In Kiel.", "Ahoy!")
    ]
    return (*calling, *saying)


def _reasoning(identifier: str, text: str) -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": text}]
    encrypted = f"gAAAAB{identifier}=="
    return {
        "id": identifier,
        "type": "reasoning",
        "summary": summary,
        "encrypted_content": encrypted,
    }


def _call(number: str, city: str) -> dict[str, Any]:
    return {
        "id": f"fc_{number}",
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{number}",
        "name": "weather",
        "arguments": f'{{"city": "{city}"}}',
    }


def _message(identifier: str, text: str) -> dict[str, Any]:
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    return {
        "id": identifier,
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [part],
    }


def _response(status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    response = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m"}
    return {**response, "status": status, "error": None, "output": output, "usage": usage}


def _whole(output: list[dict[str, Any]]) -> bytes:
    return json.dumps(_response("completed", output)).encode()


def _frames(output: list[dict[str, Any]]) -> list[bytes]:
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": _response("in_progress", [])}
    ]
    for index, item in enumerate(output):
        place = {"output_index": index, "item_id": item["id"]}
        begun = {**item}
        kind, text, more = "output_text", "", {"content_index": 0}
        match item["type"]:
            case "reasoning":
                begun |= {"summary": [], "encrypted_content": "gAAAAB-part"}
                kind, more = "reasoning_summary_text", {"summary_index": 0}
                text = item["summary"][0]["text"]
            case "function_call":
                begun |= {"arguments": "", "status": "in_progress"}
                kind, text, more = "function_call_arguments", item["arguments"], {}
            case _:
                begun |= {"content": [], "status": "in_progress"}
                text = item["content"][0]["text"]
        events.append({"type": "response.output_item.added", "output_index": index, "item": begun})
        events += [
            {"type": f"response.{kind}.delta", **place, **more, "delta": piece}
            for piece in (text[:4], text[4:])
        ]
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    events.append({"type": "response.completed", "response": _response("completed", output)})
    return [
        b"event: %s\ndata: %s\n\n"
        % (event["type"].encode(), json.dumps({**event, "sequence_number": number}).encode())
        for number, event in enumerate(events)
    ]


def _said(body: Body) -> list[list[dict[str, Any]]]:
    """The answers in a request: what is between the user's messages and the results."""
    answers: list[list[dict[str, Any]]] = []
    in_answer = False
    for item in body["input"]:
        was_in_answer, in_answer = (
            in_answer,
            not (
                item.get("role") in {"user", "system"} or item.get("type", "").endswith("_output")
            ),
        )
        if in_answer and not was_in_answer:
            answers.append([])
        if in_answer:
            answers[-1].append(item)
    return answers


RESPONSES_PROVIDERS: dict[str, StrictProvider] = {
    "openai-responses": StrictProvider(
        lambda url: OpenAIResponses(base_url=url),
        _turns(),
        check_responses,
        lambda output: output,
        _whole,
        _frames,
        _said,
    ),
}
