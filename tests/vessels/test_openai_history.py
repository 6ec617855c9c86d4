"""The messages of a request: a server's own back as they came, others in the universal form."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus import MISSING, WIRE, decoded, wire_body
from strict_openai import OPENAI_PROVIDERS, check_deepseek, check_openai
from vesselog.core.errors import InvalidRequestError
from vesselog.core.request import chat_request
from vesselog.vessels import (
    INVALID_JSON,
    PRESETS,
    Azure,
    Cerebras,
    DeepSeek,
    Groq,
    Mistral,
    OpenAI,
    OpenRouter,
)

LAB = OpenAI(base_url="http://lab")
AZURE = Azure(base_url="https://name.openai.azure.com")
FOUNDRY = Azure(base_url="https://name.services.ai.azure.com/models", api_version="2024-05-01")
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
every_preset = pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)


def messages_of(vessel: OpenAI, *messages: Any, **fields: Any) -> list[dict[str, Any]]:
    body = vessel.request(chat_request("m", list(messages), **fields)).body
    assert body is not None
    found: list[dict[str, Any]] = body["messages"]
    return found


def call(identifier: Any = "a", arguments: Any = "{}", **more: Any) -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    return {"id": identifier, "type": "function", "function": function, **more}


def told(vessel: OpenAI, native: dict[str, Any], *calls: dict[str, Any]) -> dict[str, Any]:
    """An answer of this vessel as `to_message` gives it."""
    message = {"role": "assistant", "content": "t", "native": {vessel.name: native}}
    return {**message, "tool_calls": list(calls)} if calls else message


def sent_native(vessel: OpenAI, native: dict[str, Any], *calls: dict[str, Any]) -> dict[str, Any]:
    (sent,) = messages_of(vessel, told(vessel, native, *calls))
    return sent


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), _VALUES, max_size=4))
def test_an_answer_goes_back_as_it_came(extra: dict[str, Any]) -> None:
    """Whatever keys it has, in the message and in its calls."""
    native = {
        **extra,
        "role": "assistant",
        "content": "t",
        "reasoning_details": [extra],
        "tool_calls": [{**extra, **call("a", '{"a": 1}', extra_content=extra)}],
    }
    before = copy.deepcopy(native)
    assert sent_native(LAB, native, call("a", '{"a": 1}')) == before
    assert native == before


@pytest.mark.parametrize("vessel", [OpenAI(), LAB, OpenRouter(), Mistral()])
def test_the_answer_of_another_provider_has_no_key_that_a_server_refuses(vessel: OpenAI) -> None:
    message = {
        "role": "assistant",
        "content": "t",
        "refusal": "No.",
        "tool_calls": [call("aaaaaaaaa")],
        "native": {"anthropic": {"role": "assistant", "content": [{"type": "thinking"}]}},
    }
    sent, _ = messages_of(vessel, message, {"role": "tool", "tool_call_id": "aaaaaaaaa"})
    text = {"content": "t", "refusal": "No."} if vessel.default_base_url in vessel.base_url else {}
    expected = text if vessel.name == "openai" and text else {"content": "t\n\nNo."}
    assert sent == {"role": "assistant", "tool_calls": [call("aaaaaaaaa")], **expected}


def test_ids_of_calls_change_in_a_native_message_and_its_results_follow() -> None:
    """Two turns of a server that counts from 0 in each, and one that gives no ids."""
    turn = [
        told(LAB, {"role": "assistant", "tool_calls": [call("0")]}, call("0")),
        {"role": "tool", "tool_call_id": "0", "content": "1"},
    ]
    nameless = call()
    del nameless["id"]
    given = [*turn, *turn, told(LAB, {"tool_calls": [nameless]}, call("made")), turn[1]]
    sent = messages_of(LAB, *given)
    first, second, third = (sent[index]["tool_calls"][0]["id"] for index in (0, 2, 4))
    assert (first, third) == ("0", "made")
    assert second != "0"
    assert [message["tool_call_id"] for message in (sent[1], sent[3])] == [first, second]


def test_a_native_message_with_calls_that_the_universal_form_has_not_keeps_its_ids() -> None:
    native = {"role": "assistant", "tool_calls": [call("x"), call("y")]}
    assert sent_native(LAB, native, call("z")) == native


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('{"a": ', json.dumps({INVALID_JSON: '{"a": '}, separators=(",", ":"))),
        ("[1]", '{"INVALID_JSON":"[1]"}'),
        ("", "{}"),
        (None, "{}"),
        ({"a": 1}, {"a": 1}),
    ],
)
def test_arguments_in_a_native_message_are_valid(arguments: Any, sent: Any) -> None:
    found = sent_native(LAB, {"role": "assistant", "tool_calls": [call("a", arguments)]})
    assert found["tool_calls"][0]["function"]["arguments"] == sent


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [("", "{}"), (" ", "{}"), ({"a": 1}, '{"a":1}'), ("{", '{"INVALID_JSON":"{"}')],
)
def test_arguments_are_text_in_the_universal_form(arguments: Any, sent: str) -> None:
    (message,) = messages_of(
        LAB, {"role": "assistant", "content": "", "tool_calls": [call("a", arguments)]}
    )
    assert message["tool_calls"][0]["function"]["arguments"] == sent


def test_an_empty_answer_is_left_out() -> None:
    question = {"role": "user", "content": "u"}
    for native in ({}, {"role": "assistant", "content": None, "tool_calls": []}):
        empty = {"role": "assistant", "content": "", "native": {"openai": native}}
        assert messages_of(OpenAI(), question, empty, question) == [question, question]


def test_a_signature_follows_the_id_of_its_call() -> None:
    """OpenRouter gives some models' calls the same ids in each turn."""
    details: list[Any] = [
        {"type": "reasoning.text", "text": "r", "index": 0},
        {"type": "reasoning.encrypted", "data": "E", "id": "tool_0_f"},
        "odd",
    ]
    native = {"role": "assistant", "tool_calls": [call("tool_0_f")], "reasoning_details": details}
    turn = [
        told(OpenRouter(), native, call("tool_0_f")),
        {"role": "tool", "tool_call_id": "tool_0_f"},
    ]
    first, _, second, _ = messages_of(OpenRouter(), *turn, *turn)
    assert first == native
    made = second["tool_calls"][0]["id"]
    assert made != "tool_0_f"
    assert second["reasoning_details"] == [
        details[0],
        {"type": "reasoning.encrypted", "data": "E", "id": made},
        "odd",
    ]


# Captured answers.


@pytest.mark.parametrize("name", OPENAI_PROVIDERS)
def test_every_captured_answer_is_valid_in_the_next_request(name: str) -> None:
    """Twice, with its results in the other order; and its own server gets it as it came."""
    if MISSING:
        pytest.skip(MISSING)
    provider = OPENAI_PROVIDERS[name]
    vessel = provider.vessel("http://h")
    question = {"role": "user", "content": "u"}
    for file in WIRE:
        body = wire_body(file)
        for choice in decoded(body).completion.choices:
            message = choice.model_copy(update={"vessel": body.dialect}).to_message()
            results = [
                {"role": "tool", "tool_call_id": called.id, "content": "1"}
                for called in reversed(choice.tool_calls)
            ]
            conversation = [question, *[message, *results, question] * 2]
            sent = vessel.request(chat_request("m", conversation)).body
            assert sent is not None
            assert (file, provider.check(sent)) == (file, None)
            _, back, *_ = messages_of(LAB, *conversation)
            valid = all(isinstance(called.arguments, dict) for called in choice.tool_calls)
            if choice.native and valid and body.dialect == "openai" and back != question:
                assert (file, back) == (file, choice.native)


# What a server refuses.

WHOLE: dict[str, Any] = {
    "role": "assistant",
    "content": "t",
    "name": "n",
    "refusal": None,
    "annotations": [{"type": "url_citation"}],
    "audio": {"id": "audio-1", "data": "UklGRg==", "transcript": "t", "expires_at": 1},
    "reasoning": "r",
    "reasoning_content": "r",
    "reasoning_details": [{"text": "r"}],
    "function_call": None,
    "tool_calls": [],
    "prefix": True,
}


@pytest.mark.parametrize(
    ("vessel", "keys"),
    [
        (OpenAI(), {"name", "audio"}),
        (OpenAI(base_url="https://eu.api.openai.com/v1"), {"name", "audio"}),
        (AZURE, {"name", "audio"}),
        (Groq(), {"name", "reasoning"}),
        (Cerebras(), {"name", "reasoning"}),
        (Mistral(), {"prefix"}),
        (FOUNDRY, WHOLE.keys()),
        (LAB, WHOLE.keys()),
        (OpenAI(base_url="https://api.openai.com.example/v1"), WHOLE.keys()),
        (DeepSeek(), WHOLE.keys()),
        (OpenRouter(), WHOLE.keys()),
    ],
)
def test_each_server_gets_the_keys_that_it_takes(vessel: OpenAI, keys: Any) -> None:
    sent = sent_native(vessel, WHOLE)
    assert sent.keys() == {"role", "content", *keys}
    if len(keys) == 2 and "audio" in keys:
        assert sent["audio"] == {"id": "audio-1"}
        assert check_openai({"messages": [sent]}) is None


def test_thinking_alone_is_left_out_where_the_server_does_not_take_it_back() -> None:
    native = {"role": "assistant", "content": "", "reasoning_content": "r"}
    assert messages_of(OpenAI(), told(OpenAI(), native)) == []
    assert sent_native(LAB, native) == native


@pytest.mark.parametrize(
    ("vessel", "allowed", "refused"),
    [
        (OpenAI(), "x" * 40, "x" * 41),
        (AZURE, "toolu_1", "x" * 64),
        (Mistral(), "aB3dE6gH9", "call_1234"),
    ],
)
def test_ids_follow_the_servers_pattern(vessel: OpenAI, allowed: str, refused: str) -> None:
    for identifier, kept in ((allowed, True), (refused, False)):
        message = {"role": "assistant", "content": "", "tool_calls": [call(identifier)]}
        answered = {"role": "tool", "tool_call_id": identifier, "content": "1"}
        sent, back = messages_of(vessel, message, answered)
        found = sent["tool_calls"][0]["id"]
        assert (found == identifier) is kept
        assert back["tool_call_id"] == found


def test_deepseek_gets_thinking_with_each_call_unless_it_is_turned_off() -> None:
    turn = [
        {"role": "assistant", "content": "", "tool_calls": [call("a")]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    ]
    assert check_deepseek({"messages": messages_of(DeepSeek(), *turn)}) is None
    for message in messages_of(DeepSeek(), *turn, think=False):
        assert "reasoning_content" not in message
    own = {"role": "assistant", "content": "", "reasoning_content": "r", "tool_calls": [call("a")]}
    assert sent_native(DeepSeek(), own, call("a")) == own
    (text,) = messages_of(DeepSeek(), {"role": "assistant", "content": "t"})
    assert text == {"role": "assistant", "content": "t"}


# Custom tools and the results of tools.

CUSTOM = {
    "type": "custom",
    "custom": {"name": "sql", "description": "A query.", "format": {"type": "text"}},
}
CUSTOM_CALL = {"id": "a", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}


@pytest.mark.parametrize("vessel", [OpenAI(), LAB, AZURE])
def test_custom_tools_are_sent(vessel: OpenAI) -> None:
    turn: list[Any] = [
        {"role": "assistant", "content": "", "tool_calls": [CUSTOM_CALL]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    ]
    choice = {"type": "custom", "custom": {"name": "sql"}}
    body = vessel.request(chat_request("m", turn, tools=[CUSTOM], tool_choice=choice)).body
    assert body is not None
    assert (body["tools"], body["tool_choice"], body["messages"]) == ([CUSTOM], choice, turn)
    native = {"role": "assistant", "content": None, "tool_calls": [CUSTOM_CALL]}
    assert sent_native(vessel, native, CUSTOM_CALL)["tool_calls"] == [CUSTOM_CALL]


def test_a_custom_call_says_that_it_is_one() -> None:
    bare = {"id": "a", "custom": {"name": "sql", "input": "SELECT 1"}}
    (sent,) = messages_of(LAB, {"role": "assistant", "tool_calls": [bare]})
    assert sent["tool_calls"] == [CUSTOM_CALL]


@every_preset
def test_custom_tools_are_refused_where_there_are_none(preset: type[OpenAI]) -> None:
    with pytest.raises(InvalidRequestError, match=f"{preset.name} has no custom tools.*sql"):
        messages_of(preset(), {"role": "user", "content": "u"}, tools=[CUSTOM])
    with pytest.raises(InvalidRequestError, match=f"{preset.name} has no custom tools.*sql"):
        messages_of(preset(), {"role": "assistant", "tool_calls": [CUSTOM_CALL]})


@pytest.mark.parametrize("part", [IMAGE, {"type": "input_audio", "input_audio": {}}])
def test_a_part_that_a_tools_result_cannot_have_is_refused(part: dict[str, Any]) -> None:
    text = {"type": "text", "text": "Seen."}
    for vessel in (OpenAI(), LAB, Groq()):
        answered = {"role": "tool", "tool_call_id": "a", "content": [text]}
        assert messages_of(vessel, answered) == [answered]
        with pytest.raises(InvalidRequestError, match=f"no '{part['type']}'.*message of the user"):
            messages_of(vessel, {**answered, "content": [text, part]})


def test_parts_of_a_users_message_are_sent_as_they_are() -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "See?"}, IMAGE]}
    assert messages_of(LAB, message) == [message]


@pytest.mark.parametrize("role", [{}, {"role": None}])
@pytest.mark.parametrize("vessel", [OpenAI(), OpenAI(base_url="http://127.0.0.1:1"), Groq()])
def test_a_native_message_without_a_role_is_sent_with_one(
    vessel: OpenAI, role: dict[str, Any]
) -> None:
    native = {vessel.name: {"content": "Hi", **role}}
    message = {"role": "assistant", "content": "Hi", "native": native}
    body = vessel.request(chat_request("m", [message])).body
    assert body is not None
    assert body["messages"] == [{"content": "Hi", "role": "assistant"}]


@pytest.mark.parametrize("arguments", ["{}", "{bad"])
def test_the_result_of_a_function_call_names_its_function(arguments: str) -> None:
    """The form before tool calls: it has no ids, so OpenAI refuses a result with one."""
    native = {"role": "assistant", "function_call": {"name": "w", "arguments": arguments}}
    result = {"role": "tool", "tool_call_id": "a", "content": "1"}
    later = [{"role": "assistant", "tool_calls": [call("b")]}, {**result, "tool_call_id": "b"}]
    made = told(LAB, native, {**call("a"), "function": {"name": "w", "arguments": arguments}})
    sent, answer, *rest = messages_of(LAB, made, result, *later)
    valid = arguments if arguments == "{}" else '{"INVALID_JSON":"{bad"}'
    assert sent == {**native, "function_call": {"name": "w", "arguments": valid}}
    assert answer == {"role": "function", "name": "w", "content": "1"}
    assert [message["role"] for message in rest] == ["assistant", "tool"]
    assert rest[1]["tool_call_id"] == "b"
