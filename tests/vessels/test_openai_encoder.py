"""A stream of the OpenAI dialect as its own API sends it, whatever the provider did."""

from __future__ import annotations

import json
from typing import Any

from vesselog.core.chunk import StreamChunk
from vesselog.core.completion import Choice, Completion, ToolCall
from vesselog.vessels.openai_encoder import OpenAIEncoder


def encoder(**settings: Any) -> OpenAIEncoder:
    return OpenAIEncoder(model="m", created=7, identifier="chatcmpl-1", **settings)


def events(body: bytes) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in body.decode().split("\n")]
    return [json.loads(line) for line in lines if line.startswith("{")]


def call(**fields: Any) -> StreamChunk:
    return StreamChunk(tool_calls=[{"slot": "0", **fields}])


def test_only_the_first_chunk_of_a_choice_has_a_role() -> None:
    made = encoder()
    chunks = [
        StreamChunk(role="assistant", text="a", response_id="r1", model="other"),
        StreamChunk(role="assistant", text="b", response_id="r2", model="another"),
        StreamChunk(choice=1, text="c"),
    ]
    told = events(b"".join(map(made.write, chunks)))
    assert [event["choices"][0]["delta"] for event in told] == [
        {"role": "assistant", "content": "a"},
        {"content": "b"},
        {"role": "assistant", "content": "c"},
    ]
    assert {(event["id"], event["model"], event["created"]) for event in told} == {
        ("r1", "other", 7)
    }


def test_the_finish_waits_for_a_call_without_an_id() -> None:
    """Its decoder gives it one behind the finish."""
    made = encoder()
    body = made.write(StreamChunk(text="a"))
    body += made.write(call(name="f", arguments="{}"))
    finished = StreamChunk(finish_reason="tool_calls")
    assert made.write(finished) == b""
    body += made.write(call(id="c1"))
    answer = Completion(finish_reason="tool_calls", tool_calls=(ToolCall(id="c1", name="f"),))
    told = events(body + made.end(answer))
    deltas = [event["choices"][0] for event in told]
    function = {"name": "f", "arguments": "{}"}
    assert deltas[1]["delta"]["tool_calls"] == [
        {"index": 0, "id": "c1", "type": "function", "function": function}
    ]
    assert [each["finish_reason"] for each in deltas] == [None, None, "tool_calls"]


def test_a_finish_that_the_provider_left_out_is_told() -> None:
    made = encoder()
    body = made.write(StreamChunk(text="a"))
    told = events(body + made.end(Completion(text="a", outcome="complete")))
    assert told[-1]["choices"][0]["finish_reason"] == "stop"


def test_the_call_of_a_custom_tool_has_an_input() -> None:
    made = encoder()
    body = made.write(call(id="c", name="sql", type="custom", arguments="SELECT"))
    told = events(body + made.write(call(arguments=" 1")))
    assert [event["choices"][0]["delta"]["tool_calls"] for event in told] == [
        [{"index": 0, "id": "c", "type": "custom", "custom": {"name": "sql", "input": "SELECT"}}],
        [{"index": 0, "custom": {"input": " 1"}}],
    ]


def test_a_legacy_completion_has_every_choice() -> None:
    choices = (Choice(text="a", finish_reason="stop"), Choice(index=1, text="b"))
    whole = encoder(prompt=True).whole(Completion(choices=choices, outcome="complete"))
    assert whole["object"] == "text_completion"
    assert [(each["index"], each["text"]) for each in whole["choices"]] == [(0, "a"), (1, "b")]
    assert (whole["id"], whole["model"], whole["created"]) == ("chatcmpl-1", "m", 7)
