"""The message of an Ollama answer, whole for the next request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answering import answered, pieces_of, sent
from decoding import JSON, NDJSON, ollama
from vesselog.core.completion import Completion
from vesselog.core.jsontext import dumps
from vesselog.vessels import Ollama

END = {"model": "m", "done": True, "done_reason": "stop", "eval_count": 1}


def lines(*messages: dict[str, Any], **last: Any) -> bytes:
    """A line for each message, and the last line."""
    told = [{"model": "m", "message": each, "done": False} for each in messages]
    last = {**END, "message": {"role": "assistant", "content": ""}, **last}
    return b"".join(dumps(each) + b"\n" for each in (*told, last))


def streamed(*messages: dict[str, Any], **last: Any) -> Completion:
    return answered(Ollama(), lines(*messages, **last), NDJSON)


def again(completion: Completion, *messages: Any) -> Any:
    """The messages of the next request, without the question."""
    asked = {"role": "user", "content": "?"}
    return sent(Ollama(), [asked, completion.to_message(), *messages])["messages"][1:]


def call(name: str, arguments: Any, **fields: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}, **fields}


def piece(arguments: str, name: str = "", identifier: str = "") -> dict[str, Any]:
    """A piece of a call in the manner of the OpenAI dialect."""
    function = {"name": name, "arguments": arguments}
    return {"index": 0, "id": identifier, "type": "function", "function": function}


def test_thinking_text_and_calls_go_back() -> None:
    calls = [call("f", {"x": 2**70}), call("g", {})]
    found = streamed(
        {"role": "assistant", "content": "", "thinking": "Hm"},
        {"role": "assistant", "content": "", "thinking": "m."},
        {"role": "assistant", "content": "We"},
        {"role": "assistant", "content": "ll", "tool_calls": calls[:1]},
        {"role": "assistant", "content": "", "tool_calls": calls[1:]},
    )
    message = {"role": "assistant", "content": "Well", "thinking": "Hmm.", "tool_calls": calls}
    assert found.native == message
    assert again(found) == [message]


def test_a_whole_answer_goes_back() -> None:
    message = {"role": "assistant", "content": "a", "thinking": "b", "tool_calls": [call("f", {})]}
    body = json.dumps({**END, "message": message}).encode()
    found = answered(Ollama(), body, JSON, stream=False)
    assert found.native == message
    assert again(found) == [message]


def test_an_id_that_the_server_did_not_give_is_not_sent() -> None:
    found = streamed({"content": "", "tool_calls": [call("f", {"x": 1}), call("f", {"x": 2})]})
    assert all(each.id for each in found.tool_calls)
    results = [
        {"role": "tool", "tool_call_id": each.id, "content": str(each.arguments["x"])}
        for each in found.tool_calls
    ]
    for given_order in (results, results[::-1]):
        (told, *answers) = again(found, *given_order)
        assert told["tool_calls"] == [call("f", {"x": 1}), call("f", {"x": 2})]
        assert answers == [
            {"role": "tool", "content": "1", "tool_name": "f"},
            {"role": "tool", "content": "2", "tool_name": "f"},
        ]


def test_the_servers_ids_are_sent_and_made_distinct() -> None:
    calls = [call("f", {}, id="a"), call("g", {}, id="a")]
    found = streamed({"content": "", "tool_calls": calls})
    ids = [each.id for each in found.tool_calls]
    assert (ids[0], len(set(ids))) == ("a", 2)
    results = [{"role": "tool", "tool_call_id": each, "content": "1"} for each in ids]
    (told, *answers) = again(found, *results)
    assert [each["id"] for each in told["tool_calls"]] == ids
    assert [each["tool_call_id"] for each in answers] == ids


def test_arguments_in_pieces_of_text_are_one_object() -> None:
    found = streamed(
        {"content": "", "tool_calls": [piece("", "f", "call_1")]},
        {"content": "", "tool_calls": [piece('{"ci')]},
        {"content": "", "tool_calls": [piece('ty": "Bremen"}')]},
    )
    (made,) = found.tool_calls
    assert (made.id, made.name, made.arguments) == ("call_1", "f", {"city": "Bremen"})
    assert found.finish_reason == "tool_calls"
    (told,) = again(found)
    (written,) = told["tool_calls"]
    assert (written["id"], written["function"]) == (
        "call_1",
        {"name": "f", "arguments": {"city": "Bremen"}},
    )


def test_two_calls_in_pieces_without_ids() -> None:
    second = {**piece("", "g"), "index": 1}
    found = streamed(
        {"content": "", "tool_calls": [piece("", "f"), second]},
        {"content": "", "tool_calls": [piece('{"a":'), {**piece('{"b":'), "index": 1}]},
        {"content": "", "tool_calls": [piece("1}"), {**piece("2}"), "index": 1}]},
    )
    assert [(each.name, each.arguments) for each in found.tool_calls] == [
        ("f", {"a": 1}),
        ("g", {"b": 2}),
    ]
    assert len({each.id for each in found.tool_calls} - {None}) == 2
    (told,) = again(found)
    assert ["id" in each for each in told["tool_calls"]] == [False, False]


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        ('{"a"', {"INVALID_JSON": '{"a"'}),
        ("[1]", {"INVALID_JSON": "[1]"}),
    ],
)
def test_arguments_as_text_are_an_object_in_the_next_request(text: str, arguments: Any) -> None:
    found = streamed({"content": "", "tool_calls": [call("f", text)]})
    (told,) = again(found)
    assert told["tool_calls"][0]["function"]["arguments"] == arguments


def test_the_reason_is_tool_calls_also_where_the_server_gives_none() -> None:
    found = streamed({"content": "", "tool_calls": [call("f", {})]}, done_reason=None)
    assert (found.finish_reason, found.raw_finish_reason) == ("tool_calls", None)
    assert streamed({"content": "a"}, done_reason="tool_calls").finish_reason == "tool_calls"


def test_fields_that_are_not_known_go_back_whatever_their_size() -> None:
    image = "A" * 50_000
    found = streamed(
        {"role": "assistant", "content": "a", "images": [image]},
        {"role": "assistant", "content": "", "images": ["B"], "own": {"b": 1}},
    )
    wanted = {"role": "assistant", "content": "a", "images": [image, "B"], "own": {"b": 1}}
    assert again(found) == [wanted]


def test_a_generated_text_is_a_message() -> None:
    body = b"".join(
        dumps({"model": "m", "response": text, "done": False}) + b"\n" for text in "ab"
    ) + dumps({**END, "response": "", "context": [1, 2]})
    found = answered(Ollama(), body, NDJSON)
    assert found.native == {"role": "assistant", "content": "ab"}
    assert found.extra == {"context": [1, 2]}


def test_an_answer_of_nothing_has_no_message_and_is_left_out() -> None:
    found = streamed({"role": "assistant", "content": ""})
    assert (found.native, again(found)) == (None, [])


def test_a_cut_answer_has_what_came() -> None:
    body = lines({"content": "a", "tool_calls": [call("f", {}), piece('{"x', "g")]})
    found = answered(Ollama(), body.splitlines(keepends=True)[0], NDJSON)
    assert (found.outcome, len(found.tool_calls)) == ("error", 2)
    assert all(each.id for each in found.tool_calls)
    (told,) = again(found)
    assert [each["function"]["arguments"] for each in told["tool_calls"]] == [
        {},
        {"INVALID_JSON": '{"x'},
    ]


def test_the_form_of_another_provider_is_not_sent() -> None:
    message = {"role": "assistant", "content": "a", "native": {"openai": {"content": "b"}}}
    (told,) = sent(Ollama(), [message])["messages"]
    assert told == {"role": "assistant", "content": "a"}


def test_a_refusal_of_another_provider_is_text() -> None:
    message = {"role": "assistant", "content": "", "refusal": "No."}
    (told,) = sent(Ollama(), [message])["messages"]
    assert told == {"role": "assistant", "content": "No."}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": {"a": 1}}, '{"a":1}'),
        ({"content": 5}, "5"),
        ({"content": False}, ""),
        ({"content": [{"type": "text", "text": "a"}, "b"]}, "ab"),
        ({"content": "a", "tool_calls": "none"}, "a"),
        ({"content": "a", "tool_calls": [None]}, "a"),
        ({"content": "a", "tool_calls": [{"function": None}]}, "a"),
        ({"content": "a", "tool_calls": 7}, "a"),
        ({"content": "a", "thinking": 1}, "a"),
        ("queued", ""),
        (5, ""),
    ],
)
def test_odd_values_are_repairs(message: Any, text: str) -> None:
    found = ollama({"message": message, "done": False}, END)
    assert (found.outcome, found.completion.text) == ("complete", text)
    assert set(found.repairs) & {"unexpected-type", "empty-tool-call"}


@pytest.mark.parametrize(
    "nothing", [b"null\n", b"5\n", b"ping\n", b"{}\n", b'{"status": "queued"}\n', b'"a"\n']
)
def test_a_line_that_says_nothing_is_kept_and_skipped(nothing: bytes) -> None:
    body = nothing + lines({"content": "A"}, {"content": "B"})
    found = ollama(body)
    assert (found.outcome, found.completion.text) == ("complete", "AB")
    assert (found.repairs, found.raw) == (["unknown-event"], body)


@pytest.mark.parametrize(("content", "repairs"), [("a", []), ("", ["unknown-finish-reason"])])
def test_an_unknown_reason_without_content_is_named_as_a_repair(
    content: str, repairs: list[str]
) -> None:
    found = ollama({"message": {"content": content}, "done": False}, {**END, "done_reason": "new"})
    assert (found.completion.finish_reason, found.repairs) == ("other", repairs)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
# Integers of more than 64 bits are exact in the arguments of tools alone.
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from("fgh")
CALLS = st.builds(
    lambda name, arguments, index, more: {
        **more,
        "function": {"name": name, "arguments": arguments} | index,
    },
    NAMES,
    st.dictionaries(TEXTS, VALUES, max_size=3),
    st.just({}) | st.integers(0, 3).map(lambda index: {"index": index}),
    st.just({}) | st.uuids().map(lambda value: {"id": str(value)}),
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": TEXTS},
    optional={
        "thinking": TEXTS,
        "tool_calls": st.lists(CALLS, max_size=2),
        "images": st.lists(TEXTS.filter(bool), min_size=1, max_size=2, unique=True),
    },
)


def whole_of(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """What the pieces of a message say together."""
    made: dict[str, Any] = {"role": "assistant", "content": ""}
    for key, empty in (("content", ""), ("thinking", ""), ("tool_calls", []), ("images", [])):
        for message in messages:
            made[key] = made.get(key, empty) + message.get(key, empty)
    return {key: value for key, value in made.items() if value or key == "content"}


@given(
    st.lists(MESSAGES, max_size=5),
    st.lists(st.integers(0, 5000), max_size=6),
    st.booleans(),
)
def test_any_message_comes_back_equal(
    messages: list[dict[str, Any]],
    cuts: list[int],
    whole: bool,  # noqa: FBT001 - drawn
) -> None:
    images = [image for message in messages for image in message.get("images", ())]
    if len(set(images)) < len(images):
        # The same list twice may be one that is sent in each line.
        messages = [{**message, "images": []} for message in messages]
    wanted = whole_of(messages)
    if whole:
        body = json.dumps({**END, "message": wanted}).encode()
        found = answered(Ollama(), pieces_of(body, cuts), JSON, stream=False)
    else:
        found = answered(Ollama(), pieces_of(lines(*messages), cuts), NDJSON)
    assert found.outcome == "complete"
    told = again(found)
    assert told == ([wanted] if len(wanted) > 2 or wanted["content"] else [])
    stored = json.loads(json.dumps(found.to_message()))
    assert sent(Ollama(), [{"role": "user", "content": "?"}, stored])["messages"][1:] == told


def test_a_reason_in_the_message() -> None:
    message = {"role": "assistant", "content": "Hi", "done_reason": "length"}
    found = ollama({"message": message, "done": True})
    assert (found.completion.finish_reason, found.repairs) == (
        "length",
        ["finish-reason-elsewhere"],
    )
    assert found.natives == {0: {"role": "assistant", "content": "Hi"}}


def test_calls_as_json_text() -> None:
    sent_calls = json.dumps([{"function": {"name": "f", "arguments": {"x": 1}}}])
    message = {"role": "assistant", "content": "", "tool_calls": sent_calls}
    found = ollama({"message": message, "done": True, "done_reason": "stop"})
    (only,) = found.completion.tool_calls
    assert (only.name, only.arguments) == ("f", {"x": 1})
    assert "tool-calls-not-a-list" in found.repairs
