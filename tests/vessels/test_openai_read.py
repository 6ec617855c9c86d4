"""Requests of the OpenAI dialect are read whole: what is built of them again is equal."""

from __future__ import annotations

from typing import Any

import pytest

from vesselog.vessels import (
    Azure,
    DeepSeek,
    Groq,
    InvalidRequestError,
    LlamaCpp,
    Mistral,
    OpenAI,
    OpenRouter,
    Vessel,
)

CHAT = "/v1/chat/completions"
HELLO = {"role": "user", "content": "Hello"}
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "strict": True, "parameters": {"type": ["object", "null"]}},
}
USAGE = {"stream_options": {"include_usage": True}}
LAB = OpenAI(base_url="http://127.0.0.1:8000/v1")


def chat_body(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages), "stream": False, **fields}


def call(identifier: str = "c1", arguments: str = '{"city": "Oslo"}') -> dict[str, Any]:
    function = {"name": "weather", "arguments": arguments}
    return {"id": identifier, "type": "function", "function": function}


def again(body: Any, vessel: Vessel | None = None, route: str = CHAT) -> dict[str, Any]:
    vessel = vessel or OpenAI()
    built = vessel.request(vessel.read_request(route, body)).body
    assert built is not None
    return built


@pytest.mark.parametrize(
    "body",
    [
        chat_body(HELLO),
        chat_body(HELLO, stream=True, **USAGE),
        chat_body(
            {"role": "system", "content": "Be brief.", "name": "boss"},
            {"role": "developer", "content": [{"type": "text", "text": "Briefer."}]},
            {
                "role": "user",
                "name": "ann",
                "content": [
                    {"type": "text", "text": "What?", "x": 1},
                    {"type": "image_url", "image_url": {"url": "https://h/i.png", "detail": "low"}},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                    {"type": "file", "file": {"file_id": "f"}},
                ],
            },
        ),
        chat_body(
            HELLO,
            {"role": "assistant", "content": "Hm.", "tool_calls": [call(), call("c2")]},
            {"role": "tool", "tool_call_id": "c1", "content": "cold"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "cold"}]},
            tools=[
                WEATHER,
                {"type": "custom", "custom": {"name": "sql", "format": {"type": "text"}}},
            ],
            tool_choice={"type": "function", "function": {"name": "weather"}},
            parallel_tool_calls=False,
        ),
        chat_body(
            HELLO,
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "select"}}
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "1"},
        ),
        chat_body(
            HELLO,
            {"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
            functions=[{"name": "f"}],
            function_call={"name": "f"},
        ),
        chat_body(HELLO, {"role": "assistant", "refusal": "No."}, HELLO),
        chat_body(HELLO, temperature=0, top_p=1, stop="e", seed=-1, n=2, user="u", logit_bias={}),
        chat_body(HELLO, stop=["a", "b"], temperature="hot", seed=1.5, n=0, top_p=None),
        chat_body(HELLO, max_completion_tokens=5),
        chat_body(HELLO, max_tokens=5),
        chat_body(HELLO, max_tokens=5, max_completion_tokens=6),
        chat_body(HELLO, max_tokens="5", max_completion_tokens=None),
        chat_body(HELLO, logprobs=True, top_logprobs=3),
        chat_body(HELLO, logprobs=False, top_logprobs=0),
        chat_body(HELLO, top_logprobs=3),
        chat_body(HELLO, reasoning_effort="low", store=True, metadata={"a": "b"}),
        chat_body(HELLO, response_format={"type": "json_object"}),
        chat_body(HELLO, response_format={"type": "text"}),
        chat_body(
            HELLO,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": {"type": "object"}},
            },
        ),
        chat_body(
            HELLO,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}},
            },
        ),
        chat_body(HELLO, response_format={"type": "json_schema"}),
        chat_body(HELLO, tools=[{"type": "web_search", "x": None}], tool_choice="required"),
        chat_body(HELLO, tools=None, stream=0, keep_alive="5m", options={"a": 1}, prompt="x"),
    ],
)
@pytest.mark.parametrize("vessel", [OpenAI(), LAB], ids=["openai", "lab"])
def test_a_chat_is_built_again_as_it_came(vessel: Vessel, body: dict[str, Any]) -> None:
    assert again(body, vessel) == body


def test_keys_of_other_providers_are_kept_for_servers_that_may_take_them() -> None:
    part = {"type": "text", "text": "What?", "cache_control": {"type": "ephemeral"}}
    body = chat_body({"role": "user", "content": [part]})
    assert again(body, LAB) == body
    assert again(body)["messages"][0]["content"] == [{"type": "text", "text": "What?"}]


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "Once", "stream": False},
        {"prompt": "Once", "stream": True, **USAGE, "max_tokens": 5, "logprobs": 2, "echo": True},
        {"prompt": "Once", "stream": False, "logprobs": True, "suffix": "end", "tools": []},
        {"prompt": ["Once"], "stream": False},
    ],
)
def test_a_prompt_is_built_again_as_it_came(fields: dict[str, Any]) -> None:
    body = {"model": "m", **fields}
    route = "http://127.0.0.1:8000/v1/completions?x=1"
    assert again(body, LAB, route) == body
    assert LAB.read_request(route, body).prompt == "Once"


@pytest.mark.parametrize(
    ("vessel", "fields", "think"),
    [
        (DeepSeek(), {"thinking": {"type": "disabled"}}, False),
        (DeepSeek(), {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}, "max"),
        (DeepSeek(), {"thinking": {"type": "enabled", "x": 1}}, None),
        (OpenRouter(), {"reasoning": {"effort": "low"}}, "low"),
        (OpenRouter(), {"reasoning": {"effort": "low", "exclude": True}}, "low"),
        (OpenRouter(), {"reasoning": {"max_tokens": 2000}}, 2000),
        (OpenRouter(), {"reasoning": {"enabled": True}}, True),
        (OpenRouter(), {"reasoning": "much"}, None),
        (LlamaCpp(), {"chat_template_kwargs": {"enable_thinking": False}}, False),
        (LlamaCpp(), {"chat_template_kwargs": {"enable_thinking": True, "x": 1}}, None),
        (OpenAI(), {"reasoning_effort": "none"}, "none"),
        (OpenAI(), {"reasoning_effort": 5}, None),
    ],
)
def test_thinking_is_read_in_the_words_of_the_server(
    vessel: Vessel, fields: dict[str, Any], think: Any
) -> None:
    body = chat_body(HELLO, **fields)
    assert again(body, vessel) == body
    assert vessel.read_request(CHAT, body).think == think


@pytest.mark.parametrize(
    ("vessel", "body"),
    [
        (Groq(), chat_body(HELLO, n=2, logprobs=True)),
        (Groq(), chat_body(HELLO, n=1)),
        (Mistral(), chat_body(HELLO, random_seed=3, seed=4)),
        (Mistral(), chat_body(HELLO, stream=True)),
        (DeepSeek(), chat_body(HELLO, {"role": "assistant", "content": "a", "prefix": True})),
    ],
)
def test_presets_build_again_what_their_server_was_sent(
    vessel: Vessel, body: dict[str, Any]
) -> None:
    assert again(body, vessel) == body


@pytest.mark.parametrize(
    ("route", "limit"),
    [
        ("https://x.openai.azure.com/openai/v1/chat/completions", "max_completion_tokens"),
        (
            "https://x.openai.azure.com/openai/deployments/m/chat/completions?api-version=2024-02-01",
            "max_tokens",
        ),
        ("/models/chat/completions?api-version=2024-05-01-preview", "max_tokens"),
    ],
)
def test_azure_reads_without_an_address_of_its_own(route: str, limit: str) -> None:
    chat = Azure().read_request(route, chat_body(HELLO, **{limit: 5}))
    assert (chat.max_tokens, chat.extra_body) == (5, None)


def test_azure_takes_the_model_from_the_route_where_the_body_has_none() -> None:
    route = "/openai/deployments/my%20model/chat/completions?api-version=2024-10-21"
    assert Azure().read_request(route, {"messages": [HELLO]}).model == "my model"
    assert Azure().read_request(route, chat_body(HELLO)).model == "m"


def test_the_universal_form_has_what_others_need() -> None:
    answer = {
        "role": "assistant",
        "content": [{"type": "text", "text": "Hm"}],
        "tool_calls": [call()],
    }
    answer["reasoning_details"] = [{"data": "x"}]
    chat = OpenRouter().read_request(
        CHAT,
        chat_body(
            {"role": "user", "content": [{"type": "image_url", "image_url": "https://h/i.png"}]},
            answer,
            {"role": "tool", "tool_call_id": "c1", "content": "cold"},
            max_tokens=5,
            response_format={"type": "json_object"},
            stream_options=None,
        ),
    )
    assert chat.messages is not None
    asked, said, result = chat.messages
    assert asked.images[0].image_url.url == "https://h/i.png"
    assert said.content == "Hm"
    assert said.tool_calls is not None
    assert said.tool_calls[0].id == "c1"
    assert said.native == {"openrouter": answer}
    assert (result.role, result.tool_call_id, result.content) == ("tool", "c1", "cold")
    assert (chat.stream, chat.max_tokens, chat.response_format) == (False, 5, "json")
    assert chat.extra_body == {"stream_options": None}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("x", "body"),
        ({"messages": [HELLO]}, "model"),
        ({"model": 5, "messages": [HELLO]}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": []}, "messages"),
        (chat_body(HELLO, {"content": "x"}), r"messages\[1\]: role"),
        (chat_body(HELLO, [HELLO]), r"messages\[1\]"),  # type: ignore[arg-type]
        (chat_body({"role": "user", "content": [5]}), r"messages\[0\]: content"),
        (
            chat_body({"role": "user", "content": "x", "tool_call": 1}),
            r"messages\[0\]: .*tool_call",
        ),
        (chat_body({"role": "user", "content": "x", "native": {}}), r"messages\[0\].native"),
        (chat_body({"role": "assistant", "tool_calls": "x"}), r"messages\[0\].tool_calls"),
        (
            chat_body({"role": "assistant", "tool_calls": [{"id": "x"}]}),
            r"tool_calls\[0\].function",
        ),
        (chat_body(HELLO, tools=[5]), "tools.0"),
        (chat_body(HELLO) | {"model": "\ud800"}, "model"),
    ],
)
def test_what_is_not_of_the_dialect_is_refused_with_its_place(body: Any, place: str) -> None:
    with pytest.raises(InvalidRequestError, match=place):
        OpenAI().read_request(CHAT, body)


def test_a_body_that_is_nested_too_deeply_is_refused() -> None:
    nested: Any = []
    for _ in range(5000):
        nested = [nested]
    with pytest.raises(InvalidRequestError, match="levels deep"):
        OpenAI().read_request(CHAT, chat_body(HELLO, x=nested))


def test_several_prompts_and_other_routes_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="prompt: must be one text"):
        OpenAI().read_request("/v1/completions", {"model": "m", "prompt": ["a", "b"]})
    with pytest.raises(InvalidRequestError, match="route"):
        OpenAI().read_request("/v1/responses", {"model": "m", "input": "x"})
