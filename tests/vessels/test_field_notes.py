"""What real servers do in the two dialects, item by item, in bodies as they send them.

The numbers are those of the project's list of what was seen in providers' traffic and in the issue
trackers of their SDKs.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from decoding import DONE, JSON, NDJSON, SSE, Decoded, decode, delta, ollama, openai, sse
from loopback import Conversation, LoopbackServer
from talking import every_client, talking
from vesselog.core.request import chat_request
from vesselog.vessels import Ollama, OpenAI

STOP = delta("stop")
LAST = {
    "model": "m",
    "message": {"role": "assistant", "content": ""},
    "done": True,
    "done_reason": "stop",
}


def say(text: str, **fields: Any) -> dict[str, Any]:
    """A line of Ollama's."""
    return {"model": "m", "message": {"role": "assistant", "content": text, **fields}}


def calls(found: Decoded) -> list[tuple[str | None, str, Any]]:
    return [(call.id, call.name, call.arguments) for call in found.completion.tool_calls]


def piece(index: int | None = 0, **fields: Any) -> dict[str, Any]:
    """A delta with a piece of one tool call; what begins with `function_` goes inside."""
    function = {key[9:]: fields.pop(key) for key in list(fields) if key.startswith("function_")}
    where = {} if index is None else {"index": index}
    return delta(tool_calls=[{**where, **fields, "function": function}])


def spoken(found: Decoded, text: str) -> None:
    assert (found.outcome, found.completion.text) == ("complete", text)


@pytest.mark.parametrize("odd", "\u000b\u000c\u001c\u001d\u001e\u0085\u2028\u2029")
def test_a01_characters_that_other_splitters_take_for_line_ends(odd: str) -> None:
    text = f"a{odd}b"
    raw = odd if odd >= " " else f"\\u{ord(odd):04x}"
    event = f'data: {{"choices":[{{"index":0,"delta":{{"content":"a{raw}b"}}}}]}}\n\n'
    spoken(openai(event.encode(), STOP), text)
    spoken(ollama(f'{{"message":{{"content":"a{raw}b"}}}}\n'.encode(), LAST), text)


def test_a02_comments_after_an_id_are_no_events() -> None:
    found = openai(b'id: 7\ndata: {"choices":[]}\n\n', b": ping\n\n", delta(content="a"), STOP)
    spoken(found, "a")
    assert [len(step.chunks) for step in found.steps] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "comment",
    [
        b": OPENROUTER PROCESSING\n\n",
        b": keep-alive\n\n",
        b": ping - 2026-11-21 07:17:00.123456\r\n\r\n",
        b"data: : keep-alive\n\n",
        b":\n\n",
    ],
)
def test_a03_comments_in_every_wrapping(comment: bytes) -> None:
    found = openai(comment, delta(content="a"), comment, STOP, comment, DONE)
    spoken(found, "a")
    assert found.raw.count(comment) == 3


def test_a04_a_byte_order_mark_costs_no_event() -> None:
    spoken(openai(b"\xef\xbb\xbf" + sse(delta(content="a")), delta(content="b"), STOP), "ab")
    spoken(ollama(b"\xef\xbb\xbf" + json.dumps(say("a")).encode() + b"\n", LAST), "a")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("space", [b" ", b""])
def test_a05_line_ends_spaces_and_the_last_blank_line(end: bytes, space: bytes) -> None:
    events = sse(delta(content="a"), b"data:\n\n", delta(content="b"), STOP)
    body = events.replace(b"data: ", b"data:" + space).replace(b"\n", end)
    for cut in (body, body.rstrip(b"\r\n"), body.rstrip(b"\r\n") + end):
        spoken(decode(OpenAI(), cut, SSE), "ab")


def test_a06_blank_lines_glued_frames_and_a_stream_that_is_always_asked_for() -> None:
    spoken(ollama(b"\n", say("a"), b"\r\n", say("b"), b"\n", LAST), "ab")
    glued = json.dumps(say("a")) + json.dumps(say("b")) + "\n"
    found = ollama(glued.encode(), LAST)
    spoken(found, "ab")
    assert found.repairs == ["glued-lines"]
    for stream in (True, False):
        for vessel in (Ollama(), OpenAI()):
            request = vessel.request(chat_request("m", "hi", stream=stream))
            assert request.body
            assert request.body["stream"] is stream
    # Z.AI: an event that was cut, and the next one behind it on the same line.
    event = sse(delta(content="lost?"))[:40] + sse(delta(content="b"))
    found = openai(delta(content="a"), event, STOP)
    assert found.outcome == "ProtocolError", "what cannot be told apart is never left out silently"
    assert found.raw == sse(delta(content="a"), event, STOP)
    body = sse(delta(content="Grüße 👋"), STOP)
    pieces = [body[at : at + 1] for at in range(len(body))]
    spoken(decode(OpenAI(), pieces, SSE), "Grüße 👋")


def test_a07_content_type_lies() -> None:
    events = sse(delta(content="é"), STOP, DONE)
    for kind in (JSON, "TEXT/Event-Stream; charset=iso-8859-1", "", "text/plain"):
        for stream in (True, False):
            spoken(decode(OpenAI(), events, kind, stream=stream), "é")
    whole = {
        "choices": [{"index": 0, "message": {"content": "é"}, "finish_reason": "stop"}],
        "object": "chat.completion",
    }
    spoken(decode(OpenAI(), json.dumps(whole).encode(), SSE), "é")
    loaded = {"model": "m", "created_at": "t", "response": "", "done": True, "done_reason": "load"}
    assert decode(Ollama(), json.dumps(loaded).encode(), JSON).outcome == "complete"


@pytest.mark.parametrize(
    "event",
    [
        b'error: {"code":500,"message":"out of memory","type":"server_error"}\n\n',
        b'event: error\ndata: {"error":{"message":"out of memory"}}\n\n',
        b"event: error\ndata: out of memory\n\n",
        b'{"error":{"message":"out of memory"}}\n\n',
    ],
)
def test_a08_errors_that_a_strict_parser_drops(event: bytes) -> None:
    found = openai(delta(content="a"), event)
    assert (found.outcome, found.completion.text) == ("ProviderError", "a")
    assert "out of memory" in str(found.error)


def test_a08_bare_json_lines() -> None:
    bare = b"\n\n".join(json.dumps(each).encode() for each in (delta(content="a"), STOP)) + b"\n\n"
    spoken(openai(bare), "a")
    spoken(decode(OpenAI(), bare.replace(b"\n\n", b"\n"), "text/plain"), "a")


def test_a09_what_comes_after_the_end_is_read_and_recorded() -> None:
    cost = {"id": "c", "object": "chat.completion.chunk", "choices": [], "cost": "0.0002"}
    found = openai(delta(content="a"), STOP, delta(content="b"), STOP, DONE, cost)
    spoken(found, "ab")
    assert found.completion.extra["cost"] == "0.0002"
    usage = {**STOP, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}}
    found = openai(delta(content="a"), STOP, usage, DONE)
    assert found.completion.usage
    assert found.completion.usage.output_tokens == 5


@every_client
def test_a10_five_streams_take_one_connection(kind: str) -> None:
    def answer(conversation: Conversation) -> None:
        conversation.begin()
        for frame in conversation.frames("a", "b"):
            conversation.chunk(frame)
        conversation.end()

    with LoopbackServer([answer]) as server, talking(kind, server, recordings=None) as talker:
        for _ in range(5):
            assert talker.hear("open/m").text == "ab"
        assert server.connections == 1


@pytest.mark.parametrize("finish", ["stop", "length", "tool_calls", "eos"])
def test_a11_a_finish_reason_is_enough_without_done(finish: str) -> None:
    assert openai(delta(content="a"), delta(finish)).outcome == "complete"
    assert openai(delta(content="a"), delta(finish), n=2).outcome == "TruncatedError"


def test_a12_a_clean_end_before_the_answers_end_is_truncated() -> None:
    """A killed model runner behind Ollama's /v1 gives exactly this."""
    for body in ([delta(role="assistant", content="")], [delta(content="a"), delta(content="b")]):
        assert openai(*body).outcome == "TruncatedError"
    assert ollama(say("a"), say("b")).outcome == "TruncatedError"


@pytest.mark.parametrize(
    "events",
    [
        [
            {"error": {"message": "tired", "type": "server_error", "code": None}},
            {**STOP, "choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}},
            DONE,
        ],
        [{**delta("error"), "error": {"code": 502, "message": "tired"}}],
        [{"error": {"message": "tired", "type": "None", "param": "None", "code": "500"}}],
        [{"error": "tired"}],
        [{"object": "error", "message": "tired", "type": "BadRequestError", "code": 400}],
    ],
    ids=["openai", "openrouter", "litellm", "transformers", "vllm"],
)
def test_a13_errors_after_a_200(events: list[Any]) -> None:
    found = openai(delta(content="a"), *events)
    assert (found.outcome, found.completion.text) == ("ProviderError", "a")
    assert "tired" in str(found.error)


def test_a13_an_error_line_of_ollamas() -> None:
    found = ollama(say("a"), {"error": "an error was encountered while running the model"})
    assert (found.outcome, found.completion.text) == ("ProviderError", "a")


@pytest.mark.parametrize("kind", [SSE, NDJSON, JSON, ""])
def test_a14_an_empty_200_is_truncated(kind: str) -> None:
    for vessel in (OpenAI(), Ollama()):
        for stream in (True, False):
            assert decode(vessel, b"", kind, stream=stream).outcome == "TruncatedError"


def test_a14_a_long_prompt_of_generate_is_an_error_line() -> None:
    found = ollama({"error": "input length exceeds maximum context length"})
    assert "input length exceeds" in str(found.error)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"message": "tired", "type": "t", "code": "c"}}, "c"),
        ({"error": {"message": "tired", "code": 429}}, "429"),
        ({"error": "tired"}, None),
        ({"code": "c", "error": "tired"}, "c"),
        ({"object": "error", "message": "tired", "type": "t", "param": None, "code": 40}, "40"),
        ({"detail": "tired"}, None),
        ({"detail": [{"loc": ["body"], "msg": "tired"}]}, None),
        ({"code": 7, "message": "tired", "type": "t"}, "7"),
        ("tired", None),
        ("<html><head><title>tired</title></head><body>nginx</body></html>", None),
    ],
)
@pytest.mark.parametrize("status", [400, 500, 503])
def test_a15_error_bodies_in_every_shape(body: Any, code: str | None, status: int) -> None:
    sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    for vessel in (OpenAI(), Ollama()):
        error = decode(vessel, sent, JSON, status=status).error
        assert error is not None
        assert (error.status, error.code) == (status, code)
        assert error.message == f"{vessel.name} answered {status}: tired"
        assert error.retryable == (status >= 500)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("stop", "stop"), ("length", "length"), ("load", "other"), ("unload", "other"), (None, None)],
)
def test_a16_done_reasons_of_ollamas(reason: str | None, finish: str | None) -> None:
    last = {**LAST, "done_reason": reason} if reason else {**LAST, "done_reason": None}
    for found in (ollama(say("a"), last), decode(Ollama(), json.dumps(last).encode(), JSON)):
        assert found.outcome == "complete"
        assert found.completion.finish_reason == finish
        assert found.completion.raw_finish_reason == reason


@pytest.mark.parametrize(
    "indices", [(None, None), (-1, -1), (1, 2), (0, 0)], ids=["none", "minus", "from-1", "all-0"]
)
def test_a17_indices_of_tool_calls(indices: tuple[int | None, int | None]) -> None:
    first, second = indices
    found = openai(
        piece(first, id="a", function_name="tide", function_arguments='{"x":'),
        piece(first, function_arguments="1}"),
        piece(second, id="b", function_name="tide", function_arguments='{"x":'),
        piece(second, function_arguments="2}"),
        delta("tool_calls"),
    )
    assert calls(found) == [("a", "tide", {"x": 1}), ("b", "tide", {"x": 2})]


@pytest.mark.parametrize(
    "more",
    [
        [{"id": "", "function_arguments": '{"x":1}'}],
        [{"id": None, "function_name": None, "function_arguments": '{"x":1}'}],
        [{"id": "a", "function_name": "tide", "function_arguments": '{"x":1}', "type": ""}],
        [{"function_name": "", "function_arguments": '{"x":'}, {"function_arguments": "1}"}],
        [{"id": "a", "function_arguments": '{"x":'}, {"id": "a", "function_arguments": "1}"}],
    ],
)
def test_a18_continuations_of_a_tool_call(more: list[dict[str, Any]]) -> None:
    begun = piece(id="a", type="function", function_name="tide", function_arguments="")
    found = openai(begun, *(piece(**each) for each in more), delta("tool_calls"))
    assert calls(found) == [("a", "tide", {"x": 1})]


def test_a18_id_and_name_apart_and_a_name_in_fragments() -> None:
    found = openai(
        piece(id="a"),
        piece(function_name="ti"),
        piece(function_name="de"),
        piece(function_arguments="{}"),
        delta("tool_calls"),
    )
    assert calls(found) == [("a", "tide", {})]


def test_a19_whole_tool_calls_of_ollamas() -> None:
    function = {"index": 0, "name": "tide", "arguments": {"x": 1}}
    found = ollama(
        say("", tool_calls=[{"function": function}]),
        say("", tool_calls=[{"id": "call_b", "function": {**function, "arguments": {"x": 2}}}]),
        LAST,
    )
    assert [call[1:] for call in calls(found)] == [("tide", {"x": 1}), ("tide", {"x": 2})]
    assert calls(found)[1][0] == "call_b"
    assert found.completion.finish_reason == "tool_calls"
    found = openai(piece(id="a", function_name="tide", function_arguments="{}"), STOP)
    assert (len(found.completion.tool_calls), found.completion.finish_reason) == (1, "tool_calls")


def test_a20_function_call_mirrored_in_each_delta() -> None:
    """llama-cpp-python."""
    events = []
    for arguments in ('{"x"', ":1}"):
        call = {"name": "tide", "arguments": arguments}
        tool = {"index": 0, "id": "call__0_tide_cmpl", "type": "function", "function": call}
        events.append(delta(tool_calls=[tool], function_call=call))
    found = openai(*events, delta("tool_calls"))
    assert calls(found) == [("call__0_tide_cmpl", "tide", {"x": 1})]


def test_a21_choices_that_are_empty_or_null() -> None:
    """Azure opens with a filter's results, and its async filter sends events without a delta."""
    opening = {
        "id": "",
        "object": "",
        "model": "",
        "created": 0,
        "choices": [],
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
    }
    offsets = {"check_offset": 44, "start_offset": 44, "end_offset": 198}
    judged = {"index": 0, "finish_reason": None, "content_filter_offsets": offsets}
    usage = {**STOP, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
    found = openai(
        opening,
        delta(role="assistant", content="a"),
        {**STOP, "choices": [judged]},
        {**STOP, "choices": [{**judged, "delta": None}]},
        {**STOP, "choices": None},
        STOP,
        usage,
        DONE,
    )
    spoken(found, "a")
    assert found.completion.extra["prompt_filter_results"]
    assert found.completion.extra["content_filter_offsets"] == offsets
    assert found.completion.usage
    assert found.repairs == ["missing-delta", "missing-delta", "null-choices"]


@pytest.mark.parametrize(
    ("raw", "finish"),
    [("eos", "stop"), ("eos_token", "stop"), ("end_turn", "stop"), ("abort", "error")],
)
def test_a22_finish_reasons_in_other_words(raw: str, finish: str) -> None:
    completion = openai(delta(content="a"), delta(raw), delta(raw)).completion
    assert (completion.finish_reason, completion.raw_finish_reason) == (finish, raw)


def test_a22_finish_reasons_that_are_none() -> None:
    missing = delta(content="c")
    del missing["choices"][0]["finish_reason"]
    found = openai(delta("", content="a"), delta("null", content="b"), missing)
    assert (found.outcome, found.completion.text) == ("TruncatedError", "abc")
    renamed = {**STOP, "choices": [{"index": 0, "delta": {}, "finishReason": "stop"}]}
    assert openai(delta(content="a"), renamed).completion.finish_reason == "stop"


@pytest.mark.parametrize("role", ["", None])
@pytest.mark.parametrize("content", ["", None])
def test_a23_roles_and_contents_that_say_nothing(role: Any, content: Any) -> None:
    found = openai(delta(role=role, content=content), delta(role=role), delta(content="a"), STOP)
    spoken(found, "a")
    assert all(chunk.role is None for chunk in found.chunks)


def test_a23_content_in_parts() -> None:
    """Mistral."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "closed": True}
    found = openai(delta(content=[thinking]), delta(content=[{"type": "text", "text": "a"}]), STOP)
    assert (found.completion.text, found.completion.reasoning) == ("a", "Hm.")


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_content": "Hm."},
        {"reasoning": "Hm."},
        {"reasoning": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
    ],
)
def test_a24_reasoning_in_every_place(fields: dict[str, Any]) -> None:
    completion = openai(delta(**fields), delta(content="a"), STOP).completion
    assert (completion.reasoning, completion.text) == ("Hm.", "a")


def test_a24_thinking_of_ollamas_and_tags_in_the_text() -> None:
    completion = ollama(say("", thinking="Hm."), say("a"), LAST).completion
    assert (completion.reasoning, completion.text) == ("Hm.", "a")
    tagged = [delta(content=text) for text in ("<th", "ink>Hm.</thi", "nk>a")]
    assert openai(*tagged, STOP).completion.text == "<think>Hm.</think>a"
    completion = openai(*tagged, STOP, split_think=True).completion
    assert (completion.reasoning, completion.text) == ("Hm.", "a")
    untagged = openai(delta(content="Hm.</think>a"), STOP, split_think="implied").completion
    assert (untagged.reasoning, untagged.text) == ("Hm.", "a")


def test_a25_a_message_so_far_and_an_end_without_a_reason() -> None:
    """Perplexity, Snowflake."""

    def event(new: str, all_of_it: str, finish: str | None = None) -> dict[str, Any]:
        message = {"role": "assistant", "content": all_of_it}
        choice = {
            "index": 0,
            "finish_reason": finish,
            "message": message,
            "delta": {"content": new},
        }
        return {"id": "p", "object": "chat.completion.chunk", "choices": [choice]}

    done = {**event("", "ab", "stop"), "object": "chat.completion.done"}
    spoken(openai(event("a", "a"), event("b", "ab"), done), "ab")
    snowflake = {"id": "s", "choices": [{"delta": {"type": "text", "content": "a", "text": "a"}}]}
    spoken(openai(snowflake, DONE), "a")
    assert openai(snowflake).outcome == "TruncatedError"


def test_a26_created_object_and_id_as_they_please() -> None:
    def event(text: str, number: int, **fields: Any) -> dict[str, Any]:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        return {"id": f"chatcmpl-{number}", "choices": [choice], **fields}

    found = openai(event("a", 1, created=0), event("b", 2, created=1.5), event("c", 3), STOP)
    spoken(found, "abc")
    assert found.completion.response_id == "chatcmpl-1"
    assert [chunk.response_id for chunk in found.chunks][:3] == [
        "chatcmpl-1",
        "chatcmpl-2",
        "chatcmpl-3",
    ]


def test_a27_characters_that_were_split_and_json_that_is_none() -> None:
    split = [
        {**delta(content="\ufffd"), "choices": [choice]}
        for part in ([240, 159], [145, 139])
        for choice in [
            {
                "index": 0,
                "delta": {"content": "\ufffd"},
                "logprobs": {"content": [{"token": "", "logprob": -1, "bytes": part}]},
            }
        ]
    ]
    completion = openai(*split, STOP).completion
    assert completion.text == "\ufffd\ufffd", "as it came; the truth is in the log probabilities"
    found = [byte for each in completion.logprobs["content"] for byte in each["bytes"]]
    assert bytes(found).decode() == "👋"
    halves = [
        b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":"\\udc4b"}}]}\n\n',
    ]
    spoken(openai(*halves, STOP), "👋")
    spoken(openai(halves[1], STOP), "\ufffd")
    for odd in (b"NaN", b"-Infinity", b"1e400", b"123456789012345678901234567890"):
        event = b'data: {"odd":' + odd + b',"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
        spoken(openai(event, STOP), "a")
        assert event in openai(event, STOP).raw
    call = {"function": {"name": "tide", "arguments": {"x": 2**70}}}
    (made,) = calls(ollama(say("", tool_calls=[call]), LAST))
    assert made[1:] == ("tide", {"x": 2**70})


USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


@pytest.mark.parametrize(
    "events",
    [
        [STOP, {**STOP, "choices": [], "usage": USAGE}],
        [{**STOP, "usage": USAGE}],
        [
            {**delta(content="b"), "usage": {**USAGE, "completion_tokens": 2}},
            {**STOP, "usage": USAGE},
        ],
        [{**STOP, "choices": [{**STOP["choices"][0], "usage": USAGE}]}],
        [{**STOP, "x_groq": {"id": "req", "usage": USAGE}}],
        [{**delta(content="b"), "usage": None}, {**STOP, "usage": USAGE}, {**STOP, "usage": None}],
    ],
    ids=["alone", "beside", "cumulative", "in-choice", "x_groq", "null-on-others"],
)
def test_a28_usage_in_every_place(events: list[Any]) -> None:
    usage = openai(delta(content="a"), *events, DONE).completion.usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (3, 5, 8)


def test_a28_usage_that_never_comes_is_none() -> None:
    assert openai(delta(content="a"), STOP, DONE).completion.usage is None


@pytest.mark.parametrize("digits", ["", ".1", ".123456789"])
def test_a29_figures_that_ollama_leaves_out(digits: str) -> None:
    when = {"created_at": f"2026-11-21T07:17:00{digits}Z"}
    found = ollama({**say("a"), **when}, {**LAST, **when, "eval_count": 5})
    usage, timings = found.completion.usage, found.completion.timings
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, timings) == (None, 5, None)
    cached = ollama(say("a"), {**LAST, "prompt_eval_count": 0, "eval_duration": 5 * 10**8})
    assert cached.completion.usage
    assert cached.completion.usage.input_tokens == 0
    assert cached.completion.timings
    assert cached.completion.timings.model_dump(exclude_none=True) == {"eval": 0.5}
