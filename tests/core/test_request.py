"""What a caller may ask for, and what is refused before anything is sent."""

from __future__ import annotations

import math
import re
from typing import Any, Generic, TypeVar

import pytest
from pydantic import BaseModel, create_model

from vesselog.core.errors import InvalidRequestError, UsageError
from vesselog.core.request import (
    ChatRequest,
    CustomTool,
    FunctionCall,
    ImagePart,
    Message,
    TextPart,
    Tool,
    ToolCallRequest,
    ToolFunction,
    chat_request,
)
from vesselog.vessels import OpenAI

Content = TypeVar("Content")
PRIVATE = "a private word"


def test_a_text_is_one_user_message() -> None:
    chat = chat_request("m", "hello")
    assert chat.given("messages") == {"messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize(
    ("messages", "kind"),
    [({"role": "user", "content": PRIVATE}, "dict"), (b"x", "bytes"), (3, "int")],
)
def test_what_is_no_list_of_messages_is_told(messages: Any, kind: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        chat_request("m", messages)
    told = f"messages: must be a text or a list of messages, not {kind}"
    assert caught.value.message == f"bad request: {told}"


def test_what_is_not_set_is_not_given_and_a_set_zero_is() -> None:
    chat = chat_request("m", "x", temperature=0, top_p=0.0, seed=0, logprobs=False, think=False)
    names = ("temperature", "top_p", "max_tokens", "stop", "seed", "n", "logprobs", "think")
    assert chat.given(*names) == {
        "temperature": 0,
        "top_p": 0,
        "seed": 0,
        "logprobs": False,
        "think": False,
    }


def test_fields_are_given_in_the_order_asked_for() -> None:
    chat = chat_request("m", "x", seed=1, top_p=0.5, temperature=1)
    assert list(chat.given("temperature", "seed", "top_p")) == ["temperature", "seed", "top_p"]


def test_messages_as_plain_values_are_those_as_objects() -> None:
    plain = [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what is this"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            ],
        },
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "4"},
    ]
    made = [
        Message(role="system", content="s"),
        Message(role="user", content=(TextPart(text="what is this"), ImagePart.from_bytes(b"hi"))),
        Message(
            role="assistant",
            content="",
            tool_calls=(ToolCallRequest(id="1", function=FunctionCall(name="f", arguments="{}")),),
        ),
        Message(role="tool", tool_call_id="1", content="4"),
    ]
    assert chat_request("m", plain) == chat_request("m", made)
    assert chat_request("m", made).given("messages")["messages"] == plain


def test_what_only_one_provider_knows_travels_on() -> None:
    messages = [
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "x"}}]},
        {"role": "assistant", "content": "a", "prefix": True},
    ]
    tools = [{"type": "web_search", "max": 3}]
    given = chat_request("m", messages, tools=tools).given("messages", "tools")
    assert given == {"messages": messages, "tools": tools}


def test_text_and_images_of_a_message() -> None:
    image = ImagePart.from_bytes(b"hi", "image/jpeg")
    message = Message(role="user", content=(TextPart(text="a"), image, TextPart(text="b")))
    assert message.text == "ab"
    assert message.images == (image,)
    assert image.image_url.url == "data:image/jpeg;base64,aGk="
    assert Message(role="user", content="a").text == "a"
    assert Message(role="user", content="a").images == ()
    assert Message(role="assistant").text == ""


def test_a_model_class_is_its_schema() -> None:
    class City(BaseModel):
        name: str

    chat = chat_request("m", "x", response_format=City)
    assert chat.response_format == {
        "type": "json_schema",
        "json_schema": {"name": "City", "schema": City.model_json_schema()},
    }


class Box(BaseModel, Generic[Content]):
    content: Content


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Box[int], "Box_int"),
        (Box[Box[str]], "Box_Box_str"),
        (Box[dict[str, list[int]]], "Box_dict_str_list_int"),
        (create_model("Größe"), "Gr_e"),
        (create_model("日本"), "answer"),
        (create_model("A" * 70), "A" * 64),
        (create_model("with-dash_1"), "with-dash_1"),
    ],
)
def test_the_name_of_a_schema_is_one_that_servers_take(model: type[BaseModel], name: str) -> None:
    chat = chat_request("m", "x", response_format=model)
    assert isinstance(chat.response_format, dict)
    assert chat.response_format["json_schema"]["name"] == name
    assert re.fullmatch("[A-Za-z0-9_-]{1,64}", name)


@pytest.mark.parametrize("think", [True, False, "low", 0, 1, 2048])
def test_think_is_a_switch_a_level_or_a_number(think: Any) -> None:
    found = chat_request("m", "x", think=think).think
    assert (found, type(found)) == (think, type(think))


def test_a_custom_tool_has_a_name_and_may_have_a_format() -> None:
    tool = {"type": "custom", "custom": {"name": "sql", "format": {"type": "text"}, "x": 1}}
    chat = chat_request("m", "x", tools=[tool])
    assert chat.given("tools") == {"tools": [tool]}
    made = Tool(type="custom", custom=CustomTool(name="sql", format={"type": "text"}))
    assert made.custom
    assert made.custom.name == "sql"
    with pytest.raises(InvalidRequestError, match=r"tools\[0\]\.custom\.name"):
        chat_request("m", "x", tools=[{"type": "custom", "custom": {}}])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"messages": []}, "messages is empty"),
        ({}, "either messages or prompt"),
        ({"messages": "a", "prompt": "b"}, "either messages or prompt"),
        ({"messages": [{"role": "nobody", "content": PRIVATE}]}, "messages[0].role: "),
        ({"messages": [{"content": PRIVATE}]}, "messages[0].role: "),
        (
            {"messages": [{"role": "user", "content": {"a": PRIVATE}}]},
            "messages[0].content: must be a valid string or a valid list",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text: ",
        ),
        (
            {"messages": [{"role": "user", "content": [{"text": PRIVATE}]}]},
            "messages[0].content[0].type: ",
        ),
        ({"messages": 5}, "messages"),
        ({"messages": "a", "temperature": PRIVATE}, "temperature"),
        ({"messages": "a", "n": 0}, "n"),
        ({"messages": "a", "response_format": "xml"}, "response_format"),
        ({"messages": "a", "stop": [1]}, "stop"),
    ],
)
def test_a_bad_request_names_the_field_and_not_its_content(
    fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidRequestError, match=r"bad request") as caught:
        chat_request("m", **fields)
    assert said in str(caught.value)
    assert PRIVATE not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("tempreature", "write 'temperature', or send it"),
        ("max_completion_tokens", "write 'max_tokens', or send it"),
        ("reasoning_effort", "write 'think', or send it"),
        ("top_k", "send it unchanged by extra_body={'top_k': …}"),
    ],
)
def test_an_unknown_field_is_refused_with_what_to_write_instead(name: str, advice: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"there is no field '{name}'") as caught:
        chat_request("m", "x", **{name: PRIVATE})
    assert advice in str(caught.value)
    assert PRIVATE not in str(caught.value)


def test_a_request_without_a_model_is_bad() -> None:
    with pytest.raises(InvalidRequestError, match="model"):
        chat_request("", "x")


def test_a_field_that_a_dialect_cannot_express_is_refused_only_if_set() -> None:
    chat = chat_request("m", "x", keep_alive=0)
    chat.refuse("toy", n="it gives one answer")
    with pytest.raises(InvalidRequestError, match="toy does not take keep_alive: it has none"):
        chat.refuse("toy", keep_alive="it has none")


def test_requests_are_frozen_and_have_a_schema() -> None:
    chat = chat_request("m", "x", tools=[Tool(function=ToolFunction(name="f"))])
    with pytest.raises(ValueError, match="frozen"):
        chat.model = "other"
    assert "messages" in ChatRequest.model_json_schema()["properties"]
    assert ChatRequest.model_validate_json(chat.model_dump_json()) == chat


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("contnt", "content"),
        ("contents", "content"),
        ("text", "content"),
        ("message", "content"),
        ("toolCalls", "tool_calls"),
        ("tool_callid", "tool_call_id"),
        ("Name", "name"),
    ],
)
def test_a_misspelt_key_of_a_message_is_refused_by_name(key: str, known: str) -> None:
    messages = [{"role": "user", "content": "x"}, {"role": "user", key: "secret"}]
    with pytest.raises(UsageError) as caught:
        chat_request("m", messages)
    assert isinstance(caught.value, InvalidRequestError)
    assert f"messages[1]: unknown key {key!r}: write {known!r}" in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "key",
    [
        *("annotations", "audio", "cache_control", "extra_content", "function_call", "images"),
        *("is_error", "parts", "partial", "prefix", "reasoning", "reasoning_content", "refusal"),
        *("reasoning_details", "thinking", "thinking_blocks", "thought_signatures", "tool_name"),
        *("tool_use_id", "weight"),
    ],
)
def test_keys_that_a_provider_has_beside_the_known_ones_are_kept(key: str) -> None:
    (message,) = chat_request("m", [{"role": "assistant", key: "x"}]).messages or ()
    assert message.model_extra == {key: "x"}


def test_a_key_like_a_known_one_is_kept_beside_it() -> None:
    chat_request("m", [{"role": "user", "content": "x", "context": "y"}])


@pytest.mark.parametrize("field", ["options", "extra_body"])
@pytest.mark.parametrize("value", [{1}, b"x", object()])
def test_what_json_does_not_have_is_refused(field: str, value: Any) -> None:
    request = chat_request("m", "Hi", **{field: {"a": value}})
    with pytest.raises(InvalidRequestError, match="must hold JSON values"):
        OpenAI(api_key="EMPTY").configured({}).request(request)


@pytest.mark.parametrize(
    "field", [{"temperature": math.nan}, {"top_p": math.inf}, {"think": ""}], ids=str
)
def test_values_that_no_provider_takes_are_refused(field: dict[str, Any]) -> None:
    """orjson would write NaN as null."""
    with pytest.raises(InvalidRequestError, match=next(iter(field))):
        chat_request("m", "Hi", **field)
