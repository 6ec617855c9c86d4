"""One request and its answer between two dialects: what the client is sent, byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coding_agent import AGENT_REQUEST
from decoding import delta, openai
from sessions import ManualClock
from vesselog.core.chunk import StreamChunk, Usage
from vesselog.core.completion import Completion, Metrics
from vesselog.core.errors import (
    ConnectionFailedError,
    InvalidRequestError,
    ProviderError,
    StreamTimeoutError,
    VesselogError,
)
from vesselog.server.gateway.translation import Translation
from vesselog.vessels import Anthropic, Ollama, OpenAI

HELLO: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
LOCAL = OpenAI(base_url="http://127.0.0.1:8000/v1")


def events(body: bytes) -> list[Any]:
    """The JSON values of server-sent events or lines."""
    lines = [line.removeprefix("data: ") for line in body.decode().split("\n")]
    return [json.loads(line) for line in lines if line.startswith("{")]


def translation(client: str, **body: Any) -> Translation:
    routes = {"openai": "/v1/chat/completions", "ollama": "/api/chat", "anthropic": "/v1/messages"}
    upstream = LOCAL if client != "openai" else Ollama()
    asked = {**HELLO, "max_tokens": 5} if client == "anthropic" else HELLO
    return Translation(client, routes[client], {**asked, **body}, upstream, ManualClock())


TOOL_CALL = openai(
    delta(role="assistant", content=""),
    delta(reasoning_content="Hm."),
    delta(content="I look."),
    delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x"'}}]),
    delta(tool_calls=[{"index": 0, "function": {"arguments": ":1}"}}]),
    delta(tool_calls=[{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}}]),
    delta("tool_calls"),
    {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}},
)


def sent(made: Translation) -> bytes:
    body = b"".join(map(made.write, TOOL_CALL.chunks))
    return body + made.end(TOOL_CALL.completion)


def test_an_anthropic_client_is_sent_block_after_block() -> None:
    told = events(sent(translation("anthropic", stream=True)))
    assert [(event["type"], event.get("index")) for event in told] == [
        ("message_start", None),
        *[("content_block_start", 0), ("content_block_delta", 0), ("content_block_stop", 0)],
        *[("content_block_start", 1), ("content_block_delta", 1), ("content_block_stop", 1)],
        ("content_block_start", 2),
        *[("content_block_delta", 2), ("content_block_delta", 2)],
        ("content_block_stop", 2),
        *[("content_block_start", 3), ("content_block_delta", 3), ("content_block_stop", 3)],
        *[("message_delta", None), ("message_stop", None)],
    ]
    assert told[0]["message"]["model"] == "m"
    assert told[1]["content_block"] == {"type": "thinking", "thinking": "", "signature": ""}
    assert told[7]["content_block"] == {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    assert told[8]["delta"] == {"type": "input_json_delta", "partial_json": '{"x"'}
    assert told[-2] == {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"input_tokens": 7, "output_tokens": 5},
    }


def test_an_openai_client_is_sent_numbered_calls_and_the_counts_that_it_asked_for() -> None:
    told = events(sent(translation("openai", stream=True)))
    assert {event["object"] for event in told} == {"chat.completion.chunk"}
    assert len({event["id"] for event in told}) == 1
    choices = [event["choices"][0] for event in told]
    assert choices[0]["delta"] == {"role": "assistant", "content": ""}
    calls = [call for choice in choices for call in choice["delta"].get("tool_calls", ())]
    assert [(call["index"], call.get("id")) for call in calls] == [(0, "a"), (0, None), (1, "b")]
    assert choices[-1]["finish_reason"] == "tool_calls"
    assert not any("usage" in event for event in told)
    counted = translation("openai", stream=True, stream_options={"include_usage": True})
    last = events(sent(counted))[-1]
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    assert sent(counted).endswith(b"data: [DONE]\n\n")


def test_an_ollama_client_is_sent_whole_calls_and_measured_durations() -> None:
    made = translation("ollama")
    body = b"".join(map(made.write, TOOL_CALL.chunks))
    measured = Metrics(time_to_first_chunk=0.5, duration=2.0)
    body += made.end(TOOL_CALL.completion.model_copy(update={"metrics": measured}))
    told = events(body)
    calls = [call for line in told for call in line["message"].get("tool_calls", ())]
    assert calls == [
        {"id": "a", "function": {"name": "f", "arguments": {"x": 1}}},
        {"id": "b", "function": {"name": "g", "arguments": {}}},
    ]
    assert told[-1]["done_reason"] == "stop"
    assert told[-1]["total_duration"] == 2_000_000_000
    assert told[-1]["prompt_eval_duration"] == 500_000_000
    assert told[-1]["eval_duration"] == 1_500_000_000
    assert (told[-1]["prompt_eval_count"], told[-1]["eval_count"]) == (7, 5)
    assert made.content_type == "application/x-ndjson"


@pytest.mark.parametrize("client", ["openai", "ollama", "anthropic"])
def test_a_whole_answer_has_the_model_that_was_asked_for(client: str) -> None:
    made = translation(client, stream=False)
    assert made.stream is False
    assert made.content_type == "application/json"
    value = json.loads(made.whole(Completion(text="Hi", finish_reason="stop", outcome="complete")))
    assert value["model"] == "m"
    assert "Hi" in json.dumps(value)


def test_the_legacy_routes_have_their_own_objects() -> None:
    body = {"model": "m", "prompt": "Once", "stream": True}
    legacy = Translation("openai", "/v1/completions", body, Ollama(), ManualClock())
    chunk = StreamChunk(text="Hi", finish_reason="stop")
    completion = Completion(text="Hi", finish_reason="stop", usage=Usage(output_tokens=1))
    (event,) = events(legacy.write(chunk) + legacy.end(completion))
    assert event["object"] == "text_completion"
    assert event["choices"] == [
        {"index": 0, "text": "Hi", "logprobs": None, "finish_reason": "stop"}
    ]
    whole = json.loads(legacy.whole(completion))
    assert whole["choices"][0]["text"] == "Hi"
    assert whole["usage"]["completion_tokens"] == 1
    generate = Translation("ollama", "/api/generate", body, LOCAL, ManualClock())
    lines = events(generate.write(chunk) + generate.end(completion))
    assert [line["response"] for line in lines] == ["Hi", ""]
    assert lines[-1]["done"] is True


BUSY = ProviderError("m is busy", status=503, code="busy", retryable=True, retry_after=1.2)


@pytest.mark.parametrize(
    ("client", "error", "status", "said"),
    [
        ("openai", BUSY, 503, {"message": "m is busy [busy]", "type": "server_error"}),
        ("ollama", BUSY, 503, "m is busy [busy]"),
        ("anthropic", BUSY, 529, {"type": "overloaded_error", "message": "m is busy [busy]"}),
        ("anthropic", ProviderError("no", status=404), 404, {"type": "not_found_error"}),
        ("anthropic", ProviderError("no", status=400), 400, {"type": "invalid_request_error"}),
        ("openai", ProviderError("no", status=529), 503, {"type": "server_error"}),
        ("openai", ProviderError("no", status=429), 429, {"type": "rate_limit_error"}),
        ("openai", ProviderError("no", code="rate_limit_error"), 429, {"type": "rate_limit_error"}),
        ("openai", ProviderError("in band"), 502, {"type": "server_error"}),
        # These cannot be sent as a status.
        ("openai", ProviderError("no", status=699), 502, {"type": "server_error"}),
        ("openai", ProviderError("no", status=101, code="429"), 429, {"type": "rate_limit_error"}),
        ("openai", ProviderError("in band", code="999"), 502, {"type": "server_error"}),
        ("openai", ConnectionFailedError("refused"), 502, {"code": "connection_failed"}),
        ("anthropic", StreamTimeoutError("late"), 504, {"type": "timeout_error"}),
    ],
)
def test_an_error_is_one_of_the_clients_dialect(
    client: str, error: VesselogError, status: int, said: Any
) -> None:
    found, headers, body = translation(client).error(error)
    assert found == status
    assert headers["content-type"] == "application/json"
    assert headers.get("retry-after") == ("2" if error is BUSY else None)
    value = json.loads(body)["error"]
    if isinstance(said, str):
        assert value == said
    else:
        assert value.items() >= said.items()


@pytest.mark.parametrize(
    ("client", "begins"),
    [
        ("openai", b'data: {"error":{"message":"m is busy'),
        ("ollama", b'{"error":"m is busy'),
        ("anthropic", b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"'),
    ],
)
def test_an_error_in_mid_stream_is_an_event_of_the_dialect(client: str, begins: bytes) -> None:
    assert translation(client, stream=True).error_event(BUSY).startswith(begins)


def test_what_cannot_be_said_is_told_before_anything_is_sent() -> None:
    with pytest.raises(InvalidRequestError, match="container"):
        translation("anthropic", container="c")


def test_the_upstreams_request_is_at_hand() -> None:
    made = Translation("anthropic", "/v1/messages", AGENT_REQUEST, Ollama())
    assert made.request.url == "http://127.0.0.1:11434/api/chat"
    assert made.request.stream
    assert made.chat.model == "m"
    assert Translation("openai", "/v1/chat/completions", {**HELLO, "max_tokens": 3}, Anthropic())
