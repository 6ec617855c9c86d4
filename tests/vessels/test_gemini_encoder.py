"""Answers in Gemini's dialect: thoughts apart, calls and counts at the end."""

from __future__ import annotations

import json
from typing import Any

from vesselog.core.chunk import StreamChunk, Usage
from vesselog.core.completion import Completion
from vesselog.vessels.gemini_encoder import GeminiEncoder, GeminiListEncoder


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


def test_a_list_has_the_values_of_the_events_and_grows_by_whole_items() -> None:
    chunks = [StreamChunk(text="Hi"), StreamChunk(role="assistant"), StreamChunk(text=" you")]
    completion = Completion(finish_reason="stop", text="Hi you")
    streamed, listed = (
        kind(model="m", identifier="r") for kind in (GeminiEncoder, GeminiListEncoder)
    )
    pieces = [listed.write(chunk) for chunk in chunks]
    for end in range(1, len(pieces) + 1):
        assert json.loads(b"".join(pieces[:end]) + b"]")
    whole = b"".join([*pieces, listed.end(completion)])
    said = b"".join([*map(streamed.write, chunks), streamed.end(completion)])
    assert json.loads(whole) == events(said)
    empty = GeminiListEncoder(model="m", identifier="r").end(Completion())
    assert len(json.loads(empty)) == 1
