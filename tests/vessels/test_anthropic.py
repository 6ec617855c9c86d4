"""Anthropic's Messages dialect: the request, and the vessel in the clients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from anthropic_bodies import TOOLS, answer, sent, whole
from decoding import SSE
from loopback import Conversation, LoopbackServer
from vesselog import AsyncClient, Client, Recording, replay, verify
from vesselog.core.errors import InvalidRequestError
from vesselog.core.request import chat_request
from vesselog.core.vessel import ModelInfo
from vesselog.vessels import Anthropic

WHOLE = whole([{"type": "text", "text": "Let me "}, {"type": "text", "text": "see."}])


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [(400, "invalid_request_error", False), (429, "rate_limit_error", True), (529, "x", True)],
)
def test_error_statuses(status: int, kind: str, retryable: bool) -> None:  # noqa: FBT001
    body = json.dumps({"type": "error", "error": {"type": kind, "message": "Why."}})
    error = Anthropic().failure(status, body)
    assert (error.status, error.code, error.retryable) == (status, kind, retryable)
    assert error.message == f"anthropic answered {status}: Why."


def test_a_plain_request() -> None:
    request = Anthropic().request(chat_request("m", "hi", max_tokens=9))
    assert request.url == "https://api.anthropic.com/v1/messages"
    assert request.body == {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }


@pytest.mark.parametrize(
    "base", ["http://x", "http://x/", "http://x/v1", "http://x/v1/messages", "http://x/v1/models"]
)
def test_any_form_of_address(base: str) -> None:
    vessel = Anthropic(base_url=base)
    assert vessel.request(chat_request("m", "a", max_tokens=1)).url == "http://x/v1/messages"
    listing = vessel.models_request()
    assert listing is not None
    assert listing.url == "http://x/v1/models?limit=1000"


def test_max_tokens_is_required() -> None:
    with pytest.raises(InvalidRequestError, match="max_tokens"):
        Anthropic().request(chat_request("m", "hi"))
    assert sent(Anthropic(max_tokens=7), max_tokens=None)["max_tokens"] == 7
    assert sent(Anthropic(max_tokens=7), max_tokens=8)["max_tokens"] == 8
    assert sent(max_tokens=0)["max_tokens"] == 0
    assert sent(max_tokens=None, extra_body={"max_tokens": 5})["max_tokens"] == 5


def test_tools_and_their_choice() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    function = {"name": "f", "description": "d", "parameters": schema}
    server = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    tools = [{"type": "function", "function": function}, server]
    assert sent(tools=tools)["tools"] == [
        {"name": "f", "description": "d", "input_schema": schema},
        server,
    ]
    assert sent(tools=tools, tool_choice="required")["tool_choice"] == {"type": "any"}
    named = {"type": "function", "function": {"name": "f"}}
    assert sent(tools=tools, tool_choice=named)["tool_choice"] == {"type": "tool", "name": "f"}
    own = {"type": "tool", "name": "f", "disable_parallel_tool_use": True}
    assert sent(tools=tools, tool_choice=own)["tool_choice"] == own
    for other in ("perhaps", {"type": "allowed_tools"}):
        with pytest.raises(InvalidRequestError, match=r"perhaps|allowed_tools"):
            sent(tools=tools, tool_choice=other)


def test_tools_that_take_free_text_are_refused_unless_they_are_the_apis_own() -> None:
    with pytest.raises(InvalidRequestError, match="sql"):
        sent(tools=[{"type": "custom", "custom": {"name": "sql"}}])
    own = {"type": "custom", "name": "f", "input_schema": {"type": "object"}}
    assert sent(tools=[own])["tools"] == [own]


@pytest.mark.parametrize(
    ("think", "thinking"),
    [
        (True, {"type": "adaptive"}),
        (False, {"type": "disabled"}),
        (0, {"type": "disabled"}),
        (2048, {"type": "enabled", "budget_tokens": 2048}),
    ],
)
def test_thinking(think: bool | int, thinking: dict[str, Any]) -> None:  # noqa: FBT001
    body = sent(think=think)
    assert body["thinking"] == thinking
    assert "output_config" not in body


def test_an_effort_leaves_thinking_to_the_model() -> None:
    body = sent(think="low")
    assert body["output_config"] == {"effort": "low"}
    assert "thinking" not in body


class Answer(BaseModel):
    n: int


def test_formats_and_efforts() -> None:
    schema = Answer.model_json_schema()
    wanted = {"format": {"type": "json_schema", "schema": schema}}
    assert sent(response_format=Answer)["output_config"] == wanted
    assert sent(response_format=schema, think="high")["output_config"] == {
        "effort": "high",
        **wanted,
    }
    with pytest.raises(InvalidRequestError, match="schema"):
        sent(response_format="json")


def test_sampling_and_what_passes_untouched() -> None:
    body = sent(temperature=0, top_p=0.5, stop="x", options={"top_k": 4}, extra_body={"top_p": 1})
    assert (body["temperature"], body["top_p"], body["top_k"]) == (0, 1, 4)
    assert body["stop_sequences"] == ["x"]
    assert sent(stop=["x", "y"])["stop_sequences"] == ["x", "y"]


@pytest.mark.parametrize(
    "field",
    [{"n": 2}, {"seed": 1}, {"logprobs": True}, {"keep_alive": 1}, {"functions": [{"name": "f"}]}],
)
def test_what_it_has_no_word_for(field: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match=next(iter(field))):
        sent(**field)
    with pytest.raises(InvalidRequestError, match="prompt"):
        Anthropic().request(chat_request("m", prompt="a", max_tokens=1))
    assert "n" not in sent(n=1)


def test_models() -> None:
    body = {"data": [{"id": "claude-x", "created_at": "2025-02-19T00:00:00Z", "type": "model"}]}
    assert Anthropic().read_models(body) == [ModelInfo("claude-x", modified="2025-02-19T00:00:00Z")]


def answering(conversation: Conversation) -> None:
    headers = conversation.request.headers
    assert conversation.request.path == "/v1/messages"
    assert headers["x-api-key"] == "sk-ant-0123456789"
    assert headers["anthropic-version"] == "2023-06-01"
    assert headers["anthropic-beta"] == "b"
    assert "authorization" not in headers
    if conversation.request.json["stream"]:
        conversation.stream(TOOLS, SSE)
    else:
        conversation.whole(WHOLE)


def vessels(server: LoopbackServer) -> dict[str, Any]:
    key = {"api_key": "sk-ant-0123456789", "headers": {"Anthropic-Beta": "b"}}
    return {"anthropic": Anthropic(base_url=server.url, max_tokens=50, **key)}


def test_recorded_and_replayed(tmp_path: Path) -> None:
    with (
        LoopbackServer([answering]) as server,
        Client(recordings=tmp_path, vessels=vessels(server), environment={}) as client,
    ):
        with client.stream("anthropic/m", "weather?") as stream:
            chunks = list(stream)
        answered = client.complete("anthropic/m", "more?")
    assert stream.path is not None
    assert verify(stream.path).ok
    assert list(replay(stream.path, speed=0)) == chunks
    assert [call.name for call in stream.completion.tool_calls] == ["get_weather", "now"]
    assert answered.text == "Let me see."
    (call,) = Recording(stream.path).calls()
    assert "sk-ant" not in stream.path.read_text("utf-8")
    assert call.request["headers"]["anthropic-version"] == "2023-06-01"
    with Client(replay=tmp_path, vessels=vessels(server)) as client:
        again = client.complete("anthropic/m", "weather?")
    assert (again.text, again.tool_calls) == ("Let me look.", stream.completion.tool_calls)


async def test_async_says_the_same(tmp_path: Path) -> None:
    with LoopbackServer([answering]) as server:
        settings: Any = {"vessels": vessels(server), "environment": {}}
        async with AsyncClient(recordings=tmp_path, **settings) as client:
            async with client.stream("anthropic/m", "weather?") as stream:
                chunks = [chunk async for chunk in stream]
            answered = await client.complete("anthropic/m", "more?")
    found = answer(*TOOLS)
    assert [chunk.model_dump(exclude={"t"}) for chunk in chunks] == [
        chunk.model_dump(exclude={"t"}) for chunk in found.chunks
    ]
    assert answered.text == "Let me see."


def test_key_and_address_from_the_environment() -> None:
    environment = {"ANTHROPIC_API_KEY": "sk-ant-env", "ANTHROPIC_BASE_URL": "http://proxy/v1"}
    vessel = Anthropic().configured(environment)
    assert (vessel.api_key, vessel.base_url) == ("sk-ant-env", "http://proxy/v1")
    assert Anthropic(base_url="http://other").configured(environment).api_key is None


@pytest.mark.parametrize("path", ["/anthropic", "/proxy/anthropic/", "/anthropic/v1", ""])
def test_the_routes_are_below_the_path_of_a_gateway(path: str) -> None:
    """As the official SDK reads ANTHROPIC_BASE_URL."""
    environment = {"ANTHROPIC_BASE_URL": f"https://gateway{path}"}
    vessel = Anthropic(max_tokens=1).configured(environment)
    root = path.removesuffix("/").removesuffix("/v1")
    assert vessel.request(chat_request("m", "Hi")).url == f"https://gateway{root}/v1/messages"
    models = vessel.models_request()
    assert models is not None
    assert models.url == f"https://gateway{root}/v1/models?limit=1000"
