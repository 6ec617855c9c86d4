"""A conversation is valid for a dialect, wherever its messages came from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strict_openai import check_openai
from vesselog import InvalidRequestError
from vesselog.core.request import Message, chat_request
from vesselog.vessels import (
    INVALID_JSON,
    Anthropic,
    Gemini,
    Ollama,
    OpenAI,
    Vessel,
    native_of,
    valid_arguments,
    valid_history,
)

NINE = "[a-zA-Z0-9]{9}"


def call(identifier: str | None = "a", name: str = "f", arguments: Any = "{}") -> dict[str, Any]:
    made = {"type": "function", "function": {"name": name, "arguments": arguments}}
    return made if identifier is None else {"id": identifier, **made}


def calling(*calls: dict[str, Any], native: Any = None, **fields: Any) -> dict[str, Any]:
    """An assistant's message with these calls. native: by the vessel's name."""
    message = {"role": "assistant", "content": "", "tool_calls": list(calls), **fields}
    return message if native is None else {**message, "native": native}


def result(identifier: str | None = "a", content: str = "1", **fields: Any) -> dict[str, Any]:
    message = {"role": "tool", "content": content, **fields}
    return message if identifier is None else {"tool_call_id": identifier, **message}


def said(*messages: dict[str, Any], **rules: Any) -> list[Message]:
    return valid_history([Message.model_validate(each) for each in messages], "own", **rules)


def ids(messages: Sequence[Message]) -> list[Any]:
    """The ids in order: a list for the calls of a message, one for a result."""
    return [
        [each.id for each in message.tool_calls] if message.tool_calls else message.tool_call_id
        for message in messages
        if message.tool_calls or message.role == "tool"
    ]


def test_what_is_valid_is_left_as_it_is() -> None:
    given = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
        calling(call("a"), call("b"), content="t"),
        result("a"),
        result("b"),
        {"role": "assistant", "content": "end", "prefix": True},
    ]
    messages = [Message.model_validate(each) for each in given]
    assert valid_history(messages, "own") == messages


# What says nothing.


@pytest.mark.parametrize(
    "message",
    [
        {"content": ""},
        {},
        {"content": []},
        {"content": [{"type": "text", "text": ""}]},
        {"content": "", "refusal": None, "annotations": [], "tool_calls": []},
        {"content": "", "native": {"own": {"role": "assistant", "content": ""}}},
        {"content": "", "native": {"own": {"role": "assistant", "content": [], "x": None}}},
        {"content": "", "native": {"other": {"role": "assistant", "content": "t"}}},
    ],
)
def test_an_answer_that_says_nothing_is_left_out(message: dict[str, Any]) -> None:
    first, last = {"role": "user", "content": "a"}, {"role": "user", "content": "b"}
    kept = said(first, {"role": "assistant", **message}, last)
    assert [each.text for each in kept] == ["a", "b"]


@pytest.mark.parametrize(
    "message",
    [
        {"content": " "},
        {"content": "", "tool_calls": [call()]},
        {"content": [{"type": "image_url", "image_url": {"url": "http://h/i"}}]},
        {"content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"content": "", "native": {"own": {"role": "assistant", "blocks": ["t"]}}},
    ],
)
def test_an_answer_that_says_anything_is_kept(message: dict[str, Any]) -> None:
    assert len(said({"role": "assistant", **message})) == 1


def test_messages_of_others_are_kept_even_if_they_are_empty() -> None:
    """The caller wrote them; the provider says what it thinks of them."""
    assert len(said({"role": "user", "content": ""}, {"role": "system", "content": ""})) == 2


# Refusals.


@pytest.mark.parametrize(
    ("content", "text"),
    [("", "No."), (None, "No."), ("Well.", "Well.\n\nNo.")],
)
def test_a_refusal_is_text_where_the_dialect_has_no_field(content: Any, text: str) -> None:
    message = {"role": "assistant", "content": content, "refusal": "No."}
    (kept,) = said(message)
    assert (kept.content, kept.model_extra) == (text, {})
    (kept,) = said(message, refusals=True)
    assert (kept.content, kept.model_extra) == (content, {"refusal": "No."})


def test_a_refusal_beside_parts_is_one_more_part() -> None:
    parts = [{"type": "text", "text": "Well."}]
    (kept,) = said({"role": "assistant", "content": parts, "refusal": "No."})
    assert kept.text == "Well.No."


@pytest.mark.parametrize("refusal", [None, False, "", {"odd": 1}])
def test_what_is_no_refusal_is_left_out(refusal: Any) -> None:
    (kept,) = said({"role": "assistant", "content": "t", "refusal": refusal})
    assert (kept.content, kept.model_extra) == ("t", {})


# Ids.


def test_calls_without_ids_get_distinct_ones_and_results_follow_in_order() -> None:
    messages = said(calling(call(None), call(None)), result(None), result(None))
    (first, second), *results = ids(messages)
    assert first != second
    assert results == [first, second]


def test_results_without_ids_go_to_the_call_of_their_tool() -> None:
    calls = calling(call(None, "f"), call(None, "g"))
    for named in ({"name": "g"}, {"tool_name": "g"}):
        (f, g), *results = ids(said(calls, result(None, **named), result(None, name="f")))
        assert results == [g, f]
    (f, g), *results = ids(said(calling(call("1", "f"), call("2", "g")), result(None, name="g")))
    assert results == ["2"]


def test_results_come_in_any_order() -> None:
    messages = said(calling(call("a"), call("b"), call("c")), *map(result, "cab"), ids=NINE)
    (a, b, c), *results = ids(messages)
    assert len({a, b, c}) == 3
    assert results == [c, a, b]


def test_an_id_of_an_earlier_turn_is_made_distinct_and_its_result_follows() -> None:
    turns = [calling(call("0"), call("1")), result("0"), result("1")] * 3
    found = ids(said(*turns))
    calls = [identifier for each in found if isinstance(each, list) for identifier in each]
    assert found[:3] == [["0", "1"], "0", "1"]
    assert len(set(calls)) == 6
    assert [each for each in found if isinstance(each, str)] == calls


def test_one_id_for_two_calls_of_a_turn_is_made_distinct() -> None:
    (first, second), *results = ids(said(calling(call("x"), call("x")), result("x"), result("x")))
    assert (first, second != "x") == ("x", True)
    assert results == [first, second]


@pytest.mark.parametrize("identifier", ["", "call_abc", "x" * 41, "äöüäöüäöü", "a b c d e"])
def test_an_id_that_the_dialect_does_not_allow_is_replaced(identifier: str) -> None:
    (made,), answered = ids(said(calling(call(identifier)), result(identifier), ids=NINE))
    assert made == answered
    assert len(made) == 9
    assert made.isalnum()


def test_a_longer_conversation_begins_with_the_same_ids() -> None:
    """What a provider has cached is asked for again."""
    begun = [calling(call(None), call("x y")), result(None), result("x y")]
    more = [calling(call("b"), native={"own": {"role": "assistant", "b": 1}}), result("b")]
    short, long = ids(said(*begun, ids=NINE)), ids(said(*begun, *more, *begun, ids=NINE))
    assert long[: len(short)] == short


def test_a_late_result_goes_to_the_latest_call_with_its_id() -> None:
    messages = said(calling(call("a")), calling(call("a")), result("a"))
    (first,), (second,), answered = ids(messages)
    assert first == "a" != second
    assert answered == second


def test_a_second_result_for_a_call_goes_where_the_first_went() -> None:
    (made,), *results = ids(said(calling(call("x y")), result("x y"), result("x y"), ids=NINE))
    assert results == [made, made]


@pytest.mark.parametrize(
    "messages",
    [
        [result("a")],
        [result("a"), calling(call("a"))],
        [calling(call("b")), result("a")],
        [result(None)],
        [calling(call("a"))],
    ],
)
def test_a_result_without_its_call_and_a_call_without_a_result_are_sent_as_they_are(
    messages: list[dict[str, Any]],
) -> None:
    expected = [Message.model_validate(each) for each in messages]
    assert said(*messages) == expected


# Arguments.


@pytest.mark.parametrize("arguments", ["{}", ' {"a": 1} ', "", " ", {"a": 1}, {}])
def test_arguments_that_are_an_object_are_left_as_they_are(arguments: Any) -> None:
    assert valid_arguments(arguments) == arguments


@pytest.mark.parametrize(
    "arguments", ['{"a": ', "nonsense", "[1]", "null", '"text"', "1", '{"a": 1}{"a": 1}']
)
def test_arguments_that_are_no_json_object_are_wrapped(arguments: str) -> None:
    (message,) = said(calling(call(arguments=arguments)))
    assert message.tool_calls
    assert message.tool_calls[0].function
    assert message.tool_calls[0].function.arguments == {INVALID_JSON: arguments}


def test_the_input_of_a_custom_tool_is_free_text() -> None:
    custom = {"id": "a", "type": "custom", "custom": {"name": "sql", "input": "SELECT '{'"}}
    assert said(calling(custom)) == [Message.model_validate(calling(custom))]


# Native messages.


def test_the_native_form_is_that_of_the_vessel_alone() -> None:
    native = {"own": {"role": "assistant", "content": "mine"}, "other": {"content": "theirs"}}
    message = Message.model_validate({"role": "assistant", "content": "t", "native": native})
    assert native_of(message, "own") == native["own"]
    assert native_of(message, "third") is None
    assert native_of(Message(role="assistant", content="t"), "own") is None


VESSELS: list[tuple[Vessel, str]] = [
    (OpenAI(), "tool_calls"),
    (Ollama(), "tool_calls"),
    (Anthropic(max_tokens=9), "content"),
    (Gemini(), "parts"),
]


@pytest.mark.parametrize("odd", [7, True, {"id": "a"}, [None], ["a"], [{}, 3]])
@pytest.mark.parametrize(("vessel", "key"), VESSELS, ids=lambda value: getattr(value, "name", ""))
def test_a_native_message_of_another_shape_is_an_error(
    vessel: Vessel, key: str, odd: object
) -> None:
    """It is neither sent nor left out, and names what is wrong."""
    message = calling(call("a"), native={vessel.name: {"role": "assistant", key: odd}})
    with pytest.raises(InvalidRequestError, match=rf"native\['{vessel.name}'\]\['{key}'\]"):
        vessel.request(chat_request("m", [message, result("a")]))


@pytest.mark.parametrize(
    ("vessel", "key"), VESSELS[2:], ids=lambda value: getattr(value, "name", "")
)
def test_a_native_message_without_its_content_is_an_error(vessel: Vessel, key: str) -> None:
    message = calling(call("a"), native={vessel.name: {"unknown": 1}})
    with pytest.raises(InvalidRequestError, match=key):
        vessel.request(chat_request("m", [message, result("a")]))


@pytest.mark.parametrize("role", ["user", "tool", "system"])
@pytest.mark.parametrize("vessel", [vessel for vessel, _ in VESSELS], ids=lambda each: each.name)
def test_native_belongs_to_messages_of_the_assistant(vessel: Vessel, role: str) -> None:
    message = {"role": role, "content": "x", "native": {vessel.name: {"content": "y"}}}
    with pytest.raises(InvalidRequestError, match=rf"native .*\({role}\)"):
        vessel.request(chat_request("m", [message]))


def test_of_two_calls_with_one_id_the_first_keeps_it() -> None:
    """Also where the second is in a native message: what was sent before it stays the same."""
    native = {"own": {"role": "assistant", "blocks": [1]}}
    foreign, own = calling(call("toolu_1")), calling(call("toolu_1"), native=native)
    for messages in ([foreign, result("toolu_1"), own], [own, result("toolu_1"), foreign]):
        (first,), one, (second,), two = ids(said(*messages, result("toolu_1")))
        assert first == one == "toolu_1"
        assert second == two != "toolu_1"


def test_a_native_message_without_ids_has_none() -> None:
    native = {"own": {"role": "model", "parts": [1]}}
    messages = [calling(call(None), native=native), result(None)]
    (found, answered) = ids(said(*messages, ids=r"(?s).*"))
    assert (found, answered) == ([None], None)


def test_ids_change_in_native_messages_too() -> None:
    native = {"own": {"role": "assistant", "tool_calls": [1]}}
    turn = [calling(call("0"), native=native), result("0")]
    (first,), one, (second,), two = ids(said(*turn, *turn))
    assert (first, one) == ("0", "0")
    assert second == two != "0"


# Whatever comes.

_IDS = st.sampled_from([None, "", "a", "b", "call_1", "x" * 50, "ä"])
_ARGUMENTS = st.sampled_from(["{}", '{"a": 1}', "", '{"a"', "[]", "null"])
_TEXTS = st.sampled_from(["", "t", "\n"])


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Turns of an agent that answers each call, in any order, with whatever ids and forms."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "u"}]
    for _ in range(draw(st.integers(0, 5))):
        names = draw(st.lists(st.sampled_from("fg"), max_size=3))
        calls = [call(draw(_IDS), name, draw(_ARGUMENTS)) for name in names]
        message = calling(*calls, content=draw(_TEXTS))
        if not calls:
            del message["tool_calls"]
        if draw(st.booleans()):
            message["refusal"] = draw(_TEXTS)
        if draw(st.booleans()):
            own = {key: message[key] for key in ("role", "content", "tool_calls") if key in message}
            message["native"] = {draw(st.sampled_from(["openai", "other"])): own}
        messages.append(message)
        order = draw(st.permutations(calls))
        messages += [
            result(each.get("id") or None, name=each["function"]["name"]) for each in order
        ]
        messages += [{"role": "user", "content": "more"}] * draw(st.integers(0, 1))
    return messages


@given(conversations())
def test_every_conversation_that_answers_its_calls_is_accepted(
    messages: list[dict[str, Any]],
) -> None:
    before = json.dumps(messages)
    body = OpenAI().request(chat_request("m", messages)).body
    assert body is not None
    assert check_openai(body) is None
    assert json.dumps(messages) == before


@given(conversations())
def test_what_is_valid_once_is_valid_as_it_is(messages: list[dict[str, Any]]) -> None:
    once = said(*messages, ids=NINE)
    assert valid_history(once, "own", NINE) == once


LARGE = 1180591620717411303425
OTHERS = [Anthropic(max_tokens=9), Gemini(), Ollama()]


def arguments_sent(vessel: Vessel, message: dict[str, Any]) -> Any:
    """The arguments of the only call of a request, as they are on the wire."""
    chat = chat_request("m", [{"role": "user", "content": "?"}, message])
    content = vessel.request(chat).content
    found = json.loads(content, parse_constant=pytest.fail)
    message = (found.get("messages") or found.get("contents"))[1]
    match vessel.name:
        case "anthropic":
            return message["content"][-1]["input"]
        case "gemini":
            return message["parts"][-1]["functionCall"]["args"]
        case _:
            return message["tool_calls"][0]["function"]["arguments"]


@pytest.mark.parametrize("vessel", OTHERS, ids=lambda vessel: vessel.name)
def test_arguments_keep_integers_of_any_size(vessel: Vessel) -> None:
    text = f'{{"a":{LARGE}}}'
    assert arguments_sent(vessel, calling(call(arguments=text))) == {"a": LARGE}
    assert arguments_sent(vessel, calling(call(arguments={"a": LARGE}))) == {"a": LARGE}


@pytest.mark.parametrize("vessel", OTHERS, ids=lambda vessel: vessel.name)
@pytest.mark.parametrize("text", ['{"a":NaN}', '{"a":1e999}', '{"a":"\\ud800"}', "{bad"])
def test_arguments_that_no_provider_could_read_are_invalid_json(vessel: Vessel, text: str) -> None:
    assert arguments_sent(vessel, calling(call(arguments=text))) == {INVALID_JSON: text}


@pytest.mark.parametrize("vessel", OTHERS, ids=lambda vessel: vessel.name)
def test_a_value_as_arguments_that_is_no_json_is_invalid_json(vessel: Vessel) -> None:
    found = arguments_sent(vessel, calling(call(arguments={"a": float("nan")})))
    assert found == {INVALID_JSON: '{"a":NaN}'}


@pytest.mark.parametrize("vessel", [Gemini(), Ollama()], ids=lambda vessel: vessel.name)
@pytest.mark.parametrize("known", [False, True])
def test_a_longer_conversation_begins_as_a_shorter_one(vessel: Vessel, *, known: bool) -> None:
    """Also where a native message behind it has the id of an earlier call, made or the API's."""
    function: dict[str, Any] = {"name": "w", "args": {}, "arguments": {}}
    if known and vessel.name == "gemini":
        function["id"] = "a"
    own = {"function": function, **({"id": "a"} if known else {})}
    native = {
        "gemini": {"role": "model", "parts": [{"functionCall": function}]},
        "ollama": {"role": "assistant", "content": "", "tool_calls": [own]},
    }
    name = vessel.name
    first = [{"role": "user", "content": "?"}, calling(call("a", "w")), result("a")]
    later = [*first, calling(call("a", "w"), native={name: native[name]}), result("a")]
    key = "contents" if vessel.name == "gemini" else "messages"
    short, long = (
        json.loads(vessel.request(chat_request("m", messages)).content)[key]
        for messages in (first, later)
    )
    assert long[: len(short)] == short
    if known:
        written = json.dumps(long[len(short) :])
        assert '"a"' not in written.replace('"args"', "").replace('"arguments"', "")


@pytest.mark.parametrize("vessel", [Gemini(), Ollama()], ids=lambda vessel: vessel.name)
def test_results_without_ids_are_those_of_the_calls_without_ids_in_order(vessel: Vessel) -> None:
    calls = calling(call(None, "w"), call(None, "v"))
    messages = [{"role": "user", "content": "?"}, calls, result(None, "1"), result(None, "2")]
    body = json.loads(vessel.request(chat_request("m", messages)).content)
    if vessel.name == "gemini":
        parts = body["contents"][2]["parts"]
        found = [(each["name"], each["response"]["result"]) for (each,) in map(dict.values, parts)]
    else:
        found = [(each["tool_name"], each["content"]) for each in body["messages"][2:]]
    assert found == [("w", "1"), ("v", "2")]
