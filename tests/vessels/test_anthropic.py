"""Anthropic's Messages dialect. The bodies follow the documentation's examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from cutting import check_cuts, check_splits
from decoding import JSON, SSE, Decoded, decode
from loopback import Conversation, LoopbackServer
from vesselog import AsyncClient, Client, Recording, replay, verify
from vesselog.core.errors import InvalidRequestError, ProviderError
from vesselog.core.jsontext import dumps
from vesselog.core.request import ImagePart, chat_request
from vesselog.core.vessel import ModelInfo, Progress
from vesselog.vessels import Anthropic

WORDS = st.sampled_from(
    [
        "type",
        "delta",
        "index",
        "message",
        "content_block",
        "content_block_delta",
        "message_start",
        "message",
        "text_delta",
        "text",
        "usage",
        "content",
        "tool_use",
        "input",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS
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


def answer(*frames: bytes, **settings: Any) -> Decoded:
    return decode(Anthropic(), b"".join(frames), SSE, **settings)


def sent(vessel: Anthropic | None = None, **fields: Any) -> dict[str, Any]:
    fields = {"messages": "hi", "max_tokens": 100, **fields}
    body = (vessel or Anthropic()).request(chat_request("m", **fields)).body
    assert body is not None
    return body


# What is read.


def test_a_plain_stream() -> None:
    found = answer(*HELLO)
    assert (found.outcome, found.progress, found.repairs) == ("complete", Progress.TERMINATED, [])
    assert [chunk.text for chunk in found.chunks] == ["", "Hello", "!", ""]
    completion = found.completion
    assert completion.text == "Hello!"
    assert (completion.finish_reason, completion.raw_finish_reason) == ("stop", "end_turn")
    assert (completion.response_id, completion.model) == ("msg_1", "claude-opus-4-5")
    assert found.chunks[0].role == "assistant"
    assert completion.extra == {}


def test_usage_is_joined_from_its_events() -> None:
    usage = answer(*HELLO).completion.usage
    assert usage is not None
    assert usage.model_dump(exclude_none=True) == {"input_tokens": 25, "output_tokens": 15}


def test_cached_input_counts_as_input() -> None:
    """The API counts it apart; its own counts stay in extra."""
    cached = {"cache_creation_input_tokens": 10, "cache_read_input_tokens": 5}
    details = {"output_tokens": 8, "output_tokens_details": {"thinking_tokens": 3}}
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": details}
    completion = answer(start(**cached, service_tier="standard"), frame(delta)).completion
    assert completion.usage is not None
    assert completion.usage.model_dump(exclude_none=True) == {
        "input_tokens": 40,
        "output_tokens": 8,
        "cached_input_tokens": 5,
        "reasoning_tokens": 3,
    }
    assert completion.extra["usage"] == {**cached, "input_tokens": 25, "service_tier": "standard"}


def test_thinking_with_its_signature() -> None:
    found = answer(*THINKING)
    completion = found.completion
    assert completion.reasoning == "I need the GCD.\n1071 = 2 × 462 + 147"
    assert completion.text == "It is **21**."
    assert completion.extra["thinking_blocks"] == [
        {"type": "thinking", "thinking": completion.reasoning, "signature": SIGNATURE},
        {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"},
    ]


def test_thinking_goes_back_as_it_came() -> None:
    extra = answer(*THINKING).completion.extra
    told = {"role": "assistant", "content": "21", "thinking_blocks": extra["thinking_blocks"]}
    message = sent(messages=[{"role": "user", "content": "?"}, told])["messages"][1]
    assert message == {
        "role": "assistant",
        "content": [*extra["thinking_blocks"], {"type": "text", "text": "21"}],
    }


def test_tool_calls_from_pieces_of_json() -> None:
    completion = answer(*TOOLS).completion
    assert [(call.id, call.name, call.arguments) for call in completion.tool_calls] == [
        ("toolu_01", "get_weather", {"location": "San Francisco, CA"}),
        ("toolu_02", "now", {}),
    ]
    assert completion.finish_reason == "tool_calls"


def test_input_that_was_not_streamed() -> None:
    whole = {"type": "tool_use", "id": "t", "name": "f", "input": {"n": 2**70}}
    (call,) = answer(start(), *block(0, whole), *end("tool_use")).completion.tool_calls
    assert call.arguments == {"n": 2**70}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "other"),
        ("something_new", "other"),
    ],
)
def test_finish_reasons(reason: str, finish: str) -> None:
    completion = answer(start(), *text(0, "a"), *end(reason)).completion
    assert (completion.finish_reason, completion.raw_finish_reason) == (finish, reason)


def test_what_has_no_field_is_kept() -> None:
    details = {"type": "refusal", "category": "cyber"}
    search = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "u"}]}
    asked = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    citation = {"type": "page_location", "cited_text": "c"}
    found = answer(
        start(),
        *block(0, asked, {"type": "input_json_delta", "partial_json": '{"query": "x"}'}),
        *block(1, search),
        *block(
            2,
            {"type": "text", "text": "a"},
            {"type": "citations_delta", "citation": citation},
            {"type": "new_delta", "x": 1},
        ),
        frame({"type": "new_event", "y": 2}),
        *end("refusal", stop_details=details),
    )
    assert found.outcome == "complete"
    assert found.completion.tool_calls == ()
    assert found.completion.text == "a"
    assert found.completion.extra == {
        "block_0": {**asked, "input": '{"query": "x"}'},
        "block_1": search,
        "citations": [citation],
        "new_delta": {"type": "new_delta", "x": 1},
        "new_event": {"type": "new_event", "y": 2},
        "stop_details": details,
    }


def test_an_error_event_fails_after_what_came() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    found = answer(start(), *text(0, "Hel"), frame(error))
    assert isinstance(found.error, ProviderError)
    assert (found.error.code, found.error.retryable) == ("overloaded_error", True)
    assert "Overloaded" in found.error.message
    assert found.completion.text == "Hel"


def test_an_error_event_that_is_not_json() -> None:
    found = answer(start(), b"event: error\ndata: upstream failed\n\n")
    assert isinstance(found.error, ProviderError)
    assert "upstream failed" in found.error.message


def test_an_error_after_the_end_changes_nothing() -> None:
    error = {"type": "error", "error": {"type": "api_error", "message": "late"}}
    found = answer(*HELLO, frame(error))
    assert (found.outcome, found.repairs) == ("complete", ["error-after-the-end"])


@pytest.mark.parametrize("frames", [HELLO, THINKING, TOOLS], ids=["hello", "thinking", "tools"])
def test_split_anywhere_and_cut_anywhere(frames: list[bytes]) -> None:
    check_splits(Anthropic(), b"".join(frames), SSE)
    check_cuts(Anthropic(), frames, SSE, whole_after=len(frames) - 1)


@given(st.data())
def test_no_mutation_breaks_it_or_loses_text(data: st.DataObject) -> None:
    """Frames dropped, doubled, swapped: what text is left is told, unless it failed before."""
    frames = data.draw(st.sampled_from([HELLO, THINKING, TOOLS]))
    picked = data.draw(st.lists(st.sampled_from(range(len(frames))), max_size=2 * len(frames)))
    chosen = [frames[number] for number in picked]
    found = answer(*chosen)
    assert found.outcome in {"complete", "TruncatedError"}
    assert found.completion.text == "".join(answer(each).completion.text for each in chosen)


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner)))
def test_no_json_breaks_it(value: Any) -> None:
    found = decode(Anthropic(), b"data: " + dumps(value) + b"\n\n", SSE)
    assert found.outcome in {"complete", "ProtocolError", "ProviderError", "TruncatedError"}


def test_a_stop_before_anything_began_is_no_answer() -> None:
    assert answer(frame({"type": "message_stop"})).outcome == "TruncatedError"


def test_a_delta_without_its_start() -> None:
    delta = {"type": "content_block_delta", "index": 3}
    spoken = frame({**delta, "delta": {"type": "text_delta", "text": "a"}})
    found = answer(start(), spoken, *end())
    assert (found.completion.text, found.repairs) == ("a", ["missing-block-start"])


def test_a_block_that_begins_in_the_place_of_one_that_never_ended() -> None:
    piece = {"type": "input_json_delta", "partial_json": '{"port":1}'}
    begun = {"type": "content_block_start", "index": 1, "content_block": {"type": "text"}}
    found = answer(
        start(), frame({"type": "content_block_delta", "index": 1, "delta": piece}), frame(begun)
    )
    assert found.completion.extra["block_1"] == {"type": "input_json", "input": '{"port":1}'}


def test_a_done_marker_of_a_gateway_means_nothing() -> None:
    found = answer(*HELLO, b"data: [DONE]\n\n")
    assert (found.outcome, found.repairs) == ("complete", ["done-marker"])
    assert answer(start(), b"data: [DONE]\n\n").outcome == "TruncatedError"


@pytest.mark.parametrize(
    "value",
    [
        {"choices": [{"delta": {"content": "a"}}]},
        [1],
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_start", "index": 0, "content_block": "text"},
        {"type": "message_start", "message": {"content": [1]}},
    ],
)
def test_another_shape_is_a_protocol_error(value: Any) -> None:
    body = b"data: " + json.dumps(value).encode() + b"\n\n"
    assert decode(Anthropic(), body, SSE).outcome == "ProtocolError"


WHOLE = {
    "id": "msg_2",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-4-5",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE},
        {"type": "text", "text": "Let me "},
        {"type": "text", "text": "see."},
        {"type": "tool_use", "id": "toolu_01", "name": "f", "input": {"n": 2**70}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 6},
}


def test_a_whole_message() -> None:
    body = json.dumps(WHOLE).encode()
    found = check_splits(Anthropic(), body, JSON, stream=False)
    completion = found.completion
    assert (found.outcome, found.repairs) == ("complete", [])
    assert (completion.reasoning, completion.text) == ("Hm.", "Let me see.")
    assert [call.arguments for call in completion.tool_calls] == [{"n": 2**70}]
    assert (completion.finish_reason, completion.response_id) == ("tool_calls", "msg_2")
    assert completion.extra == {"thinking_blocks": WHOLE["content"][:1]}
    assert completion.usage is not None
    assert (completion.usage.input_tokens, completion.usage.output_tokens) == (12, 6)
    assert decode(Anthropic(), body[:-9], JSON, stream=False).outcome == "TruncatedError"


def test_a_whole_message_without_a_reason() -> None:
    found = decode(Anthropic(), json.dumps({**WHOLE, "stop_reason": None}).encode(), JSON)
    assert (found.outcome, found.repairs) == ("complete", ["missing-finish-reason"])
    assert found.completion.finish_reason is None


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [(400, "invalid_request_error", False), (429, "rate_limit_error", True), (529, "x", True)],
)
def test_error_statuses(status: int, kind: str, retryable: bool) -> None:  # noqa: FBT001
    body = json.dumps({"type": "error", "error": {"type": kind, "message": "Why."}})
    error = Anthropic().failure(status, body)
    assert (error.status, error.code, error.retryable) == (status, kind, retryable)
    assert error.message == f"anthropic answered {status}: Why."


# What is sent.


def test_a_plain_request() -> None:
    request = Anthropic().request(chat_request("m", "hi", max_tokens=9))
    assert request.url == "https://api.anthropic.com/v1/messages"
    assert request.body == {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }


@pytest.mark.parametrize(
    "base", ["http://x", "http://x/", "http://x/v1", "http://x/v1/messages", "http://x/v1/models"]
)
def test_any_form_of_address(base: str) -> None:
    vessel = Anthropic(base_url=base)
    assert vessel.request(chat_request("m", "a", max_tokens=1)).url == "http://x/v1/messages"
    listing = vessel.models_request()
    assert listing is not None
    assert listing.url == "http://x/v1/models?limit=1000"


def test_max_tokens_is_required() -> None:
    with pytest.raises(InvalidRequestError, match="max_tokens"):
        Anthropic().request(chat_request("m", "hi"))
    assert sent(Anthropic(max_tokens=7), max_tokens=None)["max_tokens"] == 7
    assert sent(Anthropic(max_tokens=7), max_tokens=8)["max_tokens"] == 8
    assert sent(max_tokens=0)["max_tokens"] == 0
    assert sent(max_tokens=None, extra_body={"max_tokens": 5})["max_tokens"] == 5


def test_system_messages_stand_apart() -> None:
    plain = {"role": "system", "content": "Be brief."}
    user = {"role": "user", "content": "hi"}
    assert sent(messages=[plain, user])["system"] == "Be brief."
    cached = {"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}
    developer = {"role": "developer", "content": [cached]}
    body = sent(messages=[plain, developer, user])
    assert body["system"] == [{"type": "text", "text": "Be brief."}, cached]
    assert body["messages"] == [user]
    with pytest.raises(InvalidRequestError, match="before all others"):
        sent(messages=[user, plain])


def test_a_conversation_with_tools() -> None:
    call = {"id": "t1", "function": {"name": "f", "arguments": '{"a": 1}'}}
    other = {"id": "t2", "function": {"name": "g", "arguments": ""}}
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "", "tool_calls": [call, other]},
        {"role": "tool", "tool_call_id": "t1", "content": "one"},
        {"role": "tool", "tool_call_id": "t2", "content": "bad", "is_error": True},
        {"role": "user", "content": "and now?"},
    ]
    assert sent(messages=messages)["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "one"},
                {"type": "tool_result", "tool_use_id": "t2", "content": "bad", "is_error": True},
            ],
        },
        {"role": "user", "content": "and now?"},
    ]


def test_an_answer_goes_back_as_a_message() -> None:
    told = answer(*TOOLS).completion.to_message()
    message = sent(messages=[{"role": "user", "content": "?"}, told])["messages"][1]
    assert [part["type"] for part in message["content"]] == ["text", "tool_use", "tool_use"]
    assert message["content"][1]["input"] == {"location": "San Francisco, CA"}


def test_images_and_parts_of_the_apis_own() -> None:
    document = {"type": "document", "source": {"type": "text", "data": "d"}}
    parts = [
        {"type": "text", "text": "look"},
        ImagePart.from_bytes(b"\x89PNG").model_dump(),
        {"type": "image_url", "image_url": {"url": "https://x/y.jpg"}},
        document,
    ]
    (message,) = sent(messages=[{"role": "user", "content": parts}])["messages"]
    inline = {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}
    assert message["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image", "source": inline},
        {"type": "image", "source": {"type": "url", "url": "https://x/y.jpg"}},
        document,
    ]


def test_tools_and_their_choice() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    function = {"name": "f", "description": "d", "parameters": schema}
    server = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    tools = [{"type": "function", "function": function}, server]
    assert sent(tools=tools)["tools"] == [
        {"name": "f", "description": "d", "input_schema": schema},
        server,
    ]
    assert sent(tools=tools, tool_choice="required")["tool_choice"] == {"type": "any"}
    named = {"type": "function", "function": {"name": "f"}}
    assert sent(tools=tools, tool_choice=named)["tool_choice"] == {"type": "tool", "name": "f"}
    with pytest.raises(InvalidRequestError, match="perhaps"):
        sent(tools=tools, tool_choice="perhaps")


class Answer(BaseModel):
    n: int


def test_formats_and_efforts() -> None:
    schema = Answer.model_json_schema()
    wanted = {"format": {"type": "json_schema", "schema": schema}}
    assert sent(response_format=Answer)["output_config"] == wanted
    assert sent(response_format=schema, think="high")["output_config"] == {
        "effort": "high",
        **wanted,
    }
    assert sent(think=True)["thinking"] == {"type": "adaptive"}
    assert sent(think=False)["thinking"] == {"type": "disabled"}
    with pytest.raises(InvalidRequestError, match="schema"):
        sent(response_format="json")


def test_sampling_and_what_passes_untouched() -> None:
    body = sent(temperature=0, top_p=0.5, stop="x", options={"top_k": 4}, extra_body={"top_p": 1})
    assert (body["temperature"], body["top_p"], body["top_k"]) == (0, 1, 4)
    assert body["stop_sequences"] == ["x"]
    assert sent(stop=["x", "y"])["stop_sequences"] == ["x", "y"]


@pytest.mark.parametrize(
    "field",
    [{"n": 2}, {"seed": 1}, {"logprobs": True}, {"keep_alive": 1}, {"functions": [{"name": "f"}]}],
)
def test_what_it_has_no_word_for(field: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match=next(iter(field))):
        sent(**field)
    with pytest.raises(InvalidRequestError, match="prompt"):
        Anthropic().request(chat_request("m", prompt="a", max_tokens=1))
    assert "n" not in sent(n=1)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "a", "name": "bob"},
        {"role": "tool", "content": "a"},
        {"role": "function", "name": "f", "content": "a"},
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[1]"}}]},
    ],
)
def test_messages_it_cannot_express(message: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        sent(messages=[{"role": "user", "content": "a"}, message])


def test_models() -> None:
    body = {"data": [{"id": "claude-x", "created_at": "2025-02-19T00:00:00Z", "type": "model"}]}
    assert Anthropic().read_models(body) == [ModelInfo("claude-x", modified="2025-02-19T00:00:00Z")]


# Through the clients.


def answering(conversation: Conversation) -> None:
    headers = conversation.request.headers
    assert conversation.request.path == "/v1/messages"
    assert headers["x-api-key"] == "sk-ant-0123456789"
    assert headers["anthropic-version"] == "2023-06-01"
    assert headers["anthropic-beta"] == "b"
    assert "authorization" not in headers
    if conversation.request.json["stream"]:
        conversation.stream(TOOLS, SSE)
    else:
        conversation.whole(json.dumps(WHOLE).encode())


def vessels(server: LoopbackServer) -> dict[str, Any]:
    key = {"api_key": "sk-ant-0123456789", "headers": {"Anthropic-Beta": "b"}}
    return {"anthropic": Anthropic(base_url=server.url, max_tokens=50, **key)}


def test_recorded_and_replayed(tmp_path: Path) -> None:
    with (
        LoopbackServer([answering]) as server,
        Client(recordings=tmp_path, vessels=vessels(server), environment={}) as client,
    ):
        with client.stream("anthropic/m", "weather?") as stream:
            chunks = list(stream)
        answered = client.complete("anthropic/m", "more?")
    assert stream.path is not None
    assert verify(stream.path).ok
    assert list(replay(stream.path, speed=0)) == chunks
    assert [call.name for call in stream.completion.tool_calls] == ["get_weather", "now"]
    assert answered.text == "Let me see."
    (call,) = Recording(stream.path).calls()
    assert "sk-ant" not in stream.path.read_text("utf-8")
    assert call.request["headers"]["anthropic-version"] == "2023-06-01"
    with Client(replay=tmp_path, vessels=vessels(server)) as client:
        again = client.complete("anthropic/m", "weather?")
    assert (again.text, again.tool_calls) == ("Let me look.", stream.completion.tool_calls)


async def test_async_says_the_same(tmp_path: Path) -> None:
    with LoopbackServer([answering]) as server:
        settings: Any = {"vessels": vessels(server), "environment": {}}
        async with AsyncClient(recordings=tmp_path, **settings) as client:
            async with client.stream("anthropic/m", "weather?") as stream:
                chunks = [chunk async for chunk in stream]
            answered = await client.complete("anthropic/m", "more?")
    found = answer(*TOOLS)
    assert [chunk.model_dump(exclude={"t"}) for chunk in chunks] == [
        chunk.model_dump(exclude={"t"}) for chunk in found.chunks
    ]
    assert answered.text == "Let me see."


def test_key_and_address_from_the_environment() -> None:
    environment = {"ANTHROPIC_API_KEY": "sk-ant-env", "ANTHROPIC_BASE_URL": "http://proxy/v1"}
    vessel = Anthropic().configured(environment)
    assert (vessel.api_key, vessel.base_url) == ("sk-ant-env", "http://proxy/v1")
    assert Anthropic(base_url="http://other").configured(environment).api_key is None
