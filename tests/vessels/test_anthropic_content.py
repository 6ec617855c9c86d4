"""Content blocks of the Messages API: as they stream, and whole again in the API's own form."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import corpus
from anthropic_bodies import (
    SIGNATURE,
    answer,
    block,
    completion_of,
    end,
    events_of,
    frame,
    sent,
    start,
    whole,
)
from corpus_reader import unwrapped
from decoding import SSE, decode, sse
from strict_anthropic import check_anthropic
from vesselog.vessels import Anthropic

THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE}
REDACTED = {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"}
CALL = {"type": "tool_use", "id": "t1", "name": "f", "input": {"city": "Bremen", "n": 2**70}}
FOUND = {"type": "web_search_result", "url": "http://a", "encrypted_content": "E" * 5000}
EVERY_KIND: list[dict[str, Any]] = [
    {"type": "compaction", "content": "The user wants tea."},
    THOUGHT,
    REDACTED,
    {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}},
    {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [FOUND]},
    {**CALL, "caller": {"type": "code_execution_20250825", "tool_id": "s1"}},
    {"type": "thinking", "thinking": "two", "signature": "S2"},
    {"type": "tool_use", "id": "t2", "name": "now", "input": {}},
    {
        "type": "text",
        "text": "It is 21.",
        "citations": [
            {"type": "page_location", "cited_text": "c" * 900, "document_index": each}
            for each in range(8)
        ],
    },
    {"type": "container_upload", "file_id": "file_1"},
]


def content_of(body: Any) -> list[dict[str, Any]]:
    native = completion_of(body).native
    assert native is not None
    assert native.keys() <= {"role", "content", "container"}
    assert native["role"] == "assistant"
    return native["content"]


def delta(index: int, **delta: Any) -> bytes:
    return frame({"type": "content_block_delta", "index": index, "delta": delta})


@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_every_kind_of_block_comes_out_whole_and_in_order(size: int) -> None:
    assert content_of(events_of(EVERY_KIND, size=size)) == EVERY_KIND
    assert content_of(whole(EVERY_KIND)) == EVERY_KIND


def test_streamed_and_whole_say_the_same() -> None:
    streamed, one = completion_of(events_of(EVERY_KIND)), completion_of(whole(EVERY_KIND))
    assert streamed.model_dump() == {
        **one.model_dump(),
        "choices": streamed.model_dump()["choices"],
        "tool_calls": streamed.model_dump()["tool_calls"],
    }
    assert [(call.id, call.name, call.arguments) for call in streamed.tool_calls] == [
        (call.id, call.name, call.arguments) for call in one.tool_calls
    ]


def test_citations_are_joined_whatever_their_size() -> None:
    completion = completion_of(events_of(EVERY_KIND))
    assert completion.extra["citations"] == EVERY_KIND[-2]["citations"]
    assert completion_of(whole(EVERY_KIND)).extra["citations"] == EVERY_KIND[-2]["citations"]


def test_a_citation_is_told_when_it_comes() -> None:
    cited = {"type": "page_location", "cited_text": "c"}
    found = answer(
        start(),
        *block(0, {"type": "text", "text": "a"}, {"type": "citations_delta", "citation": cited}),
    )
    assert found.chunks[-1].extra == {"citations": [cited]}


def test_other_blocks_are_told_when_they_end() -> None:
    extra = completion_of(events_of(EVERY_KIND)).extra
    assert extra["block_0"] == EVERY_KIND[0]
    assert extra["block_3"]["input"] == {"query": "x"}
    assert extra["block_4"] == EVERY_KIND[4]
    assert extra.keys() == {"citations", *(f"block_{each}" for each in (0, 2, 3, 4, 9))}


def test_a_signature_goes_to_its_own_block() -> None:
    """llama-server tells that of the thinking when the text has been told."""
    frames = [
        start(),
        frame({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking"}}),
        delta(0, type="thinking_delta", thinking="Hm."),
        frame({"type": "content_block_start", "index": 1, "content_block": {"type": "text"}}),
        delta(1, type="text_delta", text="Hi"),
        delta(0, type="signature_delta", signature="S"),
        frame({"type": "content_block_stop", "index": 0}),
        frame({"type": "content_block_stop", "index": 1}),
        *end(),
    ]
    assert content_of(frames) == [
        {"type": "thinking", "thinking": "Hm.", "signature": "S"},
        {"type": "text", "text": "Hi"},
    ]


@pytest.mark.parametrize(
    ("begun", "signatures"), [("", ["S1S2"]), ("", ["S1", "S2"]), ("S1S2", ["S1S2"]), ("S1S2", [])]
)
def test_a_signature_in_pieces_or_told_again(begun: str, signatures: list[str]) -> None:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": begun}
    deltas = [{"type": "signature_delta", "signature": each} for each in signatures]
    (found,) = content_of([start(), *block(0, thinking, *deltas), *end()])
    assert found["signature"] == "S1S2"


def test_deltas_of_a_new_kind_extend_their_block() -> None:
    begun = {"type": "new", "summary": "a", "parts": [1], "meta": {"x": 1}, "left": None}
    deltas: list[dict[str, Any]] = [
        {"type": "summary_delta", "summary": "b"},
        {"type": "summary_delta", "summary": "c"},
        {"type": "parts_delta", "parts": [2]},
        {"type": "sources_delta", "source": {"url": "u"}},
        {"type": "meta_delta", "meta": {"y": 2}},
        {"type": "score_delta", "score": 7},
        {"type": "content_delta", "content": None},
    ]
    (found,) = content_of([start(), *block(0, begun, *deltas), *end()])
    assert found == {
        "type": "new",
        "summary": "abc",
        "parts": [1, 2],
        "sources": [{"url": "u"}],
        "meta": {"x": 1, "y": 2},
        "left": None,
        "score": 7,
        "content": None,
    }


def test_the_container_of_the_answer_goes_to_the_next_request() -> None:
    container = {"id": "container_1", "expires_at": "2026-11-28T08:00:00Z"}
    final = {"stop_reason": "tool_use", "container": container}
    frames = [start(), *block(0, CALL), frame({"type": "message_delta", "delta": final})]
    for body in (frames, whole([CALL], container=container)):
        completion = completion_of(body)
        assert completion.native == {"role": "assistant", "content": [CALL], "container": container}
        result = {"role": "tool", "tool_call_id": "t1", "content": "1"}
        asked = [{"role": "user", "content": "?"}, completion.to_message(), result]
        request = sent(messages=asked)
        assert request["container"] == "container_1"
        assert check_anthropic(request, [[CALL]]) is None
        assert sent(messages=asked, extra_body={"container": "c2"})["container"] == "c2"


def test_arguments_that_are_no_json_are_wrapped() -> None:
    deltas = [{"type": "input_json_delta", "partial_json": '{"city": "Bre'}]
    called = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    frames = [start(), *block(0, called, *deltas), *end("max_tokens")]
    completion = completion_of(frames)
    (call,) = completion.tool_calls
    assert (call.arguments, call.arguments_text) == (None, '{"city": "Bre')
    assert content_of(frames) == [{**called, "input": {"INVALID_JSON": '{"city": "Bre'}}]
    # Cut there, it is the same.
    assert content_of(frames[:3]) == content_of(frames)


def test_a_cut_answer_has_what_can_go_back() -> None:
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    for count, frames in enumerate(
        [
            [*block(0, thinking, {"type": "thinking_delta", "thinking": "Hm"})[:-1]],
            [*block(0, {"type": "compaction", "content": None})[:-1]],
            [*block(0, {**EVERY_KIND[3], "input": {}})[:-1]],
            [*block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Hal"})[:-1]],
        ]
    ):
        found = content_of([start(), *frames])
        assert found == ([{"type": "text", "text": "Hal"}] if count == 3 else [])
    whole_ones = events_of(EVERY_KIND)[:-2]
    assert content_of(whole_ones) == EVERY_KIND


def test_thinking_that_the_length_ended_is_left_out() -> None:
    """The API refuses it without a signature. Servers that never sign keep theirs."""
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    frames = [start(), *block(0, thinking, {"type": "thinking_delta", "thinking": "Hm"})]
    assert content_of([*frames, *end("max_tokens")]) == []
    assert content_of([*frames, *end()]) == [{**thinking, "thinking": "Hm"}]


def test_nothing_came() -> None:
    assert completion_of([b""]).native is None
    assert content_of([start()]) == []


def test_calls_without_an_id_or_with_another_calls_have_one_of_their_own() -> None:
    called = {"type": "tool_use", "name": "f", "input": {"a": 1}}
    blocks = [called, {**called, "id": "x"}, {**called, "id": "x"}, {**called, "id": None}]
    for body in (
        [start(), *(each for n, b in enumerate(blocks) for each in block(n, b)), *end()],
        whole(blocks),
    ):
        completion = completion_of(body)
        ids = [call.id for call in completion.tool_calls]
        assert len(set(ids)) == 4
        assert ids[1] == "x"
        assert [each["id"] for each in content_of(body)] == ids
    found = answer(start(), *(each for n, b in enumerate(blocks) for each in block(n, b)), *end())
    assert set(found.repairs) == {"tool-id-made", "tool-id-not-unique"}


# Blocks whose events are not all there.


def test_a_delta_without_its_start() -> None:
    frames = [
        start(),
        delta(3, type="thinking_delta", thinking="Hm"),
        delta(3, type="signature_delta", signature="S"),
        delta(4, type="text_delta", text="a"),
        *end(),
    ]
    found = answer(*frames)
    assert (found.completion.text, found.completion.reasoning) == ("a", "Hm")
    assert found.repairs == ["missing-block-start"] * 2
    assert content_of(frames) == [
        {"type": "thinking", "thinking": "Hm", "signature": "S"},
        {"type": "text", "text": "a"},
    ]


def test_input_without_its_call_is_told_but_does_not_go_back() -> None:
    frames = [start(), delta(1, type="input_json_delta", partial_json='{"port":1}'), *end()]
    assert answer(*frames).completion.extra["block_1"]["input"] == {"port": 1}
    assert content_of(frames) == []


def test_blocks_that_are_never_ended() -> None:
    frames = [each for each in events_of(EVERY_KIND) if b"content_block_stop" not in each]
    assert content_of(frames) == EVERY_KIND
    assert answer(*frames).said[-1] != answer(*events_of(EVERY_KIND)).said[-1]
    assert completion_of(frames).extra == completion_of(events_of(EVERY_KIND)).extra


def test_a_delta_after_the_stop_of_its_block_extends_it() -> None:
    for each in (EVERY_KIND[0], CALL, THOUGHT, EVERY_KIND[-2]):
        frames = events_of([each])
        (stop,) = [frame for frame in frames if b"content_block_stop" in frame]
        frames.remove(stop)
        swapped = [*frames[:-3], stop, *frames[-3:]]
        assert content_of(swapped) == [each]
        assert completion_of(swapped).extra == completion_of(events_of([each])).extra
        assert answer(*swapped).repairs == ["delta-after-block-stop"]


def test_all_blocks_at_one_index() -> None:
    """Some gateways do not count."""
    frames = [start()]
    for each in EVERY_KIND:
        events = [json.loads(x.split(b"data: ")[1]) for x in events_of([each])[1:-2]]
        frames += [frame({**event, "index": 0}) for event in events]
    assert content_of([*frames, *end()]) == EVERY_KIND
    assert set(answer(*frames, *end()).repairs) == {"block-index-repeated"}


def test_blocks_without_an_index() -> None:
    frames = [
        frame(
            {
                key: value
                for key, value in json.loads(each.split(b"data: ")[1]).items()
                if key != "index"
            }
        )
        for each in events_of(EVERY_KIND)
    ]
    assert content_of(frames) == EVERY_KIND
    assert set(answer(*frames).repairs) == {"missing-block-index"}


def test_a_start_that_is_told_twice_is_one_block() -> None:
    frames = events_of([CALL])
    assert content_of([*frames[:2], frames[1], *frames[2:]]) == [CALL]
    assert answer(*frames[:2], frames[1], *frames[2:]).repairs == ["block-index-repeated"]


def test_a_start_that_is_null() -> None:
    begun = {"type": "content_block_start", "index": 0, "content_block": None}
    frames = [start(), frame(begun), delta(0, type="text_delta", text="a"), *end()]
    assert content_of(frames) == [{"type": "text", "text": "a"}]
    assert answer(*frames).outcome == "complete"


def test_a_block_without_its_type_has_the_one_that_it_shows() -> None:
    for each in (THOUGHT, CALL, {"type": "text", "text": "Hi"}):
        untyped = {key: value for key, value in each.items() if key != "type"}
        for body in ([start(), *block(0, untyped), *end()], whole([untyped, {}])):
            assert content_of(body) == [each]
            assert completion_of(body).finish_reason == ("tool_calls" if each is CALL else "stop")


@pytest.mark.parametrize("gap", [None, "x", [1]])
def test_a_delta_of_another_type_says_nothing(gap: Any) -> None:
    frames = events_of([{"type": "text", "text": "Hi"}])
    odd = frame({"type": "content_block_delta", "index": 0, "delta": gap})
    found = answer(*frames[:2], odd, *frames[2:])
    assert (found.completion.text, found.repairs) == ("Hi", ["missing-delta"])


# From one answer into the next request.

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
said = words.filter(lambda each: each.strip() != "")
ids = st.from_regex("[a-zA-Z0-9_-]{1,9}", fullmatch=True)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)  # larger ones are exact in a tool's input alone
    | st.floats(allow_nan=False, allow_infinity=False)
    | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(words, plain, max_size=3)
blocks = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("text"), "text": said},
        optional={"citations": st.lists(objects, max_size=3)},
    ),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": words, "signature": words}),
    st.fixed_dictionaries({"type": st.just("redacted_thinking"), "data": words}),
    st.fixed_dictionaries(
        {"type": st.just("tool_use"), "id": ids, "name": ids, "input": objects},
        optional={"caller": objects},
    ),
    st.fixed_dictionaries(
        {"type": st.just("server_tool_use"), "id": ids, "name": ids, "input": objects}
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("web_search_tool_result"),
            "tool_use_id": ids,
            "content": st.lists(objects),
        }
    ),
    st.fixed_dictionaries({"type": st.just("compaction"), "content": words}),
    st.fixed_dictionaries({"type": st.just("new_kind"), "a": plain, "b": plain}),
)
contents = st.lists(blocks, min_size=1, max_size=6).filter(
    lambda each: len(calls := [b["id"] for b in each if b["type"] == "tool_use"]) == len(set(calls))
)


@given(content=contents, size=st.integers(1, 8), seed=st.integers(0, 1000))
def test_any_blocks_go_into_the_next_request_as_they_came(
    content: list[dict[str, Any]], size: int, seed: int
) -> None:
    streamed = b"".join(events_of(content, size=size))
    chance = random.Random(seed)
    cuts = sorted(chance.randint(0, len(streamed)) for _ in range(5))
    pieces = [streamed[a:b] for a, b in zip([0, *cuts], [*cuts, len(streamed)], strict=True)]
    for body in (pieces, whole(content)):
        message = completion_of(body).to_message()
        request = sent(messages=[{"role": "user", "content": "?"}, json.loads(json.dumps(message))])
        assert request["messages"][1] == {"role": "assistant", "content": content}


CASES = sorted((corpus.ROOT / "cases").glob("*.anthropic.sse"))
CAPTURED = [
    path
    for path in corpus.CAPTURES
    if "/v1/messages" in path.with_suffix(".req").read_text("utf-8").partition("\n")[0]
]


@pytest.mark.parametrize("path", [*CASES, *CAPTURED], ids=lambda path: path.name)
def test_captured_answers_go_into_the_next_request_as_they_came(path: Path) -> None:
    raw = path.read_bytes()
    status, body = (200, raw) if path.suffix == ".sse" else unwrapped(raw)[::2]
    assert status == 200
    found = answer(body)
    assert (found.outcome, found.repairs) == ("complete", [])
    completion = completion_of([body])
    assert completion.native is not None
    request = sent(messages=[{"role": "user", "content": "?"}, completion.to_message()])
    assert request["messages"][1]["content"] == completion.native["content"]


def test_the_captured_answers_are_there() -> None:
    if not CASES:
        pytest.skip(corpus.MISSING or "no cases")
    assert len(CASES) >= 5
    assert CAPTURED


def test_a_text_in_a_tools_block_is_a_block_of_its_own() -> None:
    def piece(kind: str, **more: str) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": 0, "delta": {"type": kind, **more}}

    call = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    values = [
        {"type": "message_start", "message": {"role": "assistant", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": call},
        piece("input_json_delta", partial_json='{"x":'),
        piece("text_delta", text="H"),
        piece("input_json_delta", partial_json="1}"),
        piece("text_delta", text="i"),
        piece("thinking_delta", thinking="Hm"),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {}},
        {"type": "message_stop"},
    ]
    found = decode(Anthropic(), sse(*values), SSE)
    completion = found.completion
    assert (found.outcome, completion.text, completion.reasoning) == ("complete", "Hi", "Hm")
    assert [each.arguments for each in completion.tool_calls] == [{"x": 1}]
    assert completion.native is not None
    assert completion.native["content"] == [
        {**call, "input": {"x": 1}},
        {"type": "text", "text": "Hi"},
        {"type": "thinking", "thinking": "Hm"},
    ]
    assert "delta-of-another-kind" in found.repairs


ENCODED_TWICE = json.dumps('{"x":1}')


@pytest.mark.parametrize("size", [1, 3, 99])
@pytest.mark.parametrize("ended", [True, False])
def test_input_encoded_twice_in_pieces(size: int, ended: bool) -> None:  # noqa: FBT001
    pieces = [ENCODED_TWICE[at : at + size] for at in range(0, len(ENCODED_TWICE), size)]
    deltas = [{"type": "input_json_delta", "partial_json": each} for each in ["", *pieces]]
    call = block(0, {"type": "tool_use", "id": "a", "name": "f", "input": {}}, *deltas)
    found = decode(
        Anthropic(), b"".join([start(), *call[: None if ended else -1], *end("tool_use")])
    )
    (only,) = found.completion.tool_calls
    assert (found.outcome, only.arguments) == ("complete", {"x": 1})
    assert found.repairs == ["tool-arguments-encoded-twice"]
    assert found.natives[0]["content"][0]["input"] == {"x": 1}


def test_input_in_a_string_of_a_cut_answer_is_there_as_it_came() -> None:
    part = {"type": "input_json_delta", "partial_json": ENCODED_TWICE[:6]}
    call = block(0, {"type": "tool_use", "id": "a", "name": "f", "input": {}}, part)
    found = decode(Anthropic(), b"".join([start(), *call[:-1]]))
    (only,) = found.completion.tool_calls
    assert (found.outcome, only.arguments_text) == ("TruncatedError", ENCODED_TWICE[:6])
