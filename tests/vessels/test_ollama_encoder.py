"""Lines of Ollama's own API: calls whole, durations of whoever measured them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vesselog.core.chunk import StreamChunk, Timings
from vesselog.core.completion import Completion, Metrics
from vesselog.vessels.ollama_encoder import OllamaEncoder


def encoder() -> OllamaEncoder:
    return OllamaEncoder(model="m", now=lambda: "2026-11-28T12:00:00Z")


def lines(body: bytes) -> list[Any]:
    return [json.loads(line) for line in body.split(b"\n") if line]


def call(arguments: str, **fields: Any) -> StreamChunk:
    return StreamChunk(tool_calls=[{"slot": "0", "arguments": arguments, **fields}])


def test_a_call_comes_when_its_arguments_are_whole() -> None:
    made = encoder()
    finish = StreamChunk(finish_reason="tool_calls")
    assert made.write(call('{"a"', id="c", name="f")) == b""
    assert made.write(finish) == b""  # some servers go on behind it
    assert made.write(call(":1}")) == b""
    told = lines(made.end(Completion(finish_reason="tool_calls")))
    assert told[0]["message"]["tool_calls"] == [
        {"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}
    ]
    assert [line["done"] for line in told] == [False, True]


def test_arguments_that_are_no_object_are_under_a_key() -> None:
    made = encoder()
    made.write(call('{"a', id="c", name="f"))
    told = lines(made.end(Completion(finish_reason="length")))
    (said,) = told[0]["message"]["tool_calls"]
    assert said["function"]["arguments"] == {"INVALID_JSON": '{"a'}
    assert told[-1]["done_reason"] == "length"


@pytest.mark.parametrize("streamed", [True, False])
def test_the_providers_durations_win_over_the_measured_ones(*, streamed: bool) -> None:
    made = encoder()
    metrics = Metrics(time_to_first_chunk=1.0, duration=3.0)
    timings = Timings(total=2.0)
    completion = Completion(metrics=metrics, timings=timings)
    if streamed:
        made.write(StreamChunk(timings=timings))
        last = lines(made.end(completion))[-1]
    else:
        last = made.whole(completion)
    assert last["total_duration"] == 2_000_000_000
    assert "eval_duration" not in last
