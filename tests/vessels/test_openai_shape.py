"""Chunks and completions in the shape of the OpenAI API, valid for the official SDK's types."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from decoding import DONE, delta, ollama, openai
from vesselog.core.chunk import StreamChunk, Usage
from vesselog.core.completion import Choice, Completion, ToolCall
from vesselog.core.request import chat_request
from vesselog.vessels import OpenAI, chunk_to_openai

# Made once: the SDK's types take a while.
CHUNK = TypeAdapter(ChatCompletionChunk)
COMPLETION = TypeAdapter(ChatCompletion)

LOGPROBS = {"content": [{"token": "a", "logprob": -0.5}]}
CALL = {"slot": "0", "index": 0, "id": "call_9", "name": "f", "arguments": '{"a":'}


def sdk_chunk(chunk: StreamChunk) -> ChatCompletionChunk:
    return CHUNK.validate_python(chunk.to_openai(), strict=True)


def sdk_completion(completion: Completion) -> ChatCompletion:
    return COMPLETION.validate_python(completion.to_openai(), strict=True)


def test_a_chunk_of_text() -> None:
    chunk = StreamChunk(
        role="assistant",
        text="Hi",
        response_id="r",
        model="m",
        extra={"created": 7, "system_fingerprint": "fp", "service_tier": "on_demand"},
    )
    assert chunk.to_openai() == {
        "id": "r",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "m",
        "system_fingerprint": "fp",
        "choices": [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": "Hi"},
                "logprobs": None,
                "finish_reason": None,
            }
        ],
    }
    assert sdk_chunk(chunk).choices[0].delta.content == "Hi"


def test_every_field_of_a_chunk_reaches_the_sdk() -> None:
    chunk = StreamChunk(
        choice=1,
        reasoning="r",
        refusal="no",
        tool_calls=[CALL],
        logprobs=LOGPROBS,
        finish_reason="tool_calls",
        usage=Usage(input_tokens=3, output_tokens=4, cached_input_tokens=2, reasoning_tokens=1),
    )
    made = sdk_chunk(chunk)
    choice = made.choices[0]
    assert choice.index == 1
    assert choice.delta.refusal == "no"
    assert choice.delta.to_dict()["reasoning_content"] == "r"
    assert choice.delta.tool_calls
    assert choice.delta.tool_calls[0].to_dict() == {
        "index": 0,
        "id": "call_9",
        "type": "function",
        "function": {"name": "f", "arguments": '{"a":'},
    }
    assert choice.logprobs
    assert choice.logprobs.content
    assert choice.logprobs.content[0].logprob == -0.5
    assert choice.finish_reason == "tool_calls"
    assert made.usage
    assert made.usage.total_tokens == 7
    assert made.usage.prompt_tokens_details
    assert made.usage.prompt_tokens_details.cached_tokens == 2


def test_usage_by_itself_has_no_choices() -> None:
    made = sdk_chunk(StreamChunk(usage=Usage(input_tokens=1, output_tokens=2, total_tokens=9)))
    assert made.choices == []
    assert made.usage
    assert made.usage.total_tokens == 9


@pytest.mark.parametrize(("reason", "said"), [("other", "stop"), ("error", None), (None, None)])
def test_reasons_that_the_api_has_no_word_for(reason: Any, said: str | None) -> None:
    assert sdk_chunk(StreamChunk(text="a", finish_reason=reason)).choices[0].finish_reason == said


def test_log_probabilities_of_another_shape_stay_out() -> None:
    for logprobs in (-0.5, [1], {"tokens": ["a"], "token_logprobs": [-1.0]}, {"content": None}):
        assert sdk_chunk(StreamChunk(text="a", logprobs=logprobs)).choices[0].logprobs is None


def test_what_a_stream_told_once_may_be_given() -> None:
    event = chunk_to_openai(StreamChunk(text="a"), response_id="r", model="m", created=5)
    assert (event["id"], event["model"], event["created"]) == ("r", "m", 5)


def test_calls_that_share_an_index_are_told_apart() -> None:
    found = openai(
        delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]),
        delta(tool_calls=[{"index": 0, "id": "b", "function": {"name": "f", "arguments": "{}"}}]),
        delta("tool_calls"),
    )
    calls = [
        call
        for chunk in found.chunks
        for call in sdk_chunk(chunk).choices[0].delta.tool_calls or ()
    ]
    assert [call.index for call in calls if call.id] == [0, 1]


def test_a_completion() -> None:
    completion = Completion(
        text="Hi",
        reasoning="r",
        finish_reason="stop",
        choices=(
            Choice(text="Hi", reasoning="r", finish_reason="stop"),
            Choice(index=1, text="Ho", finish_reason="length"),
        ),
        usage=Usage(input_tokens=1, output_tokens=2, total_tokens=3),
        outcome="complete",
        response_id="r",
        model="m",
    )
    made = sdk_completion(completion)
    assert [choice.message.content for choice in made.choices] == ["Hi", "Ho"]
    assert [choice.finish_reason for choice in made.choices] == ["stop", "length"]
    assert made.choices[0].message.to_dict()["reasoning_content"] == "r"
    assert made.usage
    assert made.usage.total_tokens == 3


@pytest.mark.parametrize(
    ("outcome", "said"),
    [("complete", "stop"), (None, "stop"), ("truncated", "length"), ("cancelled", "length")],
)
def test_a_completion_without_a_reason(outcome: Any, said: str) -> None:
    assert sdk_completion(Completion(outcome=outcome)).choices[0].finish_reason == said


def test_tool_calls_of_a_completion() -> None:
    calls = (
        ToolCall(id="a", name="f", arguments={"x": 1}, arguments_text='{"x":1}'),
        ToolCall(name="g", arguments={}),
    )
    message = sdk_completion(Completion(tool_calls=calls)).choices[0].message
    assert message.content is None
    assert message.tool_calls
    assert [call.to_dict() for call in message.tool_calls] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"id": "call_1", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


def test_an_answer_as_the_next_message() -> None:
    calls = (ToolCall(id="a", name="f", arguments_text="{}"), ToolCall(name="g"))
    assert Completion(text="t", reasoning="r", tool_calls=calls).to_message() == {
        "role": "assistant",
        "content": "t",
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }


def test_a_custom_tool_has_its_text() -> None:
    call = ToolCall(id="a", type="custom", name="sql", arguments_text="select 1")
    said = {"id": "a", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    completion = Completion(tool_calls=(call,), native={"role": "assistant"}, vessel="openai")
    assert completion.to_message()["tool_calls"] == [said]
    message = sdk_completion(completion).choices[0].message
    assert message.tool_calls
    assert [each.to_dict() for each in message.tool_calls] == [said]
    assert "native" not in message.to_dict()


def test_an_ollama_answer_is_an_openai_one() -> None:
    found = ollama(
        {"model": "m", "message": {"role": "assistant", "content": "Hi", "thinking": "t"}},
        {"model": "m", "message": {"tool_calls": [{"function": {"name": "f", "arguments": {}}}]}},
        {"model": "m", "done": True, "done_reason": "load", "eval_count": 3},
    )
    for chunk in found.chunks:
        sdk_chunk(chunk)
    assert sdk_completion(found.completion).choices[0].message.content == "Hi"


chunks = st.builds(
    StreamChunk,
    choice=st.integers(0, 3),
    role=st.sampled_from([None, "assistant", "model"]),
    text=st.text(max_size=3),
    reasoning=st.text(max_size=3),
    refusal=st.text(max_size=3),
    tool_calls=st.sampled_from([(), (CALL,), ({"slot": "x"},), ({"slot": "1", "name": ""},)]),
    logprobs=st.sampled_from([None, LOGPROBS, {"refusal": []}, 1.5, [], {"content": [{}]}]),
    finish_reason=st.sampled_from(
        [None, "stop", "length", "tool_calls", "content_filter", "error"]
    ),
    usage=st.none() | st.builds(Usage, input_tokens=st.none() | st.integers(0, 9)),
    response_id=st.none() | st.text(max_size=2),
    extra=st.sampled_from([{}, {"created": 1.5}, {"created": "x", "service_tier": ["a"]}]),
)


@given(chunks)
def test_any_chunk_is_valid_for_the_sdk(chunk: StreamChunk) -> None:
    sdk_chunk(chunk)


def test_what_was_decoded_decodes_again_from_its_own_shape() -> None:
    events = (
        delta(role="assistant", content=""),
        delta(content="Hi", reasoning_content="r"),
        delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]),
        delta("tool_calls"),
    )
    found = openai(*events, DONE)
    again = openai(*(chunk.to_openai() for chunk in found.chunks), DONE)
    assert again.completion.model_copy(update={"extra": found.completion.extra}) == found.completion


def test_the_call_of_a_custom_tool_is_one_in_the_next_request() -> None:
    called = ToolCall(id="a", type="custom", name="sql", arguments_text="SELECT 1")
    message = Completion(tool_calls=(called, ToolCall(name="f"))).to_message()
    assert message["tool_calls"] == [
        {"id": "a", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}},
        {"type": "function", "function": {"name": "f", "arguments": "{}"}},
    ]
    body = OpenAI().request(chat_request("m", [message])).body
    assert body is not None
    assert body["messages"][0]["tool_calls"][0] == message["tool_calls"][0]
