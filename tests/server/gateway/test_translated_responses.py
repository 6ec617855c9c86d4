"""Requests of the Responses API for upstreams of other dialects: as coding agents send them."""

from __future__ import annotations

from typing import Any

import pytest

from strict_openai import check_openai
from vesselog.core.errors import InvalidRequestError
from vesselog.server.gateway.translated_request import translated_request
from vesselog.vessels import Anthropic, Ollama, OpenAI, OpenAIResponses, Vessel

LOCAL = OpenAI(base_url="http://127.0.0.1:8000/v1")
SHELL = {"type": "function", "name": "shell", "strict": False, "parameters": {"type": "object"}}
ASKED: dict[str, Any] = {
    "model": "m",
    "instructions": "You are a coding agent.",
    "input": [
        {
            "type": "message",
            "role": "developer",
            "content": [{"type": "input_text", "text": "Sandboxed."}],
        },
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "List"}]},
        {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gA"},
        {
            "type": "function_call",
            "id": "fc",
            "call_id": "call_1",
            "name": "shell",
            "arguments": '{"command":["ls"]}',
            "status": "completed",
        },
        {"type": "function_call_output", "call_id": "call_1", "output": "a.py"},
        {"role": "assistant", "content": "There is a.py."},
        {"role": "user", "content": "Thanks"},
    ],
    "tools": [SHELL],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "text": {"verbosity": "medium"},
    "include": ["reasoning.encrypted_content"],
    "store": False,
    "stream": True,
    "prompt_cache_key": "k",
    "client_metadata": {"a": "b"},
    "max_output_tokens": 500,
}


def translated(upstream: Vessel, **changed: Any) -> dict[str, Any]:
    body = {**ASKED, **changed}
    _, request = translated_request("openai-responses", "/v1/responses", body, upstream)
    assert request.body is not None
    return request.body


def test_an_agents_request_is_a_chat() -> None:
    body = translated(LOCAL)
    assert check_openai(body) is None
    assert [message["role"] for message in body["messages"]] == [
        *("system", "developer", "user", "assistant", "tool", "assistant", "user"),
    ]
    assert body["messages"][3]["tool_calls"][0]["id"] == "call_1"
    assert body["tools"][0]["function"]["name"] == "shell"
    assert (body["reasoning_effort"], body["max_tokens"]) == ("medium", 500)


@pytest.mark.parametrize("upstream", [Ollama(), Anthropic()])
def test_other_upstreams_get_it_too(upstream: Vessel) -> None:
    body = translated(upstream)
    assert body["model"] == "m"
    assert len(body["messages"]) >= 5
    assert body["stream"] is True


def test_a_format_and_one_call_at_a_time() -> None:
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
    body = translated(LOCAL, text={"format": schema}, parallel_tool_calls=False)
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {key: schema[key] for key in ("name", "schema", "strict")},
    }
    assert body["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"reasoning": {"effort": 5}}, "reasoning.effort"),
        ({"text": {"format": "json"}}, "text.format"),
        ({"input": [{"role": "bot", "content": "x"}]}, "role 'bot'"),
        ({"input": [{"type": "message", "content": "x"}]}, "role None"),
        ({"input": [{"role": "assistant", "content": 5}]}, "'content'"),
        ({"input": [{"role": "assistant", "content": [5]}]}, "type None"),
        ({"input": [{"role": "assistant", "content": [{"type": "x"}]}]}, "type 'x'"),
        ({"input": [{"role": "assistant", "content": [{"type": "output_text"}]}]}, "'text'"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"tools": [{"type": "web_search"}]}, "web_search"),
        ({"text": {"verbosity": "low"}}, "verbosity"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "item_reference"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input_file"),
        ({"input": [{"type": "custom_tool_call_output", "call_id": "x", "output": "y"}]}, "type"),
    ],
    ids=str,
)
def test_what_cannot_be_said_is_refused_by_name(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequestError, match=named):
        translated(LOCAL, **changed)


def test_a_chat_is_a_request_of_the_responses_api() -> None:
    asked = {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        "max_completion_tokens": 5,
        "reasoning_effort": "low",
    }
    _, request = translated_request("openai", "/v1/chat/completions", asked, OpenAIResponses())
    assert request.body == {
        "model": "m",
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": "Hi"}],
        "max_output_tokens": 5,
        "reasoning": {"effort": "low"},
        "stream": False,
    }
    with pytest.raises(InvalidRequestError, match="stop"):
        translated_request(
            "openai", "/v1/chat/completions", {**asked, "stop": "x"}, OpenAIResponses()
        )
