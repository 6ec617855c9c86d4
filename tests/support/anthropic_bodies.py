"""Answers of Anthropic's Messages API, in events as its documentation shows them, or whole."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from decoding import JSON, SSE, Decoded, decode
from vesselog.core.assembler import Assembler
from vesselog.core.completion import Completion
from vesselog.core.exchange import Exchange
from vesselog.core.request import chat_request
from vesselog.core.vessel import WireRequest
from vesselog.vessels import Anthropic

__all__ = [
    "HELLO",
    "PING",
    "SIGNATURE",
    "THINKING",
    "TOOLS",
    "answer",
    "block",
    "completion_of",
    "end",
    "events_of",
    "frame",
    "sent",
    "start",
    "text",
    "whole",
]

SIGNATURE = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds"


def frame(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def start(**usage: Any) -> bytes:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": "claude-opus-4-5",
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 25, "output_tokens": 1, **usage},
    }
    return frame({"type": "message_start", "message": message})


def block(index: int, content: dict[str, Any], *deltas: dict[str, Any]) -> list[bytes]:
    """A content block, from its start to its stop."""
    head = {"type": "content_block_start", "index": index, "content_block": content}
    return [
        frame(head),
        *(frame({"type": "content_block_delta", "index": index, "delta": d}) for d in deltas),
        frame({"type": "content_block_stop", "index": index}),
    ]


def text(index: int, *texts: str) -> list[bytes]:
    deltas = [{"type": "text_delta", "text": each} for each in texts]
    return block(index, {"type": "text", "text": ""}, *deltas)


def end(reason: str = "end_turn", *, output_tokens: int = 15, **delta: Any) -> list[bytes]:
    final = {"stop_reason": reason, "stop_sequence": None, **delta}
    usage = {"output_tokens": output_tokens}
    return [
        frame({"type": "message_delta", "delta": final, "usage": usage}),
        frame({"type": "message_stop"}),
    ]


PING = frame({"type": "ping"})
HELLO = [start(), PING, *text(0, "Hello", "!"), *end()]
THINKING = [
    start(),
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "I need the GCD.\n"},
        {"type": "thinking_delta", "thinking": "1071 = 2 × 462 + 147"},
        {"type": "signature_delta", "signature": SIGNATURE},
    ),
    *block(1, {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"}),
    *text(2, "It is ", "**21**."),
    *end(),
]
TOOLS = [
    start(),
    PING,
    *text(0, "Let me look."),
    *block(
        1,
        {"type": "tool_use", "id": "toolu_01", "name": "get_weather", "input": {}},
        {"type": "input_json_delta", "partial_json": ""},
        {"type": "input_json_delta", "partial_json": '{"location":'},
        {"type": "input_json_delta", "partial_json": ' "San Francisco, CA"}'},
    ),
    *block(2, {"type": "tool_use", "id": "toolu_02", "name": "now", "input": {}}),
    *end("tool_use", output_tokens=89),
]


def whole(content: list[dict[str, Any]], reason: str | None = "end_turn", **more: Any) -> bytes:
    """A message in one piece."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-5"}
    usage = {"input_tokens": 25, "output_tokens": 15}
    given = {**message, "content": content, "stop_reason": reason, "usage": usage, **more}
    return json.dumps(given).encode()


def events_of(
    content: Iterable[dict[str, Any]], reason: str = "end_turn", size: int = 3
) -> list[bytes]:
    """The events of these blocks, as the API streams them, their texts in pieces of `size`."""
    frames = [start()]
    for index, each in enumerate(content):
        begun, deltas = _streamed(each, size)
        frames += block(index, begun, *deltas)
    return [*frames, *end(reason)]


def _streamed(content: dict[str, Any], size: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """How a block begins, and its deltas."""
    begun, deltas = dict(content), list[dict[str, Any]]()
    match content["type"]:
        case "text":
            begun["text"] = ""
            deltas += [{"type": "text_delta", "text": x} for x in _pieces(content["text"], size)]
            if "citations" in content:
                begun["citations"] = []
                cited = content["citations"]
                deltas += [{"type": "citations_delta", "citation": each} for each in cited]
        case "thinking":
            begun |= {"thinking": "", "signature": ""}
            thought = _pieces(content["thinking"], size)
            deltas += [{"type": "thinking_delta", "thinking": each} for each in thought]
            deltas.append({"type": "signature_delta", "signature": content["signature"]})
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            begun["input"] = {}
            written = json.dumps(content["input"]) if content["input"] else ""
            deltas.append({"type": "input_json_delta", "partial_json": ""})
            pieces = _pieces(written, size)
            deltas += [{"type": "input_json_delta", "partial_json": each} for each in pieces]
        case "compaction":
            begun["content"] = None
            told = _pieces(content["content"], size)
            deltas += [{"type": "compaction_delta", "content": each} for each in told]
        case _:
            pass
    return begun, deltas


def _pieces(told: str, size: int) -> list[str]:
    return [told[at : at + size] for at in range(0, len(told), size)]


def answer(*frames: bytes, **settings: Any) -> Decoded:
    """What the exchange makes of these events."""
    return decode(Anthropic(), b"".join(frames), SSE, **settings)


def completion_of(body: bytes | Iterable[bytes]) -> Completion:
    """The completion of an answer, streamed (its events) or whole (its bytes)."""
    streamed = not isinstance(body, bytes)
    vessel = Anthropic()
    exchange = Exchange(vessel, WireRequest(url="http://x", body={"model": "m"}, stream=streamed))
    exchange.respond(200, SSE if streamed else JSON)
    pieces = [body] if isinstance(body, bytes) else body
    steps = [step for piece in pieces for step in exchange.take(piece)]
    assembler = Assembler()
    for step in (*steps, *exchange.finish()):
        for chunk in step.chunks:
            assembler.add(chunk)
    return assembler.completion(natives=exchange.native(), vessel=vessel.name)


def sent(vessel: Anthropic | None = None, **fields: Any) -> dict[str, Any]:
    """The body of a request."""
    fields = {"messages": "hi", "max_tokens": 100, **fields}
    body = (vessel or Anthropic()).request(chat_request("m", **fields)).body
    assert body is not None
    return body
