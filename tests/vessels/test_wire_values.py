"""Whole numbers in other forms, and counts that must not be lost, in each dialect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from decoding import DONE, SSE, Decoded, decode, delta, ollama, openai, sse
from vesselog.core.vessel import Vessel
from vesselog.vessels import Anthropic, Gemini, OpenAIResponses, whole_number

Form = Callable[[int], Any]
FORMS = pytest.mark.parametrize("form", [str, float])


def events(vessel: Vessel, *values: Any) -> Decoded:
    return decode(vessel, sse(*values), SSE)


def arguments(found: Decoded) -> list[Any]:
    assert found.outcome == "complete"
    return [call.arguments for call in found.completion.tool_calls]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *((3, 3), (3.0, 3), ("3", 3), ("0", 0)),
        *((True, None), (None, None), (1.5, None), ("", None), ("-1", None), ("3.0", None)),
        *((float("inf"), None), (1e300, None), ("9" * 5000, None), ("²", None), ([], None)),
    ],
)
def test_whole_numbers(value: Any, number: int | None) -> None:
    assert whole_number(value) == number
    assert type(whole_number(value)) is type(number)


@FORMS
def test_interleaved_calls_are_told_apart_by_odd_indexes(form: Form) -> None:
    def piece(index: int, text: str, **more: Any) -> dict[str, Any]:
        function = {"arguments": text, **({"name": more.pop("name")} if more else {})}
        return delta(tool_calls=[{"index": form(index), "function": function, **more}])

    found = openai(
        piece(0, "", name="f", id="a"),
        piece(1, "", name="g", id="b"),
        piece(0, '{"x":'),
        piece(1, '{"y":2}'),
        piece(0, "1}"),
        delta("tool_calls"),
        DONE,
    )
    assert arguments(found) == [{"x": 1}, {"y": 2}]
    assert set(found.repairs) == {"unexpected-type"}


@FORMS
def test_choices_are_told_apart_by_odd_indexes(form: Form) -> None:
    pieces = [delta(content="A"), delta(content="B"), delta("stop"), delta("stop")]
    for piece, index in zip(pieces, (0, 1, 1, 0), strict=True):
        piece["choices"][0]["index"] = form(index)
    found = openai(*pieces, DONE, n=2)
    assert [choice.text for choice in found.completion.choices] == ["A", "B"]


@FORMS
def test_anthropics_blocks_are_told_apart_by_odd_indexes(form: Form) -> None:
    def begin(index: int, name: str) -> dict[str, Any]:
        block = {"type": "tool_use", "id": name, "name": name, "input": {}}
        return {"type": "content_block_start", "index": form(index), "content_block": block}

    def piece(index: int, text: str) -> dict[str, Any]:
        inside = {"type": "input_json_delta", "partial_json": text}
        return {"type": "content_block_delta", "index": form(index), "delta": inside}

    found = events(
        Anthropic(),
        {"type": "message_start", "message": {"role": "assistant", "content": []}},
        *(begin(0, "f"), begin(1, "g"), piece(0, '{"x":1}'), piece(1, '{"y":2}')),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    )
    assert arguments(found) == [{"x": 1}, {"y": 2}]
    assert set(found.repairs) == {"unexpected-type"}


@FORMS
def test_output_items_are_told_apart_by_odd_indexes(form: Form) -> None:
    def begin(index: int) -> dict[str, Any]:
        call = {"type": "function_call", "call_id": f"c{index}", "name": "f", "arguments": ""}
        return {"type": "response.output_item.added", "output_index": form(index), "item": call}

    def piece(index: int, text: str) -> dict[str, Any]:
        kind = "response.function_call_arguments.delta"
        return {"type": kind, "output_index": form(index), "delta": text}

    found = events(
        OpenAIResponses(),
        *(begin(0), begin(1), piece(0, '{"x":1}'), piece(1, '{"y":2}')),
        {"type": "response.completed", "response": {"status": "completed"}},
    )
    assert arguments(found) == [{"x": 1}, {"y": 2}]


@FORMS
def test_counts_in_odd_forms_are_read(form: Form) -> None:
    text = {"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}
    line = {"message": {"content": "Hi"}, "done": True, "done_reason": "stop"}
    start = {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]}
    found = [
        openai({**delta("stop", content="Hi"), "usage": {"prompt_tokens": form(3)}}),
        ollama({**line, "prompt_eval_count": form(3)}),
        events(Gemini(), {"candidates": [text], "usageMetadata": {"promptTokenCount": form(3)}}),
        events(
            Anthropic(),
            {
                "type": "message",
                **start,
                "stop_reason": "end_turn",
                "usage": {"input_tokens": form(3)},
            },
        ),
    ]
    for each in found:
        assert each.completion.usage is not None
        assert (each.outcome, each.completion.usage.input_tokens) == ("complete", 3)


def test_zeros_at_the_end_do_not_undo_openais_counts() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    found = openai(
        {**delta(content="Hi"), "usage": {"prompt_tokens": 3, "completion_tokens": 0}},
        {**delta("stop"), "usage": usage},
        {"choices": [], "usage": dict.fromkeys(usage, 0)},
        DONE,
    )
    counts = found.completion.usage
    assert counts is not None
    assert (counts.input_tokens, counts.output_tokens, counts.total_tokens) == (3, 4, 7)


def test_zeros_at_the_end_do_not_undo_anthropics_counts() -> None:
    first = {"input_tokens": 25, "cache_read_input_tokens": 100, "output_tokens": 1}
    found = events(
        Anthropic(),
        {"type": "message_start", "message": {"content": [], "usage": first}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 15},
        },
        {"type": "message_stop"},
    )
    counts = found.completion.usage
    assert counts is not None
    assert (counts.input_tokens, counts.cached_input_tokens, counts.output_tokens) == (125, 100, 15)


def test_zeros_at_the_end_do_not_undo_geminis_counts() -> None:
    text = {"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}
    found = events(
        Gemini(),
        {"candidates": [text], "usageMetadata": usage},
        {"usageMetadata": dict.fromkeys(usage, 0)},
    )
    counts = found.completion.usage
    assert counts is not None
    assert (counts.input_tokens, counts.output_tokens, counts.total_tokens) == (3, 4, 7)
