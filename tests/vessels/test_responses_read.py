"""Requests of the Responses API read back: every form of the input, exact when written again."""

from __future__ import annotations

from typing import Any

import pytest

from vesselog.core.errors import InvalidRequestError
from vesselog.vessels import ChatRequest, OpenAIResponses

VESSEL = OpenAIResponses()
MESSAGE = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
ANSWER = {
    "type": "message",
    "id": "msg",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Well", "annotations": []}],
}
CALL = {"type": "function_call", "id": "fc", "call_id": "a", "name": "f", "arguments": '{"x":1}'}
CUSTOM = {"type": "custom_tool_call", "id": "c", "call_id": "b", "name": "sh", "input": "ls"}
REASONING = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gA"}


def read(asked: Any, **more: Any) -> ChatRequest:
    """The request, which is exact when it is written again."""
    body = {"model": "m", "input": asked, "stream": False, **more}
    chat = VESSEL.read_request("https://x/v1/responses", body)
    assert VESSEL.request(chat).body == body
    return chat


@pytest.mark.parametrize(
    "asked",
    [
        "Hi",
        [{"role": "user", "content": "Hi"}],
        [MESSAGE],
        [{**MESSAGE, "id": "msg_1", "status": "completed"}],
    ],
)
def test_a_question_is_one_message_in_every_form(asked: Any) -> None:
    (message,) = read(asked).messages or ()
    assert (message.role, message.text) == ("user", "Hi")
    assert not message.model_extra


def test_what_an_answer_consisted_of_is_one_message() -> None:
    chat = read(
        [
            MESSAGE,
            *(REASONING, ANSWER, CALL, CUSTOM),
            {"type": "function_call_output", "call_id": "a", "output": "1", "status": "completed"},
            {"type": "custom_tool_call_output", "call_id": "b", "output": "2"},
            *(ANSWER, {"type": "item_reference", "id": "msg_2"}),
            MESSAGE,
        ],
        store=False,
        previous_response_id="resp_1",
    )
    roles = [message.role for message in chat.messages or ()]
    assert roles == ["user", "assistant", "tool", "tool", "assistant", "user"]
    answer = (chat.messages or ())[1]
    assert answer.text == "Well"
    assert [(call.id, call.type, call.tool) for call in answer.tool_calls or ()] == [
        ("a", "function", "f"),
        ("b", "custom", "sh"),
    ]
    assert answer.native is not None
    assert answer.native["openai-responses"]["output"] == [REASONING, ANSWER, CALL, CUSTOM]
    kept = chat.extra_body or {}
    assert (kept["store"], kept["previous_response_id"]) == (False, "resp_1")


def test_instructions_are_the_first_message() -> None:
    messages = read([MESSAGE], instructions="Be brief.").messages or ()
    assert [(each.role, each.text) for each in messages] == [
        ("system", "Be brief."),
        ("user", "Hi"),
    ]
    for content in ("Be brief.", [{"type": "input_text", "text": "Be brief."}]):
        system = {"role": "system", "content": content}
        for more in ({}, {"instructions": "First."}, {"instructions": None}):
            chat = read([system, MESSAGE], **more)
            assert [each.text for each in chat.messages or ()][-2:] == ["Be brief.", "Hi"]


def test_images_are_those_that_all_vessels_know() -> None:
    parts = [
        {"type": "input_image", "image_url": "http://x/y.png", "detail": "high"},
        {"type": "input_image", "file_id": "file_1", "detail": "auto"},
        {"type": "input_image", "image_url": "http://x/z.png", "detail": None},
    ]
    (message,) = read([{"role": "user", "content": parts}]).messages or ()
    assert [image.image_url.url for image in message.images] == ["http://x/y.png", "http://x/z.png"]


def test_a_result_of_an_unknown_call_keeps_its_kind() -> None:
    for item in (
        {"type": "custom_tool_call_output", "call_id": "z", "output": "2"},
        {"type": "computer_call_output", "call_id": "z", "output": {"type": "x"}},
        {"type": "function_call_output", "call_id": "z", "output": [MESSAGE["content"][0]]},  # type: ignore[index]
        {"type": "function_call_output", "call_id": None, "output": "x"},
    ):
        read([MESSAGE, item], previous_response_id="resp_1")


@pytest.mark.parametrize(
    "more",
    [
        {"text": {"format": {"type": "text"}, "verbosity": "low"}},
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}}},
        {"text": None},
        {"reasoning": {"effort": "low", "summary": "detailed"}},
        {"reasoning": {"effort": None}},
        {"include": ["reasoning.encrypted_content", "message.output_text.logprobs"]},
        {"include": [], "top_logprobs": 3},
        {"tools": [{"type": "function", "name": "f", "parameters": None, "strict": None}]},
        {"tools": [{"type": "mcp", "server_label": "x"}, {"type": "custom", "name": "sh"}]},
        {"tool_choice": {"type": "mcp", "server_label": "x"}},
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "x"}]}},
        {"max_output_tokens": None, "temperature": "hot", "metadata": {"a": "b"}},
        {"background": True, "conversation": {"id": "conv_1"}},
    ],
    ids=str,
)
def test_what_has_no_field_is_kept(more: dict[str, Any]) -> None:
    read("Hi", **more)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"model": "m"}, "input"),
        ({"model": "m", "input": 5}, "input"),
        ({"model": "m", "input": ["x"]}, r"input\[0\]"),
        ({"model": "m", "input": "x", "instructions": []}, "instructions"),
        ({"model": "m", "input": [{"role": "user", "content": 5}]}, r"input\[0\].content"),
        ({"model": "m", "input": [{**MESSAGE, "native": {}}]}, r"input\[0\].native"),
        ({"model": "m", "input": [{**CALL, "name": 5}]}, "input"),
        (
            {"model": "m", "input": [{"type": "function_call_output", "call_id": "a"}]},
            r"input\[0\].output",
        ),
        ({"model": "m", "input": "x", "tools": 5}, "tools"),
    ],
    ids=str,
)
def test_a_body_of_another_kind_is_refused_with_its_place(body: Any, place: str) -> None:
    with pytest.raises(InvalidRequestError, match=place):
        VESSEL.read_request("/v1/responses", body)


def test_another_route_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="route"):
        VESSEL.read_request("/v1/chat/completions", {"model": "m", "input": "x"})
