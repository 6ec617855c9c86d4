"""Requests of the Responses API: how each field is said, and what cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from vesselog.core.errors import InvalidRequestError
from vesselog.core.registry import dialect
from vesselog.vessels import OpenAIResponses, chat_request

FUNCTION = {"name": "tide", "description": "When?", "parameters": {"type": "object"}}
SCHEMA = {"type": "json_schema"}
GRAMMAR = {"syntax": "lark", "definition": "start: X"}


def body(messages: Any = "Hi", **fields: Any) -> dict[str, Any]:
    request = OpenAIResponses().request(chat_request("m", messages, **fields))
    assert request.body is not None
    return request.body


def test_a_plain_question() -> None:
    request = OpenAIResponses(organization="o", project="p").request(chat_request("m", "Hi"))
    assert request.url == "https://api.openai.com/v1/responses"
    assert request.headers == {"openai-organization": "o", "openai-project": "p"}
    assert request.body == {
        "model": "m",
        "input": [{"role": "user", "content": "Hi"}],
        "stream": True,
    }


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"max_tokens": 7}, {"max_output_tokens": 7}),
        ({"temperature": 0, "top_p": 0.5}, {"temperature": 0, "top_p": 0.5}),
        ({"n": 1}, {}),
        ({"think": "low"}, {"reasoning": {"effort": "low"}}),
        ({"think": False}, {"reasoning": {"effort": "none"}}),
        ({"think": True}, {"reasoning": {"summary": "auto"}}),
        ({"logprobs": True}, {"include": ["message.output_text.logprobs"]}),
        ({"logprobs": False}, {}),
        (
            {"logprobs": 3},
            {"include": ["message.output_text.logprobs"], "top_logprobs": 3},
        ),
        ({"response_format": "json"}, {"text": {"format": {"type": "json_object"}}}),
        (
            {"response_format": {"type": "object"}},
            {
                "text": {
                    "format": {
                        "type": "json_schema",
                        "name": "answer",
                        "schema": {"type": "object"},
                    }
                }
            },
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {}, "strict": True},
                }
            },
            {
                "text": {
                    "format": {"type": "json_schema", "name": "x", "schema": {}, "strict": True}
                }
            },
        ),
        (
            {"tools": [{"type": "function", "function": FUNCTION}]},
            {"tools": [{"type": "function", **FUNCTION, "strict": False}]},
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "strict": True}}]},
            {
                "tools": [
                    {
                        "type": "function",
                        "name": "f",
                        "strict": True,
                        "parameters": {"type": "object", "properties": {}},
                    }
                ]
            },
        ),
        (
            {
                "tools": [
                    {
                        "type": "custom",
                        "custom": {"name": "sh", "format": {"type": "grammar", "grammar": GRAMMAR}},
                    }
                ]
            },
            {"tools": [{"type": "custom", "name": "sh", "format": {"type": "grammar", **GRAMMAR}}]},
        ),
        ({"tools": [{"type": "web_search"}]}, {"tools": [{"type": "web_search"}]}),
        ({"tool_choice": "any"}, {"tool_choice": "required"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
            {"tool_choice": {"type": "function", "name": "f"}},
        ),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {
                        "mode": "auto",
                        "tools": [{"type": "function", "function": {"name": "f"}}],
                    },
                }
            },
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [{"type": "function", "name": "f"}],
                }
            },
        ),
        ({"options": {"store": False}, "extra_body": {"store": True}}, {"store": True}),
        (
            {"extra_body": {"previous_response_id": "resp_1"}},
            {"previous_response_id": "resp_1"},
        ),
    ],
    ids=str,
)
def test_each_field_is_said(fields: dict[str, Any], said: dict[str, Any]) -> None:
    written = body(**fields)
    assert {key: written[key] for key in written.keys() - {"model", "input", "stream"}} == said
    read = OpenAIResponses().read_request("/v1/responses", written)
    assert OpenAIResponses().request(read).body == written


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"stop": "x"},
        {"seed": 1},
        {"keep_alive": 5},
        {"functions": [FUNCTION]},
        {"function_call": "auto"},
        {"think": 2000},
    ],
    ids=str,
)
def test_what_cannot_be_said_is_refused_by_name(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match=next(iter(fields))):
        body(**fields)


def test_a_prompt_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="prompt"):
        OpenAIResponses().request(chat_request("m", prompt="x"))


def test_what_extra_body_has_is_added_to_what_the_fields_say() -> None:
    written = body(
        logprobs=True,
        think="low",
        response_format="json",
        extra_body={
            "include": ["reasoning.encrypted_content"],
            "reasoning": {"summary": "auto"},
            "text": {"verbosity": "low"},
        },
    )
    assert written["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]
    assert written["reasoning"] == {"effort": "low", "summary": "auto"}
    assert written["text"] == {"format": {"type": "json_object"}, "verbosity": "low"}
    assert body(think="low", extra_body={"reasoning": None})["reasoning"] is None


def test_it_is_found_by_name() -> None:
    assert isinstance(dialect("openai-responses"), OpenAIResponses)


def test_models_are_listed_as_on_the_chat_route() -> None:
    vessel = OpenAIResponses(base_url="http://h/v1/responses")
    request = vessel.models_request()
    assert request is not None
    assert request.url == "http://h/v1/models"
    (model,) = vessel.read_models({"data": [{"id": "m", "created": 1, "owned_by": "o"}]})
    assert (model.name, model.owner) == ("m", "o")
