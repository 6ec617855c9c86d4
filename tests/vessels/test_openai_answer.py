"""The OpenAI dialect: answers in every dress, and how they end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoding import DONE, JSON, NDJSON, SSE, decode, delta, openai, sse
from thorough import tries
from vesselog.core.errors import VesselogError
from vesselog.core.vessel import Progress
from vesselog.vessels import OpenAI

STOP = delta("stop")
USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


def test_a_plain_stream() -> None:
    found = openai(
        delta(role="assistant", content=""),
        delta(content="Hel"),
        delta(content="lo"),
        STOP,
        {**STOP, "choices": [], "usage": USAGE},
        DONE,
    )
    assert found.outcome == "complete"
    assert found.progress is Progress.TERMINATED
    assert found.repairs == []
    assert [chunk.text for chunk in found.chunks] == ["", "Hel", "lo", "", ""]
    completion = found.completion
    assert (completion.text, completion.finish_reason) == ("Hello", "stop")
    assert (completion.response_id, completion.model) == ("chatcmpl-1", "m")
    assert completion.usage
    assert completion.usage.model_dump(exclude_none=True) == {
        "input_tokens": 3,
        "output_tokens": 5,
        "total_tokens": 8,
    }


def test_what_repeats_is_told_once() -> None:
    found = openai(*(delta(role="assistant", content=letter) for letter in "abc"), STOP)
    assert [list(step.fields) for step in found.steps][1:3] == [
        [{"seq": 1, "text": "b"}],
        [{"seq": 2, "text": "c"}],
    ]


def test_what_says_nothing_makes_no_chunk() -> None:
    found = openai(delta(content="a"), delta(content=""), delta(), b": ping\n\n", STOP)
    assert [len(step.chunks) for step in found.steps] == [1, 0, 0, 0, 1]


def test_frames_that_are_alike_but_for_the_text_are_read_alike() -> None:
    """The short way gives what the long way gives, which a fresh decoder for each frame takes."""
    events = [
        delta(content="a"),
        delta(content="b"),
        delta(content="c", reasoning_content="d"),
        delta(content="e"),
        {**delta(content="f"), "system_fingerprint": "new"},
        delta(content=None, reasoning_content="g"),
        delta(content=None, reasoning_content="h"),
        delta(content="i"),
        delta(index=1, content="j"),
        delta(index=1, content="k"),
        delta("stop", content="l"),
        delta("stop", content="m"),
        {**delta(content="n"), "usage": USAGE},
        {**delta(content="o"), "usage": USAGE},
        {**delta(content="p"), "obfuscation": "xyz"},
        {**delta(content="q"), "obfuscation": "x"},
    ]
    found = openai(*events, n=2)
    alone = [openai(event).chunks[0] for event in events]
    for chunk, other in zip(found.chunks, alone, strict=True):
        assert (chunk.text, chunk.reasoning, chunk.choice) == (
            other.text,
            other.reasoning,
            other.choice,
        )


def test_several_choices() -> None:
    both = delta(content="a")
    both["choices"].append({"index": 1, "delta": {"content": "b"}})
    found = openai(both, STOP, delta("length", index=1), n=2)
    assert found.outcome == "complete"
    assert found.completion.text == "a"
    first, other = found.completion.choices
    assert (first.index, first.text, first.finish_reason) == (0, "a", "stop")
    assert (other.index, other.text, other.finish_reason) == (1, "b", "length")


def test_refusals_and_log_probabilities() -> None:
    one, two = delta(refusal="I "), delta(refusal="can't")
    for event in (one, two):
        event["choices"][0]["logprobs"] = {"content": None, "refusal": [{"token": "x"}]}
    completion = openai(one, two, STOP).completion
    assert completion.refusal == "I can't"
    assert completion.logprobs == {"content": None, "refusal": [{"token": "x"}] * 2}


@pytest.mark.parametrize(
    ("fields", "text", "reasoning"),
    [
        ({"reasoning_content": "r", "content": None}, "", "r"),
        ({"reasoning": "r", "content": ""}, "", "r"),
        ({"reasoning_text": "r"}, "", "r"),
        (
            {"reasoning": "r", "reasoning_details": [{"type": "reasoning.text", "text": "r"}]},
            "",
            "r",
        ),
        ({"reasoning_details": [{"type": "reasoning.summary", "summary": "s"}]}, "", "s"),
        ({"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}, "", ""),
        ({"reasoning": "r", "reasoning_content": "r"}, "", "r"),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "r"}]}]}, "", "r"),
        ({"content": [{"type": "text", "text": "t"}, {"type": "reference"}]}, "t", ""),
        ({"content": "<think>r</think>t"}, "<think>r</think>t", ""),
    ],
)
def test_reasoning_in_all_its_places(fields: Any, text: str, reasoning: str) -> None:
    completion = openai(delta(**fields), STOP).completion
    assert (completion.text, completion.reasoning) == (text, reasoning)


def test_what_is_the_providers_own_goes_to_extra_whatever_its_size() -> None:
    event = {
        **delta(content="a"),
        "system_fingerprint": "fp",
        "service_tier": "default",
        "citations": ["https://x"],
        "search_results": [{"snippet": "x" * 5000}],
        "prompt_filter_results": [{"prompt_index": 0}],
        "obfuscation": "abc",
        "provider": None,
    }
    event["choices"][0]["content_filter_results"] = {"hate": {"filtered": False}}
    event["choices"][0]["delta"]["token_id"] = 7
    found = openai(event, event, STOP)
    assert found.chunks[0].extra == {
        "system_fingerprint": "fp",
        "service_tier": "default",
        "citations": ["https://x"],
        "search_results": [{"snippet": "x" * 5000}],
        "prompt_filter_results": [{"prompt_index": 0}],
        "content_filter_results": {"hate": {"filtered": False}},
        "token_id": 7,
        "created": 1752746251,
    }
    assert found.chunks[1].extra == {}, "told once"
    assert found.completion.extra == found.chunks[0].extra


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("eos_token", "stop"),
        ("end_turn", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("tool_calls", "tool_calls"),
        ("tool_call", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("load", "other"),
    ],
)
def test_finish_reasons(raw: str, reason: str) -> None:
    completion = openai(delta(content="a"), delta(raw)).completion
    assert (completion.finish_reason, completion.raw_finish_reason) == (reason, raw)


@pytest.mark.parametrize("finish", ["", "null"])
def test_an_empty_finish_reason_is_none(finish: str) -> None:
    found = openai(delta(finish, content="a"))
    assert found.outcome == "TruncatedError"
    assert found.repairs == ["empty-finish-reason"]


def test_usage_of_several_chunks_is_the_last() -> None:
    found = openai(
        {**delta(content="a"), "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
        {**delta(content="b"), "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
        {**STOP, "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
        {**STOP, "usage": None, "choices": []},
    )
    assert found.completion.usage
    assert found.completion.usage.output_tokens == 2
    assert found.repairs == ["usage-cumulative"] * 2
    assert found.chunks[2].usage is None, "the same again is no news"


@pytest.mark.parametrize(
    "event",
    [
        {**STOP, "x_groq": {"usage": USAGE}},
        {**STOP, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]},
    ],
)
def test_usage_elsewhere(event: Any) -> None:
    found = openai(delta(content="a"), event)
    assert found.completion.usage
    assert found.completion.usage.input_tokens == 3
    assert found.repairs == ["usage-elsewhere"]


@pytest.mark.parametrize(
    ("usage", "cached", "reasoning"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 2}}, 2, None),
        ({"prompt_cache_hit_tokens": 2}, 2, None),
        ({"cached_tokens": 0}, 0, None),
        ({"completion_tokens_details": {"reasoning_tokens": 4}}, None, 4),
        ({"reasoning_tokens": 4, "completion_tokens_details": None}, None, 4),
    ],
)
def test_counts_under_their_several_names(usage: Any, cached: Any, reasoning: Any) -> None:
    found = openai(delta(content="a"), {**STOP, "usage": usage}).completion.usage
    assert found
    assert (found.cached_input_tokens, found.reasoning_tokens) == (cached, reasoning)
    assert found.input_tokens is None, "absent is None, never 0"


@pytest.mark.parametrize(
    ("fields", "timings"),
    [
        ({"timings": {"prompt_ms": 500, "predicted_ms": 2000.0}}, {"prompt_eval": 0.5, "eval": 2}),
        (
            {"usage": {"prompt_time": 0.1, "completion_time": 0.2, "total_time": 0.3}},
            {"prompt_eval": 0.1, "eval": 0.2, "total": 0.3},
        ),
        ({"time_info": {"completion_time": 0.2, "queue_time": 1}}, {"eval": 0.2}),
    ],
)
def test_timings_are_in_seconds(fields: Any, timings: Any) -> None:
    found = openai(delta(content="a"), {**STOP, **fields}).completion.timings
    assert found
    assert found.model_dump(exclude_none=True) == timings


MESSAGE = {"role": "assistant", "content": "Hi", "reasoning_content": "r"}
WHOLE = {
    "id": "r1",
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
    "usage": USAGE,
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", [JSON, "text/plain", "", SSE])
def test_a_whole_answer_whatever_was_asked_for(kind: str, stream: bool) -> None:  # noqa: FBT001
    for indent in (None, 1):
        body = json.dumps(WHOLE, indent=indent).encode()
        found = decode(OpenAI(), body, kind, stream=stream)
        assert found.outcome == "complete"
        assert (found.completion.text, found.completion.reasoning) == ("Hi", "r")
        assert found.completion.usage


@pytest.mark.parametrize(
    "kind", [JSON, "text/plain", "", "TEXT/EVENT-STREAM; charset=iso-8859-1", NDJSON]
)
@pytest.mark.parametrize("stream", [True, False])
def test_a_stream_whatever_was_asked_for(kind: str, stream: bool) -> None:  # noqa: FBT001
    found = decode(OpenAI(), sse(delta(content="é"), STOP, DONE), kind, stream=stream)
    assert (found.outcome, found.completion.text) == ("complete", "é")


def test_a_whole_answer_without_a_reason_is_whole() -> None:
    answer = {**WHOLE, "choices": [{"index": 0, "message": MESSAGE, "finish_reason": None}]}
    found = decode(OpenAI(), json.dumps(answer).encode(), JSON, stream=False)
    assert (found.outcome, found.completion.finish_reason) == ("complete", None)
    assert found.repairs == ["missing-finish-reason"]


def test_fewer_choices_than_asked_for_in_a_whole_answer() -> None:
    found = decode(OpenAI(), json.dumps(WHOLE).encode(), JSON, stream=False, n=2)
    assert (found.outcome, found.repairs) == ("complete", ["fewer-choices"])


def test_a_message_that_grows_beside_the_delta() -> None:
    """Perplexity: the text so far in each event, and the whole of it in the last."""

    def event(text: str, so_far: str, finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": {"content": text}, "message": {"content": so_far}}
        return {"object": "chat.completion.chunk", "choices": [{**choice, "finish_reason": finish}]}

    last = {**event("", "ab", "stop"), "object": "chat.completion.done"}
    found = openai(event("a", "a"), event("b", "ab"), last)
    assert (found.outcome, found.completion.text) == ("complete", "ab")
    assert found.repairs == ["message-beside-delta"] * 3


def test_steps_before_the_answer_are_no_answer() -> None:
    """Perplexity's concise mode: the steps end with a message that has no text yet."""
    step = {"type": "web_search", "web_search": {"search_keywords": ["tides"]}}
    begun = delta(role="assistant", content="", reasoning_steps=[step])
    steps: dict[str, Any] = {
        **delta(role="assistant", content=""),
        "object": "chat.reasoning.done",
    }
    steps["choices"][0]["message"] = {"content": "", "reasoning_steps": [step]}
    head = [{**begun, "object": "chat.reasoning"}, steps]
    cut = openai(*head)
    assert (cut.outcome, cut.progress) == ("TruncatedError", Progress.OPEN)
    found = openai(*head, delta(content="Hi"), delta("stop"))
    assert (found.outcome, found.repairs) == ("complete", [])
    assert found.completion.extra["reasoning_steps"] == [step]
    assert found.natives == {0: {"role": "assistant", "content": "Hi", "reasoning_steps": [step]}}


def test_legacy_completions() -> None:
    event = {"id": "cmpl", "object": "text_completion", "model": "m"}
    found = openai(
        {**event, "choices": [{"index": 0, "text": "a", "logprobs": None, "finish_reason": None}]},
        {**event, "choices": [{"index": 0, "text": "b", "finish_reason": "length"}]},
        DONE,
    )
    assert (found.completion.text, found.completion.finish_reason) == ("ab", "length")
    assert found.repairs == []


@pytest.mark.parametrize(
    ("body", "text", "repair"),
    [
        (b'data: {"choices":null}\n\n', "", "null-choices"),
        (b'data: {"choices":[null]}\n\n', "", "null-choice"),
        (b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n', "x", "missing-choice-index"),
        (b'data: {"choices":[{"index":0,"delta":null}]}\n\n', "", "missing-delta"),
        (b"data: : keep-alive\n\n", "", "comment-as-data"),
        (b"data: : OPENROUTER PROCESSING\n\n", "", "comment-as-data"),
        (
            b'{"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n',
            "x",
            "data-without-field-name",
        ),
        (
            (
                b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}'
                b'data: {"choices":[{"index":0,"delta":{"content":"y"}}]}\n\n'
            ),
            "xy",
            "glued-events",
        ),
        (
            (
                b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n'
                b'data: {"choices":[{"index":0,"delta":{"content":"y"}}]}\n\n'
            ),
            "xy",
            "glued-events",
        ),
        (b'\xef\xbb\xbfdata: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n', "x", None),
        (b'id: 1\ndata: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n: \n\n', "x", None),
        (b'data:{"choices":[{"index":0,"delta":{"content":"x"}}]}\r\n\r\n', "x", None),
        (b'data:{"choices":[{"index":0,"delta":{"content":"x"}}]}\r\r', "x", None),
        (b"data:\n\n", "", None),
    ],
)
def test_events_in_odd_dress(body: bytes, text: str, repair: str | None) -> None:
    found = openai(body, STOP, DONE)
    assert (found.outcome, found.completion.text) == ("complete", text)
    if repair:
        assert repair in found.repairs


def test_the_last_event_may_lack_its_blank_line() -> None:
    assert openai(delta(content="a"), sse(STOP).rstrip()).outcome == "complete"
    assert openai(delta(content="a"), sse(STOP), b"data: [DONE]").progress is Progress.TERMINATED


def test_separators_inside_a_token() -> None:
    body = 'data: {"choices":[{"index":0,"delta":{"content":"a\u2028\u0085\u001cb"}}]}\n\n'
    assert openai(body.replace("\x1c", "\\u001c").encode(), STOP).completion.text == (
        "a\u2028\u0085\x1cb"
    )


def test_a_finish_reason_is_enough() -> None:
    found = openai(delta(content="a"), STOP)
    assert (found.outcome, found.progress) == ("complete", Progress.FINISHED)


def test_the_terminator_after_content_is_enough() -> None:
    assert openai(delta(content="a"), DONE).outcome == "complete"


@pytest.mark.parametrize(
    "events",
    [
        [],
        [b": ping\n\n"],
        [delta(content="a")],
        [delta(role="assistant")],
        [DONE],
        [delta(role="assistant", content=""), DONE],
        [delta(content="a"), sse(STOP)[:-20]],
        [delta(content="a"), b"data: {"],
        [delta(content="a"), {**STOP, "choices": [], "usage": USAGE}],
        [b"\n"],
    ],
)
def test_anything_less_is_truncated(events: list[Any]) -> None:
    found = openai(*events)
    assert found.outcome == "TruncatedError"
    assert found.raw == sse(*events)


def test_a_cut_before_the_second_choice_began_is_a_cut() -> None:
    assert openai(delta(content="a"), STOP, n=2).outcome == "TruncatedError"
    assert openai(delta(content="a"), STOP, DONE, n=2).outcome == "complete"


def test_a_choice_that_began_must_finish() -> None:
    found = openai(delta(content="a"), delta(index=1, content="b"), STOP)
    assert found.outcome == "TruncatedError"


def test_data_after_the_end_is_taken_along() -> None:
    cost = {"choices": [], "cost": "0.1"}
    found = openai(delta(content="a"), STOP, delta(content="b"), DONE, cost)
    assert found.outcome == "complete"
    assert found.completion.text == "ab"
    assert found.completion.extra["cost"] == "0.1"


scalars = (
    st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["", "a", "stop", "null"])
)
keys = st.sampled_from(
    [
        "choices",
        "delta",
        "message",
        "index",
        "content",
        "tool_calls",
        "function",
        "id",
        "name",
        "arguments",
        "finish_reason",
        "usage",
        "error",
        "object",
        "role",
        "data",
        "text",
        "logprobs",
    ]
)
shapes = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=tries(60, 300))
@given(st.lists(shapes, max_size=4))
def test_any_json_gives_chunks_or_a_typed_error(events: list[Any]) -> None:
    found = openai(*events)
    assert found.raw == sse(*events)
    assert found.error is None or isinstance(found.error, VesselogError)


@given(st.binary(max_size=200))
def test_any_bytes_give_chunks_or_a_typed_error(body: bytes) -> None:
    found = decode(OpenAI(), body, SSE)
    assert found.raw == body


REAL = sse(
    delta(role="assistant", content=""),
    delta(content="Grüße 👋🏽 \u2028"),
    delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": '{"x":'}}]),
    delta(tool_calls=[{"index": 0, "function": {"arguments": "1}"}}]),
    {**STOP, "usage": USAGE},
    DONE,
)


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
def test_every_split_gives_the_same_chunks(ends: bytes) -> None:
    body = REAL.replace(b"\n", ends)
    whole = decode(OpenAI(), body).said
    assert whole
    for at in range(len(body)):
        assert decode(OpenAI(), [body[:at], body[at:]]).said == whole
    assert decode(OpenAI(), [bytes([byte]) for byte in body]).said == whole


def test_a_cut_at_every_byte_is_truncated_until_the_finish() -> None:
    """The finish counts once its event parses, even without its blank line."""
    end = REAL.index(b'"total_tokens":8}}') + len(b'"total_tokens":8}}')
    for at in range(len(REAL)):
        found = decode(OpenAI(), REAL[:at], SSE)
        assert found.outcome == ("TruncatedError" if at < end else "complete")
        assert found.raw == REAL[:at]


# Events that say nothing of the answer, and errors.


@pytest.mark.parametrize(
    "event",
    [
        *(b"data: ping\n\n", b"data: keep-alive\n\n", b"event: ping\ndata: ping\n\n"),
        *(b"data: null\n\n", b"data: 7\n\n", b'data: "queued"\n\n', b"data: true\n\n"),
        *({}, {"type": "ping"}, {"type": "ping", "data": {}}, {"status": "queued"}),
        *({"message": "queued"}, {"message": "ok", "code": 0}, {"msg": "x", "status": "queued"}),
        *({"object": "keepalive"}, {"object": "thread.run", "status": "queued"}),
    ],
)
def test_an_event_that_says_nothing_is_left_out(event: Any) -> None:
    found = openai(event, delta(content="A"), event, delta(content="B"), event, STOP, DONE)
    assert (found.outcome, found.completion.text) == ("complete", "AB")
    assert found.repairs == ["unknown-event"] * 3
    assert [len(step.chunks) for step in found.steps] == [0, 1, 0, 1, 0, 1, 0]
    assert found.completion.extra == {"created": 1752746251}


def test_lists_that_come_alone_are_kept() -> None:
    found = openai(delta(content="A"), {"citations": ["u"], "note": "x"}, STOP)
    assert found.completion.extra["citations"] == ["u"]
    assert found.repairs == ["unknown-event"]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"message": "too busy", "code": 500}, "too busy"),
        ({"message": "too busy", "code": "overloaded"}, "too busy"),
        ({"message": "no", "type": "invalid_request_error", "param": None}, "no"),
        ({"message": "no", "status": "failed"}, "no"),
        ({"message": "no", "success": False}, "no"),
        ({"object": "error", "message": "no"}, "no"),
        ({"detail": "Invalid API Key"}, "Invalid API Key"),
        ({"detail": [{"loc": ["body"], "msg": "field required"}]}, "field required"),
        ({"errors": [{"message": "no"}], "success": False}, "no"),
        ({"error_code": 336000, "error_msg": "internal"}, "internal"),
        ({"code": "InvalidParameter", "message": "no", "request_id": "r"}, "no"),
        ({"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, "login fail"),
        (
            {"choices": None, "base_resp": {"status_code": 1004, "status_msg": "login fail"}},
            "login fail",
        ),
    ],
)
@pytest.mark.parametrize("streamed", [True, False])
def test_an_error_is_told_by_a_field(event: Any, words: str, streamed: bool) -> None:  # noqa: FBT001
    if streamed:
        found = openai(delta(content="A"), event)
        assert found.completion.text == "A"
    else:
        found = decode(OpenAI(), json.dumps(event).encode(), JSON)
    assert found.outcome == "ProviderError"
    assert found.error is not None
    assert words in found.error.message


def test_a_success_of_minimax_is_no_error() -> None:
    fine = {"base_resp": {"status_code": 0, "status_msg": ""}}
    found = openai({**delta(content="A"), **fine}, {**STOP, **fine})
    assert (found.outcome, found.completion.text) == ("complete", "A")


def test_a_body_that_is_only_a_message_is_an_error() -> None:
    found = decode(OpenAI(), b'{"message": "Unauthorized"}', JSON)
    assert found.outcome == "ProviderError"
    assert "Unauthorized" in str(found.error)


@pytest.mark.parametrize("body", [b"ping", b"null", b"7", b'{"object": "list", "data": []}'])
def test_a_body_that_is_no_answer_is_never_left_out(body: bytes) -> None:
    assert decode(OpenAI(), body, JSON).outcome == "ProtocolError"


@pytest.mark.parametrize("broken", [b'{"choices": [{', b"upstream connect error", b"<html>"])
def test_an_event_that_is_broken_is_never_left_out(broken: bytes) -> None:
    found = openai(delta(content="A"), b"data: " + broken + b"\n\n", delta(content="B"), STOP)
    assert found.outcome == "ProtocolError"
    assert found.completion.text == "A"
