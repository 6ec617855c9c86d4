"""What a provider alone knows is kept whole: texts in pieces, integers of any size, cut calls."""

from __future__ import annotations

from typing import Any

import pytest

from decoding import SSE, decode, delta, ollama, openai, sse
from vesselog.core.jsontext import dumps
from vesselog.vessels import INVALID_JSON, Anthropic, Frame, Framing, Gemini, Progress, WireRequest

LARGE = 1180591620717411303425
STOP = delta("stop")
DONE = {"model": "m", "done": True, "done_reason": "stop", "message": {"content": ""}}


def openai_key(*pieces: Any) -> Any:
    return openai(*(delta(own=each) for each in pieces), STOP).natives[0].get("own")


def openai_nested(*pieces: Any) -> Any:
    found = openai(*(delta(q={"own": each}) for each in pieces), STOP).natives[0]
    return found["q"]["own"]


def openai_call(*pieces: Any) -> Any:
    calls = [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}},
        *({"index": 0, "own": each} for each in pieces),
    ]
    found = openai(*(delta(tool_calls=[each]) for each in calls), STOP).natives[0]
    return found["tool_calls"][0]["own"]


def ollama_key(*pieces: Any) -> Any:
    lines = [{"model": "m", "message": {"content": "x", "own": each}} for each in pieces]
    return ollama(*lines, DONE).natives[0]["own"]


EVERY_PLACE = pytest.mark.parametrize(
    "kept", [openai_key, openai_nested, openai_call, ollama_key], ids=lambda each: each.__name__
)


@EVERY_PLACE
@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["ha", "ha", " ok"], "haha ok"),
        (["I ", "will"], "I will"),
        (["a", "b", "b", "a"], "abba"),
        (["fp_1"] * 3, "fp_1"),
        (["fp_1"] * 99, "fp_1"),
        ([*["fp_1"] * 9, "fp_2"], "fp_2"),
    ],
)
def test_an_unknown_text_is_joined_unless_it_is_always_the_same(
    kept: Any, pieces: list[str], text: str
) -> None:
    assert kept(*pieces) == text


@EVERY_PLACE
def test_an_unknown_integer_of_any_size_is_exact(kept: Any) -> None:
    assert kept(LARGE) == LARGE


def test_integers_of_any_size_are_exact_in_extra_and_in_parts_of_gemini() -> None:
    found = openai(delta(content="x"), {"own": LARGE, **STOP})
    assert found.completion.extra["own"] == LARGE
    part = {"text": "x", "own": LARGE}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
    told = decode(Gemini(), sse({"candidates": [candidate]}), SSE)
    assert told.natives[0]["parts"] == [part]
    assert b"1180591620717411303425" in dumps(told.natives[0])


def calls_of(vessel: str, finish: str | None) -> Any:
    """The calls of an answer whose only call has no arguments. finish: None where it was cut."""
    if vessel == "openai":
        call = {"index": 0, "id": "a", "function": {"name": "rm", "arguments": ""}}
        last = [] if finish is None else [delta(finish)]
        return openai(delta(tool_calls=[call]), *last).completion.tool_calls
    reason = {"length": "max_tokens", "tool_calls": "tool_use"}.get(finish or "", finish)
    block = {"type": "tool_use", "id": "a", "name": "rm", "input": {}}
    events: list[Any] = [
        {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": block},
    ]
    if finish is not None:
        events += [
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": reason}},
            {"type": "message_stop"},
        ]
    return decode(Anthropic(), sse(*events), SSE).completion.tool_calls


@pytest.mark.parametrize("vessel", ["openai", "anthropic"])
@pytest.mark.parametrize(
    ("finish", "arguments"), [("length", None), (None, None), ("tool_calls", {}), ("stop", {})]
)
def test_a_call_that_was_cut_before_its_arguments_has_none(
    vessel: str, finish: str | None, arguments: Any
) -> None:
    (call,) = calls_of(vessel, finish)
    assert (call.name, call.arguments, call.arguments_text) == ("rm", arguments, "")


def test_of_a_cut_answer_only_the_last_call_may_have_had_arguments() -> None:
    calls = [
        {"index": each, "id": f"{each}", "function": {"name": "f", "arguments": ""}}
        for each in range(2)
    ]
    found = openai(*(delta(tool_calls=[each]) for each in calls), delta("length"))
    assert [call.arguments for call in found.completion.tool_calls] == [{}, None]


def test_a_call_of_gemini_without_arguments_is_whole_also_in_a_cut_answer() -> None:
    part = {"functionCall": {"name": "now"}}
    candidate = {"content": {"role": "model", "parts": [part]}}
    (call,) = decode(Gemini(), sse({"candidates": [candidate]}), SSE).completion.tool_calls
    assert call.arguments == {}


@pytest.mark.parametrize("text", ['{"a":NaN}', '{"a":"\\ud800"}', '{"a":1e999}'])
def test_an_input_of_anthropic_that_is_no_json_goes_back_as_its_text(text: str) -> None:
    block = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    events = [
        {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": text},
        },
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    ]
    found = decode(Anthropic(), sse(*events), SSE).natives[0]
    assert found["content"] == [{**block, "input": {INVALID_JSON: text}}]


def test_equal_lists_of_numbers_beside_the_delta_are_all_kept() -> None:
    """Token ids of vLLM: two frames that are the same but for their text have the same ones."""
    events = [delta(content=text) for text in ("a", "b", "c", "d")]
    for event, ids in zip(events, ([13], [13], [13], [7, 7]), strict=True):
        event["choices"][0]["token_ids"] = ids
    assert openai(*events, STOP).completion.extra["token_ids"] == [13, 13, 13, 7, 7]


@pytest.mark.parametrize("given", [1, 2])
def test_a_whole_answer_of_gemini_with_fewer_candidates_is_complete(given: int) -> None:
    one = {"content": {"role": "model", "parts": [{"text": "x"}]}, "finishReason": "STOP"}
    body = dumps({"candidates": [{**one, "index": each} for each in range(given)]})
    request = WireRequest(
        url="http://h", body={"generationConfig": {"candidateCount": 2}}, stream=False
    )
    decoder = Gemini().decoder(request)
    frame = Frame(body, Framing.BODY)
    assert len(list(decoder.decode(frame))) == given
    assert decoder.progress is Progress.FINISHED
    assert ("fewer-choices" in frame.repairs) is (given == 1)
