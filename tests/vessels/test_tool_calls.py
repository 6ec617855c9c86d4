"""Tool calls in pieces: which belongs to which, in every dress."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest

from decoding import DONE, JSON, SSE, Decoded, decode, delta, openai, sse
from vesselog.vessels import OpenAI


def call(index: Any = None, **piece: Any) -> dict[str, Any]:
    """A chunk with one piece of a tool call."""
    function = {key: piece.pop(key) for key in ("name", "arguments") if key in piece}
    number = {} if index is None else {"index": index}
    return delta(tool_calls=[{**number, **piece, "function": function}])


def calls(found: Decoded) -> list[tuple[str | None, str, Any]]:
    return [(call.id, call.name, call.arguments) for call in found.completion.tool_calls]


class _Made:
    """Equal to any id that was made: nine letters and digits."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and re.fullmatch("[0-9a-z]{9}", other) is not None

    __hash__ = object.__hash__


MADE = _Made()


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
        "type": None,
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
            [(MADE, "f", {"x": 1}), (MADE, "f", {"x": 2})],
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
            [(MADE, "f", {})],
            "tool-id-made",
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
    assert calls(found) == [("a", "f", {}), (MADE, "f", {})]
    assert found.repairs == ["missing-choice-index", "tool-id-not-unique"]


def test_a_made_id_is_the_same_in_the_message_that_goes_back() -> None:
    """Also where several calls have none, or one that another has; and in every decoding."""
    pieces = [
        call(0, name="f", arguments="{}"),
        call(1, name="g", arguments="{}"),
        call(2, id="a", name="h", arguments="{}"),
        call(3, id="a", name="i", arguments="{}"),
        delta("tool_calls"),
    ]
    found, again = openai(*pieces), openai(*pieces)
    ids = [made.id for made in found.completion.tool_calls]
    assert len({*ids, None}) == 5
    assert [made["id"] for made in found.natives[0]["tool_calls"]] == ids
    assert again.natives == found.natives


@pytest.mark.parametrize("end", [delta("tool_calls"), DONE, b""], ids=["finish", "done", "cut"])
def test_a_call_without_id_has_one_at_the_end_however_that_came(end: Any) -> None:
    found = openai(call(0, name="f", arguments="{}"), end)
    (made,) = found.completion.tool_calls
    assert made.id
    assert "tool-id-made" in found.repairs


# Custom tools take free text.

CUSTOM = [
    {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sql", "input": ""}},
    {"index": 0, "custom": {"input": "[1]"}},
    {"index": 0, "custom": {"input": "[1]"}},
]


def test_a_custom_tool_is_called_with_text_in_pieces() -> None:
    found = openai(*(delta(tool_calls=[piece]) for piece in CUSTOM), delta("tool_calls"))
    (made,) = found.completion.tool_calls
    assert (made.type, made.id, made.name, made.input) == ("custom", "a", "sql", "[1][1]")
    assert found.natives[0]["tool_calls"] == [
        {"id": "a", "type": "custom", "custom": {"name": "sql", "input": "[1][1]"}}
    ]
    assert found.repairs == []


def test_a_custom_tool_is_called_in_a_whole_answer() -> None:
    sent = {"id": "a", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}
    message = {"role": "assistant", "content": None, "tool_calls": [sent]}
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    found = decode(OpenAI(), json.dumps(answer).encode(), JSON, stream=False)
    (made,) = found.completion.tool_calls
    assert (made.type, made.name, made.input) == ("custom", "sql", "SELECT 1")
    assert found.natives[0] == message


# A last piece that says the whole again.


@pytest.mark.parametrize(
    ("again", "fields"),
    [
        ('{"x":1}', {"id": "a", "name": "f"}),
        ('{"x":1}', {"name": "f"}),
        ('{"x":1}', {}),
        ('{ "x": 1 }', {}),
    ],
)
def test_arguments_that_are_told_again_whole_are_told_once(again: str, fields: Any) -> None:
    found = openai(
        call(0, id="a", name="f", arguments=""),
        call(0, arguments='{"x"'),
        call(0, arguments=":1}"),
        call(0, arguments=again, **fields),
        delta("tool_calls"),
    )
    assert calls(found) == [("a", "f", {"x": 1})]
    assert "tool-arguments-repeated" in found.repairs
    assert found.natives[0]["tool_calls"][0]["function"]["arguments"] == '{"x":1}'


@pytest.mark.parametrize(
    "pieces",
    [["1", "1"], ['{"a":', "[1,", "[1", "]]}"], ["[", "[", "]", "]"], ['{"a":"', "{}", '"}']],
)
def test_a_piece_that_only_looks_like_the_whole_is_a_piece(pieces: list[str]) -> None:
    told = [call(0, arguments=piece) for piece in pieces]
    found = openai(call(0, id="a", name="f"), *told, delta("tool_calls"))
    (made,) = found.completion.tool_calls
    assert made.arguments_text == "".join(pieces)
    assert "tool-arguments-repeated" not in found.repairs


def test_what_follows_whole_arguments_and_is_no_repetition_is_kept() -> None:
    told = [call(0, arguments=piece) for piece in ('{"x":1}', '{"x":2}', '{"x":1}')]
    found = openai(call(0, id="a", name="f"), *told, delta("tool_calls"))
    (made,) = found.completion.tool_calls
    assert (made.arguments, made.arguments_text) == (None, '{"x":1}{"x":2}{"x":1}')


# What is no call.


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_calls": None, "function_call": {"name": "", "arguments": ""}},
        {"tool_calls": [{"index": 0, "type": "function", "function": {"name": ""}}]},
        {"tool_calls": []},
    ],
)
@pytest.mark.parametrize("place", ["delta", "message"])
def test_a_call_without_name_and_arguments_is_none(fields: dict[str, Any], place: str) -> None:
    choice = {"index": 0, place: {"content": "Hi", **fields}, "finish_reason": "stop"}
    found = decode(OpenAI(), sse({"choices": [choice]}), SSE)
    assert (found.outcome, found.completion.text) == ("complete", "Hi")
    assert found.completion.tool_calls == ()
    assert found.completion.finish_reason == "stop"
    assert not found.natives[0].get("tool_calls")
    assert "function_call" not in found.natives[0]


@pytest.mark.parametrize("odd", ["x", 7, [7], [["x"]], [{"index": 0, "function": "f"}], True])
def test_a_call_of_another_type_does_not_end_the_answer(odd: Any) -> None:
    found = openai(delta(content="A"), delta(tool_calls=odd), delta(content="B"), delta("stop"))
    assert (found.outcome, found.completion.text) == ("complete", "AB")
    assert "unexpected-type" in found.repairs
    assert found.completion.tool_calls == ()


# Keys that only the provider knows.


def test_unknown_keys_of_a_call_and_its_function_are_joined() -> None:
    found = openai(
        delta(
            tool_calls=[
                {
                    "index": 0,
                    "id": "a",
                    "type": "function",
                    "function": {"name": "f", "arguments": "", "strict": True},
                    "extra_content": {"google": {"thought_signature": "SI"}},
                }
            ]
        ),
        delta(
            tool_calls=[
                {
                    "index": 0,
                    "function": {"arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "G"}},
                }
            ]
        ),
        delta("tool_calls"),
    )
    assert found.natives[0]["tool_calls"] == [
        {
            "id": "a",
            "type": "function",
            "function": {"name": "f", "arguments": "{}", "strict": True},
            "extra_content": {"google": {"thought_signature": "SIG"}},
        }
    ]
    assert found.repairs == []


@pytest.mark.parametrize(
    "told",
    [
        {"function": "f", "arguments": '{"a":1}'},
        {"function": '{"name":"f","arguments":"{\\"a\\":1}"}'},
    ],
)
def test_a_function_that_is_told_as_a_text_keeps_its_name(told: dict[str, Any]) -> None:
    message = {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", **told}]}
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    found = decode(OpenAI(), json.dumps(answer).encode(), JSON, stream=False)
    assert calls(found) == [("c", "f", {"a": 1})]
    assert "unexpected-type" in found.repairs
    (native,) = found.natives[0]["tool_calls"]
    assert native["function"] == {"name": "f", "arguments": '{"a":1}'}


@pytest.mark.parametrize("empty", ["{}", {}])
@pytest.mark.parametrize("name", [{}, {"id": "a"}])
def test_empty_arguments_before_the_pieces_are_dropped(empty: Any, name: dict[str, Any]) -> None:
    found = openai(
        call(0, id="a", name="f", arguments=empty),
        call(0, arguments='{"x":', **name),
        call(0, arguments="1}", **name),
        delta("tool_calls"),
        DONE,
    )
    assert calls(found) == [("a", "f", {"x": 1})]
    assert "tool-arguments-begun-anew" in found.repairs
    native = found.completion.native
    assert native is not None
    assert native["tool_calls"][0]["function"]["arguments"] == '{"x":1}'


@pytest.mark.parametrize("end", [[delta("tool_calls"), DONE], [DONE], [delta("stop")]])
def test_arguments_that_are_empty_are_told_in_the_end(end: list[Any]) -> None:
    found = openai(
        call(0, id="a", name="f", arguments="{}"),
        call(0, arguments="{}"),
        call(1, id="b", name="g", arguments="{}"),
        *end,
    )
    assert calls(found) == [("a", "f", {}), ("b", "g", {})]
    told = [piece.arguments for chunk in found.chunks for piece in chunk.tool_calls]
    assert [text for text in told if text] == ["{}", "{}"]


def test_what_follows_empty_arguments_and_is_no_object_is_kept() -> None:
    found = openai(
        call(0, id="a", name="f", arguments="{}"), call(0, arguments=" "), delta("tool_calls"), DONE
    )
    assert calls(found) == [("a", "f", {})]
    odd = openai(
        call(0, id="a", name="f", arguments="{}"), call(0, arguments="x"), delta("tool_calls"), DONE
    )
    assert odd.completion.tool_calls[0].arguments_text == "{}x"


def test_calls_without_any_finish_reason_are_the_finish_reason() -> None:
    found = openai(call(0, id="a", name="f", arguments='{"x":1}'), DONE)
    assert found.outcome == "complete"
    assert found.completion.finish_reason == "tool_calls"
    assert found.completion.raw_finish_reason is None
    cut = openai(call(0, id="a", name="f", arguments='{"x":1}'))
    assert (cut.outcome, cut.completion.finish_reason) == ("TruncatedError", None)


@pytest.mark.parametrize("more", [{}, {"id": "a", "name": "f"}])
def test_arguments_that_each_piece_has_again_are_taken_once(more: dict[str, Any]) -> None:
    found = openai(
        call(0, id="a", name="f", arguments=""),
        *(
            call(0, arguments=text, **more)
            for text in ("{", '{"x"', '{"x": [', '{"x": [1', '{"x": [1')
        ),
        call(0, arguments='{"x": [1]}', **more),
        delta("tool_calls"),
        DONE,
    )
    assert calls(found) == [("a", "f", {"x": [1]})]
    assert "tool-arguments-cumulative" in found.repairs


def test_an_object_that_begins_as_the_one_around_it_is_kept() -> None:
    pieces = ('{"x":', '{"x":', '{"x":', "1}", "}", "}")
    found = openai(
        call(0, id="a", name="f", arguments=""),
        *(call(0, arguments=piece) for piece in pieces),
        delta("tool_calls"),
    )
    assert calls(found) == [("a", "f", {"x": {"x": {"x": 1}}})]


@pytest.mark.parametrize("pieces", [('{"x":', "1}"), ('{"x":1}', ""), ("", '{"x":1}')])
def test_a_name_that_comes_behind_arguments_is_the_calls(pieces: tuple[str, str]) -> None:
    found = openai(
        call(0, id="a", arguments=pieces[0]),
        call(0, name="bash", arguments=pieces[1]),
        delta("tool_calls"),
        DONE,
    )
    assert calls(found) == [("a", "bash", {"x": 1})]


def test_pieces_whose_index_grows_are_one_call() -> None:
    found = openai(
        call(0, id="a", name="f", arguments=""),
        call(1, arguments='{"x":'),
        call(2, id=None, name=None, arguments="1}"),
        delta("tool_calls"),
        DONE,
    )
    assert calls(found) == [("a", "f", {"x": 1})]
    assert "tool-index-changed" in found.repairs


@pytest.mark.parametrize("arguments", ['{"x":1}', {"x": 1}])
def test_a_call_with_its_name_beside_the_id(arguments: Any) -> None:
    sent = {"id": "a", "name": "f", "arguments": arguments}
    body = {"choices": [{"index": 0, "message": {"tool_calls": [sent]}, "finish_reason": "stop"}]}
    whole = decode(OpenAI(), json.dumps(body).encode(), JSON, stream=False)
    streamed = openai(delta(tool_calls=[{"index": 0, **sent}]), delta("stop"), DONE)
    for found in (whole, streamed):
        assert calls(found) == [("a", "f", {"x": 1})]
        assert "tool-call-without-function" in found.repairs
        native = found.completion.native
        assert native is not None
        (kept,) = native["tool_calls"]
        assert kept.keys() == {"id", "type", "function"}


def test_empty_arguments_of_a_cut_answer_are_not_told() -> None:
    """More of them may have followed."""
    found = openai(call(0, id="a", name="f", arguments="{}"))
    assert found.outcome == "TruncatedError"
    assert [piece.arguments for chunk in found.chunks for piece in chunk.tool_calls] == [None]


TEXT = '{"x":1}'
IN_STRING = json.dumps(TEXT)


def whole(*tool_calls: Any) -> Decoded:
    message = {"role": "assistant", "content": None, "tool_calls": list(tool_calls)}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return decode(OpenAI(), json.dumps({"choices": [choice]}).encode(), JSON, stream=False)


@pytest.mark.parametrize("name", ["parameters", "args", "input"])
@pytest.mark.parametrize("sent", [TEXT, {"x": 1}])
def test_arguments_under_another_name(name: str, sent: Any) -> None:
    """They go back to the provider under the dialect's name."""
    piece = {"index": 0, "id": "a", "function": {"name": "f", name: sent}}
    for found in (
        openai(delta(tool_calls=[piece]), delta("tool_calls")),
        whole(piece),
        whole({"id": "a", "name": "f", name: sent}),
    ):
        assert calls(found) == [("a", "f", {"x": 1})]
        assert found.repairs.count("tool-arguments-renamed") == 1
        (native,) = found.natives[0]["tool_calls"]
        assert native["function"].keys() == {"name", "arguments"}


def test_arguments_under_another_name_in_pieces() -> None:
    pieces = [{"index": 0, "function": {"parameters": part}} for part in ('{"x"', ":1}")]
    pieces[0] = {"index": 0, "id": "a", "function": {"name": "f", "parameters": '{"x"'}}
    found = openai(*(delta(tool_calls=[piece]) for piece in pieces), delta("tool_calls"))
    assert calls(found) == [("a", "f", {"x": 1})]


def test_a_schema_beside_the_name_is_not_the_arguments() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "number"}}}
    found = openai(
        delta(
            tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "parameters": schema}}]
        ),
        call(0, arguments=TEXT),
        delta("tool_calls"),
    )
    assert calls(found) == [("a", "f", {"x": 1})]
    assert found.repairs == []


@pytest.mark.parametrize("one_piece", [True, False])
def test_calls_as_json_text(*, one_piece: bool) -> None:
    made = [{"id": each, "function": {"name": each, "arguments": TEXT}} for each in "ab"]
    text = json.dumps(made) if one_piece else json.dumps(made[0])
    message = {"role": "assistant", "content": None, "tool_calls": text}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    body = json.dumps({"choices": [choice]}).encode()
    for found in (
        openai(delta(tool_calls=text), delta("tool_calls")),
        decode(OpenAI(), body, JSON, stream=False),
        openai(delta(tool_calls=[json.dumps(each) for each in made[: 1 + one_piece]])),
    ):
        expected = [("a", "a", {"x": 1}), ("b", "b", {"x": 1})]
        assert calls(found) == expected[: 1 + one_piece]
        assert {"tool-calls-not-a-list", "unexpected-type"} & set(found.repairs)
        assert isinstance(found.natives[0]["tool_calls"], list)


@pytest.mark.parametrize("cuts", [(), (1,), (3, 7), tuple(range(1, len(IN_STRING)))])
def test_arguments_encoded_twice(cuts: tuple[int, ...]) -> None:
    """The chunks have the object; the provider's own message stays as it came."""
    edges = [0, *cuts, len(IN_STRING)]
    pieces = [IN_STRING[begin:end] for begin, end in pairwise(edges)]
    found = openai(
        call(0, id="a", name="f", arguments=""),
        *(call(0, arguments=piece) for piece in pieces),
        call(1, id="b", name="g", arguments="{}"),
        delta("tool_calls"),
    )
    assert calls(found) == [("a", "f", {"x": 1}), ("b", "g", {})]
    assert found.repairs == ["tool-arguments-encoded-twice"]
    assert found.natives[0]["tool_calls"][0]["function"]["arguments"] == IN_STRING


@pytest.mark.parametrize(
    "text", ['"x"', '""', '"[1]"', '"7"', r'"{\"x\":"', '"{', r'"\"{}\""', '"\\ud800"']
)
def test_a_string_without_an_object_stays_as_it_is(text: str) -> None:
    function = {"name": "f", "arguments": text}
    for found in (
        openai(call(0, id="a", **function), delta("tool_calls")),
        whole({"id": "a", "function": function}),
    ):
        (only,) = found.completion.tool_calls
        assert only.arguments_text == text
        assert found.repairs == []


def test_of_a_cut_answer_the_string_so_far_is_there() -> None:
    found = openai(call(0, id="a", name="f", arguments=IN_STRING[:6]))
    (only,) = found.completion.tool_calls
    assert (found.outcome, only.arguments_text) == ("TruncatedError", IN_STRING[:6])


def test_free_text_of_a_custom_tool_is_no_json_string() -> None:
    custom = {"name": "sql", "input": IN_STRING}
    found = openai(
        delta(tool_calls=[{"index": 0, "id": "a", "type": "custom", "custom": custom}]),
        delta("tool_calls"),
    )
    (only,) = found.completion.tool_calls
    assert (only.arguments_text, found.repairs) == (IN_STRING, [])


@pytest.mark.parametrize("index", [0, None])
@pytest.mark.parametrize("in_one_event", [True, False])
@pytest.mark.parametrize(("name", "arguments"), [("g", '{"y":1}'), ("f", '{"x":2}'), ("g", TEXT)])
def test_two_calls_with_one_index_and_one_id(
    *, index: int | None, in_one_event: bool, name: str, arguments: str
) -> None:
    number = {} if index is None else {"index": index}
    first = {**number, "id": "a", "function": {"name": "f", "arguments": TEXT}}
    second = {**number, "id": "a", "function": {"name": name, "arguments": arguments}}
    events = [[first, second]] if in_one_event else [[first], [second]]
    found = openai(*(delta(tool_calls=event) for event in events), delta("tool_calls"))
    assert calls(found) == [("a", "f", {"x": 1}), (MADE, name, json.loads(arguments))]
    assert "tool-id-not-unique" in found.repairs


def test_two_such_calls_in_pieces() -> None:
    """llama-cpp-python has id and name in each piece."""
    pieces = [
        ("f", ""),
        ("f", '{"x"'),
        ("f", ":1}"),
        ("f", ""),
        ("g", ""),
        ("g", '{"y"'),
        ("g", ":2}"),
    ]
    found = openai(
        *(call(0, id="a", name=name, arguments=text) for name, text in pieces),
        delta("tool_calls"),
    )
    assert calls(found) == [("a", "f", {"x": 1}), (MADE, "g", {"y": 2})]


LISTED = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": TEXT}}]


@pytest.mark.parametrize(
    "last",
    [
        {"delta": {}, "tool_calls": LISTED},
        {"delta": {"content": "!"}, "tool_calls": LISTED},
        {"delta": {}, "message": {"role": "assistant", "content": "Hi", "tool_calls": LISTED}},
        {"delta": {"content": "!"}, "message": {"content": "Hi!", "tool_calls": LISTED}},
        {"message": {"role": "assistant", "content": "Hi", "tool_calls": LISTED}},
    ],
)
def test_calls_beside_the_delta(last: dict[str, Any]) -> None:
    found = openai(
        delta(content="Hi"), {"choices": [{"index": 0, "finish_reason": "stop", **last}]}
    )
    assert calls(found) == [("a", "f", {"x": 1})]
    assert found.completion.finish_reason == "tool_calls"
    assert found.natives[0]["tool_calls"] == LISTED
    assert {"tool-calls-beside-message", "message-beside-delta"} & set(found.repairs)


def test_calls_in_a_message_that_repeats_those_of_the_deltas() -> None:
    last = {"delta": {}, "message": {"content": "", "tool_calls": LISTED}}
    found = openai(
        call(0, id="a", name="f", arguments=TEXT),
        {"choices": [{"index": 0, "finish_reason": "tool_calls", **last}]},
    )
    assert calls(found) == [("a", "f", {"x": 1})]


def test_calls_beside_a_whole_message() -> None:
    message = {"role": "assistant", "content": None}
    choice = {"message": message, "tool_calls": LISTED, "finish_reason": "tool_calls"}
    found = decode(OpenAI(), json.dumps({"choices": [choice]}).encode(), JSON, stream=False)
    assert calls(found) == [("a", "f", {"x": 1})]
    assert found.natives[0]["tool_calls"] == LISTED


def test_a_type_of_the_providers_own_goes_back() -> None:
    """Moonshot's own tools are called with the type `builtin_function`."""
    function = {"name": "$web_search", "arguments": TEXT}
    found = openai(
        delta(
            tool_calls=[{"index": 0, "id": "a", "type": "builtin_function", "function": function}]
        ),
        delta("tool_calls"),
    )
    assert found.natives[0]["tool_calls"][0]["type"] == "builtin_function"


def test_a_function_call_goes_back_with_arguments_under_the_dialects_name() -> None:
    message = {"content": None, "function_call": {"name": "f", "parameters": {"x": 1}}}
    choice = {"message": message, "finish_reason": "function_call"}
    found = decode(OpenAI(), json.dumps({"choices": [choice]}).encode(), JSON, stream=False)
    assert found.natives[0]["function_call"] == {"name": "f", "arguments": {"x": 1}}


def test_a_piece_after_the_end_of_arguments_that_were_held_back_comes_alone() -> None:
    found = openai(
        call(0, id="a", name="f", arguments='"x'),
        delta("tool_calls"),
        call(0, arguments='y"'),
    )
    (only,) = found.completion.tool_calls
    assert only.arguments_text == '"xy"'
