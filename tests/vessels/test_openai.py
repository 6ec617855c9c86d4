"""The OpenAI dialect: what is sent for a request, and where to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from vesselog.core.errors import ConfigurationError, InvalidRequestError
from vesselog.core.framing import Framing
from vesselog.core.request import chat_request
from vesselog.core.vessel import ModelInfo, Progress, WireRequest
from vesselog.vessels import OpenAI


def sent(vessel: OpenAI | None = None, **fields: Any) -> dict[str, Any]:
    if "prompt" not in fields:
        fields.setdefault("messages", "hi")
    request = (vessel or OpenAI()).request(chat_request("m", **fields))
    assert request.body == json.loads(request.content)
    assert request.body is not None
    return request.body


def test_a_plain_request() -> None:
    request = OpenAI().request(chat_request("m", "hi"))
    assert request.method == "POST"
    assert request.url == "https://api.openai.com/v1/chat/completions"
    assert request.stream
    assert request.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_stream_is_always_sent_and_usage_asked_for_only_in_a_stream() -> None:
    assert sent(stream=False) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": False,
    }
    assert "stream_options" not in sent(OpenAI(ask_usage=False))


def test_named_fields_go_where_they_belong() -> None:
    fields = {"temperature": 0, "top_p": 0, "stop": "x", "seed": 0, "n": 2}
    body = sent(**fields)
    assert {name: body[name] for name in fields} == fields


LIMITS = {"max_tokens", "max_completion_tokens"}


@pytest.mark.parametrize(
    ("base", "name"),
    [
        (None, "max_completion_tokens"),
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://us.api.openai.com", "max_completion_tokens"),
        ("https://api.openai.com.example/v1", "max_tokens"),
        ("https://notapi.openai.com/v1", "max_tokens"),
        ("http://127.0.0.1:8000", "max_tokens"),
        ("http://[::1]:8000", "max_tokens"),
    ],
)
def test_a_limit_of_tokens_has_the_name_that_the_server_knows(base: str | None, name: str) -> None:
    vessel = OpenAI(base_url=base)
    for limit in (9, 0):
        body = sent(vessel, max_tokens=limit)
        assert {key: body[key] for key in LIMITS & body.keys()} == {name: limit}
    # The legacy route has the old name alone.
    body = sent(vessel, prompt="x", max_tokens=9)
    assert {key: body[key] for key in LIMITS & body.keys()} == {"max_tokens": 9}


@pytest.mark.parametrize("vessel", [OpenAI(), OpenAI(base_url="http://lab")])
@pytest.mark.parametrize("name", sorted(LIMITS))
@pytest.mark.parametrize("field", ["options", "extra_body"])
def test_a_limit_in_the_providers_own_words_wins(vessel: OpenAI, name: str, field: str) -> None:
    """Both names in one request are an error of the API."""
    body = sent(vessel, max_tokens=9, **{field: {name: 5}})
    assert {key: body[key] for key in LIMITS & body.keys()} == {name: 5}


def test_options_and_extra_body_win_and_pass_untouched() -> None:
    body = sent(
        temperature=1,
        top_p=1,
        options={"temperature": 0.5, "min_p": 0.1, "top_k": 3},
        extra_body={"temperature": 0, "top_k": None, "max_completion_tokens": 4, "x": {"y": [1]}},
    )
    assert (body["temperature"], body["top_p"], body["min_p"], body["top_k"]) == (0, 1, 0.1, None)
    assert (body["max_completion_tokens"], body["x"]) == (4, {"y": [1]})


def test_a_stream_turned_off_by_extra_body_is_no_stream() -> None:
    request = OpenAI().request(chat_request("m", "x", extra_body={"stream": False}))
    assert not request.stream


@pytest.mark.parametrize(
    ("asked", "body"),
    [
        (True, {"logprobs": True}),
        (False, {"logprobs": False}),
        (3, {"logprobs": True, "top_logprobs": 3}),
        (0, {"logprobs": True, "top_logprobs": 0}),
    ],
)
def test_log_probabilities_of_a_chat(asked: Any, body: dict[str, Any]) -> None:
    found = sent(logprobs=asked)
    assert {key: found[key] for key in ("logprobs", "top_logprobs") if key in found} == body


@pytest.mark.parametrize(("asked", "given"), [(True, 1), (0, 0), (4, 4), (False, None)])
def test_log_probabilities_of_a_completion(asked: Any, given: int | None) -> None:
    assert sent(prompt="x", logprobs=asked).get("logprobs") == given


class City(BaseModel):
    name: str


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("json", {"type": "json_object"}),
        ({"type": "json_object"}, {"type": "json_object"}),
        (
            {"type": "object", "properties": {}},
            {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": {"type": "object", "properties": {}}},
            },
        ),
        (
            {"anyOf": []},
            {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"anyOf": []}}},
        ),
        ({"type": "grammar", "value": "x"}, {"type": "grammar", "value": "x"}),
        (
            City,
            {
                "type": "json_schema",
                "json_schema": {"name": "City", "schema": City.model_json_schema()},
            },
        ),
    ],
)
def test_response_formats(asked: Any, given: Any) -> None:
    assert sent(response_format=asked)["response_format"] == given


def test_tools_and_the_legacy_functions() -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    choice = {"type": "function", "function": {"name": "f"}}
    body = sent(tools=tools, tool_choice=choice)
    assert (body["tools"], body["tool_choice"]) == (tools, choice)
    body = sent(functions=[{"name": "f"}], function_call="auto")
    assert (body["functions"], body["function_call"]) == ([{"name": "f"}], "auto")


def test_a_prompt_goes_to_completions() -> None:
    request = OpenAI().request(chat_request("m", prompt="once", max_tokens=3))
    assert request.url == "https://api.openai.com/v1/completions"
    assert request.body
    assert (request.body["prompt"], request.body["max_tokens"]) == ("once", 3)


@pytest.mark.parametrize(
    "fields",
    [
        {"keep_alive": 5},
        {"think": True},
        {"think": False},
        {"think": 2048},
        {"prompt": "x", "tools": [{"type": "function"}]},
        {"prompt": "x", "tool_choice": "auto"},
    ],
)
def test_what_the_dialect_cannot_express_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        sent(**fields)


def test_think_as_an_effort() -> None:
    assert sent(think="low")["reasoning_effort"] == "low"


@pytest.mark.parametrize(
    ("base", "chat", "models"),
    [
        (None, "https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1/models"),
        ("http://h:8080", "http://h:8080/v1/chat/completions", "http://h:8080/v1/models"),
        ("http://h:8080/", "http://h:8080/v1/chat/completions", "http://h:8080/v1/models"),
        ("https://h/v1", "https://h/v1/chat/completions", "https://h/v1/models"),
        (
            "https://h/openai/v1/",
            "https://h/openai/v1/chat/completions",
            "https://h/openai/v1/models",
        ),
        ("https://h/v1/chat/completions", "https://h/v1/chat/completions", "https://h/v1/models"),
        ("https://h/chat/completions", "https://h/chat/completions", "https://h/models"),
        ("https://h/v1/completions", "https://h/v1/chat/completions", "https://h/v1/models"),
        ("https://h/v1?a=1", "https://h/v1/chat/completions?a=1", "https://h/v1/models?a=1"),
        ("http://[::1]:80", "http://[::1]:80/v1/chat/completions", "http://[::1]:80/v1/models"),
    ],
)
def test_base_urls(base: str | None, chat: str, models: str) -> None:
    vessel = OpenAI(base_url=base)
    assert vessel.request(chat_request("m", "x")).url == chat
    request = vessel.models_request()
    assert request
    assert (request.method, request.url, request.body) == ("GET", models, None)


@pytest.mark.parametrize(
    "base", ["h:8080", "ftp://h", "https://", "http://a b", "http://[::1", "/v1"]
)
def test_a_base_url_that_is_none_is_refused(base: str) -> None:
    with pytest.raises(ConfigurationError, match="http://"):
        OpenAI(base_url=base).request(chat_request("m", "x"))


def test_organization_and_project_are_sent_with_every_request() -> None:
    vessel = OpenAI(organization="org-1", project="proj-2")
    expected = {"openai-organization": "org-1", "openai-project": "proj-2"}
    models = vessel.models_request()
    assert models
    assert vessel.request(chat_request("m", "x")).headers == models.headers == expected


def test_the_environment_configures_what_was_not_given() -> None:
    environment = {
        "OPENAI_API_KEY": "key-from-environment",
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
        "OPENAI_ORG_ID": "org",
        "OPENAI_PROJECT_ID": "proj",
    }
    given = OpenAI().configured(environment)
    assert (given.api_key, given.base_url) == ("key-from-environment", "http://127.0.0.1:1/v1")
    headers = given.request(chat_request("m", "x")).headers
    assert headers == {"openai-organization": "org", "openai-project": "proj"}


def test_what_belongs_to_another_server_stays_home() -> None:
    environment = {"OPENAI_API_KEY": "key-from-environment", "OPENAI_ORG_ID": "org"}
    given = OpenAI(base_url="http://127.0.0.1:1").configured(environment)
    assert given.api_key is None
    assert given.request(chat_request("m", "x")).headers == {}


@pytest.mark.parametrize(
    "body",
    [
        {"object": "list", "data": [{"id": "a", "created": 1700000000, "owned_by": "o"}]},
        [{"id": "a", "created": 1700000000, "owned_by": "o"}],
    ],
)
def test_models(body: Any) -> None:
    assert OpenAI().read_models(body) == [
        ModelInfo("a", modified="2023-11-14T22:13:20Z", owner="o")
    ]


def test_the_decoder_is_made_for_a_request_of_any_kind() -> None:
    assert OpenAI.framing is Framing.SSE
    for body in (None, {}, {"n": "two"}, {"n": 3}):
        assert OpenAI().decoder(WireRequest(url="http://x", body=body)).progress is Progress.OPEN
