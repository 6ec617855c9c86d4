"""Arguments of a function call that are streamed, assembled by their paths."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answering import answered, sent
from decoding import SSE, decode
from vesselog.core.completion import Completion
from vesselog.vessels import Gemini


def body(*calls: Any, finish: str | None = "STOP", **part: Any) -> bytes:
    """One event for each piece of a call, and a last one with the reason."""
    contents = [{"parts": [{"functionCall": call, **part}], "role": "model"} for call in calls]
    events: list[Any] = [{"candidates": [{"content": content}]} for content in contents]
    if finish:
        events.append({"candidates": [{"finishReason": finish}]})
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def piece(path: str, value: Any, *, more: bool = False) -> dict[str, Any]:
    match value:
        case None:
            said: dict[str, Any] = {"nullValue": "NULL_VALUE"}
        case bool():
            said = {"boolValue": value}
        case str():
            said = {"stringValue": value}
        case _:
            said = {"numberValue": value}
    return {"jsonPath": path, **said} | ({"willContinue": True} if more else {})


def streamed(*pieces: Any, finish: str | None = "STOP") -> Completion:
    """A call of `w` whose arguments come in these pieces, one an event."""
    calls = [{"partialArgs": [each], "willContinue": True} for each in pieces]
    end: list[Any] = [{}] if finish == "STOP" else []
    start = {"name": "w", "willContinue": True}
    return answered(Gemini(), body(start, *calls, *end, finish=finish), SSE)


def arguments(*pieces: Any) -> Any:
    (call,) = streamed(*pieces).tool_calls
    return call.arguments


def test_the_call_has_the_whole_arguments() -> None:
    found = streamed(piece("$.city", "Bre", more=True), piece("$.city", "men"))
    (call,) = found.tool_calls
    assert (call.name, call.arguments) == ("w", {"city": "Bremen"})
    whole = {"functionCall": {"name": "w", "args": {"city": "Bremen"}}}
    assert found.native == {"role": "model", "parts": [whole]}


def test_it_goes_on_where_another_call_began() -> None:
    calls = [
        {"name": "f", "id": "1", "partialArgs": [piece("$.a", 1)], "willContinue": True},
        {},
        {"name": "g", "id": "2", "partialArgs": [piece("$.b", "x")]},
        {"name": "h", "args": {"c": 2}},
    ]
    found = answered(Gemini(), body(*calls), SSE)
    assert [(call.name, call.arguments) for call in found.tool_calls] == [
        ("f", {"a": 1}),
        ("g", {"b": "x"}),
        ("h", {"c": 2}),
    ]
    native = found.native
    assert native is not None
    assert [part["functionCall"] for part in native["parts"]] == [
        {"name": "f", "id": "1", "args": {"a": 1}},
        {"name": "g", "id": "2", "args": {"b": "x"}},
        {"name": "h", "args": {"c": 2}},
    ]


def test_a_signature_of_any_piece_is_the_calls() -> None:
    content = body({"name": "w", "willContinue": True}, {}, thoughtSignature="abcd")
    native = answered(Gemini(), content, SSE).native
    assert native is not None
    assert native["parts"] == [
        {"thoughtSignature": "abcd", "functionCall": {"name": "w", "args": {}}}
    ]


@pytest.mark.parametrize(
    ("pieces", "found"),
    [
        ([piece("$.a", None), piece("$.b", True), piece("$.c", 1)], {"a": None, "b": True, "c": 1}),
        ([piece("$.a.b", 1), piece("$.a.c", 2)], {"a": {"b": 1, "c": 2}}),
        ([piece("$.a[0].b", 1), piece("$.a[1].b", 2)], {"a": [{"b": 1}, {"b": 2}]}),
        ([piece("$.a[0][0]", 1), piece("$.a[0][1]", 2)], {"a": [[1, 2]]}),
        ([piece("$['a b']", 1), piece('$["c.d"]', 2)], {"a b": 1, "c.d": 2}),
        ([piece(r"$['it\'s \"x\" \\']", 1)], {"it's \"x\" \\": 1}),
        ([piece("a.b", 1)], {"a": {"b": 1}}),
        ([piece("$.a", "x", more=True), piece("$.b", "y", more=True), piece("$.a", "z"),
          piece("$.b", "w")], {"a": "xz", "b": "yw"}),
        ([{"jsonPath": "$.a"}], {}),
    ],
)  # fmt: skip
def test_paths(pieces: list[Any], found: Any) -> None:
    assert arguments(*pieces) == found


@pytest.mark.parametrize(
    "pieces",
    [
        [piece("$", 1)],
        [piece("$.a[7]", 1)],
        [piece("$.a", 1), piece("$.a.b", 1)],
        [piece("$.a[x]", 1)],
        [piece("$.a[0]", 1), piece("$.a.b", 1)],
        [{"stringValue": "a"}],
    ],
)
def test_a_value_without_a_place_is_a_protocol_error(pieces: list[Any]) -> None:
    """A tool must not be called with arguments of which one is missing."""
    calls = [{"name": "w", "partialArgs": pieces}]
    found = decode(Gemini(), body(*calls), SSE)
    assert found.outcome == "ProtocolError"
    assert answered(Gemini(), body(*calls), SSE).native is not None


@pytest.mark.parametrize("finish", [None, "MAX_TOKENS"])
def test_a_call_that_never_ended_has_no_arguments_but_their_text(finish: str | None) -> None:
    found = streamed(piece("$.city", "Bre", more=True), finish=finish)
    (call,) = found.tool_calls
    assert (call.arguments, call.arguments_text) == (None, '{"city":"Bre"')
    contents = sent(Gemini(), [{"role": "user", "content": "?"}, found.to_message()])["contents"]
    (part,) = contents[1]["parts"]
    assert part["functionCall"] == {"name": "w", "args": {"INVALID_JSON": '{"city":"Bre"'}}


def test_a_call_ends_with_its_candidate() -> None:
    found = decode(Gemini(), body({"name": "w", "willContinue": True}), SSE)
    assert (found.outcome, found.completion.tool_calls[0].arguments) == ("complete", {})
    assert "function-call-not-ended" in found.repairs


NAMES = st.text("abc d'.[\"]\\", min_size=1, max_size=4)
LEAVES = st.none() | st.booleans() | st.integers() | st.text('ab"\\', max_size=6)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(NAMES, inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


def pieces_in(value: Any, path: str) -> list[Any]:
    """The pieces that say a value, texts in two of them."""
    match value:
        case dict():
            keys = {key: key.replace("\\", r"\\").replace("'", r"\'") for key in value}
            return [p for key in value for p in pieces_in(value[key], f"{path}['{keys[key]}']")]
        case list():
            return [p for n, item in enumerate(value) for p in pieces_in(item, f"{path}[{n}]")]
        case str():
            half = len(value) // 2
            return [piece(path, value[:half], more=True), piece(path, value[half:])]
        case _:
            return [piece(path, value)]


@given(st.dictionaries(NAMES, TREES, max_size=3))
def test_any_arguments_are_assembled(args: dict[str, Any]) -> None:
    assert arguments(*pieces_in(args, "$")) == args


def test_a_number_that_is_not_finite_is_null_by_a_named_repair() -> None:
    calls = [
        {"name": "w", "partialArgs": [piece("$.n", "NUMBER")], "willContinue": True},
        {"partialArgs": [piece("$.s", "x")]},
    ]
    sent_body = body(*calls).replace(b'"stringValue": "NUMBER"', b'"numberValue": 1e400')
    found = decode(Gemini(), sent_body, SSE)
    (call,) = found.completion.tool_calls
    assert (found.outcome, call.arguments) == ("complete", {"n": None, "s": "x"})
    assert "number-not-finite" in found.repairs
    assert found.completion.native == {
        "role": "model",
        "parts": [{"functionCall": {"name": "w", "args": call.arguments}}],
    }
