"""The parts of a Gemini answer, kept whole and in order for the next request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answering import answered, pieces_of, sent
from decoding import JSON, SSE
from vesselog.core.completion import Completion
from vesselog.vessels import Gemini

SIGNATURE = "CiIBVKhc7vB+vaaq6rA/"
IMAGE = {"inlineData": {"mimeType": "image/png", "data": "A" * 40_000}}


def event(*parts: Any, finish: Any = None, index: int = 0, **content: Any) -> dict[str, Any]:
    candidate = {"index": index, "content": {"role": "model", "parts": list(parts), **content}}
    return {"candidates": [candidate | ({"finishReason": finish} if finish else {})]}


def frames(*values: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)


def streamed(*groups: list[Any]) -> Completion:
    """An answer of one event for each group of parts, and a last one with the reason."""
    events = [event(*parts) for parts in groups]
    return answered(Gemini(), frames(*events, event(finish="STOP")), SSE)


def parts_of(completion: Completion) -> Any:
    native = completion.native
    assert native is not None
    assert native["role"] == "model"
    return native["parts"]


def again(completion: Completion, *messages: Any, model: str = "gemini-3-pro") -> Any:
    """The contents of the next request, without the question."""
    asked = {"role": "user", "content": "?"}
    body = sent(Gemini(), [asked, completion.to_message(), *messages], model)
    return body["contents"][1:]


def call(name: str, args: Any = None, **part: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": {} if args is None else args}, **part}


def test_texts_of_one_kind_are_one_part() -> None:
    found = streamed(
        [{"text": "Let ", "thought": True}],
        [{"text": "me.", "thought": True}, {"text": "It"}],
        [{"text": " is"}, {"text": ""}],
    )
    assert parts_of(found) == [{"text": "Let me.", "thought": True}, {"text": "It is"}]
    assert (found.reasoning, found.text) == ("Let me.", "It is")


def test_a_signature_stays_on_its_part_also_on_an_empty_text() -> None:
    for signed in ({"text": "", "thoughtSignature": SIGNATURE}, {"thoughtSignature": SIGNATURE}):
        found = streamed([{"text": "a"}], [{"text": "b"}], [signed], [{"text": "c"}])
        assert parts_of(found) == [{"text": "ab"}, signed, {"text": "c"}]
        assert found.text == "abc"
        assert again(found) == [{"role": "model", "parts": [{"text": "ab"}, signed, {"text": "c"}]}]


def test_calls_keep_their_place_signature_and_values() -> None:
    first = call("now", thoughtSignature=SIGNATURE)
    second = call("sum", {"x": 2**70, "y": [1, None]})
    found = streamed([{"text": "Hm", "thought": True}], [first, second], [{"text": "!"}])
    assert parts_of(found) == [{"text": "Hm", "thought": True}, first, second, {"text": "!"}]
    (told, results) = again(
        found,
        {"role": "tool", "tool_call_id": found.tool_calls[1].id, "content": "3"},
        {"role": "tool", "tool_call_id": found.tool_calls[0].id, "content": "noon"},
    )
    assert told["parts"] == parts_of(found)
    # The API gave no ids, so none is sent: the names and the order tell whose result is which.
    assert results["parts"] == [
        {"functionResponse": {"name": "now", "response": {"result": "noon"}}},
        {"functionResponse": {"name": "sum", "response": {"result": "3"}}},
    ]


def test_ids_of_the_api_are_sent_back_and_made_distinct() -> None:
    one = {"functionCall": {"name": "f", "args": {}, "id": "a"}}
    found = streamed([one, one])
    ids = [each.id for each in found.tool_calls]
    assert ids[0] == "a"
    assert len(set(ids)) == 2
    assert [part["functionCall"]["id"] for part in parts_of(found)] == ids
    results = [{"role": "tool", "tool_call_id": each, "content": "1"} for each in ids]
    assert [part["functionResponse"]["id"] for part in again(found, *results)[1]["parts"]] == ids


def test_results_of_calls_with_one_function_and_no_ids_are_sent_in_the_order_of_the_calls() -> None:
    found = streamed([call("f", {"x": 1}), call("f", {"x": 2})])
    results = [
        {"role": "tool", "tool_call_id": each.id, "content": str(each.arguments["x"])}
        for each in found.tool_calls
    ]
    for given_order in (results, results[::-1]):
        parts = again(found, *given_order)[1]["parts"]
        assert [part["functionResponse"]["response"]["result"] for part in parts] == ["1", "2"]


def test_parts_of_other_kinds_are_kept_whatever_their_size() -> None:
    parts = [
        {"executableCode": {"language": "PYTHON", "code": "print(28)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "28\n"}},
        {**IMAGE, "thoughtSignature": SIGNATURE},
        {"fileData": {"fileUri": "https://x/files/1"}},
        {"somethingNew": {"a": [1]}, "thought": True},
    ]
    assert parts_of(streamed(*[[part] for part in parts])) == parts
    assert again(streamed(parts)) == [{"role": "model", "parts": parts}]


def test_each_candidate_has_its_own() -> None:
    body = frames(
        event({"text": "a"}), event({"text": "b"}, index=1), event({"text": "c"}),
        event(finish="STOP"), event(finish="STOP", index=1),
    )  # fmt: skip
    found = answered(Gemini(), body, SSE, n=2)
    assert [choice.native for choice in found.choices] == [
        {"role": "model", "parts": [{"text": text}]} for text in ("ac", "b")
    ]


def test_unknown_fields_of_the_content_go_back() -> None:
    found = answered(Gemini(), frames(event({"text": "a"}, finish="STOP", own={"b": 1})), SSE)
    assert found.native == {"role": "model", "parts": [{"text": "a"}], "own": {"b": 1}}
    assert again(found) == [found.native]


def test_an_answer_of_nothing_has_no_message_and_is_left_out() -> None:
    found = answered(Gemini(), frames(event({"text": ""}, finish="STOP")), SSE)
    assert found.native is None
    assert again(found) == []
    empty = {
        "role": "assistant",
        "content": "",
        "native": {"gemini": {"role": "model", "parts": []}},
    }
    assert len(sent(Gemini(), [{"role": "user", "content": "?"}, empty])["contents"]) == 1


def test_a_cut_answer_has_what_came() -> None:
    found = answered(Gemini(), frames(event({"text": "a"}), event(call("f"))), SSE)
    assert found.outcome == "error"
    assert parts_of(found) == [{"text": "a"}, call("f")]


def test_an_empty_call_is_none() -> None:
    found = streamed([{"text": "a"}], [{"functionCall": {}}])
    assert (found.tool_calls, parts_of(found)) == ((), [{"text": "a"}])
    signed = streamed([{"functionCall": {}, "thoughtSignature": SIGNATURE}])
    assert parts_of(signed) == [{"thoughtSignature": SIGNATURE}]


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([None, {"text": "a"}], "a"),
        ([{"text": 1}], "1"),
        ([{"text": {"b": 1}}], '{"b":1}'),
        (["a", {"text": "b"}], "ab"),
        ({"text": "a"}, "a"),
        ("a", "a"),
        (5, ""),
        ([{"text": "a", "functionCall": "x"}], "a"),
        ([{"text": "a"}, {"functionCall": None}], "a"),
    ],
)
def test_odd_values_are_repaired(parts: Any, text: str) -> None:
    value = event()
    value["candidates"][0]["content"]["parts"] = parts
    found = answered(Gemini(), frames(value, event(finish="STOP")), SSE)
    assert (found.outcome, found.text) == ("complete", text)


@pytest.mark.parametrize("args", ['{"a": 1}', '{"a"', [1]])
def test_arguments_that_are_no_object_are_one_in_the_next_request(args: Any) -> None:
    found = streamed([call("f", args)])
    (part,) = again(found)[0]["parts"]
    text = args if isinstance(args, str) else "[1]"
    wanted = {"a": 1} if args == '{"a": 1}' else {"INVALID_JSON": text}
    assert part["functionCall"] == {"name": "f", "args": wanted}


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
# Integers of more than 64 bits are exact in the arguments of tools alone.
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=3)
SIGNED = st.just({}) | TEXTS.filter(bool).map(lambda text: {"thoughtSignature": text})
FULL = st.dictionaries(TEXTS, VALUES, min_size=1, max_size=2)
KINDS = st.sampled_from(
    ["codeExecutionResult", "executableCode", "fileData", "inlineData", "somethingNew"]
)
PARTS = st.one_of(
    st.builds(lambda text: {"text": text}, TEXTS),
    st.builds(lambda text: {"text": text, "thought": True}, TEXTS),
    st.builds(lambda text, more: {"text": text} | more, TEXTS, SIGNED),
    st.builds(
        lambda name, args, known, more: (
            {"functionCall": {"name": name, "args": args} | ({"id": ""} if known else {})} | more
        ),
        st.sampled_from("fgh"),
        OBJECTS,
        st.booleans(),
        SIGNED,
    ),
    st.builds(lambda kind, value, more: {kind: value} | more, KINDS, FULL, SIGNED),
)


def numbered(groups: list[list[Any]]) -> list[list[Any]]:
    """The parts with an id of its own for each call that is to have one."""
    count = 0
    for part in (part for parts in groups for part in parts):
        if "id" in part.get("functionCall", {}):
            count += 1
            part["functionCall"]["id"] = f"call-{count}"
    return groups


def joined(parts: list[Any]) -> list[Any]:
    """Texts of the same kind as one part, none of them empty."""
    made: list[Any] = []
    for part in parts:
        plain = part.keys() <= {"text", "thought"}
        if plain and not part["text"]:
            continue
        if plain and made and made[-1].keys() == part.keys():
            made[-1] = {**part, "text": made[-1]["text"] + part["text"]}
        else:
            made.append(part)
    return made


@given(
    st.lists(st.lists(PARTS, max_size=3), max_size=5).map(numbered),
    st.lists(st.integers(0, 5000), max_size=6),
    st.booleans(),
)
def test_any_parts_come_back_equal(
    groups: list[list[Any]],
    cuts: list[int],
    whole: bool,  # noqa: FBT001 - drawn
) -> None:
    parts = [part for group in groups for part in group]
    if whole:
        body = json.dumps(event(*parts, finish="STOP"), indent=1).encode()
        found = answered(Gemini(), pieces_of(body, cuts), JSON, stream=False)
    else:
        body = frames(*(event(*group) for group in groups), event(finish="STOP"))
        found = answered(Gemini(), pieces_of(body, cuts), SSE)
    assert found.outcome == "complete"
    wanted = joined(parts)
    assert again(found) == ([{"role": "model", "parts": wanted}] if wanted else [])
    stored = json.loads(json.dumps(found.to_message()))
    body_again = sent(Gemini(), [{"role": "user", "content": "?"}, stored], "gemini-3-pro")
    assert body_again["contents"][1:] == again(found)
