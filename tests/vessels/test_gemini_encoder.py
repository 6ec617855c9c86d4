"""Answers in Gemini's dialect: thoughts apart, calls and counts at the end."""

from __future__ import annotations

import json
from typing import Any

from vesselog.core.chunk import StreamChunk, Usage
from vesselog.core.completion import Completion
from vesselog.vessels.gemini_encoder import GeminiEncoder


def events(body: bytes) -> list[Any]:
    return [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: ")]


def test_a_stream_ends_with_calls_counts_and_the_reason() -> None:
    made = GeminiEncoder(model="m", identifier="r")
    chunks = [
        StreamChunk(reasoning="Hm", text="Hi"),
        StreamChunk(tool_calls=[{"slot": "0", "id": "c", "name": "f", "arguments": '{"a":1}'}]),
        StreamChunk(finish_reason="tool_calls"),
    ]
    usage = Usage(input_tokens=5, output_tokens=4, reasoning_tokens=3)
    completion = Completion(finish_reason="tool_calls", usage=usage)
    first, last = events(b"".join(map(made.write, chunks)) + made.end(completion))
    assert first["candidates"][0]["content"]["parts"] == [
        {"text": "Hm", "thought": True},
        {"text": "Hi"},
    ]
    assert last["candidates"][0]["content"]["parts"] == [
        {"functionCall": {"id": "c", "name": "f", "args": {"a": 1}}}
    ]
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert last["usageMetadata"] == {
        "promptTokenCount": 5,
        "candidatesTokenCount": 1,
        "totalTokenCount": 9,
        "thoughtsTokenCount": 3,
    }
    assert (last["modelVersion"], last["responseId"]) == ("m", "r")
