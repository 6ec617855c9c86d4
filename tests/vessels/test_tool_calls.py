"""Tool calls in pieces: which belongs to which, in every dress."""

from __future__ import annotations

import json
from typing import Any

import pytest

from decoding import JSON, Decoded, decode, delta, openai
from vesselog.vessels import OpenAI


def call(index: Any = None, **piece: Any) -> dict[str, Any]:
    """A chunk with one piece of a tool call."""
    function = {key: piece.pop(key) for key in ("name", "arguments") if key in piece}
    number = {} if index is None else {"index": index}
    return delta(tool_calls=[{**number, **piece, "function": function}])


def calls(found: Decoded) -> list[tuple[str | None, str, Any]]:
    return [(call.id, call.name, call.arguments) for call in found.completion.tool_calls]


def test_a_call_in_pieces() -> None:
    found = openai(
        call(0, id="a", type="function", name="f", arguments=""),
        call(0, arguments='{"x"'),
        call(0, arguments=":1}"),
        call(1, id="b", type="function", name="g", arguments="{}"),
        delta("tool_calls"),
    )
    assert calls(found) == [("a", "f", {"x": 1}), ("b", "g", {})]
    assert found.repairs == []
    first = found.chunks[0].tool_calls[0]
    assert first.model_dump() == {
        "slot": "0",
        "index": 0,
        "id": "a",
        "name": "f",
        "arguments": None,
    }


@pytest.mark.parametrize(
    ("pieces", "expected", "repair"),
    [
        pytest.param(
            [call(id="a", name="f", arguments="{}"), call(id="b", name="f", arguments="{}")],
            [("a", "f", {}), ("b", "f", {})],
            "missing-tool-index",
            id="no index",
        ),
        pytest.param(
            [call(-1, id="a", name="f", arguments='{"x":'), call(-1, arguments="1}")],
            [("a", "f", {"x": 1})],
            "missing-tool-index",
            id="index -1",
        ),
        pytest.param(
            [call(1, id="a", name="f", arguments="{}"), call(2, id="b", name="g", arguments="{}")],
            [("a", "f", {}), ("b", "g", {})],
            None,
            id="from 1",
        ),
        pytest.param(
            [call(0, id="a", name="f", arguments="{}"), call(0, id="b", name="f", arguments="{}")],
            [("a", "f", {}), ("b", "f", {})],
            "tool-index-repeated",
            id="all 0",
        ),
        pytest.param(
            [call(0, name="f", arguments='{"x":1}'), call(0, name="f", arguments='{"x":2}')],
            [(None, "f", {"x": 1}), (None, "f", {"x": 2})],
            "tool-index-repeated",
            id="all 0 without ids",
        ),
        pytest.param(
            [call(0, id="a", name="f", arguments='{"x":'), call(0, id="", arguments="1}")],
            [("a", "f", {"x": 1})],
            None,
            id="empty id",
        ),
        pytest.param(
            [
                call(0, id="a", name="f", arguments='{"x":'),
                call(0, id="a", name="f", arguments="1}"),
            ],
            [("a", "f", {"x": 1})],
            "id-repeated",
            id="id and name repeated",
        ),
        pytest.param(
            [
                call(0, id="a", name="f", arguments='{"x":'),
                call(0, id="b", name=None, arguments="1}"),
            ],
            [("a", "f", {"x": 1})],
            "tool-id-changed",
            id="a new id in each piece",
        ),
        pytest.param(
            [call(0, id="a"), call(0, name="f"), call(0, arguments="{}")],
            [("a", "f", {})],
            None,
            id="id and name apart",
        ),
        pytest.param(
            [call(0, name="f"), call(0, id="a", arguments="{}")],
            [("a", "f", {})],
            None,
            id="name before id",
        ),
        pytest.param(
            [call(0, id="a", name="get_"), call(0, name="weather"), call(0, arguments="{}")],
            [("a", "get_weather", {})],
            "tool-name-in-pieces",
            id="name in fragments",
        ),
        pytest.param(
            [call(0, id="a", type="", name="f", arguments=None), call(0, name="", arguments="{}")],
            [("a", "f", {})],
            None,
            id="empty type and name",
        ),
        pytest.param(
            [call(0, id="a", name="f", arguments={"x": 1})],
            [("a", "f", {"x": 1})],
            "tool-arguments-not-text",
            id="arguments as an object",
        ),
        pytest.param(
            [call(0, id="a", name="f")],
            [("a", "f", {})],
            None,
            id="no arguments at all",
        ),
        pytest.param(
            [
                delta(
                    tool_calls=[
                        {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
                    ],
                    function_call={"name": "f", "arguments": "{}"},
                )
            ],
            [("a", "f", {})],
            "function-call-mirrored",
            id="mirrored",
        ),
        pytest.param(
            [
                delta(function_call={"name": "f", "arguments": ""}),
                delta(function_call={"arguments": "{}"}),
            ],
            [(None, "f", {})],
            None,
            id="legacy function call",
        ),
    ],
)
def test_calls_in_odd_dress(pieces: Any, expected: Any, repair: str | None) -> None:
    found = openai(*pieces, delta("tool_calls"))
    assert calls(found) == expected
    assert repair in found.repairs if repair else found.repairs == []


def test_arguments_that_are_no_json_are_kept_as_text() -> None:
    found = openai(call(0, id="a", name="f", arguments='{"x":'), delta("length"))
    (made,) = found.completion.tool_calls
    assert (made.arguments, made.arguments_text) == (None, '{"x":')


def test_tool_calls_of_a_whole_answer() -> None:
    function = {"name": "f", "arguments": "{}"}
    message = {"tool_calls": [{"id": "a", "function": function}, {"id": "a", "function": function}]}
    answer = {"choices": [{"message": message, "finish_reason": "tool_calls"}]}
    found = decode(OpenAI(), json.dumps(answer).encode(), JSON, stream=False)
    assert calls(found) == [("a", "f", {})] * 2
