"""How answers of the Messages API begin and end, and what they say on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bodies import (
    HELLO,
    SIGNATURE,
    THINKING,
    TOOLS,
    answer,
    block,
    completion_of,
    end,
    frame,
    start,
    text,
    whole,
)
from cutting import check_cuts, check_splits
from decoding import JSON, SSE, decode
from vesselog.core.errors import ProviderError
from vesselog.core.jsontext import dumps
from vesselog.core.vessel import Progress
from vesselog.vessels import Anthropic

WORDS = st.sampled_from(
    [
        *("type", "delta", "index", "message", "content_block", "content_block_delta"),
        *(
            "message_start",
            "message",
            "text_delta",
            "text",
            "usage",
            "content",
            "tool_use",
            "input",
        ),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS
BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE},
    {"type": "text", "text": "Let me "},
    {"type": "text", "text": "see."},
    {"type": "tool_use", "id": "toolu_01", "name": "f", "input": {"n": 2**70}},
]
WHOLE = whole(BLOCKS, "tool_use")


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


def test_thinking_is_reasoning() -> None:
    completion = answer(*THINKING).completion
    assert completion.reasoning == "I need the GCD.\n1071 = 2 × 462 + 147"
    assert completion.text == "It is **21**."


def test_tool_calls_from_pieces_of_json() -> None:
    completion = answer(*TOOLS).completion
    assert [(call.id, call.name, call.arguments) for call in completion.tool_calls] == [
        ("toolu_01", "get_weather", {"location": "San Francisco, CA"}),
        ("toolu_02", "now", {}),
    ]
    assert completion.finish_reason == "tool_calls"


def test_input_that_was_not_streamed() -> None:
    called = {"type": "tool_use", "id": "t", "name": "f", "input": {"n": 2**70}}
    (call,) = answer(start(), *block(0, called), *end("tool_use")).completion.tool_calls
    assert call.arguments == {"n": 2**70}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("stop", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("length", "length"),
        ("refusal", "content_filter"),
        ("content_filter", "content_filter"),
        ("pause_turn", "other"),
        ("compaction", "other"),
        ("something_new", "other"),
    ],
)
def test_finish_reasons(reason: str, finish: str) -> None:
    for body in (
        [start(), *text(0, "a"), *end(reason)],
        whole([{"type": "text", "text": "a"}], reason),
    ):
        completion = completion_of(body)
        assert (completion.finish_reason, completion.raw_finish_reason) == (finish, reason)
    assert answer(start(), *text(0, "a"), *end(reason)).repairs == []


def test_an_unknown_reason_without_any_content_is_named() -> None:
    found = answer(start(), *end("something_new"))
    assert (found.outcome, found.repairs) == ("complete", ["unknown-finish-reason"])
    assert found.completion.finish_reason == "other"
    assert answer(start(), *end("refusal")).repairs == []


@pytest.mark.parametrize("reason", ["error", "abort"])
def test_a_reason_that_tells_of_a_failure_is_one(reason: str) -> None:
    found = answer(start(), *text(0, "Hal"), *end(reason))
    assert isinstance(found.error, ProviderError)
    assert reason in found.error.message
    assert found.completion.text == "Hal"


@pytest.mark.parametrize("reason", [False, None, "", 0])
def test_a_reason_that_is_none_ends_nothing(reason: Any) -> None:
    final = {"type": "message_delta", "delta": {"stop_reason": reason}}
    assert answer(start(), *text(0, "a"), frame(final)).outcome in {"TruncatedError", "complete"}
    found = answer(start(), *text(0, "a"), frame(final), *end())
    assert (found.outcome, found.completion.finish_reason) == ("complete", "stop")


def test_tools_of_the_server_are_no_calls_of_the_caller() -> None:
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    asked = block(0, search, {"type": "input_json_delta", "partial_json": '{"query": "x"}'})
    for reason, finish in (("pause_turn", "other"), ("tool_use", "other"), ("end_turn", "stop")):
        completion = answer(start(), *asked, *end(reason)).completion
        assert (completion.tool_calls, completion.finish_reason) == ((), finish)
    called = block(1, {"type": "tool_use", "id": "t", "name": "f", "input": {}})
    completion = answer(start(), *asked, *called, *end()).completion
    assert [call.id for call in completion.tool_calls] == ["t"]
    assert completion.finish_reason == "tool_calls"


def test_what_has_no_field_is_kept() -> None:
    details = {"type": "refusal", "category": "cyber"}
    found = answer(
        start(),
        *text(0, "a"),
        frame({"type": "new_event", "y": 2}),
        frame(
            {
                "type": "message_delta",
                "delta": {"stop_reason": "refusal", "stop_details": details},
                "context_management": {"applied_edits": [{"cleared": "x" * 5000}]},
            }
        ),
        frame({"type": "message_stop", "amazon-bedrock-invocationMetrics": {"n": 1}}),
    )
    assert found.outcome == "complete"
    assert found.completion.extra == {
        "new_event": {"type": "new_event", "y": 2},
        "stop_details": details,
        "context_management": {"applied_edits": [{"cleared": "x" * 5000}]},
        "amazon-bedrock-invocationMetrics": {"n": 1},
    }


def test_a_message_that_is_finished_when_it_starts() -> None:
    """Some servers put all of it into `message_start`."""
    begun = {"type": "message_start", "message": json.loads(WHOLE)}
    for frames in ([frame(begun)], [frame(begun), frame({"type": "message_stop"})]):
        found = answer(*frames)
        assert (found.outcome, found.repairs) == ("complete", [])
        completion = completion_of(frames)
        assert (completion.reasoning, completion.text) == ("Hm.", "Let me see.")
        assert [call.arguments for call in completion.tool_calls] == [{"n": 2**70}]
        assert completion.finish_reason == "tool_calls"
        assert completion.native == {"role": "assistant", "content": BLOCKS}


def test_a_reason_in_a_start_without_content_is_no_end() -> None:
    message = {"type": "message", "role": "assistant", "content": [], "stop_reason": "end_turn"}
    begun = frame({"type": "message_start", "message": message})
    assert answer(begun, *text(0, "a")).outcome == "TruncatedError"
    assert answer(begun, *text(0, "a"), *end()).outcome == "complete"


def test_a_second_start_in_an_open_message_is_an_error() -> None:
    found = answer(start(), *text(0, "a"), start(), *text(0, "b"), *end())
    assert (found.outcome, found.completion.text) == ("ProtocolError", "a")
    found = answer(*HELLO, start(), *text(0, "b"))
    assert (found.outcome, found.completion.text) == ("complete", "Hello!")
    assert found.repairs[0] == "error-after-the-end"


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
    """Frames dropped, doubled, swapped: what text is left is told, up to a second message."""
    frames = data.draw(st.sampled_from([HELLO, THINKING, TOOLS]))
    picked = data.draw(st.lists(st.sampled_from(range(len(frames))), max_size=2 * len(frames)))
    found = answer(*(frames[number] for number in picked))
    assert found.outcome in {"complete", "TruncatedError", "ProtocolError"}
    starts = [place for place, number in enumerate(picked) if number == 0]
    of_the_first = picked[: starts[1]] if len(starts) > 1 else picked
    said = [answer(frames[number]).completion.text for number in of_the_first]
    assert found.completion.text == "".join(said)


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner)))
def test_no_json_breaks_it(value: Any) -> None:
    found = decode(Anthropic(), b"data: " + dumps(value) + b"\n\n", SSE)
    assert found.outcome in {"complete", "ProtocolError", "ProviderError", "TruncatedError"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (path, value)
        for path in ("message", "content_block", "delta", "delta.text", "delta.type", "index")
        for value in (None, False, 7, "x", [1], {"x": 1})
    ],
)
def test_a_field_of_another_type_never_kills_a_good_answer(path: str, value: Any) -> None:
    """The piece that has it may be lost, which is named; the others are not."""
    where, _, inner = path.partition(".")
    changed = [json.loads(each.split(b"data: ")[1]) for each in HELLO]
    event = next(each for each in changed if where in each)
    if inner:
        event[where][inner] = value
    else:
        event[where] = value
    found = answer(*map(frame, changed))
    assert found.outcome == "complete"
    assert found.completion.text.endswith("!")
    assert (
        found.repairs or found.completion.text == "Hello!" or value in (None, False, "x", {"x": 1})
    )


def test_a_text_that_is_a_number_is_its_json() -> None:
    delta = {"type": "text_delta", "text": [1]}
    found = answer(start(), *block(0, {"type": "text", "text": ""}, delta), *end())
    assert (found.completion.text, found.repairs) == ("[1]", ["unexpected-type"])


@pytest.mark.parametrize("content", ["Hi", ["Hi"], {"type": "text", "text": "Hi"}, {"text": "Hi"}])
def test_content_of_another_type_is_kept_and_named(content: Any) -> None:
    message = {
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": "end_turn",
    }
    found = decode(Anthropic(), dumps(message), JSON, stream=False)
    assert (found.completion.text, set(found.repairs)) == ("Hi", {"unexpected-type"})
    assert found.natives[0]["content"] == [{"type": "text", "text": "Hi"}]


def test_content_that_says_nothing_is_named() -> None:
    message = {"type": "message", "role": "assistant", "content": 5, "stop_reason": "end_turn"}
    assert decode(Anthropic(), dumps(message), JSON, stream=False).repairs == ["unexpected-type"]


def test_a_stop_before_anything_began_is_no_answer() -> None:
    assert answer(frame({"type": "message_stop"})).outcome == "TruncatedError"


def test_a_stop_without_a_reason_is_named() -> None:
    found = answer(start(), *text(0, "a"), frame({"type": "message_stop"}))
    assert (found.outcome, found.repairs) == ("complete", ["missing-finish-reason"])


def test_a_done_marker_of_a_gateway_means_nothing() -> None:
    found = answer(*HELLO, b"data: [DONE]\n\n")
    assert (found.outcome, found.repairs) == ("complete", ["done-marker"])
    assert answer(start(), b"data: [DONE]\n\n").outcome == "TruncatedError"


def test_the_events_of_another_dialect_are_no_answer() -> None:
    event = {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}
    found = decode(Anthropic(), b"data: " + json.dumps(event).encode() + b"\n\n", SSE)
    assert (found.outcome, found.completion.text) == ("TruncatedError", "")
    assert found.repairs == ["unknown-event"]


def test_a_whole_message() -> None:
    found = check_splits(Anthropic(), WHOLE, JSON, stream=False)
    completion = found.completion
    assert (found.outcome, found.repairs) == ("complete", [])
    assert (completion.reasoning, completion.text) == ("Hm.", "Let me see.")
    assert [call.arguments for call in completion.tool_calls] == [{"n": 2**70}]
    assert (completion.finish_reason, completion.response_id) == ("tool_calls", "msg_1")
    assert completion.extra == {}
    assert completion.usage is not None
    assert (completion.usage.input_tokens, completion.usage.output_tokens) == (25, 15)
    assert decode(Anthropic(), WHOLE[:-9], JSON, stream=False).outcome == "TruncatedError"


def test_a_whole_message_without_a_reason() -> None:
    found = decode(Anthropic(), whole(BLOCKS, None), JSON)
    assert (found.outcome, found.repairs) == ("complete", ["missing-finish-reason"])
    assert found.completion.finish_reason == "tool_calls"
    assert found.completion.raw_finish_reason is None


BODIES = Path(__file__).parents[1] / "bodies/anthropic"


@pytest.mark.parametrize("name", ["text.sse", "tools.sse", "whole.json"])
def test_the_bodies_of_the_conformance_kit_have_natives(name: str) -> None:
    body = (BODIES / name).read_bytes()
    completion = completion_of(body if name.endswith("json") else [body])
    assert completion.native is not None
    texts = [each["text"] for each in completion.native["content"] if each["type"] == "text"]
    assert "".join(texts) == completion.text


@pytest.mark.parametrize(
    "last",
    [
        {"type": "message_delta", "stop_reason": "max_tokens", "usage": {"output_tokens": 1}},
        {"type": "message_delta", "delta": None, "stop_reason": "max_tokens"},
        {"type": "message_delta", "delta": {"stop_reason": None}, "stop_reason": "max_tokens"},
        {"type": "message_stop", "stop_reason": "max_tokens"},
    ],
)
def test_a_stop_reason_outside_the_delta(last: dict[str, Any]) -> None:
    found = decode(Anthropic(), b"".join([start(), *text(0, "Hi"), frame(last), end()[-1]]), SSE)
    assert (found.outcome, found.completion.finish_reason) == ("complete", "length")
    assert found.completion.raw_finish_reason == "max_tokens"
    assert "finish-reason-elsewhere" in found.repairs
    assert found.completion.extra.keys().isdisjoint({"stop_reason"})
